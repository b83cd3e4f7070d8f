package authserver_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

const partner = "https://partner.example"

// subjects lets an issuer speak for alice, under another name, and for a service.
func subjects(_ context.Context, sub string) (string, error) {
	switch sub {
	case "alice":
		return "partner:alice", nil
	case "svc@partner.example":
		return "partner:svc", nil
	case "unclear":
		return "", errors.New("the directory is down")
	default:
		return "", nil
	}
}

// trusting has the server trust partner, and shop use its assertions.
func trusting(t testing.TB, s signer, edit func(*authserver.TrustedIssuer)) func(*authserver.Config) {
	trusted := authserver.TrustedIssuer{
		Issuer: partner, JWKS: jwks(t, s), Subject: subjects,
		Scope: "orders:read orders:write", PublicClients: true, PublicScope: "orders:read",
	}
	if edit != nil {
		edit(&trusted)
	}
	return func(c *authserver.Config) {
		c.TrustedIssuers = append(c.TrustedIssuers, trusted)
		c.Clients[0].GrantTypes = append(c.Clients[0].GrantTypes, jwtBearer)
	}
}

// assertion is one of partner about alice as it should be.
func (i *issuer) assertion() members {
	now := i.clock.Now().Unix()
	return members{"iss": partner, "sub": "alice", "aud": i.url, "exp": now + 60, "iat": now, "jti": rand.Text()}
}

func TestRFC7523_Section2_1_AssertionAsGrant(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ES256", "k1")
	i := startAsserting(t, s, trusting(t, s, nil))
	a := i.post("/token", shop, form("grant_type", jwtBearer, "assertion", s.sign(t, nil, i.assertion()), "resource", ordersAPI))
	if a.status != 200 || a.member("scope") != "orders:read orders:write" || a.object()["refresh_token"] != nil || a.object()["issued_token_type"] != nil {
		t.Fatalf("%d %s", a.status, a.body)
	}
	token := a.member("access_token")
	_, payload := parts(t, token)
	if payload["sub"] != "partner:alice" || payload["client_id"] != shop.id || payload["aud"] != ordersAPI && len(payload["aud"].([]any)) != 1 {
		t.Error(payload)
	}
	if !i.active(orders, token) {
		t.Error("not active")
	}
	if a := i.post("/revoke", shop, form("token", token)); a.status != 200 || i.active(orders, token) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// The two uses of an assertion in one request, neither of which does for the other.
func TestRFC7523_Section2_TwoUsesKeptApart(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ES256", "k1")
	i := startAsserting(t, s, trusting(t, s, func(trusted *authserver.TrustedIssuer) { trusted.Issuer = robot }), func(c *authserver.Config) {
		n := len(c.Clients) - 3
		c.Clients[n].GrantTypes = append(c.Clients[n].GrantTypes, jwtBearer)
	})
	grant := i.assertion().with(members{"iss": robot})
	if a := i.assert("/token", s.sign(t, nil, i.claims(robot)), "grant_type", jwtBearer, "assertion", s.sign(t, nil, grant)); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := i.assert("/token", s.sign(t, nil, grant), "grant_type", grantCC); a.outcome() != "401 invalid_client" {
		t.Errorf("a grant for a client: %d %s", a.status, a.body)
	}
	login := s.sign(t, members{"typ": "client-authentication+jwt"}, i.claims(robot).with(members{"jti": "the same"}))
	if a := i.assert("/token", login, "grant_type", jwtBearer, "assertion", login); a.outcome() != "400 invalid_grant" {
		t.Errorf("a client for a grant: %d %s", a.status, a.body)
	}
}

func TestRFC7523_Section3_AssertionsThatAreRefused(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ES256", "k1")
	i := startAsserting(t, s, trusting(t, s, nil))
	now := i.clock.Now().Unix()
	const silent = "the assertion is not accepted"
	for name, c := range map[string]struct {
		header, payload members
		says            string
	}{
		"as it should be":          {nil, nil, ""},
		"no typ":                   {members{"typ": nil}, nil, ""},
		"no kid":                   {members{"kid": nil}, nil, ""},
		"aud the token endpoint":   {nil, members{"aud": i.url + "/token"}, ""},
		"aud of several":           {nil, members{"aud": []string{"https://other.example", i.url}}, ""},
		"no iat":                   {nil, members{"iat": nil}, ""},
		"ten minutes":              {nil, members{"exp": now + 600}, ""},
		"no iss":                   {nil, members{"iss": nil}, silent},
		"iss unknown":              {nil, members{"iss": "https://stranger.example"}, silent},
		"iss in capitals":          {nil, members{"iss": strings.ToUpper(partner)}, silent},
		"iss with a slash more":    {nil, members{"iss": partner + "/"}, silent},
		"iss this server":          {nil, members{"iss": i.url}, silent},
		"no sub":                   {nil, members{"sub": nil}, "lacks sub"},
		"sub of somebody else":     {nil, members{"sub": "bob"}, "may not speak for"},
		"no aud":                   {nil, members{"aud": nil}, "aud"},
		"aud another":              {nil, members{"aud": []string{"https://other.example"}}, "aud"},
		"aud another endpoint":     {nil, members{"aud": i.url + "/revoke"}, "aud"},
		"no exp":                   {nil, members{"exp": nil}, "exp"},
		"exp past":                 {nil, members{"exp": now - 30}, "expired"},
		"exp far ahead":            {nil, members{"exp": now + 3600}, "far ahead"},
		"nbf ahead":                {nil, members{"nbf": now + 60}, "not good yet"},
		"iat ahead":                {nil, members{"iat": now + 60}, "iat"},
		"no jti":                   {nil, members{"jti": nil}, "jti"},
		"alg none":                 {members{"alg": "none"}, nil, silent},
		"kid unknown":              {members{"kid": "x"}, nil, silent},
		"crit":                     {members{"crit": []string{"exp"}}, nil, silent},
		"an access token's typ":    {members{"typ": "at+jwt"}, nil, silent},
		"the same, written out":    {members{"typ": "application/at+jwt"}, nil, silent},
		"a proof's typ":            {members{"typ": "dpop+jwt"}, nil, silent},
		"a client's assertion":     {members{"typ": "client-authentication+jwt"}, nil, silent},
		"a logout token's typ":     {members{"typ": "logout+jwt"}, nil, silent},
		"scope a list":             {nil, members{"scope": []string{"orders:read"}}, silent},
		"claims twice, by folding": {nil, members{"SUB": "alice"}, silent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := i.post("/token", shop, form("grant_type", jwtBearer, "assertion", s.sign(t, c.header, i.assertion().with(c.payload))))
			if c.says == "" && a.status != 200 || c.says != "" && (a.outcome() != "400 invalid_grant" || !strings.Contains(a.member("error_description"), c.says)) {
				t.Errorf("%d %s, want %q", a.status, a.body, c.says)
			}
		})
	}
	for text, want := range map[string]string{
		newSigner(t, "ES256", "k1").sign(t, nil, i.assertion()): "400 invalid_grant", // another key
		"a.b.c": "400 invalid_grant", "x": "400 invalid_grant", "": "400 invalid_request", strings.Repeat("a", 16<<10+1): "400 invalid_grant",
	} {
		if a := i.post("/token", shop, form("grant_type", jwtBearer, "assertion", text)); a.outcome() != want {
			t.Errorf("%.20s: %d %s", text, a.status, a.body)
		}
	}
	if a := i.post("/token", shop, form("grant_type", jwtBearer, "assertion", s.sign(t, nil, i.assertion().with(members{"sub": "unclear"})))); a.outcome() != "503 temporarily_unavailable" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := i.post("/token", kiosk, form("grant_type", jwtBearer, "assertion", s.sign(t, nil, i.assertion()))); a.outcome() != "400 unauthorized_client" {
		t.Errorf("a client that is not registered for it: %d %s", a.status, a.body)
	}
}

// What this server signs itself is no assertion, and it cannot be told to think
// so.
func TestPoint26_OurOwnTokensAreNoAssertions(t *testing.T) {
	t.Parallel()
	mine := key(t, "ES256", "mine")
	own := signer{"ES256", "mine", mine.Signer}
	s := newSigner(t, "ES256", "k1")
	i := startAsserting(t, s, withKeys(mine), trusting(t, s, nil))
	id := own.sign(t, nil, i.assertion().with(members{"iss": i.url})) // as an ID token for us would be
	for name, text := range map[string]string{"access token": i.token(shop), "ID token": id, "opaque": i.token(kiosk)} {
		if a := i.post("/token", shop, form("grant_type", jwtBearer, "assertion", text)); a.outcome() != "400 invalid_grant" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	_, err := authserver.New(authserver.Config{
		Issuer: i.url, TrustedIssuers: []authserver.TrustedIssuer{{Issuer: i.url, JWKS: jwks(t, own)}},
	})
	if err == nil || !strings.Contains(err.Error(), "Config.TrustedIssuers[0].Issuer: is this server") {
		t.Error(err)
	}
}

func TestPoint26_AnAssertionWorksOnce(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ES256", "k1")
	const second = "https://second.example"
	i := startAsserting(t, s, trusting(t, s, nil), func(c *authserver.Config) {
		c.TrustedIssuers = append(c.TrustedIssuers, authserver.TrustedIssuer{Issuer: second, JWKS: jwks(t, s), Subject: subjects})
	})
	claims := i.assertion()
	ask := func(claims members, extra ...string) answer {
		return i.post("/token", shop, form(append(extra, "grant_type", jwtBearer, "assertion", s.sign(t, nil, claims))...))
	}
	if a := ask(claims, "scope", "admin"); a.outcome() != "400 invalid_scope" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := ask(claims, "resource", "https://other.example"); a.outcome() != "400 invalid_target" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := ask(claims); a.status != 200 {
		t.Errorf("a request that was refused used it up: %d %s", a.status, a.body)
	}
	if a := ask(claims.with(members{"sub": "svc@partner.example"})); a.outcome() != "400 invalid_grant" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := i.send("/token", form("client_id", pocket, "grant_type", jwtBearer, "assertion", s.sign(t, nil, claims))); a.outcome() != "400 invalid_grant" {
		t.Errorf("from another client: %d %s", a.status, a.body)
	}
	if a := ask(claims.with(members{"iss": second})); a.status != 200 {
		t.Errorf("another issuer's jti is its own affair: %d %s", a.status, a.body)
	}
	for round := range 10 {
		text := s.sign(t, nil, i.assertion())
		wins := all64(func(int) bool {
			return i.post("/token", shop, form("grant_type", jwtBearer, "assertion", text)).status == 200
		})
		if wins != 1 {
			t.Fatalf("round %d: %d tokens for one assertion", round, wins)
		}
	}
}

func TestPoint26_ScopeIsWhatAllOfThemAllow(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ES256", "k1")
	i := startAsserting(t, s, trusting(t, s, nil)) // shop: orders:read orders:write bills:read; pocket: orders:read orders:write
	for _, c := range []struct{ client, asked, asserted, want string }{
		{shop.id, "", "", "orders:read orders:write"},
		{shop.id, "orders:read", "", "orders:read"},
		{shop.id, "", "orders:write", "orders:write"},
		{shop.id, "orders:write", "orders:write orders:read", "orders:write"},
		{shop.id, "orders:read", "orders:write", "invalid_scope"},
		{shop.id, "bills:read", "", "invalid_scope"}, // the client's, but not the issuer's
		{shop.id, "", "bills:read", "invalid_scope"},
		{shop.id, "", "orders:read admin", "invalid_scope"},
		{shop.id, "", "orders:read  x", "invalid_scope"},
		{pocket, "", "", "orders:read"},
		{pocket, "orders:write", "", "invalid_scope"},
		{pocket, "", "orders:write", "invalid_scope"},
		{pocket, "", "orders:read", "orders:read"},
	} {
		v := form("grant_type", jwtBearer, "assertion", s.sign(t, nil, i.assertion().with(members{"scope": c.asserted})), "scope", c.asked)
		var a answer
		if c.client == pocket {
			v.Set("client_id", pocket)
			a = i.send("/token", v)
		} else {
			a = i.post("/token", shop, v)
		}
		if a.member("scope")+a.member("error") != c.want {
			t.Errorf("%+v: %d %s", c, a.status, a.body)
		}
	}
}

// The zero value of every part of the policy allows nothing.
func TestPoint26_ThePolicyOfAnIssuer(t *testing.T) {
	t.Parallel()
	s, rsa := newSigner(t, "ES256", "k1"), newSigner(t, "RS256", "k2")
	for name, c := range map[string]struct {
		edit   func(*authserver.TrustedIssuer)
		claims members
		by     signer
		as     login
		want   string
	}{
		"no subjects":       {func(i *authserver.TrustedIssuer) { i.Subject = nil }, nil, s, shop, "400 invalid_grant"},
		"no public clients": {func(i *authserver.TrustedIssuer) { i.PublicClients, i.PublicScope = false, "" }, nil, s, login{}, "400 unauthorized_client"},
		"nor so for others": {func(i *authserver.TrustedIssuer) { i.PublicClients, i.PublicScope = false, "" }, nil, s, shop, "200"},
		"an algorithm":      {func(i *authserver.TrustedIssuer) { i.Algorithms = []string{"RS256"} }, nil, s, shop, "400 invalid_grant"},
		"that algorithm":    {func(i *authserver.TrustedIssuer) { i.Algorithms = []string{"RS256"} }, nil, rsa, shop, "200"},
		"missing jti":       {func(i *authserver.TrustedIssuer) { i.AllowMissingID = true }, members{"jti": nil}, s, shop, "200"},
		"a longer life":     {func(i *authserver.TrustedIssuer) { i.MaxLifetime = time.Hour }, members{"exp": 3600}, s, shop, "200"},
		"a shorter life":    {func(i *authserver.TrustedIssuer) { i.MaxLifetime = time.Minute }, members{"exp": 120}, s, shop, "400 invalid_grant"},
		"keys that are had": {func(i *authserver.TrustedIssuer) {
			i.JWKS, i.Keys = nil, keySource{s.key.(crypto.Signer).Public(), nil}
		}, nil, s, shop, "200"},
		"keys of another": {func(i *authserver.TrustedIssuer) {
			i.JWKS, i.Keys = nil, keySource{newSigner(t, "ES256", "x").key.(crypto.Signer).Public(), nil}
		}, nil, s, shop, "400 invalid_grant"},
		"keys that cannot be had": {func(i *authserver.TrustedIssuer) { i.JWKS, i.Keys = nil, keySource{nil, errors.New("down")} }, nil, s, shop, "503 temporarily_unavailable"},
		"no key":                  {func(i *authserver.TrustedIssuer) { i.JWKS, i.Keys = nil, keySource{} }, nil, s, shop, "400 invalid_grant"},
		"nobody named":            {nil, nil, s, login{"", "anonymous"}, "401 invalid_client"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := startAsserting(t, s, trusting(t, s, func(trusted *authserver.TrustedIssuer) {
				trusted.JWKS = jwks(t, s, rsa)
				if c.edit != nil {
					c.edit(trusted)
				}
			}))
			claims := i.assertion().with(c.claims)
			if ahead, changed := c.claims["exp"].(int); changed {
				claims["exp"] = i.clock.Now().Unix() + int64(ahead)
			}
			v := form("grant_type", jwtBearer, "assertion", c.by.sign(t, nil, claims))
			var a answer
			switch c.as {
			case shop:
				a = i.post("/token", shop, v)
			case login{}:
				v.Set("client_id", pocket)
				a = i.send("/token", v)
			default:
				a = i.send("/token", v)
			}
			if a.outcome() != c.want {
				t.Errorf("%d %s, want %s", a.status, a.body, c.want)
			}
		})
	}
}

// A keySource has one key, or fails.
type keySource struct {
	key crypto.PublicKey
	err error
}

func (s keySource) Keys(context.Context, string, string) ([]crypto.PublicKey, error) {
	if s.key == nil {
		return nil, s.err
	}
	return []crypto.PublicKey{s.key}, s.err
}

// The request of golang.org/x/oauth2/jwt with a Subject, which it sends as sub and
// prn (without one it sends no sub, which RFC 7523 section 3 demands): RS256, the
// scope within, an hour, no jti, no client. It works if the policy says so, and as
// often as it is sent.
func TestPoint26_XOAuth2JWT(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "RS256", "service-key-1")
	const service = "svc@partner.example"
	policy := func(trusted *authserver.TrustedIssuer) {
		trusted.Issuer, trusted.JWKS = service, jwks(t, s)
		trusted.MaxLifetime, trusted.AllowMissingID, trusted.ClientID = time.Hour, true, pocket
		trusted.PublicScope = "orders:read orders:write"
	}
	i := startAsserting(t, s, trusting(t, s, policy))
	now := i.clock.Now().Add(-10 * time.Second).Unix() // as it does, for clocks
	claims := members{"iss": service, "scope": "orders:read", "aud": i.url + "/token", "exp": now + 3600, "iat": now, "sub": service, "prn": service}
	header := members{"alg": "RS256", "typ": "JWT", "kid": "service-key-1"}
	text := s.sign(t, header, claims)
	for range 2 {
		a := i.send("/token", form("grant_type", jwtBearer, "assertion", text))
		if a.status != 200 || a.member("token_type") != "Bearer" || a.object()["expires_in"] != 600.0 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		_, payload := parts(t, a.member("access_token"))
		if payload["client_id"] != pocket || payload["sub"] != "partner:svc" || payload["scope"] != "orders:read" {
			t.Error(payload)
		}
	}
	prn := s.sign(t, header, claims.with(members{"sub": "alice", "prn": "alice"})) // with a Subject
	if a := i.send("/token", form("grant_type", jwtBearer, "assertion", prn)); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	for name, v := range map[string]string{
		"of a stranger": newSigner(t, "RS256", "service-key-1").sign(t, header, claims),
		"expired":       s.sign(t, header, claims.with(members{"exp": now - 100})),
	} {
		if a := i.send("/token", form("grant_type", jwtBearer, "assertion", v)); a.outcome() != "400 invalid_grant" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	for name, v := range map[string]string{"of no issuer": s.sign(t, header, claims.with(members{"iss": partner})), "of nothing": "x", "missing": ""} {
		if a := i.send("/token", form("grant_type", jwtBearer, "assertion", v)); a.outcome() != "401 invalid_client" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	for _, path := range []string{"/introspect", "/token"} {
		v := form("assertion", text, "token", "x", "grant_type", grantCC)
		if a := i.send(path, v); a.outcome() != "401 invalid_client" {
			t.Errorf("an assertion stands for a client in another grant at %s: %d %s", path, a.status, a.body)
		}
	}
}

func TestNew_TrustedIssuerErrorsNameTheField(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ES256", "k1")
	for want, edit := range map[string]func(*authserver.TrustedIssuer){
		".Issuer: required":           func(i *authserver.TrustedIssuer) { i.Issuer = "" },
		".Issuer: is this server":     func(i *authserver.TrustedIssuer) { i.Issuer = "https://issuer.example" },
		".Keys: either":               func(i *authserver.TrustedIssuer) { i.JWKS = nil },
		".Keys: either it":            func(i *authserver.TrustedIssuer) { i.Keys = keySource{} },
		".Keys: is a nil *":           func(i *authserver.TrustedIssuer) { i.Keys, i.JWKS = (*keySource)(nil), nil },
		".JWKS: key set":              func(i *authserver.TrustedIssuer) { i.JWKS = json.RawMessage("x") },
		".JWKS: no key in it":         func(i *authserver.TrustedIssuer) { i.JWKS = json.RawMessage(`{"keys":[]}`) },
		".JWKS: key \"\": its kty":    func(i *authserver.TrustedIssuer) { i.JWKS = json.RawMessage(`{"keys":[{"kty":"x"}]}`) },
		".Scope: must be":             func(i *authserver.TrustedIssuer) { i.Scope = " a" },
		".PublicScope: must be":       func(i *authserver.TrustedIssuer) { i.PublicScope = `"` },
		".PublicScope: has no effect": func(i *authserver.TrustedIssuer) { i.PublicClients = false },
		".MaxLifetime: must not":      func(i *authserver.TrustedIssuer) { i.MaxLifetime = -1 },
		".Algorithms[0]: \"HS256\"":   func(i *authserver.TrustedIssuer) { i.Algorithms = []string{"HS256"} },
		".Algorithms[1]: \"none\"":    func(i *authserver.TrustedIssuer) { i.Algorithms = []string{"ES256", "none"} },
		".ClientID: is not among":     func(i *authserver.TrustedIssuer) { i.ClientID = "nobody" },
		".ClientID: must be a public": func(i *authserver.TrustedIssuer) { i.ClientID = shop.id },
		".ClientID: has no effect":    func(i *authserver.TrustedIssuer) { i.ClientID, i.PublicClients, i.PublicScope = pocket, false, "" },
	} {
		cfg := authserver.Config{Issuer: "https://issuer.example", Clients: append(clients(), authserver.Client{
			ClientID: pocket, TokenEndpointAuthMethod: "none", GrantTypes: []string{jwtBearer},
		})}
		trusting(t, s, edit)(&cfg)
		if _, err := authserver.New(cfg); err == nil || !strings.HasPrefix(err.Error(), "authserver: Config.TrustedIssuers[0]"+want) {
			t.Errorf("want %s\ngot  %v", want, err)
		}
	}
	cfg := authserver.Config{Issuer: "https://issuer.example", Clients: clients()}
	trusting(t, s, nil)(&cfg)
	trusting(t, s, nil)(&cfg)
	if _, err := authserver.New(cfg); err == nil || !strings.Contains(err.Error(), "Config.TrustedIssuers[1].Issuer: another") {
		t.Error(err)
	}
}
