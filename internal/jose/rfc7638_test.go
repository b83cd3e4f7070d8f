package jose

import (
	"crypto"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v3/jwk"
)

// The thumbprints that RFCs print.
func TestRFC7638_TheExamples(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ alg, jwk, thumbprint string }{
		"RFC 7638 section 3.1": {"RS256", `{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRX` +
			`jBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbIS` +
			`D08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}`,
			"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"},
		"RFC 8037 appendix A.3": {"EdDSA", `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
			"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
		"RFC 9449 section 6.1": {"ES256", `{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}`,
			"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"},
	} {
		_, thumbprint, err := ParseJWK(row.jwk, row.alg)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := Encode(thumbprint[:]); got != row.thumbprint {
			t.Errorf("%s: %s, want %s", name, got, row.thumbprint)
		}
	}
}

// What ParseJWK takes for a key is one, and has the thumbprint that it has to jwx.
func FuzzParseJWK_AgreesWithJWX(f *testing.F) {
	for _, seed := range []string{
		`{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}`,
		`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","key_ops":["verify"],"use":"sig","alg":"EdDSA"}`,
		`{"kty":"RSA","e":"AQAB","n":"` + strings.Repeat("_", 342) + `"}`,
		`{"kty":"oct","k":"AQAB"}`, `{}`, `[]`, `{"kty":"EC","crv":"P-521","x":"","y":""}`, `{"kty":"EC","d":""}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, alg := range []string{"ES256", "EdDSA", "RS256"} {
			key, thumbprint, err := ParseJWK(string(data), alg)
			if err != nil {
				if key != nil {
					t.Error("a key and an error")
				}
				continue
			}
			if len(AlgorithmsFor(key)) == 0 {
				t.Fatalf("a key for no algorithm: %s", data)
			}
			theirs, err := jwk.ParseKey(data)
			if err != nil {
				continue // it reads members, too, that do not count here
			}
			want, err := theirs.Thumbprint(crypto.SHA256)
			if err != nil || string(want) != string(thumbprint[:]) {
				t.Errorf("thumbprint %x, jwx has %x (%v): %s", thumbprint, want, err, data)
			}
		}
	})
}
