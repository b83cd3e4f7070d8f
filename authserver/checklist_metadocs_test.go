package authserver_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

func withDocuments(c *authserver.Config) {
	c.ClientIDMetadataDocuments = &authserver.ClientIDMetadataDocuments{
		Policy: authserver.ClientPolicy{Scope: "orders:read orders:write", Audience: []string{ordersAPI}},
	}
}

func startDocuments(t testing.TB, edits ...func(*authserver.Config)) *issuer {
	t.Helper()
	return startWeb(t, "", append([]func(*authserver.Config){withDocuments}, edits...)...)
}

// A documentHost serves one client ID metadata document.
type documentHost struct {
	*keyHost
	id string // its URL
}

// startDocument serves a document with members besides client_id and redirect_uris.
func startDocument(t testing.TB, members string) documentHost {
	t.Helper()
	h := documentHost{keyHost: startKeyHost(t, nil)}
	h.id = h.URL + "/client.json"
	h.document(members)
	return h
}

func (h documentHost) document(members string) {
	h.answer("application/json", "", `{"client_id":"`+h.id+`","redirect_uris":["`+appURI+`"]`+members+`}`)
}

func (h documentHost) answer(contentType, cacheControl, body string) {
	h.do(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", cacheControl)
		_, _ = w.Write([]byte(body))
	})
}

// visit begins an authorization request of the client at id.
func (i *issuer) visit(id string) *screen {
	i.t.Helper()
	return i.browser().authorize(authParams(login{id: id}, "redirect_uri", appURI))
}

func TestPoint36_AClientOfADocumentGetsTokens(t *testing.T) {
	t.Parallel()
	h := startDocument(t, `,"client_name":"Web <Shop>","grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"none","logo_uri":"x"`)
	i := startDocuments(t)
	as := login{id: h.id}
	b := i.browser()
	s := b.signIn(b.authorize(authParams(as, "redirect_uri", appURI)), "alice")
	host := strings.TrimPrefix(h.URL, "http://")
	if s.title != "Allow access?" || !strings.Contains(s.text, host) || !strings.Contains(s.text, "(Web <Shop>)") || !strings.Contains(s.text, "app.example") {
		t.Fatalf("%d %s %s", s.status, s.title, s.text)
	}
	a := i.tokens(as)
	if _, payload := parts(t, a.member("access_token")); a.status != 200 || !i.active(orders, a.member("access_token")) || payload["client_id"] != h.id {
		t.Fatalf("%d %s", a.status, a.body)
	}
	next := i.refresh(login{}, a.member("refresh_token"), "client_id", h.id)
	if next.status != 200 || !i.active(orders, next.member("access_token")) {
		t.Errorf("%d %s", next.status, next.body)
	}
	if n := h.fetched.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
	if about := i.get(i.url + "/.well-known/oauth-authorization-server").object(); about["client_id_metadata_document_supported"] != true || about["registration_endpoint"] != nil {
		t.Error(about)
	}
	if strings.Contains(i.log.String(), `"level":"ERROR"`) {
		t.Error(i.log)
	}
}

func TestPoint36_AClientOfADocumentAuthenticates(t *testing.T) {
	t.Parallel()
	s, foreign := newSigner(t, "ES256", "k1"), newSigner(t, "ES256", "k1")
	keys := startKeyHost(t, jwks(t, s))
	for name, members := range map[string]string{"jwks": `"jwks":` + string(jwks(t, s)), "jwks_uri": `"jwks_uri":"` + keys.URL + `"`} {
		h := startDocument(t, `,"token_endpoint_auth_method":"private_key_jwt",`+members)
		i := startDocuments(t)
		code := i.browser().grant(authParams(login{id: h.id}, "redirect_uri", appURI)).response().Get("code")
		if a := i.send("/token", form(codeForm(code, appURI, "client_id", h.id)...)); a.outcome() != "401 invalid_client" {
			t.Errorf("%s, without: %d %s", name, a.status, a.body)
		}
		if a := i.assert("/token", foreign.sign(t, nil, i.claims(h.id)), codeForm(code, appURI)...); a.outcome() != "401 invalid_client" {
			t.Errorf("%s, by another key: %d %s", name, a.status, a.body)
		}
		if a := i.assert("/token", s.sign(t, nil, i.claims(h.id)), codeForm(code, appURI)...); a.status != 200 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

// What cannot be used is an error page and never a redirect; at the token endpoint
// there is no such client. Nobody learns what was wrong but who reads the log.
func TestPoint36_WhatADocumentMayBe(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ES256", "k1")
	const uris = `"redirect_uris":["` + appURI + `"]`
	elsewhere := startDocument(t, "")
	// Its own address stands for <id>, which is not in a key by chance.
	serve := func(contentType, body string) func(http.ResponseWriter, string) {
		return func(w http.ResponseWriter, id string) {
			w.Header().Set("Content-Type", contentType)
			_, _ = w.Write([]byte(strings.ReplaceAll(body, "<id>", id)))
		}
	}
	good := `{"client_id":"<id>",` + uris + `}`
	status := func(code int) func(http.ResponseWriter, string) {
		return func(w http.ResponseWriter, id string) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			if code != 204 {
				serve("application/json", good)(w, id)
			}
		}
	}
	padded := func(size int) func(http.ResponseWriter, string) {
		return func(w http.ResponseWriter, id string) {
			body := strings.ReplaceAll(good, "<id>", id)
			serve("application/json", body+strings.Repeat(" ", size-len(body)))(w, id)
		}
	}
	members := func(m string) func(http.ResponseWriter, string) {
		return serve("application/json", `{"client_id":"<id>",`+m+`}`)
	}
	for name, row := range map[string]struct {
		serve  func(w http.ResponseWriter, id string)
		status int
	}{
		"as it should be":       {serve("application/json; charset=utf-8", good), 200},
		"a type of its own":     {serve("application/oauth-client+json", good), 200},
		"5 KiB":                 {padded(5 << 10), 200},
		"a byte more":           {padded(5<<10 + 1), 400},
		"text/html":             {serve("text/html", good), 400},
		"no type":               {serve("", good), 400},
		"no JSON":               {serve("application/json", "canary"), 400},
		"a member twice":        {members(uris + `,"client_id":"<id>"`), 400},
		"201":                   {status(201), 400},
		"204":                   {status(204), 400},
		"404":                   {status(404), 400},
		"500":                   {status(500), 503},
		"429":                   {status(429), 503},
		"a redirect":            {func(w http.ResponseWriter, _ string) { w.Header().Set("Location", elsewhere.id); w.WriteHeader(302) }, 400},
		"no client_id":          {serve("application/json", `{`+uris+`}`), 400},
		"another client_id":     {serve("application/json", `{"client_id":"`+elsewhere.id+`",`+uris+`}`), 400},
		"one with more":         {serve("application/json", `{"client_id":"<id>/",`+uris+`}`), 400},
		"one in another case":   {func(w http.ResponseWriter, id string) { members(uris)(w, strings.ToUpper(id)) }, 400},
		"no redirect URIs":      {members(`"client_name":"x"`), 400},
		"a redirect URI, http":  {members(`"redirect_uris":["` + appURI + `","http://app.example/cb"]`), 400},
		"a secret":              {members(uris + `,"client_secret":"0123456789abcdef0123456789abcdef"`), 400},
		"an expiry of one":      {members(uris + `,"client_secret_expires_at":0`), 400},
		"client_secret_basic":   {members(uris + `,"token_endpoint_auth_method":"client_secret_basic"`), 400},
		"client_secret_post":    {members(uris + `,"token_endpoint_auth_method":"client_secret_post"`), 400},
		"client_secret_jwt":     {members(uris + `,"token_endpoint_auth_method":"client_secret_jwt"`), 400},
		"tls_client_auth":       {members(uris + `,"token_endpoint_auth_method":"tls_client_auth"`), 400},
		"private_key_jwt":       {members(uris + `,"token_endpoint_auth_method":"private_key_jwt","jwks":` + string(jwks(t, s))), 200},
		"without keys":          {members(uris + `,"token_endpoint_auth_method":"private_key_jwt"`), 400},
		"no grant of ours":      {members(uris + `,"grant_types":["client_credentials"]`), 400},
		"grants of others, too": {members(uris + `,"grant_types":["client_credentials","authorization_code","implicit"]`), 200},
		"no response type":      {members(uris + `,"response_types":["token"]`), 400},
		"a name nobody sees":    {members(uris + `,"client_name":"\u3164"`), 400},
		"a type that is wrong":  {members(uris + `,"client_name":{}`), 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := startDocument(t, "")
			h.do(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.Header.Get("Accept") != "application/json" || r.Header.Get("Cookie") != "" {
					t.Errorf("%s %v", r.Method, r.Header)
				}
				row.serve(w, h.id)
			})
			i := startDocuments(t)
			page := i.visit(h.id)
			if row.status == 200 && page.title != "Sign in" || row.status != 200 && !page.isPage(row.status) || strings.Contains(string(page.body), "canary") {
				t.Errorf("%d %s", page.status, page.body)
			}
			want := map[int]string{200: "400 invalid_grant", 400: "401 invalid_client", 503: "503 temporarily_unavailable"}[row.status]
			if name == "private_key_jwt" {
				want = "401 invalid_client"
			}
			if a := i.send("/token", form(codeForm("x", appURI, "client_id", h.id)...)); a.outcome() != want {
				t.Errorf("%d %s", a.status, a.body)
			}
			if strings.Contains(i.log.String(), "canary") {
				t.Error(i.log)
			}
		})
	}
	t.Cleanup(func() {
		if n := elsewhere.fetched.Load(); n != 0 {
			t.Errorf("a redirect was followed %d times", n)
		}
	})
}

// A client_id that can be no document is one that nobody knows: nothing is fetched.
func TestPoint36_WhatAURLMayBe(t *testing.T) {
	t.Parallel()
	h := startDocument(t, "")
	host := strings.TrimPrefix(h.URL, "http://")
	i := startDocuments(t, func(c *authserver.Config) { c.ClientIDMetadataDocuments.Hosts = []string{host, "app.example"} })
	for _, id := range []string{
		h.URL, h.id + "#f", h.id + "#", "http://user@" + host + "/client.json", "http://user:pw@" + host + "/client.json",
		h.URL + "/./client.json", h.URL + "/a/../client.json", h.URL + "/%2e%2e/client.json", h.URL + "/a/%2E", h.URL + "/..", h.URL + "?/client.json",
		"http://app.example/client.json", "https://other.example/client.json", "https://app.example:8443/client.json", "https://app.example.evil.example/x",
		"ftp://" + host + "/client.json", "//" + host + "/client.json", host + "/client.json", "http:" + host + "/client.json", h.id + strings.Repeat("x", 255),
		h.URL + "/é", "file:///etc/passwd", "https:///client.json", "https://app.example:0/x", "https://app.example:/x",
	} {
		if s := i.visit(id); !s.isPage(400) {
			t.Errorf("%s: %d %s", id, s.status, s.body)
		}
	}
	if n := h.fetched.Load(); n != 0 {
		t.Errorf("%d fetches", n)
	}
	if s := i.visit(h.id); s.title != "Sign in" || h.fetched.Load() != 1 {
		t.Errorf("%d %s", s.status, s.body)
	}
}

// An issuer that is not on loopback connects to no address inside, whatever the
// name says that leads there.
func TestPoint36_DocumentsLeadNowhereInside(t *testing.T) {
	t.Parallel()
	port, connected := countConnections(t)
	public := startDocuments(t, func(c *authserver.Config) { c.Issuer = "https://issuer.example" })
	public.url = public.host
	bodies := map[string]bool{}
	for _, host := range []string{
		"127.0.0.1:" + port, "localhost:" + port, "[::ffff:127.0.0.1]:" + port, "127.1.2.3:" + port, "10.0.0.1", "192.168.0.1", "169.254.169.254",
		"[::1]:" + port, "[fe80::1]", "[fd00::1]", "0.0.0.0:" + port, "[::]:" + port, "100.64.0.1", "[64:ff9b::7f00:1]", "[::127.0.0.1]",
	} {
		s := public.visit("https://" + host + "/client.json")
		if bodies[strings.ReplaceAll(string(s.body), url.QueryEscape(host), "")] = true; !s.isPage(503) {
			t.Errorf("%s: %d %s", host, s.status, s.body)
		}
	}
	if len(bodies) != 1 {
		t.Errorf("the answers tell addresses apart: %d of them", len(bodies))
	}
	for _, id := range []string{"http://127.0.0.1:" + port + "/x", "http://localhost:" + port + "/x"} {
		if s := public.visit(id); !s.isPage(400) {
			t.Errorf("%s: %d %s", id, s.status, s.body)
		}
	}
	if n := connected.Load(); n != 0 {
		t.Errorf("%d connections to the inside", n)
	}
	startDocuments(t).visit("https://127.0.0.1:" + port + "/client.json")
	if connected.Load() == 0 {
		t.Error("an issuer on loopback does not get there either: the test shows nothing")
	}
}

func TestPoint36_KeptAsLongAsItSays(t *testing.T) {
	t.Parallel()
	for cacheControl, fresh := range map[string]time.Duration{
		"": 5 * time.Minute, "no-store": time.Minute, "no-cache, max-age=600": time.Minute, "max-age=0": time.Minute, "public, max-age=600": 10 * time.Minute,
		"max-age=31536000": 24 * time.Hour, "max-age=x": time.Minute, "max-age=99999999999999999999": time.Minute, `Max-Age="120"`: 2 * time.Minute, "private": 5 * time.Minute,
	} {
		h := startDocument(t, "")
		h.answer("application/json", cacheControl, `{"client_id":"`+h.id+`","redirect_uris":["`+appURI+`"]}`)
		i := startDocuments(t)
		for n, step := range []struct {
			after time.Duration
			want  int64
		}{{0, 1}, {fresh - time.Millisecond, 1}, {time.Millisecond, 2}} {
			i.clock.Advance(step.after)
			if s := i.visit(h.id); s.title != "Sign in" || h.fetched.Load() != step.want {
				t.Errorf("%q, step %d: %d, %d fetches, want %d", cacheControl, n, s.status, h.fetched.Load(), step.want)
			}
		}
	}
}

// What the document takes back is gone with the next fetch: redirect URIs, and the
// client with its tokens.
func TestPoint36_ADocumentChanges(t *testing.T) {
	t.Parallel()
	h := startDocument(t, `,"grant_types":["authorization_code","refresh_token"]`)
	i := startDocuments(t)
	a := i.tokens(login{id: h.id})
	h.answer("application/json", "", `{"client_id":"`+h.id+`","redirect_uris":["https://app.example/other"]}`)
	i.clock.Advance(5 * time.Minute)
	if s := i.visit(h.id); !s.isPage(400) {
		t.Errorf("%d %s", s.status, s.body)
	}
	h.do(http.NotFound)
	i.clock.Advance(5 * time.Minute)
	if next := i.refresh(login{}, a.member("refresh_token"), "client_id", h.id); next.outcome() != "401 invalid_client" {
		t.Errorf("%d %s", next.status, next.body)
	}
	h.document(`,"grant_types":["authorization_code","refresh_token"]`)
	i.clock.Advance(5 * time.Second)
	if next := i.refresh(login{}, a.member("refresh_token"), "client_id", h.id); next.status != 200 {
		t.Errorf("back again: %d %s", next.status, next.body)
	}
}

// A failure is not kept; it is only not tried again at once.
func TestPoint36_AFailureIsTriedAgain(t *testing.T) {
	t.Parallel()
	h := startDocument(t, "")
	h.fail()
	i := startDocuments(t)
	for range 10 {
		if s := i.visit(h.id); !s.isPage(503) {
			t.Errorf("%d %s", s.status, s.body)
		}
	}
	h.document("")
	i.clock.Advance(5 * time.Second)
	if s := i.visit(h.id); s.title != "Sign in" || h.fetched.Load() != 2 {
		t.Errorf("%d, %d fetches", s.status, h.fetched.Load())
	}
}

func TestPoint36_OneFetchForAllWhoAsk(t *testing.T) {
	t.Parallel()
	h := startDocument(t, "")
	i := startDocuments(t)
	wins := all64(func(int) bool { return i.visit(h.id).title == "Sign in" })
	if wins != 64 || h.fetched.Load() != 1 {
		t.Errorf("%d of 64 got in, by %d fetches", wins, h.fetched.Load())
	}
}

// Who is registered under a URL is what that says.
func TestPoint36_ARegistrationIsNotLookedUp(t *testing.T) {
	t.Parallel()
	h := startDocument(t, "")
	store := authserver.NewMemoryStore(nil)
	i := startDocuments(t, withStore(store))
	for name, put := range map[string]func(*authserver.Client){
		"in the store": func(c *authserver.Client) {
			if err := store.PutClient(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		},
	} {
		put(&authserver.Client{ClientID: h.id, TokenEndpointAuthMethod: "none", GrantTypes: []string{"authorization_code"}, RedirectURIs: []string{"https://app.example/fixed"}, Scope: "orders:read", Audience: []string{ordersAPI}})
		if s := i.visit(h.id); !s.isPage(400) || h.fetched.Load() != 0 {
			t.Errorf("%s: %d %s", name, s.status, s.body)
		}
	}
}

// Credentials that no client of a document has are no reason to fetch one.
func TestPoint36_ASecretFetchesNothing(t *testing.T) {
	t.Parallel()
	h := startDocument(t, "")
	i := startDocuments(t)
	req := i.request("/token", form(codeForm("x", appURI)...).Encode())
	req.SetBasicAuth(url.QueryEscape(h.id), "secret")
	if a := i.do(req); a.outcome() != "401 invalid_client" || h.fetched.Load() != 0 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := i.send("/token", form(codeForm("x", appURI, "client_id", h.id, "client_secret", "secret")...)); a.outcome() != "401 invalid_client" || h.fetched.Load() != 0 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestPoint37_ADocumentGivesNoPrivileges(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ES256", "k1")
	h := startDocument(t, `,"client_name":"x","scope":"orders:read bills:read","grant_types":["authorization_code","client_credentials","`+deviceGrant+`"],"skip_consent":true,`+
		`"audience":["`+billingAPI+`"],"access_token_strategy":"opaque","token_endpoint_auth_method":"private_key_jwt","jwks":`+string(jwks(t, s)))
	i := startDocuments(t)
	b := i.browser()
	params := authParams(login{id: h.id}, "redirect_uri", appURI)
	code := b.grant(params).response().Get("code")
	if again := b.authorize(params); again.title != "Allow access?" {
		t.Errorf("consent is skipped: %d %s", again.status, again.title)
	}
	a := i.assert("/token", s.sign(t, nil, i.claims(h.id)), codeForm(code, appURI)...)
	if _, payload := parts(t, a.member("access_token")); a.member("scope") != "orders:read" || fmt.Sprint(payload["aud"]) != "["+ordersAPI+"]" {
		t.Errorf("%s", a.body)
	}
	for name, pairs := range map[string][]string{"client_credentials": {"grant_type", "client_credentials"}, "a device": {"grant_type", deviceGrant, "device_code", "x"}} {
		if a := i.assert("/token", s.sign(t, nil, i.claims(h.id)), pairs...); a.outcome() != "400 unauthorized_client" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if a := i.assert("/introspect", s.sign(t, nil, i.claims(h.id)), "token", i.token(shop, "resource", ordersAPI)); string(a.body) != `{"active":false}` {
		t.Errorf("it sees the tokens of others: %s", a.body)
	}
	params.Set("scope", "bills:read")
	if s := b.authorize(params); !s.isPage(400) || !strings.Contains(s.text, "scope goes beyond") {
		t.Errorf("%d %s", s.status, s.text)
	}
}

// A method beyond the policy is one that no client of a document has.
func TestPoint37_DocumentsAreHeldToAuthMethods(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ES256", "k1")
	keys := `,"token_endpoint_auth_method":"private_key_jwt","jwks":` + string(jwks(t, s))
	for allowed, members := range map[string]map[bool]string{"private_key_jwt": {true: keys, false: ""}, "none": {true: "", false: keys}} {
		i := startDocuments(t, func(c *authserver.Config) { c.ClientIDMetadataDocuments.Policy.AuthMethods = []string{allowed} })
		good, bad := startDocument(t, members[true]), startDocument(t, members[false])
		if p := i.visit(good.id); p.title != "Sign in" {
			t.Errorf("%s: %d %s", allowed, p.status, p.body)
		}
		if p := i.visit(bad.id); !p.isPage(400) || !strings.Contains(p.text, "leads to no client ID metadata document that can be used here") {
			t.Errorf("but %s: %d %s", allowed, p.status, p.text)
		}
		if a := i.send("/token", form(codeForm("x", appURI, "client_id", bad.id)...)); a.outcome() != "401 invalid_client" {
			t.Errorf("but %s: %d %s", allowed, a.status, a.body)
		}
	}
}

func TestNew_ClientIDMetadataDocuments(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		edit func(*authserver.Config)
		want string
	}{
		"nobody signs in": {func(c *authserver.Config) { c.Users = nil }, "Users or Login"},
		"no audience":     {func(c *authserver.Config) { c.ClientIDMetadataDocuments.Policy.Audience = nil }, ".Policy.Audience"},
		"a secret": {func(c *authserver.Config) {
			c.ClientIDMetadataDocuments.Policy.AuthMethods = []string{"client_secret_basic"}
		}, ".Policy.AuthMethods[0]"},
		"a URL": {func(c *authserver.Config) {
			c.ClientIDMetadataDocuments.Hosts = []string{"a.example", "https://a.example"}
		}, ".Hosts[1]"},
		"upper case": {func(c *authserver.Config) { c.ClientIDMetadataDocuments.Hosts = []string{"A.example"} }, ".Hosts[0]"},
		"a path":     {func(c *authserver.Config) { c.ClientIDMetadataDocuments.Hosts = []string{"a.example/"} }, ".Hosts[0]"},
		"a pattern":  {func(c *authserver.Config) { c.ClientIDMetadataDocuments.Hosts = []string{"*.example"} }, ".Hosts[0]"},
		"nothing":    {func(c *authserver.Config) { c.ClientIDMetadataDocuments.Hosts = []string{""} }, ".Hosts[0]"},
	} {
		cfg := authserver.Config{Issuer: "https://issuer.example", Users: users()}
		withDocuments(&cfg)
		row.edit(&cfg)
		_, err := authserver.New(cfg)
		if err == nil || !strings.HasPrefix(err.Error(), "authserver: Config.ClientIDMetadataDocuments") || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
