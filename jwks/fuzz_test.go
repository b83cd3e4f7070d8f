package jwks

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/jwkset"
)

// FuzzParseSet: whatever arrives, nothing panics, and what is accepted is a set
// of distinct keys that can verify, the same ones each time.
func FuzzParseSet(f *testing.F) {
	const ec = `{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","kid":"1"`
	const ed = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"`
	for _, seed := range []string{
		``, `{}`, `{"keys":[]}`, `{"keys":[null,1,"a",{},[]]}`, `{"keys":[{"kty":"oct","k":"AA"}]}`,
		`{"keys":[` + ec + `}]}`, `{"keys":[` + ec + `},` + ec + `}]}`, `{"keys":[` + ec + `,"use":"sig","key_ops":["verify"],"alg":"ES256"}]}`,
		`{"keys":[` + ec + `,"d":"AA"},` + ed + `}]}`, `{"keys":[` + ed + `,"alg":"EdDSA","x5c":["AAAA"]}]}`,
		`{"keys":[{"kty":"RSA","e":"AQAB","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, _, err := jwkset.Parse(data)
		if err != nil {
			return
		}
		set := newKeySet(slices.Clone(keys), nil)
		for _, k := range keys {
			if len(k.Algorithms) == 0 || len(k.Public) != 1 {
				t.Fatalf("%d algorithms, %d keys", len(k.Algorithms), len(k.Public))
			}
			for _, alg := range k.Algorithms {
				if m, ok := jose.Lookup(alg); !ok || !m.Fits(k.Public[0]) {
					t.Fatalf("not a key for %s", alg)
				}
				if found, known := set.lookup(k.KID, alg); !known || len(found) == 0 || len(found) > maxCandidates || k.KID != "" && &found[0] != &k.Public[0] {
					t.Fatalf("kid %q, %s: %d keys", k.KID, alg, len(found))
				}
			}
			if public, ok := k.Public[0].(*rsa.PublicKey); ok {
				digest := sha256.Sum256(nil)
				if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], make([]byte, public.Size())); !errors.Is(err, rsa.ErrVerification) {
					t.Fatalf("no signature can be verified: %v", err)
				}
			}
		}
		again, _, err := jwkset.Parse(data)
		if err != nil || newKeySet(again, set) != set {
			t.Fatalf("parsed anew it is another set: %v", err)
		}
	})
}
