package validator_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/countermark/countermark/validator"
)

// Whatever a proof's header and payload are, signed well: the proof is refused as
// one, or it says to any reader of JSON what this request is.
func FuzzProof(f *testing.F) {
	c := newClient()
	f.Add(c.header(nil), c.payload(nil))
	f.Add(c.header(edits{"typ": "DPOP+JWT", "kid": "1"}), c.payload(edits{"htu": "HTTPS://API.example.com:443/orders/%37?a#b", "exp": noon.Unix()}))
	f.Add(c.header(edits{"alg": "none"}), c.payload(edits{"iat": 1e300}))
	f.Add(c.header(edits{"jwk": edits{"kty": "oct", "k": ""}}), c.payload(edits{"jti": []any{nil}}))
	f.Add(`{"typ":"dpop+jwt","jwk":{"kty":"RSA","n":"","e":""},"alg":"RS256"}`, `{"ath":"","iat":-0.0}`)
	f.Fuzz(func(t *testing.T, header, payload string) {
		proof := sign(c.key, header, payload)
		_, err := newValidator(t, nil).Authorize(t.Context(), c.shows(proof), validator.Requirement{})
		if err != nil {
			if !errors.Is(err, validator.ErrProof) && !errors.Is(err, validator.ErrBinding) {
				t.Errorf("refused with %v", err)
			}
			return
		}
		var says struct {
			Typ, Alg, JTI, HTM, HTU, ATH string
			IAT                          float64
			JWK                          map[string]any
		}
		if err := errors.Join(json.Unmarshal([]byte(header), &says), json.Unmarshal([]byte(payload), &says)); err != nil {
			t.Fatalf("passed, and is no JSON: %v", err)
		}
		if !strings.EqualFold(strings.TrimPrefix(strings.ToLower(says.Typ), "application/"), "dpop+jwt") || says.Alg != "ES256" ||
			says.JTI == "" || says.HTM != "GET" || says.ATH != hashOf(c.token) || thumbprint(says.JWK) != thumbprint(c.jwk) ||
			!strings.Contains(strings.ToLower(says.HTU), "://api.example.com") {
			t.Errorf("passed: %s %s", header, payload)
		}
		if age := float64(noon.Unix()) - says.IAT; age >= 90 || age < -30 {
			t.Errorf("passed, %v seconds old", age)
		}
	})
}
