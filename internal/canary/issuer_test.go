package canary_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/issuertest"
)

// told are the claims that an event tells of, and so a log: they say who did what
// (authserver.Event), as the documentation has it.
var toldClaims = append([]string{"htu", "sub", "client_id", "scope", "jti", "kid", "grant", "acr", "iat", "exp", "auth_time"}, openClaims...)

// endpoints are all paths of the issuer.
var endpoints = []string{
	"/token", "/introspect", "/revoke", "/par", "/device_authorization", "/register", "/userinfo", "/authorize", "/login", "/consent", "/device",
	"/end_session", "/logout", "/jwks", "/.well-known/openid-configuration", "/nowhere",
}

// A customs is on the way to the issuer: it hides every secret that passes, in both
// directions, and tells of every refusal.
type customs struct {
	w    *witness
	next http.RoundTripper
}

// secretParams are the parameters, and the members of answers, that hold secrets.
var secretParams = []string{
	"access_token", "refresh_token", "id_token", "id_token_hint", "code", "code_verifier", "client_secret", "client_assertion", "assertion",
	"subject_token", "actor_token", "token", "password", "device_code", "user_code", "request_uri", "csrf", "registration_access_token", "state", "nonce", "login_hint",
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

func (c customs) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body)
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	form, _ := url.ParseQuery(string(body))
	c.params(form)
	c.params(req.URL.Query())
	if _, password, ok := req.BasicAuth(); ok {
		c.w.hide("a client secret", password)
		plain, _ := url.QueryUnescape(password)
		c.w.hide("a client secret", plain)
	}
	if _, token, ok := strings.Cut(req.Header.Get("Authorization"), "Bearer "); ok {
		c.hide("bearer token", token)
	}
	if proof := req.Header.Get("DPoP"); proof != "" {
		c.hide("DPoP proof", proof)
	}
	for _, cookie := range req.Cookies() {
		c.w.hide("a session cookie", cookie.Value)
	}
	resp, err := c.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	for _, cookie := range resp.Cookies() {
		c.w.hide("a session cookie", cookie.Value)
	}
	resp.Header.Del("Date")
	dump, err := httputil.DumpResponse(resp, true)
	if err != nil {
		return nil, err
	}
	_, said, _ := bytes.Cut(dump, []byte("\r\n\r\n"))
	if resp.StatusCode >= 400 {
		var except []string
		if req.URL.Path == "/device" { // where a person's own code is filled in
			except = append(except, "a user_code")
		}
		c.w.tell("a refusal", string(dump), except...)
		return resp, nil
	}
	if to, err := resp.Location(); err == nil {
		c.params(to.Query())
	}
	for _, field := range csrfField.FindAllStringSubmatch(string(said), -1) {
		c.w.hide("a csrf", html.UnescapeString(field[1]))
	}
	var members map[string]any
	if json.Unmarshal(said, &members) == nil {
		for _, name := range secretParams {
			if value, ok := members[name].(string); ok {
				c.params(url.Values{name: {value}})
			}
		}
	}
	return resp, nil
}

func (c customs) params(values url.Values) {
	for _, name := range secretParams {
		for _, value := range values[name] {
			c.hide(name, value)
		}
	}
}

func (c customs) hide(name, value string) {
	c.w.hideToken("a "+name, strings.TrimPrefix(value, "urn:ietf:params:oauth:request_uri:"), toldClaims...)
}

// A flaw is a store that fails, or panics, when it is told to.
type flaw struct {
	*authserver.MemoryStore

	fails, panics atomic.Bool
}

func (f *flaw) Client(ctx context.Context, id string) (*authserver.Client, error) {
	if f.panics.Load() {
		panic("boom")
	}
	return f.MemoryStore.Client(ctx, id)
}

func (f *flaw) Get(ctx context.Context, kind authserver.Kind, key authserver.Hash) (authserver.Record, error) {
	if f.panics.Load() {
		panic("boom")
	}
	if f.fails.Load() {
		return authserver.Record{}, errDown
	}
	return f.MemoryStore.Get(ctx, kind, key)
}

func (f *flaw) Put(ctx context.Context, kind authserver.Kind, key authserver.Hash, r authserver.Record) error {
	if f.panics.Load() {
		panic("boom")
	}
	if f.fails.Load() {
		return errDown
	}
	return f.MemoryStore.Put(ctx, kind, key, r)
}

// A party is an issuer, and all who deal with it.
type party struct {
	*issuertest.Issuer

	store   *flaw
	server  *authserver.Server
	secrets map[string]string // of every kind, by the name of a parameter that may hold it
}

func newParty(t *testing.T, w *witness, edit func(*authserver.Config)) *party {
	t.Helper()
	p := &party{Issuer: issuertest.New(t), store: &flaw{MemoryStore: authserver.NewMemoryStore(nil)}}
	initial := w.secret("an initial access token")
	p.server = p.Server(t, p.store, func(cfg *authserver.Config) {
		cfg.Logger = w.logger("the log of authserver")
		cfg.Audit = func(_ context.Context, e authserver.Event) {
			e.Time = time.Time{} // so that one that came before is known
			w.print("an event", e)
			w.print("an event's cause", e.Cause)
			w.tell("an event's fields", fmt.Sprintf("%+v", e))
		}
		cfg.DPoPNonceKey = []byte(w.secret("a nonce key") + "0123456789")
		cfg.Users[0].Claims = map[string]any{"email": w.secret("a person's email"), "phone_number": w.secret("a person's phone number")}
		for i := range cfg.Clients {
			if cfg.Clients[i].Scope != "" {
				cfg.Clients[i].Scope += " openid email"
			}
		}
		cfg.Registration = &authserver.Registration{
			InitialAccessTokens: []authserver.Hash{authserver.HashOf(initial)}, Policy: authserver.ClientPolicy{Scope: "orders:read", Audience: []string{issuertest.API}},
		}
		if edit != nil {
			edit(cfg)
		}
	})
	way := customs{w, issuertest.Direct{Handler: p.server}}
	p.Web, p.Kiosk, p.Orders = p.Web.At(way), p.Kiosk.At(way), p.Orders.At(way)
	w.hide("a password", issuertest.Password)
	p.secrets = map[string]string{"initial": initial}
	for _, app := range []*issuertest.App{p.Web, p.Kiosk, p.Orders} {
		w.hide("a client secret", app.Secret)
		p.secrets["client_secret"] = app.Secret
	}
	return p
}

// work does all that the issuer is for, once, and keeps what came of it.
func (p *party) work(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	must := func(a *issuertest.Answer, err error) *issuertest.Answer {
		t.Helper()
		if err != nil || a.Status >= 400 {
			t.Fatalf("the issuer does not work: %v, %v", a, err)
		}
		return a
	}
	for _, app := range []*issuertest.App{p.Web, p.Kiosk} {
		code, err := app.Code(ctx, "scope", "orders:read openid email", "nonce", "canary-nonce-of-an-app")
		if err != nil {
			t.Fatal(err)
		}
		first := must(app.Redeem(ctx, code))
		second := must(app.Refresh(ctx, first.Text("refresh_token")))
		must(app.Post(ctx, "/token", url.Values{"grant_type": {"client_credentials"}}, nil))
		must(p.Orders.Post(ctx, "/introspect", url.Values{"token": {second.Text("access_token")}}, nil))
		deviceCode, userCode, err := app.Device(ctx)
		if err != nil {
			t.Fatal(err)
		}
		must(app.RedeemDevice(ctx, deviceCode))
		pushed, err := app.Push(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := app.PushedCode(ctx, pushed); err != nil {
			t.Fatal(err)
		}
		p.secrets["code"], p.secrets["device_code"], p.secrets["user_code"], p.secrets["request_uri"] = code, deviceCode, userCode, pushed
		p.secrets["refresh_token"], p.secrets["token"] = second.Text("refresh_token"), second.Text("access_token")
		p.secrets["subject_token"], p.secrets["id_token_hint"] = second.Text("access_token"), first.Text("id_token")
	}
	p.secrets["assertion"], p.secrets["client_assertion"] = p.Assertion(t), p.ClientAssertion(t).Get("client_assertion")
	p.secrets["code_verifier"], p.secrets["password"], p.secrets["username"] = "a-verifier-of-43-characters-0123456789._~AZ", issuertest.Password, issuertest.Password
	must(p.Web.Post(ctx, "/token", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {p.Assertion(t)}}, nil))
	registered := must(p.register(ctx, p.secrets["initial"], `{"redirect_uris":["https://app.example/cb"],"token_endpoint_auth_method":"client_secret_basic"}`))
	p.secrets["registration_access_token"] = registered.Text("registration_access_token")
	p.secrets["registered_secret"] = registered.Text("client_secret")
}

func (p *party) register(ctx context.Context, token, metadata string) (*issuertest.Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, issuertest.URL+"/register", strings.NewReader(metadata))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	return p.Web.Do(req)
}

// useIssuer has the issuer work, and then be used again with what is spent.
func useIssuer(t *testing.T, w *witness) {
	t.Helper()
	p := newParty(t, w, nil)
	p.work(t)
	ctx := t.Context()
	for range 2 {
		for _, app := range []*issuertest.App{p.Web, p.Kiosk} {
			_, _ = app.Redeem(ctx, p.secrets["code"])
			_, _ = app.RedeemDevice(ctx, p.secrets["device_code"])
			_, _ = app.Refresh(ctx, p.secrets["refresh_token"])
			_, _ = app.Post(ctx, "/revoke", url.Values{"token": {p.secrets["token"]}}, nil)
		}
	}
	w.print("a Server", p.server)
	key, err := authserver.GenerateKey("ES256")
	if err != nil {
		t.Fatal(err)
	}
	hidePrivate(t, w, key.Signer)
	w.print("RotateKeys", p.server.RotateKeys(ctx, key, authserver.RotateNow))
	w.failed(t, "RotateKeys to the same", p.server.RotateKeys(ctx, key, authserver.RotateNow))
}

// misuseIssuer brings every secret to every endpoint, in every place that is not its
// own; with a store that works, and with one that fails.
func misuseIssuer(t *testing.T, w *witness) {
	t.Helper()
	p := newParty(t, w, nil)
	p.work(t)
	mistaken := *p.Web
	mistaken.Typed = w.secret("a password that is wrong")
	if _, err := mistaken.Code(t.Context(), "prompt", "login"); err == nil {
		t.Error("signed in with another password")
	}
	for _, broken := range []bool{false, true} {
		p.store.fails.Store(broken)
		for _, path := range endpoints {
			for name, secret := range p.secrets {
				p.misuse(t, path, name, secret)
			}
		}
		for name, secret := range p.secrets {
			for _, metadata := range []string{
				`{"redirect_uris":["https://user:%s@app.example/cb"]}`, `{"client_name":"%s","grant_types":["implicit"]}`, `{"%s":1,"%[1]s":2}`, `{"scope":"%s"}`,
				`{"jwks":{"keys":[{"kty":"EC","d":"%s"}]},"token_endpoint_auth_method":"private_key_jwt"}`, `{"jwks_uri":"http://%s/"}`, `"%s`,
			} {
				for _, token := range []string{p.secrets["initial"], secret} {
					_, err := p.register(t.Context(), token, fmt.Sprintf(metadata, secret))
					if err != nil {
						t.Errorf("register %s: %v", name, err)
					}
				}
			}
		}
	}
}

// misuse sends one secret to one endpoint, wherever a request can have it.
func (p *party) misuse(t *testing.T, path, name, secret string) {
	t.Helper()
	grants := []string{"authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code", "urn:ietf:params:oauth:grant-type:token-exchange", "urn:ietf:params:oauth:grant-type:jwt-bearer", secret}
	for _, grant := range grants {
		if path != "/token" && grant != secret {
			continue
		}
		for _, param := range []string{name, "client_id", "scope", "resource", "redirect_uri", "token", "request_uri", "csrf"} { // not request: a person is shown theirs
			p.send(t, http.MethodPost, path, url.Values{"grant_type": {grant}, param: {secret}}.Encode(), "", "")
		}
	}
	p.send(t, http.MethodPost, path, url.Values{secret: {secret, secret}}.Encode(), "", "")
	p.send(t, http.MethodPost, path, secret+"=%zz", "Basic "+secret, secret)
	p.send(t, http.MethodPost, path+"?"+name+"="+url.QueryEscape(secret), "", "Bearer "+secret, "")
	p.send(t, http.MethodGet, path+"?client_id=web&"+name+"="+url.QueryEscape(secret), "", "DPoP "+secret, secret)
	p.send(t, http.MethodGet, path+"?client_id="+url.QueryEscape(secret)+"&redirect_uri="+url.QueryEscape("https://user:"+secret+"@app.example"), "", "Bearer "+secret, "")
	p.send(t, "SECRET", path, secret, "", "")
}

// send sends a request of nobody in particular, whose secrets are known already.
func (p *party) send(t *testing.T, method, path, body, authorization, proof string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, issuertest.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	if proof != "" {
		req.Header.Set("DPoP", proof)
	}
	if _, err := p.Web.Do(req); err != nil {
		t.Errorf("%s %s: %v", method, path, err)
	}
}

// panicAtIssuer has what the program plugs into the issuer panic, or fail, behind an
// http.Server, whose log is looked at.
func panicAtIssuer(t *testing.T, w *witness) {
	t.Helper()
	var armed atomic.Bool // once the server is made
	boom := func() {
		if armed.Load() {
			panic("boom")
		}
	}
	for name, edit := range map[string]func(*authserver.Config){
		"Login": func(c *authserver.Config) {
			c.Users, c.Login = nil, func(context.Context, string, string) (authserver.User, error) { boom(); return authserver.User{}, nil }
		},
		"Login fails": func(c *authserver.Config) {
			c.Users, c.Login = nil, func(context.Context, string, string) (authserver.User, error) { return authserver.User{}, errDown }
		},
		"Audit": func(c *authserver.Config) { c.Audit = func(context.Context, authserver.Event) { boom() } },
		"Registration.Authorize": func(c *authserver.Config) {
			c.Registration.InitialAccessTokens = nil
			c.Registration.Authorize = func(context.Context, string) (bool, error) { boom(); return false, nil }
		},
		"Authorize fails": func(c *authserver.Config) {
			c.Registration.InitialAccessTokens = nil
			c.Registration.Authorize = func(context.Context, string) (bool, error) { return false, errDown }
		},
		"Subject": func(c *authserver.Config) {
			c.TrustedIssuers[0].Subject = func(context.Context, string) (string, error) { boom(); return "", nil }
		},
		"Subject fails": func(c *authserver.Config) {
			c.TrustedIssuers[0].Subject = func(context.Context, string) (string, error) { return "", errDown }
		},
		"Now":       func(c *authserver.Config) { c.Now = func() time.Time { boom(); return time.Now() } },
		"the store": nil,
	} {
		armed.Store(false)
		p := newParty(t, w, edit)
		armed.Store(true)
		p.store.panics.Store(edit == nil)
		server := httptest.NewUnstartedServer(p.server)
		server.Config.ErrorLog = w.errorLog("the ErrorLog when it is " + name)
		server.Start()
		t.Cleanup(server.Close)
		way := customs{w, issuertest.Dial(server.Listener.Addr().String())}
		web := p.Web.At(way)
		_, err := web.Code(t.Context())
		w.print("what the browser sees", err)
		_, _ = web.Post(t.Context(), "/token", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {p.Assertion(t)}}, nil)
		_, _ = web.Refresh(t.Context(), w.secret("a refresh token"))
		p.Web = web
		_, _ = p.register(t.Context(), p.secrets["initial"], `{}`)
	}
}
