package discovery

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

// Metadata that passes is the issuer's to encoding/json too, and sends nobody to
// a place that is not https or on this machine.
func FuzzParse_AgreesWithEncodingJSON(f *testing.F) {
	const https, loopback = "https://issuer.example", "http://127.0.0.1:8080"
	for _, issuer := range []string{https, loopback} {
		for _, more := range []string{
			``, `,"jwks_uri":"https://keys.example/jwks"`, `,"jwks_uri":"http://127.0.0.1/"`, `,"jwks_uri":"http://evil.example/"`, `,"jwks_uri":""`, `,"jwks_uri":null`, `,"JWKS_URI":"https://evil.example"`,
			`,"introspection_endpoint":"HTTPS://u@a/","mtls_endpoint_aliases":{"introspection_endpoint":"https://[::1]/"}`, `,"mtls_endpoint_aliases":{"Introspection_Endpoint":"x"}`, `,"issuer":"x"`, `,"jwks_uri":"https:"`,
		} {
			f.Add([]byte(`{"issuer":"`+issuer+`"`+more+`}`), issuer == https)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, isHTTPS bool) {
		issuer := loopback
		if isHTTPS {
			issuer = https
		}
		m, err := parse(body, issuer)
		if err != nil {
			if m != (Metadata{}) {
				t.Fatalf("%+v with %v", m, err)
			}
			return
		}
		var theirs map[string]json.RawMessage
		if err := json.Unmarshal(body, &theirs); err != nil {
			t.Fatalf("accepted what encoding/json refuses: %v", err)
		}
		var mtls map[string]json.RawMessage
		_ = json.Unmarshal(theirs["mtls_endpoint_aliases"], &mtls)
		if text(theirs["issuer"]) != issuer || text(theirs["jwks_uri"]) != m.JWKSURI || text(theirs["introspection_endpoint"]) != m.IntrospectionEndpoint ||
			text(mtls["introspection_endpoint"]) != m.MTLS.IntrospectionEndpoint {
			t.Errorf("%+v, encoding/json reads %s", m, body)
		}
		for _, place := range []string{m.JWKSURI, m.IntrospectionEndpoint, m.MTLS.IntrospectionEndpoint} {
			if place == "" {
				continue
			}
			u, err := url.Parse(place)
			if err != nil || u.Host == "" || u.User != nil || !strings.EqualFold(u.Scheme, "https") && (isHTTPS || u.Hostname() != "localhost" && !strings.HasPrefix(u.Hostname(), "127.") && u.Hostname() != "::1" && !strings.HasSuffix(u.Hostname(), ".localhost") && !strings.HasPrefix(u.Hostname(), "::ffff:")) {
				t.Errorf("sends to %q: %v", place, err)
			}
		}
	})
}

func text(raw json.RawMessage) (s string) {
	_ = json.Unmarshal(raw, &s)
	return s
}
