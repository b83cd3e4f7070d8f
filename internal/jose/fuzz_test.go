package jose

import (
	"bytes"
	"crypto/elliptic"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/countermark/countermark/internal/strictjson"
)

// A token is split if it has two dots, and its parts are all of it.
func FuzzSplit(f *testing.F) {
	for _, seed := range []string{"", ".", "..", "a.b.c", "a.b", "a.b.c.", "a.b.c.d.e", ".b.", "e30.e30.\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		header, payload, signature, ok := Split(token)
		switch {
		case ok != (strings.Count(token, ".") == 2):
			t.Errorf("%q: %v", token, ok)
		case ok && header+"."+payload+"."+signature != token:
			t.Errorf("%q, %q, %q", header, payload, signature)
		case !ok && header+payload+signature != "":
			t.Errorf("parts of none: %q, %q, %q", header, payload, signature)
		}
	})
}

// What is decoded is encoded as the very same text, so that no two texts stand for
// the same bytes; and everything that has such a text is decoded.
func FuzzDecode_ReencodesToTheSame(f *testing.F) {
	for _, seed := range []string{"", "A", "AA", "AB", "AAA", "AAB", "AAAA", "AAAAA", "_-_-", "+/+/", "AA==", "A\nA", "AAA\n", "AAAAA\r\n\r", " AAA", "AA.A", "AAA\x00", "ÅAAA"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		prefix := []byte("before")
		got, err := Decode(bytes.Clone(prefix), text)
		lenient, errLenient := base64.RawURLEncoding.DecodeString(text)
		canonical := errLenient == nil && base64.RawURLEncoding.EncodeToString(lenient) == text
		if (err == nil) != canonical {
			t.Fatalf("%q: %v", text, err)
		}
		asText, errText := DecodeText(text)
		if (errText == nil) != canonical {
			t.Fatalf("%q as text: %v", text, errText)
		}
		if err != nil {
			if got != nil || asText != "" {
				t.Fatalf("%q: %q and %q with an error", text, got, asText)
			}
			return
		}
		own, ok := bytes.CutPrefix(got, prefix)
		if !ok || Encode(own) != text || asText != string(own) {
			t.Fatalf("%q: %q, and %q as text", text, got, asText)
		}
	})
}

// What counts of a header that is accepted is what encoding/json reads in it.
func FuzzParseHeader_AgreesWithEncodingJSON(f *testing.F) {
	for _, seed := range []string{
		`{"alg":"ES256","kid":"1","typ":"at+jwt"}`, `{"typ":"Application/AT+JWT","alg":""}`, `{"alg":"ES256","crit":["exp"]}`, `{"alg":"ES256","crit":[]}`, `{"alg":"ES256","b64":true}`,
		`{"alg":"ES256","b64":false}`, `{"alg":"ES256","b64":null}`, `{"\u0061lg":"none"}`, `{"alg":"ES256","ALG":"none"}`, `{"alg":null}`, `{"alg":"ES256","jwk":{"kty":"oct"}}`, `{"alg":"a","typ":"application/application/x"}`,
		"{\"alg\":\"a\",\"typ\":\"\u212a\"}", `{"kid":[],"alg":"a"}`, `{}`, `[]`, `{"alg":"ES256"}{}`, `{"alg":"ES256","B64":false}`, `{"alg":"ES256","Crit":["b64"]}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := ParseHeader(Encode([]byte(text)))
		if err != nil {
			return
		}
		var m map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			t.Fatalf("accepted what encoding/json refuses: %v", err)
		}
		read := func(name string) (value string) {
			if raw, ok := m[name]; ok && json.Unmarshal(raw, &value) != nil {
				t.Fatalf("%s is no string", name)
			}
			return value
		}
		if _, has := m["alg"]; !has || h.Alg != read("alg") || h.Kid != read("kid") || h.JWK != string(m["jwk"]) {
			t.Errorf("%+v", h)
		}
		if _, has := m["crit"]; has || m["b64"] != nil && string(m["b64"]) != "true" {
			t.Error("accepted with a demand that is not met")
		}
		typ := read("typ")
		if typ != h.Typ && !strings.EqualFold(typ, h.Typ) && !strings.EqualFold(typ, "application/"+h.Typ) || ShortType(h.Typ) != h.Typ {
			t.Errorf("typ %q is taken for %q", typ, h.Typ)
		}
	})
}

// A time is the one that was written, as near as a float64 has it, and it is within
// 1970 to 9999.
func FuzzNumericDate(f *testing.F) {
	for _, seed := range []string{
		"0", "-0", "-1", "1.5", "1e9", "253402300799", "253402300800", "253402300799.5", "99999999999999999999", "1e-400", "1e400", "0.1e1", "-0.0e5", "1700000000.999999999", `"1"`, "null", "true",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var v strictjson.Value
		if strictjson.Object(`{"v":`+text+`}`, func(_ string, value strictjson.Value) error { v = value; return nil }) != nil {
			return
		}
		got, ok := NumericDate(v)
		if !v.IsNumber() {
			if ok {
				t.Errorf("%s is a time", v)
			}
			return
		}
		exact, _, err := big.ParseFloat(string(v), 10, 200, big.ToNearestEven)
		if err != nil {
			if ok && !got.IsZero() && got.Unix() != 0 {
				t.Errorf("%s: %v", v, got)
			}
			return
		}
		const last = 253402300799
		seconds, _ := exact.Float64()
		if !ok {
			if seconds >= 0 && seconds <= last {
				t.Errorf("%s is refused", v)
			}
			return
		}
		if u := got.Unix(); u < 0 || u > last {
			t.Errorf("%s: %v", v, got)
		}
		whole := new(big.Float).SetInt64(got.Unix())
		off, _ := new(big.Float).Sub(exact, whole.Add(whole, big.NewFloat(float64(got.Nanosecond())/1e9))).Float64()
		if off > 1e-4 || off < -1e-4 {
			t.Errorf("%s: %v, %g s off", v, got, off)
		}
	})
}

// No signature passes but the one that was made, however it is changed; of ECDSA
// also its twin (r, n-s), which anybody can compute. Its DER form is that of
// encoding/asn1.
func FuzzVerify_NoOtherSignaturePasses(f *testing.F) {
	const input = "e30.e30"
	algs := []string{"RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"}
	keys, bases := testKeys(f), map[string][][]byte{}
	for i, alg := range algs {
		method, _ := Lookup(alg)
		good, err := method.Sign(input, keys[alg])
		if err != nil {
			f.Fatal(err)
		}
		bases[alg] = [][]byte{good, derOf(f, good), append(bytes.Clone(good), good...), make([]byte, len(good)), bytes.Repeat([]byte{0xff}, len(good))}
		if method.curve != nil {
			bases[alg] = append(bases[alg], twin(method.curve, good))
		}
		for base := range bases[alg] {
			f.Add(uint8(i), uint8(base), uint8(0), uint8(0), []byte(nil))
			f.Add(uint8(i), uint8(base), uint8(0), uint8(0), []byte{0})
			f.Add(uint8(i), uint8(base), uint8(0), uint8(1), []byte(nil))
			f.Add(uint8(i), uint8(base), uint8(0xff), uint8(0), []byte{0})
			f.Add(uint8(i), uint8(base), uint8(len(good)-1), uint8(1), []byte(nil))
			f.Add(uint8(i), uint8(base), uint8(len(good)/2), uint8(1), []byte{0x7f})
		}
	}
	f.Fuzz(func(t *testing.T, which, base, at, remove uint8, insert []byte) {
		alg := algs[int(which)%len(algs)]
		method, _ := Lookup(alg)
		sig := bytes.Clone(bases[alg][int(base)%len(bases[alg])])
		from := min(int(at), len(sig))
		sig = slices.Replace(sig, from, min(from+int(remove), len(sig)), insert...)

		good := bases[alg][0]
		want := bytes.Equal(sig, good) || method.curve != nil && bytes.Equal(sig, twin(method.curve, good))
		if err := method.Verify(input, sig, keys[alg].Public()); (err == nil) != want {
			t.Errorf("%s: %v for %x", alg, err, sig)
		}
		if method.Verify(input+"x", sig, keys[alg].Public()) == nil {
			t.Errorf("%s: passes for another input: %x", alg, sig)
		}
		if method.curve != nil && len(sig) == 2*method.size() {
			if got := appendDER(nil, sig); !bytes.Equal(got, derOf(t, sig)) {
				t.Errorf("%x in DER is %x, encoding/asn1 has %x", sig, got, derOf(t, sig))
			}
		}
	})
}

func derOf(tb testing.TB, raw []byte) []byte {
	tb.Helper()
	half := len(raw) / 2
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:half]), new(big.Int).SetBytes(raw[half:])})
	if err != nil {
		tb.Fatal(err)
	}
	return der
}

// twin returns (r, n-s) of the raw signature (r, s).
func twin(curve elliptic.Curve, sig []byte) []byte {
	half := len(sig) / 2
	s := new(big.Int).Sub(curve.Params().N, new(big.Int).SetBytes(sig[half:]))
	return append(bytes.Clone(sig[:half]), s.FillBytes(make([]byte, half))...)
}
