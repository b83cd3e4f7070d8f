package jose

import (
	"crypto"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v3/jwk"
)

// exported is a private key as jwx writes it, with edits; nil removes a member.
func exported(t testing.TB, key crypto.Signer, edits map[string]any) []byte {
	t.Helper()
	theirs, err := jwk.Import(key)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(theirs)
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(data, &members); err != nil {
		t.Fatal(err)
	}
	maps.Copy(members, edits)
	maps.DeleteFunc(members, func(_ string, v any) bool { return v == nil })
	if data, err = json.Marshal(members); err != nil {
		t.Fatal(err)
	}
	return data
}

func TestRFC7517_PrivateKeysOfEveryKind(t *testing.T) {
	t.Parallel()
	for alg, key := range testKeys(t) {
		got, err := ParsePrivateJWK(exported(t, key, map[string]any{"kid": "k1", "use": "sig", "key_ops": []string{"sign"}, "x5t": "abc"}))
		if err != nil {
			t.Errorf("%s: %v", alg, err)
			continue
		}
		if got.Kid != "k1" || got.Alg != "" || !got.Signer.(interface{ Equal(crypto.PrivateKey) bool }).Equal(key) {
			t.Errorf("%s: another key: %+v", alg, got.Kid)
		}
		method, _ := Lookup(AlgorithmsFor(key.Public())[0])
		sig, err := method.Sign("x", got.Signer)
		if err != nil || method.Verify("x", sig, key.Public()) != nil {
			t.Errorf("%s: does not sign: %v", alg, err)
		}
	}
}

func TestRFC7518_6_BadPrivateKeys(t *testing.T) {
	t.Parallel()
	keys, others := testKeys(t), testKeys(t)
	ec, rsa, ed := keys["ES256"], keys["RS256"], keys["EdDSA"]
	member := func(key crypto.Signer, name string) any {
		var members map[string]any
		if err := json.Unmarshal(exported(t, key, nil), &members); err != nil {
			t.Fatal(err)
		}
		return members[name]
	}
	type edits = map[string]any
	for name, data := range map[string][]byte{
		"no JSON":                    []byte("canary"),
		"two objects":                append(exported(t, ec, nil), "{}"...),
		"a member twice":             append([]byte(`{"kty":"EC",`), exported(t, ec, nil)[1:]...),
		"symmetric":                  []byte(`{"kty":"oct","k":"AAAA","d":"AAAA"}`),
		"no kty":                     exported(t, ec, edits{"kty": nil}),
		"kty another":                exported(t, ec, edits{"kty": "OKP"}),
		"a public key":               exported(t, ec, edits{"d": nil}),
		"d no text":                  exported(t, ec, edits{"d": 7}),
		"for encryption":             exported(t, ec, edits{"use": "enc"}),
		"for verifying":              exported(t, ec, edits{"key_ops": []string{"verify"}}),
		"for nothing":                exported(t, ec, edits{"key_ops": []string{}}),
		"a curve that is unknown":    exported(t, ec, edits{"crv": "secp256k1"}),
		"a curve that is another's":  exported(t, ec, edits{"crv": "P-384"}),
		"d of another":               exported(t, ec, edits{"d": member(others["ES256"], "d")}),
		"d short":                    exported(t, ec, edits{"d": Encode(make([]byte, 31))}),
		"d zero":                     exported(t, ec, edits{"d": Encode(make([]byte, 32))}),
		"d padded":                   exported(t, ec, edits{"d": member(ec, "d").(string) + "="}),
		"without y":                  exported(t, ec, edits{"y": nil}),
		"Ed25519, d of another":      exported(t, ed, edits{"d": member(others["EdDSA"], "d")}),
		"Ed25519, d short":           exported(t, ed, edits{"d": Encode(make([]byte, 31))}),
		"Ed25519, without x":         exported(t, ed, edits{"x": nil}),
		"X25519":                     exported(t, ed, edits{"crv": "X25519"}),
		"RSA without its primes":     exported(t, rsa, edits{"p": nil, "q": nil}),
		"RSA, d of another":          exported(t, rsa, edits{"d": member(others["RS256"], "d")}),
		"RSA, a prime of another":    exported(t, rsa, edits{"p": member(others["RS256"], "p")}),
		"RSA, n of another":          exported(t, rsa, edits{"n": member(others["RS256"], "n")}),
		"RSA with more primes":       exported(t, rsa, edits{"oth": []any{edits{"r": "AQAB", "d": "AQAB", "t": "AQAB"}}}),
		"RSA, d with a leading zero": exported(t, rsa, edits{"d": "AA" + member(rsa, "d").(string)}),
	} {
		key, err := ParsePrivateJWK(data)
		if err == nil || key.Signer != nil {
			t.Errorf("%s: taken, %v", name, err)
			continue
		}
		for _, secret := range []string{"canary", member(ec, "d").(string)[:9], member(rsa, "p").(string)[:9]} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error shows the key: %v", name, err)
			}
		}
	}
}

// Whatever it is given, ParsePrivateJWK does not panic, and what it returns signs.
func FuzzParsePrivateJWK(f *testing.F) {
	keys := testKeys(f)
	for _, alg := range slices.Sorted(maps.Keys(keys)) {
		f.Add(exported(f, keys[alg], nil))
	}
	f.Add([]byte(`{"kty":"RSA","n":"AQAB","e":"AQAB","d":"AQ","p":"AQ","q":"AQ"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := ParsePrivateJWK(data)
		if err != nil {
			return
		}
		method, _ := Lookup(AlgorithmsFor(key.Signer.Public())[0])
		if sig, err := method.Sign("x", key.Signer); err != nil || method.Verify("x", sig, key.Signer.Public()) != nil {
			t.Errorf("does not sign: %v", err)
		}
	})
}
