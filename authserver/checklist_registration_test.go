package authserver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/countermark/countermark/authserver"
)

func TestPoint37_NoMoreThanThePolicyAllows(t *testing.T) {
	t.Parallel()
	i := startRegistering(t)
	for name, members := range map[string]string{
		"scope":                  `"scope":"orders:read bills:read"`,
		"client_credentials":     `"grant_types":["authorization_code","client_credentials"]`,
		"client_credentials too": `"grant_types":["client_credentials"]`,
		"token exchange":         `"grant_types":["` + tokenExchange + `"]`,
		"assertions":             `"grant_types":["` + jwtBearer + `"]`,
		"devices":                `"grant_types":["` + deviceGrant + `"]`,
		"a shared secret":        `"token_endpoint_auth_method":"client_secret_jwt"`,
		"a secret in the body":   `"token_endpoint_auth_method":"client_secret_post"`,
		"a certificate":          `"token_endpoint_auth_method":"tls_client_auth","tls_client_auth_san_dns":"app.example"`,
		"the implicit grant":     `"grant_types":["implicit"]`,
	} {
		if a := i.register(`{"redirect_uris":["` + appURI + `"],` + members + `}`); a.outcome() != "400 invalid_client_metadata" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

// The members by which a configured client has more are nothing on the wire.
func TestPoint37_NoPrivilegesByName(t *testing.T) {
	t.Parallel()
	store := authserver.NewMemoryStore(nil)
	i := startRegistering(t, withStore(store))
	r := i.registrant(`,"skip_consent":true,"audience":["` + billingAPI + `"],"token_exchange_audience":["` + ordersAPI + `"],"token_exchange_impersonation":true,` +
		`"access_token_strategy":"opaque","client_id":"shop","client_secret":"0123456789abcdef0123456789abcdef","SecretHash":"x","tls_client_auth_subject_dn":"CN=x"`)
	c, err := store.Client(t.Context(), r.id)
	if err != nil || r.id == "shop" || r.secret == "0123456789abcdef0123456789abcdef" {
		t.Fatal(r.id, err)
	}
	text, _ := json.Marshal(c)
	want := `{"client_id":"` + r.id + `","token_endpoint_auth_method":"client_secret_basic","grant_types":["authorization_code"],"redirect_uris":["` + appURI + `"],` +
		`"scope":"orders:read orders:write","audience":["` + ordersAPI + `"],"access_token_strategy":"jwt"}`
	if string(text) != want || c.SecretHash != authserver.HashOf(r.secret) {
		t.Errorf("%s\nwant %s", text, want)
	}
	if a := i.post("/introspect", r.login, form("token", i.token(shop, "resource", ordersAPI))); string(a.body) != `{"active":false}` {
		t.Errorf("it sees the token of another: %s", a.body)
	}
	if a := i.post("/token", r.login, form("grant_type", "client_credentials")); a.outcome() != "400 unauthorized_client" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// A narrower policy narrows who is registered already, whatever the store says, and
// makes nobody a resource server by having no grant left.
func TestPoint37_APolicyHoldsWhoIsRegistered(t *testing.T) {
	t.Parallel()
	store := authserver.NewMemoryStore(nil)
	wide := startRegistering(t, withStore(store), func(c *authserver.Config) {
		c.Registration.Policy.GrantTypes = []string{"authorization_code", deviceGrant}
		c.Registration.Policy.Audience = []string{ordersAPI, billingAPI}
	})
	r := wide.registrant("")
	device := wide.registrant(`,"grant_types":["` + deviceGrant + `"]`)
	c, err := store.Client(t.Context(), r.id)
	if err != nil {
		t.Fatal(err)
	}
	c.SkipConsent, c.GrantTypes, c.TokenExchangeAudience = true, append(c.GrantTypes, tokenExchange), []string{ordersAPI}
	if err := store.PutClient(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	narrow := startRegistering(t, withStore(store), func(c *authserver.Config) {
		c.Issuer, c.Registration.Policy.Scope = wide.url, "orders:read"
	})
	i := wide
	i.Server = narrow.Server
	b := i.browser()
	s := b.signIn(b.authorize(authParams(r.login, "redirect_uri", appURI)), "alice")
	if s.title != "Allow access?" || strings.Contains(s.text, "orders:write") || strings.Contains(s.text, billingAPI) {
		t.Errorf("%d %s %s", s.status, s.title, s.text)
	}
	if a := i.metadata("GET", r.url, r.token, ""); a.member("scope") != "orders:read" || fmt.Sprint(a.object()["audience"]) != "["+ordersAPI+"]" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := i.tokens(r.login); a.member("scope") != "orders:read" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := i.post("/device_authorization", device.login, form()); a.outcome() != "400 unauthorized_client" {
		t.Errorf("a grant that the policy has no more: %d %s", a.status, a.body)
	}
	for name, as := range map[string]login{"without a grant": device.login, "as one that exchanges": r.login} {
		if a := i.introspect(as, i.token(shop, "resource", ordersAPI)); string(a.body) != `{"active":false}` {
			t.Errorf("%s it sees the tokens of others: %s", name, a.body)
		}
	}
}

// Where the person would not be asked of a client like it, they are of one that
// nobody here knows: each time, and with the host that they will be sent to.
func TestPoint37_ConsentIsNeverSkipped(t *testing.T) {
	t.Parallel()
	i := startRegistering(t)
	r := i.registrant(`,"client_name":"Web <Shop>"`)
	b := i.browser()
	params := authParams(r.login, "redirect_uri", appURI)
	b.grant(params)
	s := b.authorize(params)
	if s.title != "Allow access?" || !strings.Contains(s.text, "app.example") || !strings.Contains(s.text, "Web <Shop>") {
		t.Errorf("%d %s %s", s.status, s.title, s.text)
	}
	params.Set("prompt", "none")
	if s := b.authorize(params); s.response().Get("error") != "consent_required" {
		t.Errorf("%d %s", s.status, s.header.Get("Location"))
	}
}

func TestPoint38_RegistrationIsToldOfWithoutSecrets(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var told []authserver.Event
	i := startRegistering(t, func(c *authserver.Config) {
		c.Audit = func(_ context.Context, e authserver.Event) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, e)
		}
	})
	r := i.registrant(`,"scope":"orders:read"`)
	i.metadata("PUT", r.url, r.token, `{"client_id":"`+r.id+`","redirect_uris":["`+appURI+`"]}`)
	i.metadata("PUT", r.url, r.token, `{"client_id":"`+r.id+`","redirect_uris":["`+appURI+`"],"grant_types":["canary"],"jwks":{"keys":[{"kty":"oct","kid":"canary"}]}}`)
	i.metadata("PUT", r.url, r.token, `{"client_id":"`+r.id+`","redirect_uris":["`+appURI+`"],"client_secret":"canary","scope":"canary"}`)
	i.metadata("DELETE", r.url, r.token, "")
	var got []string
	for _, e := range told {
		if e.ClientID != r.id {
			t.Errorf("%+v", e)
		}
		got = append(got, fmt.Sprint(e.Type, ", ", e.Reason, ", ", e.Scope, " ", e.Error))
	}
	want := []string{
		"client registration, registered, orders:read ", "client registration, changed, orders:read orders:write ",
		"request refused, the client metadata cannot be registered,  invalid_client_metadata",
		"request refused, the client metadata cannot be registered,  invalid_client_metadata",
		"client registration, deleted,  ",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s\nwant %s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, hidden := range []string{r.secret, r.token, initialToken, "canary"} {
		if strings.Contains(i.log.String(), hidden) {
			t.Errorf("the log has %q", hidden)
		}
	}
}

func TestPoint40_RegistrationLeavesNoSecretInTheStore(t *testing.T) {
	t.Parallel()
	store := &dumpingClients{MemoryStore: authserver.NewMemoryStore(nil)}
	i := startRegistering(t, withStore(store))
	r := i.registrant("")
	i.metadata("PUT", r.url, r.token, `{"client_id":"`+r.id+`","redirect_uris":["`+appURI+`"],"client_secret":"`+r.secret+`"}`)
	if !strings.Contains(store.seen, r.id) || strings.Count(store.seen, "\n") != 2 {
		t.Fatalf("a dump that sees nothing: %s", store.seen)
	}
	for _, hidden := range []string{r.secret, r.token, initialToken} {
		if strings.Contains(store.seen, hidden) {
			t.Errorf("%q is in the store: %s", hidden, store.seen)
		}
	}
}

// A dumpingClients writes down the clients that it is given to keep.
type dumpingClients struct {
	*authserver.MemoryStore
	seen string
}

func (s *dumpingClients) PutClient(ctx context.Context, c *authserver.Client) error {
	s.dump(c)
	return s.MemoryStore.PutClient(ctx, c)
}

func (s *dumpingClients) ReplaceClient(ctx context.Context, c *authserver.Client) error {
	s.dump(c)
	return s.MemoryStore.ReplaceClient(ctx, c)
}

func (s *dumpingClients) dump(c *authserver.Client) {
	text, _ := json.Marshal(c)
	s.seen += fmt.Sprintf("%s %+v %q %q\n", text, *c, c.SecretHash[:], c.RegistrationTokenHash[:])
}

func TestPoint39_RegistrationAcrossOrigins(t *testing.T) {
	t.Parallel()
	const app = "https://app.example"
	i := startRegistering(t, func(c *authserver.Config) { c.AllowedOrigins = []string{app} })
	for origin, allowed := range map[string]string{app: app, "https://evil.example": ""} {
		req := i.request("/register", "")
		req.Method = http.MethodOptions
		req.Header = http.Header{"Origin": {origin}, "Access-Control-Request-Method": {"PUT"}}
		a := i.do(req)
		if a.header.Get("Access-Control-Allow-Origin") != allowed || (a.status == 204) != (allowed != "") {
			t.Errorf("%s: %d %v", origin, a.status, a.header)
		}
		if methods := a.header.Get("Access-Control-Allow-Methods"); allowed != "" && methods != "POST, GET, PUT, DELETE" {
			t.Errorf("%s", methods)
		}
	}
}

// A narrower policy narrows those that are there: AuthMethods, too.
func TestPoint37_APolicyHoldsAuthMethods(t *testing.T) {
	t.Parallel()
	store := authserver.NewMemoryStore(nil)
	i := startRegistering(t, withStore(store))
	r := i.registrant(`,"token_endpoint_auth_method":"none"`)
	narrow := startRegistering(t, withStore(store), func(c *authserver.Config) {
		c.Issuer, c.Registration.Policy.AuthMethods = i.url, []string{"private_key_jwt"}
	})
	i.Server = narrow.Server
	if s := i.browser().authorize(authParams(r.login, "redirect_uri", appURI)); !s.isPage(400) {
		t.Errorf("people are asked for a public client yet: %d %s", s.status, s.text)
	}
	if a := i.send("/token", form(codeForm("x", appURI, "client_id", r.id)...)); a.outcome() != "400 unauthorized_client" {
		t.Errorf("a public client gets tokens yet: %d %s", a.status, a.body)
	}
}

// RFC 9700 section 4.11.2: the client registered itself, so nobody vouches for its
// redirect URI: a mistake must not send whoever clicks the link there at once.
func TestPoint13_StrangersMakeNoOpenRedirector(t *testing.T) {
	t.Parallel()
	h := startDocument(t, "")
	d := startDocuments(t)
	i := startRegistering(t)
	r := i.registrant(`,"token_endpoint_auth_method":"none"`)
	for name, row := range map[string]struct {
		i  *issuer
		id string
	}{"a document": {d, h.id}, "a registration": {i, r.id}} {
		for _, bad := range [][]string{{"scope", "nothing"}, {"response_type", "x"}, {"code_challenge", ""}} {
			s := row.i.browser().authorize(authParams(login{id: row.id}, append([]string{"redirect_uri", appURI}, bad...)...))
			if to := s.header.Get("Location"); strings.HasPrefix(to, appURI) {
				t.Errorf("%s, %v: %d to %s", name, bad, s.status, to)
			}
		}
	}
}
