package authserver_test

import (
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/countermark/countermark/authserver"
)

var endpoints = []string{"/token", "/introspect", "/revoke"}

func TestPoint04_NoImplicitHybridOrPasswordGrant(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	for _, g := range []string{"password", "implicit", "Client_Credentials", "client_credentials ", "x", "authorization_code", jwtBearer} {
		a := i.post("/token", shop, form("grant_type", g, "username", "u", "password", "p"))
		if a.status != 400 || a.member("error") != "unsupported_grant_type" {
			t.Errorf("%q: %d %s", g, a.status, a.body)
		}
	}
	about := i.get(i.url + "/.well-known/oauth-authorization-server").object()
	if fmt.Sprint(about["grant_types_supported"], about["response_types_supported"]) != "[client_credentials urn:ietf:params:oauth:grant-type:token-exchange] []" {
		t.Error(about)
	}
}

func TestPoint17_PostOnly(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	for _, path := range endpoints {
		for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} {
			req := i.request(path, form("grant_type", "client_credentials", "token", "x").Encode())
			req.Method = method
			req.SetBasicAuth(shop.id, shop.secret)
			if a := i.do(req); a.status != 405 || a.header.Get("Allow") != "POST" {
				t.Errorf("%s %s: %d, Allow %q", method, path, a.status, a.header.Get("Allow"))
			}
		}
	}
	for _, path := range []string{"/jwks", "/.well-known/oauth-authorization-server"} {
		if a := i.post(path, shop, form()); a.status != 405 || a.header.Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: %d, Allow %q", path, a.status, a.header.Get("Allow"))
		}
	}
}

func TestPoint17_FormsOnly(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	for contentType, status := range map[string]int{
		"application/x-www-form-urlencoded":                200,
		"application/x-www-form-urlencoded; charset=UTF-8": 200,
		"Application/X-WWW-Form-URLencoded":                200,
		"":                                                 415,
		"application/json":                                 415,
		"text/plain":                                       415,
		"multipart/form-data; boundary=x":                  415,
		"application/x-www-form-urlencoded, a":             415,
	} {
		req := i.request("/token", "grant_type=client_credentials")
		req.SetBasicAuth(shop.id, shop.secret)
		req.Header.Set("Content-Type", contentType)
		if a := i.do(req); a.status != status || status != 200 && a.member("error") != "invalid_request" {
			t.Errorf("%q: %d %s", contentType, a.status, a.body)
		}
	}
}

func TestPoint17_OneContentTypeAndNoContentEncoding(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	for name, values := range map[string][2]string{
		"a second type": {"Content-Type", "application/json"},
		"the same type": {"Content-Type", "application/x-www-form-urlencoded"},
		"compressed":    {"Content-Encoding", "gzip"},
		"in two layers": {"Content-Encoding", "identity, gzip"},
	} {
		req := i.request("/token", "grant_type=client_credentials")
		req.SetBasicAuth(shop.id, shop.secret)
		req.Header.Add(values[0], values[1])
		if a := i.do(req); a.status != 415 || a.member("error") != "invalid_request" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		for _, path := range []string{"/authorize", "/login", "/consent", "/par"} {
			req := i.request(path, authParams(web).Encode())
			req.SetBasicAuth(web.id, web.secret)
			req.Header.Add(values[0], values[1])
			if a := i.do(req); a.status != 415 {
				t.Errorf("%s at %s: %d %s", name, path, a.status, a.body)
			}
		}
	}
}

func TestPoint17_NothingInTheQuery(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	secrets := form("client_id", batch.id, "client_secret", batch.secret)
	grant := form("grant_type", "client_credentials")
	req := i.request("/token?"+secrets.Encode(), grant.Encode())
	if a := i.do(req); a.status != 400 || a.member("error") != "invalid_request" {
		t.Errorf("credentials in the query: %d %s", a.status, a.body)
	}
	req = i.request("/token?"+grant.Encode(), "")
	req.SetBasicAuth(shop.id, shop.secret)
	if a := i.do(req); a.status != 400 || a.member("error") != "invalid_request" {
		t.Errorf("a grant in the query: %d %s", a.status, a.body)
	}
	req = i.request("/introspect?token="+i.token(shop), "")
	req.SetBasicAuth(orders.id, orders.secret)
	if a := i.do(req); a.status != 400 || a.member("error") != "invalid_request" {
		t.Errorf("a token in the query: %d %s", a.status, a.body)
	}
}

func TestPoint18_JSONThatIsNotStored(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	for _, a := range []answer{
		i.post("/token", shop, form("grant_type", "client_credentials")),
		i.post("/token", shop, form("grant_type", "x")),
		i.post("/token", login{}, form()),
		i.introspect(orders, i.token(shop)),
		i.introspect(orders, "x"),
		i.introspect(login{}, "x"),
		i.post("/revoke", shop, form("token", "x")),
		i.post("/revoke", shop, form()),
		i.get(i.url + "/token"),
	} {
		h := a.header
		if h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "no-store" || h.Get("Pragma") != "no-cache" ||
			h.Get("X-Content-Type-Options") != "nosniff" || a.object() == nil {
			t.Errorf("%d %v %s", a.status, h, a.body)
		}
	}
}

func TestPoint19_Errors(t *testing.T) {
	t.Parallel()
	i := start(t, "", func(c *authserver.Config) {
		c.Clients = append(c.Clients, authserver.Client{ClientID: "idle", SecretHash: authserver.HashOf("0123"), GrantTypes: []string{"client_credentials"}})
	})
	grant := "client_credentials"
	for _, c := range []struct {
		name   string
		as     login
		params url.Values
		status int
		code   string
	}{
		{"wrong secret", login{shop.id, stranger.secret}, form("grant_type", grant), 401, "invalid_client"},
		{"empty secret", login{shop.id, ""}, form("grant_type", grant), 401, "invalid_client"},
		{"unknown client", stranger, form("grant_type", grant), 401, "invalid_client"},
		{"no client", login{}, form("grant_type", grant), 401, "invalid_client"},
		{"client_id alone", login{}, form("grant_type", grant, "client_id", shop.id), 401, "invalid_client"},
		{"an assertion", login{}, form("grant_type", grant, "client_id", shop.id, "client_assertion", "a.b.c"), 401, "invalid_client"},
		{"no grant type", shop, form("scope", "orders:read"), 400, "invalid_request"},
		{"unknown grant type", shop, form("grant_type", "urn:x"), 400, "unsupported_grant_type"},
		{"grant type of others", orders, form("grant_type", grant), 400, "unauthorized_client"},
		{"scope of others", batch, form("grant_type", grant, "scope", "orders:read orders:write"), 400, "invalid_scope"},
		{"unknown scope", shop, form("grant_type", grant, "scope", "admin"), 400, "invalid_scope"},
		{"malformed scope", shop, form("grant_type", grant, "scope", "orders:read  orders:write"), 400, "invalid_scope"},
		{"resource of others", batch, form("grant_type", grant, "resource", billingAPI), 400, "invalid_target"},
		{"malformed resource", shop, form("grant_type", grant, "resource", "orders"), 400, "invalid_target"},
		{"no resource to have", login{"idle", "0123"}, form("grant_type", grant), 400, "invalid_target"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := i.post("/token", c.as, c.params)
			if a.status != c.status || a.member("error") != c.code {
				t.Errorf("%d %s", a.status, a.body)
			}
			if !regexp.MustCompile(`^[\x20-\x21\x23-\x5B\x5D-\x7E]+$`).MatchString(a.member("error_description")) {
				t.Errorf("description %q has characters that RFC 6749 section 5.2 excludes", a.member("error_description"))
			}
			if got := strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Basic realm="); got != (c.status == 401) {
				t.Errorf("WWW-Authenticate: %q", a.header.Get("WWW-Authenticate"))
			}
		})
	}
}

func TestPoint20_OneAuthenticationMechanism(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	for name, edit := range map[string]func(*http.Request, url.Values){
		"Basic and body":      func(_ *http.Request, v url.Values) { v.Set("client_secret", shop.secret) },
		"Basic and assertion": func(_ *http.Request, v url.Values) { v.Set("client_assertion", "a.b.c") },
		"body and assertion": func(r *http.Request, v url.Values) {
			r.Header.Del("Authorization")
			v.Set("client_secret", shop.secret)
			v.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		},
		"two Authorization headers": func(r *http.Request, _ url.Values) {
			r.Header.Add("Authorization", r.Header.Get("Authorization"))
		},
		"Basic and another client_id": func(_ *http.Request, v url.Values) { v.Set("client_id", batch.id) },
	} {
		for _, path := range endpoints {
			params := form("grant_type", "client_credentials", "token", "x", "client_id", shop.id)
			req := i.request(path, "")
			req.SetBasicAuth(shop.id, shop.secret)
			edit(req, params)
			again := i.request(path, params.Encode())
			again.Header = req.Header
			if a := i.do(again); a.status != 400 || a.member("error") != "invalid_request" {
				t.Errorf("%s at %s: %d %s", name, path, a.status, a.body)
			}
		}
	}
	if a := i.post("/token", shop, form("grant_type", "client_credentials", "client_id", shop.id, "client_secret", "")); a.status != 200 {
		t.Errorf("Basic with its own client_id and an empty secret beside it: %d %s", a.status, a.body)
	}
}

func TestPoint20_NoParameterTwice(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	for _, twice := range []string{"grant_type=client_credentials", "scope=orders%3Aread", "unknown=1", "client_id=shop", "scope="} {
		req := i.request("/token", "grant_type=client_credentials&scope=orders%3Aread&client_id=shop&unknown=2&"+twice)
		req.SetBasicAuth(shop.id, shop.secret)
		if a := i.do(req); a.status != 400 || a.member("error") != "invalid_request" {
			t.Errorf("%s: %d %s", twice, a.status, a.body)
		}
	}
}

func TestPoint20_TheRegisteredMethodIsEnforced(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	params := form("grant_type", "client_credentials", "token", "x")
	for _, path := range endpoints {
		posted := form("client_id", shop.id, "client_secret", shop.secret)
		for name := range params {
			posted.Set(name, params.Get(name))
		}
		if a := i.post(path, login{}, posted); a.status != 401 || a.member("error") != "invalid_client" {
			t.Errorf("%s: a client of client_secret_basic posts: %d %s", path, a.status, a.body)
		}
		req := i.request(path, params.Encode())
		req.SetBasicAuth(batch.id, batch.secret)
		if a := i.do(req); a.status != 401 || a.member("error") != "invalid_client" {
			t.Errorf("%s: a client of client_secret_post uses Basic: %d %s", path, a.status, a.body)
		}
	}
}

// Whether a client exists, and how it is registered, is told to nobody who has
// not its secret.
func TestPoint20_AFailureTellsNothing(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	grant := form("grant_type", "client_credentials")
	var want string
	for _, as := range []login{stranger, {shop.id, stranger.secret}, {batch.id + "x", batch.secret}, {"", "x"}, {kiosk.id, ""}} {
		basic := i.post("/token", as, grant)
		posted := i.post("/token", login{}, form("grant_type", "client_credentials", "client_id", as.id, "client_secret", as.secret+"x"))
		for _, a := range []answer{basic, posted} {
			a.header.Del("Date")
			got := fmt.Sprint(a.status, a.header, string(a.body))
			if want == "" {
				want = got
			}
			if got != want {
				t.Errorf("%q: %s\nand not %s", as.id, got, want)
			}
		}
	}
}

// What is wrong with a stored client, too, is told to nobody who has not its
// secret, and finding out about a client costs as much as about none.
func TestPoint20_AFailureTellsNothingOfStoredClients(t *testing.T) {
	t.Parallel()
	stored := authserver.Client{ClientID: "stored", SecretHash: authserver.HashOf("0123456789")}
	broken := stored
	broken.ClientID, broken.Scope = "broken", "two  spaces"
	s := fixedStore{Store: authserver.NewMemoryStore(nil), clients: map[string]*authserver.Client{
		"stored": &stored, "broken": &broken, "Stored": &stored, "none": nil,
	}}
	i := start(t, "", withStore(s))
	grant := form("grant_type", "client_credentials")
	want := i.post("/token", stranger, grant)
	for _, id := range []string{"stored", "broken", "Stored"} {
		if a := i.post("/token", login{id, "x"}, grant); a.status != 401 || string(a.body) != string(want.body) {
			t.Errorf("%s: %d %s", id, a.status, a.body)
		}
	}
	for id, status := range map[string]int{"stored": 400, "broken": 500, "Stored": 401, "none": 503} {
		if a := i.post("/token", login{id, "0123456789"}, grant); a.status != status {
			t.Errorf("%s with its secret: %d %s", id, a.status, a.body)
		}
	}
	if log := i.log.String(); !strings.Contains(log, `client \"broken\" in the store: scope: `) {
		t.Errorf("the log does not say why: %s", log)
	}
}

// As long as nobody has its secret, a stored client costs no more work than one
// that is not there.
func TestPoint20_AFailureTakesNoLongerForStoredClients(t *testing.T) { //nolint:paralleltest // it counts allocations
	stored := authserver.Client{ClientID: "stored", SecretHash: authserver.HashOf("0123456789"), Scope: strings.Repeat("scope ", 99) + "scope"}
	for n := range 99 {
		stored.Audience = append(stored.Audience, fmt.Sprint("https://api.example/", n))
	}
	s := fixedStore{Store: authserver.NewMemoryStore(nil), clients: map[string]*authserver.Client{"stored": &stored}}
	i := start(t, "", withStore(s), func(c *authserver.Config) { c.Logger = slog.New(slog.DiscardHandler) })
	cost := func(id string) float64 {
		least := math.Inf(1)
		for range 10 { // what other tests have left running may add some
			least = min(least, testing.AllocsPerRun(20, func() {
				req := i.request("/token", "grant_type=client_credentials")
				req.SetBasicAuth(id, "x")
				i.ServeHTTP(httptest.NewRecorder(), req)
			}))
		}
		return least
	}
	if absent, there := cost("absent"), cost("stored"); there > absent+1 {
		t.Errorf("%v allocations for a client that is there, %v for one that is not", there, absent)
	}
}

func TestPoint25_ClientCredentials(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	a := i.post("/token", shop, form("grant_type", "client_credentials", "scope", "bills:read orders:read"))
	if a.status != 200 || a.member("scope") != "bills:read orders:read" || a.member("token_type") != "Bearer" || a.object()["expires_in"] != 600.0 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if _, has := a.object()["refresh_token"]; has || len(a.object()) != 4 {
		t.Errorf("more than RFC 6749 section 4.4.3 allows: %s", a.body)
	}
	if _, payload := parts(t, a.member("access_token")); payload["scope"] != "bills:read orders:read" || payload["sub"] != shop.id {
		t.Error(payload)
	}
	if a := i.post("/token", shop, form("grant_type", "client_credentials")); a.member("scope") != "orders:read orders:write bills:read" {
		t.Errorf("the default scope: %s", a.body)
	}
	c := clients()[0]
	c.TokenEndpointAuthMethod, c.SecretHash = "none", authserver.Hash{}
	if _, err := authserver.New(authserver.Config{Issuer: i.url, Clients: []authserver.Client{c}}); err == nil {
		t.Error("a public client was registered for client_credentials")
	}
}

// The endpoints that come with people are as the others are.
func TestPoint17_18_20_PushedAndDeviceRequests(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	for path, as := range map[string]login{"/par": web, "/device_authorization": box} {
		good := form("scope", "orders:read")
		if path == "/par" {
			good = authParams(web)
		}
		ask := func(edit func(*http.Request)) answer {
			req := i.request(path, good.Encode())
			req.SetBasicAuth(as.id, as.secret)
			edit(req)
			return i.do(req)
		}
		body := func(text string) func(*http.Request) {
			return func(r *http.Request) {
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
			}
		}
		for name, c := range map[string]struct {
			edit   func(*http.Request)
			status int
			code   string
		}{
			"as it should be":   {func(*http.Request) {}, map[string]int{"/par": 201}[path] + map[string]int{"/device_authorization": 200}[path], ""},
			"GET":               {func(r *http.Request) { r.Method = http.MethodGet }, 405, "invalid_request"},
			"PUT":               {func(r *http.Request) { r.Method = http.MethodPut }, 405, "invalid_request"},
			"JSON":              {func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }, 415, "invalid_request"},
			"a query":           {func(r *http.Request) { r.URL.RawQuery = "client_secret=x" }, 400, "invalid_request"},
			"65 KiB":            {body("x=" + strings.Repeat("x", 65<<10)), 413, "invalid_request"},
			"a parameter twice": {body(good.Encode() + "&scope=x&scope=x"), 400, "invalid_request"},
			"two ways":          {body(good.Encode() + "&client_secret=x"), 400, "invalid_request"},
			"another client":    {body("client_id=" + portal.id), 400, "invalid_request"},
			"a wrong secret":    {func(r *http.Request) { r.SetBasicAuth(as.id, "x") }, 401, "invalid_client"},
			"a wrong method": {func(r *http.Request) {
				r.Header.Del("Authorization")
				body(form("client_id", as.id, "client_secret", as.secret).Encode())(r)
			}, 401, "invalid_client"},
		} {
			a := ask(c.edit)
			h := a.header
			if a.status != c.status || a.member("error") != c.code || h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "no-store" ||
				h.Get("X-Content-Type-Options") != "nosniff" || (h.Get("Allow") == "POST") != (c.status == 405) || (h.Get("WWW-Authenticate") != "") != (c.status == 401) {
				t.Errorf("%s: %s: %d %v %s", path, name, a.status, h, a.body)
			}
		}
	}
}

// Who reads a description knows what to change: the parameter, and to what.
func TestPoint19_DescriptionsNameWhatToChange(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	k := newDPoPKey(t)
	says := func(a answer) string { return a.member("error_description") }
	cc := func(extra ...string) string {
		return says(i.post("/token", shop, form(append(extra, "grant_type", grantCC)...)))
	}
	asked := func(extra ...string) string {
		return b.authorize(authParams(web, extra...)).response().Get("error_description")
	}
	twice := func(name string) string {
		return says(i.post("/token", shop, url.Values{"grant_type": {grantCC}, name: {"x", "y"}}))
	}
	for want, got := range map[string]string{
		"scope is given more than once":                                 twice("scope"),
		"code_verifier is given more than once":                         twice("code_verifier"),
		"a parameter is given more than once":                           twice("canary"), // it may be a secret
		"256 at most":                                                   cc("scope", "a  b"),
		"grant_types of the client lacks authorization_code":            says(i.redeem(shop, "x")),
		"grant_type must be one of grant_types_supported":               says(i.post("/token", shop, form("grant_type", "x"))),
		"for this request: htu":                                         says(i.ask(shop, i.proof(k, edits{"htu": "https://canary.example"}))),
		"for this request: iat":                                         says(i.ask(shop, i.proof(k, edits{"iat": 1}))),
		"client_assertion_type must be urn:":                            says(i.post("/token", login{}, form("client_assertion", "x"))),
		"only one of Authorization, client_secret and client_assertion": cc("client_secret", "x"),
		"none, login, consent and select_account":                       asked("prompt", "x"),
		"none alone":                          asked("prompt", "none login"),
		"request is not supported":            asked("request", "x"),
		"prompt is none":                      asked("prompt", "none"),
		"code_challenge_method must be S256":  asked("code_challenge_method", "plain"),
		"max_age must be a number of seconds": asked("max_age", "x"),
		"client_id is not that of a client":   b.authorize(authParams(web, "client_id", "canary")).text,
	} {
		if !strings.Contains(got, want) || strings.Contains(got, "canary") {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
