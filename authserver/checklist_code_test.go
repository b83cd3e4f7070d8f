package authserver_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

func (i *issuer) wantGrantRefused(name string, a answer) {
	i.t.Helper()
	if a.status != 400 || a.member("error") != "invalid_grant" {
		i.t.Errorf("%s: %d %s", name, a.status, a.body)
	}
}

func TestPoint06_PKCECannotBeLeftOut(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	code := i.code(web)
	for name, v := range map[string]string{
		"wrong": verifier + "x", "challenge as verifier": challenge, "42 characters": verifier[:42], "129 characters": strings.Repeat("x", 129), "illegal": verifier[:42] + "é",
	} {
		i.wantGrantRefused(name, i.redeem(web, code, "code_verifier", v))
	}
	if a := i.redeem(web, code, "code_verifier", ""); a.status != 400 || a.member("error") != "invalid_request" {
		t.Errorf("none: %d %s", a.status, a.body)
	}
	if a := i.redeem(web, code); a.status != 200 {
		t.Errorf("the right one: %d %s", a.status, a.body)
	}
	// plain in disguise: a challenge that is its own verifier
	i.wantGrantRefused("plain", i.redeem(web, i.code(web, "code_challenge", verifier)))
	for _, v := range []string{"short", verifier[:42], strings.Repeat("x", 129), verifier + "é"} {
		i.wantGrantRefused("a verifier that breaks the grammar", i.redeem(web, i.code(web, "code_challenge", challengeOf(v)), "code_verifier", v))
	}
	for _, v := range []string{strings.Repeat("x", 43), strings.Repeat("-._~aZ09", 16)} {
		if a := i.redeem(web, i.code(web, "code_challenge", challengeOf(v)), "code_verifier", v); a.status != 200 {
			t.Errorf("%d characters: %d %s", len(v), a.status, a.body)
		}
	}
}

func TestPoint21_ACodeWorksOnce(t *testing.T) {
	t.Parallel()
	for _, opaque := range []bool{false, true} {
		i := startWeb(t, "", func(c *authserver.Config) {
			for n := range c.Clients {
				if c.Clients[n].ClientID == web.id && opaque {
					c.Clients[n].AccessTokenStrategy = "opaque"
				}
			}
		})
		code := i.code(web, "resource", ordersAPI)
		first := i.redeem(web, code)
		if first.status != 200 || !i.active(orders, first.member("access_token")) {
			t.Fatalf("%d %s", first.status, first.body)
		}
		i.wantGrantRefused("replay", i.redeem(web, code))
		if i.active(orders, first.member("access_token")) {
			t.Error("the token of the first redemption is still good")
		}
		i.wantGrantRefused("another replay", i.redeem(web, code))
		if !strings.Contains(i.log.String(), "authorization code replayed") {
			t.Error("nothing in the log")
		}
	}
}

func TestPoint21_ALateReplayRevokesToo(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	code := i.code(web)
	i.clock.Advance(30 * time.Second)
	token := i.redeem(web, code).member("access_token")
	i.clock.Advance(10*time.Minute - time.Second)
	if !i.active(orders, token) {
		t.Fatal("not active")
	}
	i.wantGrantRefused("late replay", i.redeem(web, code))
	if i.active(orders, token) {
		t.Error("the token is still good")
	}
}

func TestPoint22_ACodeIsBound(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	code := i.code(web)
	i.wantGrantRefused("another client", i.redeem(portal, code))
	i.wantGrantRefused("another client, all else right", i.redeem(portal, code, "redirect_uri", webURI))
	i.wantGrantRefused("another redirect URI", i.redeem(web, code, "redirect_uri", portalURI))
	i.wantGrantRefused("no redirect URI", i.redeem(web, code, "redirect_uri", ""))
	i.wantGrantRefused("almost the redirect URI", i.redeem(web, code, "redirect_uri", webURI+"/"))
	i.wantGrantRefused("an unknown code", i.redeem(web, code+"x"))
	i.wantGrantRefused("an invented code", i.redeem(web, strings.Repeat("A", 43)))
	if a := i.redeem(web, code, "resource", "https://other.example"); a.member("error") != "invalid_target" {
		t.Errorf("a resource that was not granted: %d %s", a.status, a.body)
	}
	if a := i.redeem(web, ""); a.member("error") != "invalid_request" {
		t.Errorf("no code: %d %s", a.status, a.body)
	}
	if a := i.redeem(web, code); a.status != 200 || !i.active(orders, a.member("access_token")) {
		t.Errorf("some attempt of those burnt the code: %d %s", a.status, a.body)
	}
	native1 := i.code(native)
	i.wantGrantRefused("another loopback port", i.redeem(native, native1, "redirect_uri", "http://127.0.0.1:49153/cb"))
	if a := i.redeem(native, native1); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// Clients that find out how to authenticate send the same code again after a
// failure.
func TestPoint22_FailedAuthenticationDoesNotBurnACode(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	code := i.code(web)
	v := form("grant_type", "authorization_code", "code", code, "code_verifier", verifier, "redirect_uri", webURI)
	if a := i.post("/token", login{web.id, "wrong"}, v); a.status != 401 {
		t.Errorf("%d", a.status)
	}
	v.Set("client_id", web.id)
	v.Set("client_secret", web.secret)
	if a := i.post("/token", login{}, v); a.status != 401 { // by the wrong method
		t.Errorf("%d", a.status)
	}
	if a := i.redeem(web, code); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestPoint22_ARefusalOfTheStoreDoesNotBurnACode(t *testing.T) {
	t.Parallel()
	broken := &faultyStore{Store: authserver.NewMemoryStore(nil)}
	i := startWeb(t, "", withStore(broken))
	code := i.code(web)
	broken.fail.Store(true)
	if a := i.redeem(web, code); a.status != 503 || a.member("error") != "temporarily_unavailable" {
		t.Errorf("%d %s", a.status, a.body)
	}
	broken.fail.Store(false)
	if a := i.redeem(web, code); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestPoint22_AClientThatLostTheGrantType(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	if a := i.redeem(shop, i.code(web)); a.status != 400 || a.member("error") != "unauthorized_client" {
		t.Errorf("%d %s", a.status, a.body)
	}
	i = startWeb(t, "", func(c *authserver.Config) { c.Clients[0].RedirectURIs = []string{webURI} })
	if s := i.browser().authorize(authParams(web, "client_id", shop.id)); s.response().Get("error") != "unauthorized_client" {
		t.Errorf("%d %s", s.status, s.header.Get("Location"))
	}
}

func TestPoint23_ACodeLastsAMinute(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	code, late := i.code(web), i.code(web)
	i.clock.Advance(time.Minute - time.Millisecond)
	if a := i.redeem(web, code); a.status != 200 {
		t.Errorf("within it: %d %s", a.status, a.body)
	}
	i.clock.Advance(time.Millisecond)
	i.wantGrantRefused("after it", i.redeem(web, late))
}

func TestPoint29_TheTokenSaysWhoAndNothingAboutThem(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	signedIn := i.clock.Now().Unix()
	code := i.code(web, "scope", "bills:read orders:read", "resource", ordersAPI)
	i.clock.Advance(10 * time.Second)
	a := i.redeem(web, code)
	if a.status != 200 || a.member("token_type") != "Bearer" || a.member("scope") != "bills:read orders:read" || a.object()["expires_in"] != 600.0 || len(a.object()) != 4 {
		t.Errorf("%d %s", a.status, a.body)
	}
	token := a.member("access_token")
	if err := i.verify(token); err != nil {
		t.Error(err)
	}
	_, payload := parts(t, token)
	jti, _ := payload["jti"].(string)
	delete(payload, "jti")
	want := map[string]any{
		"iss": i.url, "sub": "sub-of-alice", "client_id": web.id, "aud": []any{ordersAPI}, "scope": "bills:read orders:read", "auth_time": float64(signedIn),
		"acr": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport", "iat": float64(signedIn + 10), "exp": float64(signedIn + 610),
	}
	if fmt.Sprint(payload) != fmt.Sprint(want) || len(jti) < 26 {
		t.Errorf("%v\nwant %v", payload, want)
	}
	if got := i.introspect(orders, token); got.member("sub") != "sub-of-alice" || strings.Contains(string(got.body), "anary") {
		t.Errorf("%s", got.body)
	}
}

// RFC 8707 section 2.2: a token for fewer resources than were granted.
func TestPoint29_TheTokenRequestMayNarrowTheResources(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	for resource, want := range map[string]string{"": "[" + ordersAPI + " " + billingAPI + "]", billingAPI: "[" + billingAPI + "]"} {
		a := i.redeem(web, i.code(web), "resource", resource)
		if _, payload := parts(t, a.member("access_token")); fmt.Sprint(payload["aud"]) != want {
			t.Errorf("%q: %v", resource, payload["aud"])
		}
	}
	if a := i.redeem(web, i.code(web, "resource", ordersAPI), "resource", billingAPI); a.member("error") != "invalid_target" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestPoint34_WhatTheMetadataSaysWorks(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "/t")
	about := i.get(i.url + "/.well-known/openid-configuration").object()
	for name, want := range map[string]any{
		"authorization_endpoint": i.url + "/authorize", "pushed_authorization_request_endpoint": i.url + "/par", "code_challenge_methods_supported": []any{"S256"},
		"response_modes_supported": []any{"query", "form_post"}, "response_types_supported": []any{"code"}, "request_parameter_supported": false,
		"request_uri_parameter_supported": false, "prompt_values_supported": []any{"none", "login", "consent", "select_account"},
		"acr_values_supported": []any{"urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"},
	} {
		if fmt.Sprint(about[name]) != fmt.Sprint(want) {
			t.Errorf("%s: %v", name, about[name])
		}
	}
	endpoint, _ := about["authorization_endpoint"].(string)
	b := i.browser()
	for name, code := range map[string]string{"request": "request_not_supported", "request_uri": "request_uri_not_supported"} {
		for _, value := range []string{"https://web.example/request", "eyJ.eyJ.x"} {
			if s := b.get(endpoint + "?" + authParams(web, name, value).Encode()); s.response().Get("error") != code {
				t.Errorf("%s: %d %s", name, s.status, s.header.Get("Location"))
			}
		}
	}
}

func TestPoint39_NoCORSForPages(t *testing.T) {
	t.Parallel()
	const app = "https://app.example"
	i := startWeb(t, "", func(c *authserver.Config) { c.AllowedOrigins = []string{app} })
	b := i.browser()
	b.header.Set("Origin", app)
	for _, s := range []*screen{b.authorize(authParams(web)), b.post(i.url+"/login", form()), b.post(i.url+"/consent", form()), b.authorize(form())} {
		if s.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", s.at, s.header)
		}
	}
}

// signInEverywhere has people sign in, consent, fail and redeem, and returns what
// must be found nowhere.
func signInEverywhere(i *issuer) (secrets []string) {
	b := i.browser()
	signIn := b.authorize(authParams(web, "login_hint", "hint-canary", "state", "state-canary"))
	b.submit(signIn, "username", "name-canary", "password", "password-canary")
	consent := b.signIn(signIn, "alice")
	secrets = append(secrets, "name-canary", "password-canary", "alice-password", b.cookie(), signIn.fields.Get("csrf"), consent.fields.Get("csrf"), consent.fields.Get("seen"))
	b.submit(consent, "csrf", "csrf-canary")
	code := b.submit(consent, "decision", "allow").response().Get("code")
	token := i.redeem(web, code).member("access_token")
	i.redeem(web, code)
	i.redeem(web, "code-canary", "code_verifier", "verifier-canary")
	pushed := i.post("/par", web, authParams(web)).member("request_uri")
	b.get(i.url + "/authorize?" + url.Values{"client_id": {web.id}, "request_uri": {pushed}}.Encode())
	b.authorize(authParams(web, "client_id", "id-canary", "scope", "scope-canary"))
	d := i.device(tv)
	b.enter("user-code-canary")
	b.submit(b.enter(d.userCode), "decision", "allow")
	deviceToken := d.poll().member("access_token")
	d.poll()
	i.fromDevice("/token", tv, "grant_type", deviceGrant, "device_code", "device-canary")
	waiting := i.device(tv)
	waiting.poll()
	secrets = append(secrets, d.code, d.userCode, strings.ReplaceAll(d.userCode, "-", ""), waiting.code, waiting.userCode, deviceToken, "user-code-canary", "device-canary")
	_, handle, _ := strings.Cut(pushed, "request_uri:")
	return append(secrets, code, token, handle, verifier, "csrf-canary", "code-canary", "verifier-canary", "id-canary", "scope-canary", web.secret)
}

func TestPoint38_LogsHoldNoSecretOfPeople(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	secrets := append(signInEverywhere(i), "hint-canary", "state-canary", "Alice Canary", "canary@example.com")
	log := i.log.String()
	for _, want := range []string{`"msg":"sign-in"`, "wrong name or password", `"msg":"consent"`, "sub-of-alice", "request refused", "token issued", "grant revoked"} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in the log", want)
		}
	}
	for _, secret := range secrets {
		if secret == "" || strings.Contains(log, secret) || strings.Contains(log, url.QueryEscape(secret)) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

func TestPoint40_TheStoreHoldsNoSecretOfPeople(t *testing.T) {
	t.Parallel()
	dump := &dumpingStore{Store: authserver.NewMemoryStore(nil)}
	i := startWeb(t, "", withStore(dump))
	secrets := signInEverywhere(i)
	dump.mu.Lock()
	defer dump.mu.Unlock()
	for _, kind := range []authserver.Kind{authserver.AuthorizationCode, authserver.Session, authserver.Consent, authserver.PushedRequest,
		authserver.DeviceCode, authserver.UserCode, authserver.DeviceDecision, authserver.DevicePoll} {
		if !strings.Contains(string(dump.seen), string(kind)) {
			t.Errorf("the dump has no %s", kind)
		}
	}
	for _, secret := range secrets {
		raw, _ := base64.RawURLEncoding.DecodeString(secret)
		for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret)), string(raw)} {
			if form != "" && strings.Contains(string(dump.seen), form) {
				t.Errorf("the store was given %q", form)
			}
		}
	}
	if strings.Contains(string(dump.seen), "Alice Canary") {
		t.Error("the store was given a claim")
	}
}

func TestPoint42_CodesAndCookiesAreUnguessable(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	b.grant(authParams(portal))
	seen := map[string]bool{}
	for range 100 {
		for _, secret := range []string{
			b.authorize(authParams(portal)).response().Get("code"),
			strings.TrimPrefix(i.post("/par", portal, authParams(portal)).member("request_uri"), "urn:ietf:params:oauth:request_uri:"),
		} {
			raw, err := base64.RawURLEncoding.DecodeString(secret)
			if err != nil || len(raw) < 16 || seen[secret] {
				t.Fatalf("%q, %v", secret, err)
			}
			seen[secret] = true
		}
	}
}

// While the store fails, a person whose client is known is sent back to it.
func TestStoreFailures_AtTheAuthorizationEndpoint(t *testing.T) {
	t.Parallel()
	broken := &faultyStore{Store: authserver.NewMemoryStore(nil)}
	i := startWeb(t, "", withStore(broken))
	b := i.browser()
	signIn := b.authorize(authParams(web))
	consent := b.signIn(signIn, "alice")
	broken.fail.Store(true)
	for name, s := range map[string]*screen{"sign-in": b.submit(signIn, "csrf", "x"), "authorize": b.authorize(authParams(web)), "unknown client": b.authorize(authParams(web, "client_id", "x"))} {
		if s.status < 400 || s.header.Get("Location") != "" || strings.Contains(string(s.body), errBroken.Error()) {
			t.Errorf("%s: %d %s", name, s.status, s.body)
		}
	}
	if s := b.submit(consent, "decision", "allow"); s.response().Get("error") != "temporarily_unavailable" {
		t.Errorf("%d %s", s.status, s.body)
	}
	if !strings.Contains(i.log.String(), errBroken.Error()) {
		t.Error("nothing in the log")
	}
}

// golang.org/x/oauth2, which finds out how to authenticate, sends one code by Basic
// and then in the body: of a client of client_secret_post, and of a public one.
func TestPoint22_OneCodeByBasicAndThenInTheBody(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "", withSPA, func(c *authserver.Config) {
		for n := range c.Clients {
			if c.Clients[n].ClientID == web.id {
				c.Clients[n].TokenEndpointAuthMethod = "client_secret_post"
			}
		}
	})
	for _, c := range []struct {
		as   login
		code string
	}{{web, i.code(web)}, {login{spa, ""}, i.spaCode()}} {
		v := form(codeForm(c.code, webURI)...)
		if a := i.post("/token", c.as, v); a.outcome() != "401 invalid_client" {
			t.Errorf("%s by Basic: %d %s", c.as.id, a.status, a.body)
		}
		v.Set("client_id", c.as.id)
		if c.as.secret != "" {
			v.Set("client_secret", c.as.secret)
		}
		if a := i.send("/token", v); a.status != 200 || !i.active(orders, a.member("access_token")) {
			t.Errorf("%s in the body: %d %s", c.as.id, a.status, a.body)
		}
	}
}

// Clients of the Model Context Protocol send resource with both requests.
func TestPoint29_ResourceWithBothRequests(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	for _, resource := range []string{ordersAPI, billingAPI} {
		a := i.redeem(web, i.code(web, "resource", resource), "resource", resource)
		if _, payload := parts(t, a.member("access_token")); fmt.Sprint(payload["aud"]) != "["+resource+"]" {
			t.Errorf("%s: %v", resource, payload["aud"])
		}
	}
}

// A preflight gets nothing at a page, and all of it where pages of an application
// push their requests.
func TestPoint39_PreflightsOfPagesAndPushedRequests(t *testing.T) {
	t.Parallel()
	const app = "https://app.example"
	i := startWeb(t, "", func(c *authserver.Config) { c.AllowedOrigins = []string{app} })
	for path, allowed := range map[string]bool{"/authorize": false, "/login": false, "/consent": false, "/device": false, "/introspect": false, "/par": true} {
		req := i.request(path, "")
		req.Method = http.MethodOptions
		req.Header.Set("Origin", app)
		req.Header.Set("Access-Control-Request-Method", "POST")
		a := i.do(req)
		if got := a.header.Get("Access-Control-Allow-Origin"); (got == app) != allowed || !allowed && got != "" || (a.status == 204) != allowed ||
			a.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %d %v", path, a.status, a.header)
		}
	}
}
