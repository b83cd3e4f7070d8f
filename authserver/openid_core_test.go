package authserver_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

const personScopes = "openid profile email address phone"

// withOpenID lets every client that people sign in for ask who they are; carol is
// such a client without an API.
func withOpenID(c *authserver.Config) {
	for n := range c.Clients {
		if one := &c.Clients[n]; slices.Contains(one.GrantTypes, "authorization_code") || slices.Contains(one.GrantTypes, deviceGrant) {
			one.Scope += " " + personScopes
		}
	}
	c.Clients = append(c.Clients, authserver.Client{
		ClientID: portalLogin.id, SecretHash: authserver.HashOf(portalLogin.secret), GrantTypes: []string{"authorization_code", "refresh_token"},
		RedirectURIs: []string{webURI}, Scope: personScopes,
	})
}

// portalLogin is a client that has people sign in and calls no API.
var portalLogin = login{"portal-login", "secret-of-portal-login-0123456789"}

// startOpenID is startRefresh with all that OpenID Connect adds.
func startOpenID(t testing.TB, edits ...func(*authserver.Config)) *issuer {
	t.Helper()
	return startWeb(t, "/tenant", slices.Concat([]func(*authserver.Config){withSPA, withOpenID}, edits, []func(*authserver.Config){withRefresh})...)
}

func (i *issuer) userinfoURL() string { return strings.TrimSuffix(i.url, "/") + "/userinfo" }

// openID gets what a code brings a client, with openid; extra are pairs of
// authorization parameters.
func (i *issuer) openID(as login, extra ...string) answer {
	i.t.Helper()
	a := i.redeem(as, i.code(as, append([]string{"redirect_uri", redirectOf(as)}, extra...)...), "redirect_uri", redirectOf(as))
	if a.status != 200 {
		i.t.Fatalf("%d %s", a.status, a.body)
	}
	return a
}

func redirectOf(as login) string {
	if as == portalLogin {
		return webURI
	}
	return authParams(as).Get("redirect_uri")
}

// idToken returns the claims of the ID token of an answer, which it has verified.
func (i *issuer) idToken(a answer) (header, claims map[string]any) {
	i.t.Helper()
	token := a.member("id_token")
	if token == "" {
		i.t.Fatalf("no ID token: %d %s", a.status, a.body)
	}
	if err := i.verify(token); err != nil {
		i.t.Fatalf("golang-jwt and jwx refuse it: %v", err)
	}
	return parts(i.t, token)
}

func audienceOf(t testing.TB, token string) []string {
	t.Helper()
	_, payload := parts(t, token)
	list, _ := payload["aud"].([]any)
	texts := make([]string, 0, len(list))
	for _, one := range list {
		texts = append(texts, fmt.Sprint(one))
	}
	slices.Sort(texts)
	return texts
}

func TestOpenIDCore_2_IDToken(t *testing.T) {
	t.Parallel()
	i := startOpenID(t)
	b := i.browser()
	b.grant(authParams(web))
	signedIn := i.clock.Now()
	i.clock.Advance(time.Hour) // the session is there already
	code := b.grant(authParams(web, "nonce", "n-0S6_WzA2Mj")).response().Get("code")
	header, claims := i.idToken(i.redeem(web, code))
	now := float64(i.clock.Now().Unix())
	hash, _ := claims["at_hash"].(string)
	want := map[string]any{
		"iss": i.url, "sub": "sub-of-alice", "aud": web.id, "iat": now, "exp": now + 600, "auth_time": float64(signedIn.Unix()), "nonce": "n-0S6_WzA2Mj",
		"acr": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport", "at_hash": hash,
	}
	if fmt.Sprint(claims) != fmt.Sprint(want) || hash == "" { // no azp, and nothing of the person
		t.Errorf("%v\nwant %v", claims, want)
	}
	kid, _ := header["kid"].(string)
	if want := map[string]any{"typ": "JWT", "alg": "ES256", "kid": kid}; fmt.Sprint(header) != fmt.Sprint(want) || kid == "" {
		t.Error(header)
	}
}

// Section 3.1.3.6, by the algorithm of the ID token; Ed25519 has SHA-512 in it.
func TestOpenIDCore_3_1_3_6_AtHash(t *testing.T) {
	t.Parallel()
	for alg, half := range map[string]func(string) []byte{
		"ES256": half256, "PS256": half256, "ES384": half384, "ES512": half512, "EdDSA": half512,
	} {
		i := startOpenID(t, withKeys(key(t, alg, "k1")))
		a := i.openID(web)
		header, claims := i.idToken(a)
		if want := base64.RawURLEncoding.EncodeToString(half(a.member("access_token"))); claims["at_hash"] != want || header["alg"] != alg {
			t.Errorf("%s: %v, want %s", alg, claims["at_hash"], want)
		}
	}
}

func half256(s string) []byte { sum := sha256.Sum256([]byte(s)); return sum[:16] }
func half384(s string) []byte { sum := sha512.Sum384([]byte(s)); return sum[:24] }
func half512(s string) []byte { sum := sha512.Sum512([]byte(s)); return sum[:32] }

func TestOpenIDCore_3_1_2_1_NoIDTokenWithoutOpenID(t *testing.T) {
	t.Parallel()
	i := startOpenID(t)
	a := i.openID(web, "scope", "orders:read email", "nonce", "x")
	if _, there := a.object()["id_token"]; there || slices.Contains(audienceOf(t, a.member("access_token")), i.userinfoURL()) {
		t.Errorf("%s", a.body)
	}
}

// Section 3.1.2.1: what comes is what was sent, by whichever way it came.
func TestOpenIDCore_3_1_2_1_TheNonceIsEchoedAsItIs(t *testing.T) {
	t.Parallel()
	i := startOpenID(t)
	for _, nonce := range []string{state, "a&b=c\x00\n\u2028</script>é😀", strings.Repeat("n", 1024), `"\`, " "} {
		if _, claims := i.idToken(i.openID(web, "nonce", nonce)); claims["nonce"] != nonce {
			t.Errorf("%q for %q", claims["nonce"], nonce)
		}
		a := i.post("/par", web, authParams(web, "nonce", nonce))
		code := i.browser().grant(pushed(web, a.member("request_uri"))).response().Get("code")
		if _, claims := i.idToken(i.redeem(web, code)); claims["nonce"] != nonce {
			t.Errorf("%q for %q, pushed", claims["nonce"], nonce)
		}
	}
	if _, claims := i.idToken(i.openID(web)); claims["nonce"] != nil {
		t.Errorf("none was sent: %v", claims)
	}
}

func TestOpenIDCore_3_1_2_1_NoncesThatAreRefused(t *testing.T) {
	t.Parallel()
	i := startOpenID(t)
	twice := authParams(web, "nonce", "a")
	twice.Add("nonce", "b")
	for name, params := range map[string]url.Values{
		"too long": authParams(web, "nonce", strings.Repeat("n", 1025)), "no UTF-8": authParams(web, "nonce", "a\xff"), "twice": twice,
	} {
		if s := i.browser().authorize(params); s.response().Get("error") != "invalid_request" || !strings.Contains(s.response().Get("error_description"), "nonce") {
			t.Errorf("%s: %d %s", name, s.status, s.header.Get("Location"))
		}
	}
}

// Section 12.2: who, where and when stay, iat is new, and a nonce is not repeated.
func TestOpenIDCore_12_2_RefreshedIDToken(t *testing.T) {
	t.Parallel()
	i := startOpenID(t)
	first := i.openID(web, "nonce", "n")
	_, before := i.idToken(first)
	i.clock.Advance(time.Hour)
	second := i.refresh(web, first.member("refresh_token"))
	_, after := i.idToken(second)
	for _, same := range []string{"iss", "sub", "aud", "auth_time", "acr"} {
		if before[same] == nil || fmt.Sprint(after[same]) != fmt.Sprint(before[same]) {
			t.Errorf("%s: %v, was %v", same, after[same], before[same])
		}
	}
	if now := float64(i.clock.Now().Unix()); after["iat"] != now || after["exp"] != now+600 || after["nonce"] != nil {
		t.Errorf("at %v: %v", now, after)
	}
	if want := base64.RawURLEncoding.EncodeToString(half256(second.member("access_token"))); after["at_hash"] != want {
		t.Errorf("at_hash %v, want %s", after["at_hash"], want)
	}
}

func TestOpenIDCore_DevicesGetIDTokens(t *testing.T) {
	t.Parallel()
	i := startOpenID(t)
	for _, as := range []login{tv, box, meter} { // meter's access token is opaque
		a := i.device(as).decide("allow").poll()
		_, claims := i.idToken(a)
		if want := base64.RawURLEncoding.EncodeToString(half256(a.member("access_token"))); claims["aud"] != as.id || claims["sub"] != "sub-of-alice" || claims["at_hash"] != want {
			t.Errorf("%s: %v", as.id, claims)
		}
	}
}

// Section 3.1.3.3, of every client that asks.
func TestOpenIDCore_3_1_3_3_WithOpenIDThereIsAlwaysAnIDToken(t *testing.T) {
	t.Parallel()
	i := startOpenID(t)
	for _, as := range []login{web, portal, portalLogin} {
		a := i.openID(as)
		if a.member("id_token") == "" || a.header.Get("Cache-Control") != "no-store" || !strings.Contains(a.member("scope"), "openid") {
			t.Errorf("%s: %s", as.id, a.body)
		}
	}
}

// The aud of the access token: what was asked for, and the userinfo endpoint.
func TestPoint29_OpenIDAddsTheUserinfoEndpoint(t *testing.T) {
	t.Parallel()
	i := startOpenID(t)
	both := slices.Sorted(slices.Values([]string{ordersAPI, billingAPI, i.userinfoURL()}))
	one := slices.Sorted(slices.Values([]string{ordersAPI, i.userinfoURL()}))
	for name, c := range map[string]struct {
		as   login
		ask  []string
		want []string
	}{
		"all":            {web, nil, both},
		"one of them":    {web, []string{"resource", ordersAPI}, one},
		"itself":         {web, []string{"resource", i.userinfoURL()}, []string{i.userinfoURL()}},
		"without an API": {portalLogin, nil, []string{i.userinfoURL()}},
		"without openid": {web, []string{"scope", "orders:read email", "resource", ordersAPI}, []string{ordersAPI}},
		"openid alone":   {web, []string{"scope", "openid", "resource", ordersAPI}, one},
		"APIs alone":     {web, []string{"scope", "orders:read"}, slices.Sorted(slices.Values([]string{ordersAPI, billingAPI}))},
	} {
		if got := audienceOf(t, i.openID(c.as, c.ask...).member("access_token")); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	for scope, why := range map[string]string{"orders:read": i.userinfoURL(), "openid": "https://evil.example"} {
		if s := i.browser().authorize(authParams(web, "scope", scope, "resource", why)); s.response().Get("error") != "invalid_target" {
			t.Errorf("%s for %s: %d %s", scope, why, s.status, s.header.Get("Location"))
		}
	}
	if s := i.browser().authorize(authParams(portalLogin, "redirect_uri", webURI, "scope", "email")); s.response().Get("error") != "invalid_target" {
		t.Errorf("for nothing at all: %d %s", s.status, s.header.Get("Location"))
	}
}

// RFC 8707 section 2.2: what a token request names is all that its token is for.
func TestPoint29_NarrowedTokensAreNotForUserinfo(t *testing.T) {
	t.Parallel()
	i := startOpenID(t)
	narrow := func(extra ...string) answer { return i.redeem(web, i.code(web), extra...) }
	if got := audienceOf(t, narrow("resource", ordersAPI).member("access_token")); !slices.Equal(got, []string{ordersAPI}) {
		t.Errorf("of a code: %v", got)
	}
	if got := audienceOf(t, narrow("resource", i.userinfoURL()).member("access_token")); !slices.Equal(got, []string{i.userinfoURL()}) {
		t.Errorf("of a code, for userinfo: %v", got)
	}
	first := i.openID(web)
	a := i.refresh(web, first.member("refresh_token"), "scope", "orders:read email")
	if got := audienceOf(t, a.member("access_token")); slices.Contains(got, i.userinfoURL()) || a.member("id_token") != "" {
		t.Errorf("without openid: %v %s", got, a.body)
	}
	a = i.refresh(web, a.member("refresh_token")) // which still has all
	if got := audienceOf(t, a.member("access_token")); !slices.Contains(got, i.userinfoURL()) || a.member("id_token") == "" {
		t.Errorf("with openid again: %v %s", got, a.body)
	}
	a = i.refresh(web, a.member("refresh_token"), "resource", billingAPI)
	if got := audienceOf(t, a.member("access_token")); !slices.Equal(got, []string{billingAPI}) || a.member("id_token") == "" {
		t.Errorf("for an API: %v %s", got, a.body)
	}
	alone := i.openID(portalLogin)
	if a := i.refresh(portalLogin, alone.member("refresh_token"), "scope", "email"); a.outcome() != "400 invalid_target" {
		t.Errorf("for nothing at all: %d %s", a.status, a.body)
	}
	if a := i.refresh(web, i.openID(web).member("refresh_token"), "scope", "orders:read", "resource", i.userinfoURL()); a.outcome() != "400 invalid_target" {
		t.Errorf("userinfo without openid: %d %s", a.status, a.body)
	}
}

// A client that is no longer registered for openid has no more use of it.
func TestPoint29_ARegistrationThatLosesOpenID(t *testing.T) {
	t.Parallel()
	store := authserver.NewMemoryStore(nil)
	i := startOpenID(t, withStore(store))
	token := i.openID(web).member("refresh_token")
	later := startRefresh(t, withStore(store), func(c *authserver.Config) { c.Issuer, c.Now, c.Keys = i.url, i.clock.Now, nil })
	later.url = later.host + "/tenant"
	a := later.refresh(web, token)
	if a.status != 200 || a.member("id_token") != "" || slices.Contains(audienceOf(t, a.member("access_token")), i.userinfoURL()) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// OpenID Connect Discovery section 3: what signs now and next, also if another
// server of the issuer has seen to that, and not what did before.
func TestOpenIDDiscovery_3_IDTokenAlgorithms(t *testing.T) {
	t.Parallel()
	algs := func(i *issuer) string {
		return fmt.Sprint(i.get(i.url + "/.well-known/openid-configuration").object()["id_token_signing_alg_values_supported"])
	}
	i := startWeb(t, "", withKeys(key(t, "ES256", "k1"), key(t, "ES384", "idle")))
	if got := algs(i); got != "[ES256]" {
		t.Errorf("at first: %s", got)
	}
	if err := i.RotateKeys(t.Context(), key(t, "EdDSA", "k2"), authserver.RotateScheduled); err != nil {
		t.Fatal(err)
	}
	if got := algs(i); got != "[ES256 EdDSA]" {
		t.Errorf("before the next one signs: %s", got)
	}
	i.clock.Advance(15 * time.Minute)
	if got := algs(i); got != "[EdDSA]" {
		t.Errorf("when it does: %s", got)
	}

	store := newKeyStore()
	one := startWeb(t, "", withStore(store))
	other := startWeb(t, "", withStore(store), func(c *authserver.Config) { c.Issuer, c.Now = one.url, one.clock.Now })
	if err := one.RotateKeys(t.Context(), key(t, "EdDSA", "k2"), authserver.RotateNow); err != nil {
		t.Fatal(err)
	}
	if got := algs(other); got != "[EdDSA]" {
		t.Errorf("at another server: %s", got)
	}
}

// What the ID token and the userinfo endpoint say is in neither log nor store.
func TestPoint38_NothingOfAPersonIsLoggedOrKept(t *testing.T) {
	t.Parallel()
	dump := &dumpingStore{Store: authserver.NewMemoryStore(nil)}
	i := startOpenID(t, withStore(dump), withClaims(claimsOfAlice))
	a := i.openID(web, "nonce", "nonce-canary")
	i.atUserinfo("GET", a.member("access_token"))
	i.atUserinfo("GET", a.member("id_token"))
	i.browser().get(i.url + "/end_session?id_token_hint=" + a.member("id_token"))
	seen := i.log.String() + string(dump.seen)
	for _, secret := range []string{a.member("id_token"), strings.Split(a.member("id_token"), ".")[2], "Alice Canary", "canary@example.com", "+1 555 0100"} {
		if secret == "" || strings.Contains(seen, secret) {
			t.Errorf("kept or logged: %q", secret)
		}
	}
	if strings.Contains(i.log.String(), "nonce-canary") {
		t.Error("the nonce is logged")
	}
}

// openid says who signed in: where nobody does, there is none, asked for or not.
func TestOpenID_WithoutAPersonThereIsNone(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ES256", "k1")
	i := start(t, "", trusting(t, s, func(p *authserver.TrustedIssuer) { p.Scope += " openid" }), func(c *authserver.Config) {
		c.Clients[0].GrantTypes = []string{"client_credentials", jwtBearer}
		c.Clients[0].Scope += " " + personScopes
		api := exchanger(false)
		api.Scope += " openid"
		c.Clients = append(c.Clients, api)
	})
	for _, asked := range []string{"", "openid", "orders:read openid"} {
		var scope []string
		if asked != "" {
			scope = []string{"scope", asked}
		}
		for name, a := range map[string]answer{
			"client_credentials": i.post("/token", shop, form(append(scope, "grant_type", "client_credentials")...)),
			"jwt-bearer":         i.post("/token", shop, form(append(scope, "grant_type", jwtBearer, "assertion", s.sign(t, nil, i.assertion()))...)),
			"token-exchange":     i.exchange(gateway, i.token(shop), scope...),
		} {
			switch {
			case asked != "" && (a.outcome() != "400 invalid_scope" || name == "client_credentials" && !strings.Contains(a.member("error_description"), "openid")):
				t.Errorf("%s for %q: %d %s", name, asked, a.status, a.body)
			case asked == "" && (a.status != 200 || a.member("id_token") != "" || strings.Contains(a.member("scope"), "openid")):
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		}
	}
}

// What an API exchanges is not for userinfo, whatever it was sent.
func TestPoint29_ExchangeDoesNotWidenToUserinfo(t *testing.T) {
	t.Parallel()
	i := startOpenID(t, func(c *authserver.Config) {
		api := exchanger(true)
		api.Scope += " " + personScopes
		c.Clients = append(c.Clients, api)
	})
	subject := i.openID(web).member("access_token")
	a := i.exchange(gateway, subject)
	if a.status != 200 || slices.Contains(audienceOf(t, a.member("access_token")), i.userinfoURL()) || strings.Contains(a.member("scope"), "openid") || a.member("id_token") != "" {
		t.Errorf("%d %s", a.status, a.body)
	}
	for _, extra := range [][]string{{"scope", "openid"}, {"resource", i.userinfoURL()}, {"audience", i.userinfoURL()}} {
		if a := i.exchange(gateway, subject, extra...); a.status != 400 {
			t.Errorf("%v: %d %s", extra, a.status, a.body)
		}
	}
}
