package authserver_test

import (
	"testing"

	"github.com/countermark/countermark/authserver"
)

const spa = "spa" // a public client, with redirect URIs of web

func withSPA(c *authserver.Config) {
	c.Clients = append(c.Clients, authserver.Client{
		ClientID: spa, TokenEndpointAuthMethod: "none", GrantTypes: []string{"authorization_code"}, SkipConsent: true,
		RedirectURIs: []string{webURI}, Scope: "orders:read", Audience: []string{ordersAPI},
	})
}

// spaCode gets a code for the public client.
func (i *issuer) spaCode() string {
	i.t.Helper()
	return i.browser().grant(authParams(web, "client_id", spa)).response().Get("code")
}

// redeemSPA redeems a code as the public client, by its word alone.
func (i *issuer) redeemSPA(code string, extra ...string) answer {
	i.t.Helper()
	return i.redeem(login{}, code, append([]string{"client_id", spa, "redirect_uri", webURI}, extra...)...)
}

func TestPoint25_APublicClientGetsTokensForCodes(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "", withSPA)
	code := i.spaCode()
	i.wantGrantRefused("another verifier", i.redeemSPA(code, "code_verifier", verifier+"x"))
	i.wantGrantRefused("another client", i.redeem(web, code))
	if a := i.redeemSPA(code, "client_secret", "x"); a.outcome() != "401 invalid_client" {
		t.Errorf("with a secret: %d %s", a.status, a.body)
	}
	a := i.redeemSPA(code)
	if a.status != 200 || !i.active(orders, a.member("access_token")) {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if _, payload := parts(t, a.member("access_token")); payload["client_id"] != spa || payload["sub"] != "sub-of-alice" {
		t.Error(payload)
	}
	i.wantGrantRefused("a replay", i.redeemSPA(code))
	if i.active(orders, a.member("access_token")) {
		t.Error("the replay did not revoke the token")
	}
	i.wantGrantRefused("the code of a confidential client", i.redeemSPA(i.code(web)))
}

// Anybody may say that they are a public client, so that the person decides each
// time, whatever is registered.
func TestPoint15_NoSilentApprovalOfPublicClients(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "", withSPA)
	b := i.browser()
	params := authParams(web, "client_id", spa)
	b.grant(params)
	if s := b.authorize(params); s.title != "Allow access?" {
		t.Errorf("%d %s", s.status, s.header.Get("Location"))
	}
	params.Set("prompt", "none")
	if s := b.authorize(params); s.response().Get("error") != "consent_required" {
		t.Errorf("%d %s", s.status, s.header.Get("Location"))
	}
}

func TestRFC9126_Section2_1_APublicClientPushesByItsWord(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "", withSPA)
	a := i.send("/par", authParams(web, "client_id", spa))
	if a.status != 201 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	s := i.browser().grant(form("client_id", spa, "request_uri", a.member("request_uri")))
	if a := i.redeemSPA(s.response().Get("code")); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := i.send("/par", authParams(web)); a.outcome() != "401 invalid_client" {
		t.Errorf("a confidential client: %d %s", a.status, a.body)
	}
}

// RFC 9126 section 2: as the aud of its assertion a client may name the issuer, the
// token endpoint, or the endpoint that it pushes to.
func TestRFC9126_Section2_ClientAssertions(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ES256", "k1")
	i := startWeb(t, "/tenant", func(c *authserver.Config) {
		c.Clients = append(c.Clients, authserver.Client{
			ClientID: robot, TokenEndpointAuthMethod: "private_key_jwt", JWKS: jwks(t, s), GrantTypes: []string{"authorization_code"},
			RedirectURIs: []string{webURI}, Scope: "orders:read", Audience: []string{ordersAPI},
		})
	})
	params := authParams(web, "client_id", robot)
	push := func(aud string) answer {
		v := authParams(web, "client_id", robot, "client_assertion_type", clientAssertionType)
		v.Set("client_assertion", s.sign(t, nil, i.claims(robot).with(members{"aud": aud})))
		return i.send("/par", v)
	}
	for _, aud := range []string{i.url, i.url + "/token", i.url + "/par"} {
		if a := push(aud); a.status != 201 {
			t.Errorf("%s: %d %s", aud, a.status, a.body)
		}
	}
	if a := push(i.url + "/authorize"); a.outcome() != "401 invalid_client" {
		t.Errorf("another endpoint: %d %s", a.status, a.body)
	}
	code := i.browser().grant(params).response().Get("code")
	v := form("grant_type", "authorization_code", "code", code, "code_verifier", verifier, "redirect_uri", webURI, "client_assertion_type", clientAssertionType)
	v.Set("client_assertion", s.sign(t, nil, i.claims(robot)))
	if a := i.send("/token", v); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}
