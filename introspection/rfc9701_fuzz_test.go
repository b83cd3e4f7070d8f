package introspection_test

import (
	"encoding/json"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/introspection"
)

// Whatever the issuer signs: what passes for its answer is by the issuer, for us
// and of now to encoding/json too, and is the member that this has.
func FuzzSigned_AgreesWithEncodingJSON(f *testing.F) {
	a := &authority{kid: "1", alg: "EdDSA", signer: signers(f)["EdDSA"]}
	header := `{"typ":"token-introspection+jwt","alg":"EdDSA","kid":"1"}`
	for _, says := range []string{active, inactive, `{}`, `null`, `{"active":true,"exp":9999999999}`, `{"active":true,"ACTIVE":false}`} {
		f.Add(header, `{"iss":"https://issuer.example","aud":"orders-api","iat":`, `,"token_introspection":`+says+`}`, int64(0))
	}
	f.Add(header, `{"iss":"https://issuer.example","aud":["x","orders-api"],"iat":`, `.5e0,"exp":9e10,"token_introspection":{"active":true}}`, int64(250))
	f.Add(header, `{"iss":"https://issuer.example","aud":"orders-api","iat":1,"iat":`, `,"token_introspection":{"active":true}}`, int64(-400))
	f.Add(`{"typ":"JWT","alg":"EdDSA"}`, `{"iat":`, `}`, int64(1))
	f.Add(`{"typ":"token-introspection+jwt","alg":"EdDSA","crit":null}`, `{"iat":`, `}{}`, int64(1))
	f.Add(`{"typ":"token-introspection+jwt","alg":"none","Alg":"EdDSA"}`, `{"Iat":`, `}`, int64(1))
	f.Fuzz(func(t *testing.T, header, before, after string, age int64) {
		now := time.Now()
		data, err := json.Marshal(now.Add(-time.Duration(age%1000) * time.Second).Unix())
		if err != nil {
			t.Fatal(err)
		}
		payload := before + string(data) + after
		input := jose.Encode([]byte(header)) + "." + jose.Encode([]byte(payload))
		method, _ := jose.Lookup(a.alg)
		sig, err := method.Sign(input, a.signer)
		if err != nil {
			t.Fatal(err)
		}
		c := newClient(t, introspection.Config{Issuer: issuerURL, URL: endpointURL, Keys: a, CacheSize: -1, Client: &http.Client{
			Transport: transport(func(r *http.Request) (*http.Response, error) {
				return &http.Response{
					StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/token-introspection+jwt"}},
					Body: io.NopCloser(strings.NewReader(input + "." + jose.Encode(sig))), Request: r,
				}, nil
			}),
		}})
		answer, err := c.Introspect(t.Context(), token, false)
		if err != nil {
			if answer != nil {
				t.Fatalf("an answer with an error: %s", answer)
			}
			return
		}
		var h struct{ Typ, Alg string }
		var crit map[string]json.RawMessage
		var says struct {
			Iss    string
			Aud    any
			Iat    float64
			Exp    *float64
			Answer json.RawMessage `json:"token_introspection"`
		}
		if json.Unmarshal([]byte(header), &h) != nil || json.Unmarshal([]byte(header), &crit) != nil || json.Unmarshal([]byte(payload), &says) != nil {
			t.Fatalf("%s %s passed, and is no JSON", header, payload)
		}
		if h.Typ != "token-introspection+jwt" || h.Alg != a.alg || crit["crit"] != nil && string(crit["crit"]) != "null" {
			t.Errorf("header %s", header)
		}
		list, _ := says.Aud.([]any)
		if says.Iss != issuerURL || says.Aud != "orders-api" && !slices.Contains(list, any("orders-api")) ||
			math.Abs(float64(now.Unix())-says.Iat) > 303 || says.Exp != nil && *says.Exp <= float64(now.Unix()) {
			t.Errorf("payload %s", payload)
		}
		var object map[string]json.RawMessage
		if json.Unmarshal(says.Answer, &object) != nil || string(object["active"]) == "true" && string(answer) != string(says.Answer) ||
			string(object["active"]) == "false" && string(answer) != inactive {
			t.Errorf("answer %s, of %s", answer, payload)
		}
	})
}
