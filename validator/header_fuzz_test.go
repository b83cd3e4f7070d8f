package validator_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/countermark/countermark/validator"
)

// Whatever header the issuer's own key signs, over good claims: the token passes
// only if encoding/json finds the type, the algorithm and no demand in it. Who
// routes by issuer says the same of it.
func FuzzHeader_PolicyAndEncodingJSONAgree(f *testing.F) {
	for _, header := range []string{
		`{"alg":"EdDSA","kid":"canary-kid","typ":"at+jwt"}`, `{"alg":"Ed25519","typ":"application/AT+jwt"}`, `{"alg":"EdDSA","typ":"JWT"}`, `{"alg":"none","typ":"at+jwt"}`, `{"alg":"EdDSA","typ":"at+jwt","crit":["b64"],"b64":true}`,
		`{"alg":"EdDSA","typ":"at+jwt","b64":false}`, `{"alg":"EdDSA","ALG":"none","typ":"at+jwt"}`, `{"alg":"EdDSA","typ":"at+jwt","jwk":{"kty":"OKP"},"jku":"https://evil.example","x5c":["AA"]}`, `{"alg":"HS256","typ":"at+jwt"}`,
		` {"alg":"EdDSA","typ":"at+jwt"}`, `{"alg":"EdDSA","typ":"at+jwt"} `, `{"alg":"EdDSA","typ":"at+jwt"}{}`, "{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"\u212aid\":1}", `{"alg":["EdDSA"],"typ":"at+jwt"}`, `{"alg":"ES256","typ":"at+jwt"}`, `{"alg":"EdDSA","typ":"at+jwt","kid":"../canary-kid"}`,
	} {
		f.Add(header, goodPayload())
	}
	f.Add(`{"alg":"EdDSA","typ":"at+jwt"}`, with(goodPayload(), `"iss":"https://canary.example"`))
	f.Add(`{"alg":"EdDSA","typ":"at+jwt"}`, goodPayload()[:len(goodPayload())-1]+`,"ISS":"https://canary.example"}`)
	v := newValidator(f, nil)
	issuers, err := validator.NewIssuers(validator.IssuersConfig{Validators: []*validator.Validator{v}})
	if err != nil {
		f.Fatal(err)
	}
	issuerKey := key("EdDSA")
	f.Fuzz(func(t *testing.T, header, payload string) {
		token := sign(issuerKey, header, payload)
		tok, err := v.Validate(t.Context(), token)
		routed, errRouted := issuers.Validate(t.Context(), token)
		if (err == nil) != (errRouted == nil) || (tok == nil) != (err != nil) || (routed == nil) != (errRouted != nil) {
			t.Fatalf("one issuer says %v, many say %v", err, errRouted)
		}
		if err != nil {
			if e := (*validator.Error)(nil); !errors.As(err, &e) || e.Status != 401 || strings.Contains(err.Error(), "canary") {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		var m map[string]json.RawMessage
		if err := json.Unmarshal([]byte(header), &m); err != nil {
			t.Fatalf("%s passed: %v", header, err)
		}
		text := func(name string) (s string) {
			if m[name] != nil && (json.Unmarshal(m[name], &s) != nil || string(m[name]) == "null") {
				t.Errorf("%s passed", header)
			}
			return s
		}
		typ := strings.ToLower(text("typ"))
		if alg := text("alg"); alg != "EdDSA" && alg != "Ed25519" || typ != "at+jwt" && typ != "application/at+jwt" ||
			text("kid") != "" && text("kid") != kid || m["crit"] != nil || m["b64"] != nil && string(m["b64"]) != "true" {
			t.Errorf("%s passed", header)
		}
	})
}
