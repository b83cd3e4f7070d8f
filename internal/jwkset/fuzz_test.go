package jwkset_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"math/big"
	"slices"
	"testing"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/jwkset"
)

const (
	ec   = `{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","kid":"1"`
	p521 = `{"kty":"EC","crv":"P-521","x":"AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt","y":"AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1"`
	ed   = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"`
	rs   = `{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"`
)

// A key that is used is one that encoding/json finds in the set: public, for
// verifying, and with the members that the key has when it is written down again.
func FuzzParse_KeysAreThoseOfTheSet(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `{"keys":[]}`, `{"KEYS":[]}`, `{"keys":null}`, `{"keys":[null,1,"a",{},[]]}`, `{"keys":[` + ec + `},` + ed + `},` + p521 + `},` + rs + `,"e":"AQAB"}]}`,
		`{"keys":[` + ec + `},` + ec + `,"alg":"ES256"}]}`, `{"keys":[` + ec + `,"d":null}]}`, `{"keys":[` + ec + `,"K":"AA"}]}`, `{"keys":[` + ec + `,"use":"enc"},` + ed + `,"use":"sig","key_ops":["verify"],"alg":"EdDSA"}]}`,
		`{"keys":[` + rs + `,"e":"AAEAAQ"}]}`, `{"keys":[` + rs + `,"e":"Aw","alg":"PS384"}]}`, `{"keys":[` + rs + `,"e":"AQAB","kid":"\u0000"}],"keys2":[]}`, `{"keys":[{"kty":"RSA","e":"AQAB","n":"AKH4FgqI"}]}`, `{"keys":[{"kty":"oct","k":"AA"}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, problems, err := jwkset.Parse(data)
		if err != nil {
			if keys != nil || problems != nil {
				t.Fatalf("%d keys with %v", len(keys), err)
			}
			return
		}
		var set map[string]json.RawMessage
		var list []json.RawMessage
		if json.Unmarshal(data, &set) != nil || json.Unmarshal(set["keys"], &list) != nil || list == nil {
			t.Fatal("accepted what is no set to encoding/json")
		}
		if len(keys)+len(problems) > len(list) {
			t.Fatalf("%d keys and %d problems of %d", len(keys), len(problems), len(list))
		}
		kids := map[string]bool{}
		for _, k := range keys {
			if k.KID != "" && kids[k.KID] {
				t.Errorf("kid %q twice", k.KID)
			}
			kids[k.KID] = true
			want := written(t, k.Public[0])
			if !slices.ContainsFunc(list, func(raw json.RawMessage) bool { return isThat(raw, k, want) }) {
				t.Errorf("no key of the set is %q %v", k.KID, want)
			}
		}
	})
}

// isThat reports whether raw is the key k, whose required members are want.
func isThat(raw json.RawMessage, k *jwkset.Key, want map[string]string) bool {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil {
		return false
	}
	text := func(name string) (s string, ok bool) {
		ok = m[name] != nil && json.Unmarshal(m[name], &s) == nil
		return s, ok
	}
	for name, value := range want {
		got, ok := text(name)
		if k, isRSA := k.Public[0].(*rsa.PublicKey); isRSA && k != nil && (name == "n" || name == "e") {
			raw, err := jose.Decode(nil, got)
			ok = ok && err == nil
			got = jose.Encode(bytes.TrimLeft(raw, "\x00")) // RFC 7518 section 6.3.1.1 knows of libraries that write more
		}
		if !ok || got != value {
			return false
		}
	}
	for _, secret := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if m[secret] != nil {
			return false
		}
	}
	var ops []string
	if m["key_ops"] != nil && (json.Unmarshal(m["key_ops"], &ops) != nil || !slices.Contains(ops, "verify")) {
		return false
	}
	kid, _ := text("kid")
	use, hasUse := text("use")
	alg, hasAlg := text("alg")
	return kid == k.KID && (m["use"] == nil || hasUse && use == "sig") &&
		(m["alg"] == nil || hasAlg && !slices.ContainsFunc(k.Algorithms, func(a string) bool { return !jose.Same(a, alg) }))
}

// written returns the required members of a key (RFC 7518 section 6, RFC 8037
// section 2).
func written(t *testing.T, public crypto.PublicKey) map[string]string {
	t.Helper()
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		half := len(point) / 2
		return map[string]string{"kty": "EC", "crv": public.Params().Name, "x": jose.Encode(point[1 : 1+half]), "y": jose.Encode(point[1+half:])}
	case ed25519.PublicKey:
		return map[string]string{"kty": "OKP", "crv": "Ed25519", "x": jose.Encode(public)}
	case *rsa.PublicKey:
		return map[string]string{"kty": "RSA", "n": jose.Encode(public.N.Bytes()), "e": jose.Encode(big.NewInt(int64(public.E)).Bytes())}
	default:
		t.Fatalf("%T", public)
		return nil
	}
}
