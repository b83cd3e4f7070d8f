package authserver_test

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/countermark/countermark/authserver"
)

func TestRFC8707_Section2_ResourceIsTheAudience(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	for _, c := range []struct {
		name      string
		resources []string
		aud       string
	}{
		{"one", []string{billingAPI}, "[" + billingAPI + "]"},
		{"several", []string{billingAPI, ordersAPI}, "[" + billingAPI + " " + ordersAPI + "]"},
		{"the same twice", []string{ordersAPI, ordersAPI}, "[" + ordersAPI + "]"},
		{"none: all that the client has", nil, "[" + ordersAPI + " " + billingAPI + "]"},
		{"none, by an empty value", []string{""}, "[" + ordersAPI + " " + billingAPI + "]"},
		{"one of others", []string{ordersAPI, "https://evil.example"}, ""},
		{"another spelling", []string{ordersAPI + "/"}, ""},
		{"another case", []string{"https://ORDERS.example/api"}, ""},
		{"a fragment", []string{ordersAPI + "#"}, ""},
		{"a query", []string{ordersAPI + "?x"}, ""},
		{"no absolute URI", []string{"/api"}, ""},
		{"no URI", []string{"%"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := i.post("/token", shop, url.Values{"grant_type": {"client_credentials"}, "resource": c.resources})
			if c.aud == "" {
				if a.status != 400 || a.member("error") != "invalid_target" {
					t.Errorf("%d %s", a.status, a.body)
				}
				return
			}
			if _, payload := parts(t, a.member("access_token")); fmt.Sprint(payload["aud"]) != c.aud {
				t.Errorf("aud %v, want %s", payload["aud"], c.aud)
			}
		})
	}
}

// An audience that is no URI can be had without resource, which must be one.
func TestRFC8707_Section2_AudienceThatIsNoURI(t *testing.T) {
	t.Parallel()
	l := login{"plain", "0123456789"}
	i := start(t, "", func(c *authserver.Config) {
		c.Clients = append(c.Clients, authserver.Client{
			ClientID: l.id, SecretHash: authserver.HashOf(l.secret), GrantTypes: []string{"client_credentials"}, Audience: []string{"orders", "urn:example:orders"},
		})
	})
	for resource, aud := range map[string]string{"": "[orders urn:example:orders]", "urn:example:orders": "[urn:example:orders]", "orders": ""} {
		a := i.post("/token", l, form("grant_type", "client_credentials", "resource", resource))
		if aud == "" {
			if a.member("error") != "invalid_target" {
				t.Errorf("%q: %d %s", resource, a.status, a.body)
			}
		} else if _, payload := parts(t, a.member("access_token")); fmt.Sprint(payload["aud"]) != aud {
			t.Errorf("%q: aud %v", resource, payload["aud"])
		}
	}
}
