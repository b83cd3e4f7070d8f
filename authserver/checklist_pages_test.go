package authserver_test

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/countermark/countermark/authserver"
)

// everyPage returns one of each page that people see, of an issuer of startRefresh.
func everyPage(t *testing.T, i *issuer) map[string]*screen {
	t.Helper()
	b := i.browser()
	pages := map[string]*screen{"sign-in": b.authorize(authParams(web))}
	pages["wrong password"] = b.submit(pages["sign-in"], "username", "alice", "password", "x")
	pages["consent"] = b.signIn(pages["sign-in"], "alice")
	pages["form_post"] = b.submit(b.authorize(authParams(web, "response_mode", "form_post")), "decision", "allow")
	pages["error"] = b.authorize(authParams(web, "client_id", "x"))
	pages["forged"] = b.submit(pages["consent"], "csrf", "x")
	device := func() *screen { return b.enter(i.device(tv).userCode) }
	pages["device"] = b.get(strings.TrimSuffix(i.url, "/") + "/device")
	pages["wrong code"] = b.enter("BBBB-BBBB")
	pages["device consent"] = device()
	pages["device done"] = b.submit(device(), "decision", "allow")
	pages["device denied"] = b.submit(device(), "decision", "deny")
	pages["sign-out"] = b.get(strings.TrimSuffix(i.url, "/") + "/end_session")
	pages["signed out"] = b.submit(pages["sign-out"])
	other := i.browser()
	form := other.authorize(authParams(web))
	for range 11 {
		pages["throttled"] = other.submit(form, "username", "eve", "password", "x")
	}
	i.reuse()
	pages["notice"] = i.browser().signInAs("alice")
	for name, want := range map[string]int{"sign-in": 200, "wrong password": 200, "consent": 200, "form_post": 200, "error": 400, "forged": 403, "throttled": 429,
		"device": 200, "wrong code": 400, "device consent": 200, "device done": 200, "device denied": 200, "notice": 200, "sign-out": 200, "signed out": 200} {
		if pages[name].status != want {
			t.Fatalf("%s: %d %s", name, pages[name].status, pages[name].body)
		}
	}
	return pages
}

// Whoever opens the address of a form again is a person.
func TestPoint17_AWrongMethodAtAPageIsAPage(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "/tenant")
	b := i.browser()
	for path, allow := range map[string]string{"/authorize": "GET, POST", "/login": "POST", "/consent": "POST"} {
		req, err := http.NewRequest(http.MethodPut, i.url+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if s := b.send(req); !s.isPage(405) || s.header.Get("Allow") != allow {
			t.Errorf("%s: %d %v %s", path, s.status, s.header, s.body)
		}
	}
	if s := b.get(i.url + "/login"); !s.isPage(405) || s.header.Get("X-Frame-Options") != "DENY" {
		t.Errorf("GET: %d %v %s", s.status, s.header, s.body)
	}
}

func TestPoint09_FormPost(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	b.grant(authParams(portal))
	s := b.authorize(authParams(portal, "response_mode", "form_post"))
	if s.status != 200 || s.action != portalURI || s.fields.Get("state") != state || s.fields.Get("code") == "" || len(s.fields) != 3 {
		t.Errorf("%d %s", s.status, s.body)
	}
	if a := i.redeem(portal, s.fields.Get("code")); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	s = b.authorize(authParams(portal, "response_mode", "form_post", "scope", "admin"))
	if s.status != 200 || s.action != portalURI || s.fields.Get("state") != state || s.fields.Get("error") != "invalid_scope" {
		t.Errorf("%d %s", s.status, s.body)
	}
	s = b.authorize(authParams(native, "response_mode", "form_post", "redirect_uri", "com.example.app:/cb", "prompt", "none"))
	if s.action != "com.example.app:/cb" {
		t.Errorf("%d %s", s.status, s.body)
	}
	for _, state := range []string{"\xff", "a\nb", "\x00"} { // which HTML would change
		s := b.authorize(authParams(portal, "response_mode", "form_post", "state", state))
		if s.status != 303 || s.response().Get("error") != "invalid_request" || s.response().Has("state") {
			t.Errorf("%q: %d %s", state, s.status, s.body)
		}
	}
	for _, mode := range []string{"fragment", "query.jwt", "web_message", "Query", "x"} {
		s := b.authorize(authParams(portal, "response_mode", mode))
		if s.status != 303 || s.response().Get("error") != "invalid_request" || strings.Contains(s.header.Get("Location"), "#") {
			t.Errorf("%s: %d %s", mode, s.status, s.header.Get("Location"))
		}
	}
}

// A 307 would have the browser send the form on, the password included (RFC 9700
// section 4.12).
func TestPoint09_SeeOtherAfterForms(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "/t")
	b := i.browser()
	s := b.submit(b.authorize(authParams(web)), "username", "alice", "password", "alice-password")
	if s.status != 303 || !strings.HasPrefix(s.header.Get("Location"), "/t/authorize?") || strings.Contains(s.header.Get("Location"), "password") {
		t.Errorf("sign-in: %d %s", s.status, s.header.Get("Location"))
	}
	s = b.submit(b.follow(s), "decision", "allow")
	if s.status != 303 || !strings.HasPrefix(s.header.Get("Location"), webURI+"?") || s.header.Get("Cache-Control") != "no-store" ||
		s.header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("consent: %d %v", s.status, s.header)
	}
}

// A page of the client may post the request. The cookie comes along only when the
// browser then gets it.
func TestPoint09_RequestsByPost(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	b.grant(authParams(portal))
	s := b.post(i.url+"/authorize", authParams(portal))
	if s.status != 303 || !strings.HasPrefix(s.header.Get("Location"), "/authorize?") {
		t.Fatalf("%d %s", s.status, s.body)
	}
	if s = b.follow(s); s.response().Get("code") == "" || s.response().Get("state") != state {
		t.Errorf("%d %s", s.status, s.header.Get("Location"))
	}
	twice := authParams(portal)
	twice.Add("scope", "x")
	twice.Add("scope", "y")
	if s := b.follow(b.post(i.url+"/authorize", twice)); s.response().Get("error") != "invalid_request" {
		t.Errorf("%d %s", s.status, s.header.Get("Location"))
	}
	if s := b.post(i.url+"/authorize?x=y", authParams(portal)); !s.isPage(400) {
		t.Errorf("parameters in both places: %d", s.status)
	}
}

func TestPoint10_PagesAreSelfContained(t *testing.T) {
	t.Parallel()
	i := startRefresh(t)
	for name, s := range everyPage(t, i) {
		if s.header.Get("Referrer-Policy") != "no-referrer" || s.header.Get("Cache-Control") != "no-store" || s.header.Get("X-Content-Type-Options") != "nosniff" ||
			s.header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s: %v", name, s.header)
		}
		policy := s.header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: %s", name, policy)
		}
		wantStyle(t, s)
		body := strings.ReplaceAll(string(s.body), `<a href="/authorize?`, "") // which loads nothing
		if m := regexp.MustCompile(`(?i) (src|href|style|on[a-z]+)=|<(script|link|img|iframe|base|meta http-equiv)[ >]`).FindAllString(body, -1); len(m) > 0 && name != "form_post" || len(m) > 1 {
			t.Errorf("%s: %q", name, m)
		}
	}
}

// wantStyle demands that the browser heeds the style and the script of a page.
func wantStyle(t *testing.T, s *screen) {
	t.Helper()
	policy := s.header.Get("Content-Security-Policy")
	for _, tag := range []string{"style", "script"} {
		for _, m := range regexp.MustCompile(`(?s)<`+tag+`>(.*?)</`+tag+`>`).FindAllSubmatch(s.body, -1) {
			sum := sha256.Sum256(m[1])
			if !strings.Contains(policy, tag+"-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
				t.Errorf("%s: the browser would not take its %s %q: %s", s.title, tag, m[1], policy)
			}
		}
	}
}

func TestPoint11_PagesAreNotFramed(t *testing.T) {
	t.Parallel()
	i := startRefresh(t)
	for name, s := range everyPage(t, i) {
		if !strings.Contains(s.header.Get("Content-Security-Policy")+";", "; frame-ancestors 'none';") || s.header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: %v", name, s.header)
		}
	}
}

// Chromium holds a redirect that follows a form against the form-action of the
// page, and so on to where the client sends the browser then.
func TestPoint11_FormsLeadToTheClient(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	b.grant(authParams(portal))
	for uri, want := range map[string]string{
		"http://127.0.0.1:49152/cb":   "'self' https: http://127.0.0.1:49152",
		"http://[::1]:49152/cb?x=y":   "'self' https: http:",
		"com.example.app:/cb":         "'self' https: com.example.app:",
		"https://localhost/cb":        "'self' https:",
		"https://unknown.example/cb;": "'none'",
	} {
		s := b.authorize(authParams(native, "redirect_uri", uri))
		if _, got, _ := strings.Cut(s.header.Get("Content-Security-Policy"), "; form-action "); got != want {
			t.Errorf("%s: %s, want %s", uri, got, want)
		}
	}
	s := b.authorize(authParams(portal, "response_mode", "form_post"))
	if _, got, _ := strings.Cut(s.header.Get("Content-Security-Policy"), "; form-action "); got != "https:" {
		t.Errorf("form_post: %s", got)
	}
}

func TestPoint12_TheCookie(t *testing.T) {
	t.Parallel()
	cookies := func(issuer string) []*http.Cookie {
		s, err := authserver.New(authserver.Config{Issuer: issuer, Users: users(), Clients: []authserver.Client{{
			ClientID: web.id, SecretHash: authserver.HashOf(web.secret), GrantTypes: []string{"authorization_code"}, RedirectURIs: []string{webURI}, Audience: []string{ordersAPI},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		u, _ := url.Parse(issuer)
		s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, u.Path+"/authorize?"+authParams(web).Encode(), http.NoBody))
		return w.Result().Cookies()
	}
	names := map[string]bool{}
	for _, issuer := range []string{"https://issuer.example", "https://issuer.example/t", "https://issuer.example/u", "http://127.0.0.1:9000", "http://127.0.0.1:9001"} {
		got := cookies(issuer)
		if len(got) != 1 {
			t.Fatalf("%s: %v", issuer, got)
		}
		c, https := got[0], strings.HasPrefix(issuer, "https")
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Secure != https || strings.HasPrefix(c.Name, "__Host-") != https || c.Path != "/" || c.Domain != "" {
			t.Errorf("%s: %v", issuer, c)
		}
		if b, err := base64.RawURLEncoding.DecodeString(c.Value); err != nil || len(b) < 32 {
			t.Errorf("%s: %v", issuer, c)
		}
		names[c.Name] = true
	}
	if len(names) != 5 {
		t.Errorf("issuers share a cookie: %v", names)
	}
}

func TestPoint13_NoOpenRedirector(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	s := b.authorize(authParams(web))
	for name, s := range map[string]*screen{
		"an evil host as the path":  b.get(i.url + "//evil.example/authorize?" + authParams(web).Encode()),
		"a posted evil redirect":    b.post(i.url+"/authorize", authParams(web, "redirect_uri", "https://evil.example/cb")),
		"another request signed in": b.submit(s, "username", "alice", "password", "alice-password", "request", authParams(web, "redirect_uri", "https://evil.example/cb").Encode()),
		"a URL as the request":      b.submit(s, "username", "alice", "password", "alice-password", "request", "https://evil.example"),
	} {
		if to := s.header.Get("Location"); to != "" && !strings.HasPrefix(to, "/authorize?") {
			t.Errorf("%s: %s", name, to)
		}
		if s.header.Get("Location") != "" {
			if s := b.follow(s); !s.isPage(400) {
				t.Errorf("%s: %d %s", name, s.status, s.header.Get("Location"))
			}
		}
	}
}

func TestPoint38_PagesEscapeEverything(t *testing.T) {
	t.Parallel()
	const evil = `"><script>evil()</script><b x='`
	i := startWeb(t, "", func(c *authserver.Config) {
		c.Clients = append(c.Clients, authserver.Client{
			ClientID: evil, ClientName: evil, SecretHash: authserver.HashOf("0123"), GrantTypes: []string{"authorization_code"},
			RedirectURIs: []string{webURI}, Scope: "<script> 'x'", Audience: []string{"<script>"},
		})
	})
	b := i.browser()
	params := authParams(web, "client_id", evil, "login_hint", evil, "state", evil, "x"+evil, evil)
	signIn := b.authorize(params)
	screens := []*screen{signIn, b.submit(signIn, "username", evil, "password", evil), b.submit(signIn, "csrf", evil, evil, evil)}
	consent := b.signIn(signIn, "alice")
	posted := authParams(web, "client_id", evil, "state", evil, "response_mode", "form_post")
	screens = append(screens, consent, b.submit(b.authorize(posted), "decision", "allow"), b.submit(consent, "decision", evil),
		b.authorize(authParams(web, "client_id", evil+"x", "redirect_uri", evil)), b.get(i.url+"/authorize?"+url.QueryEscape(evil)))
	for n, s := range screens {
		if body := strings.ReplaceAll(string(s.body), "<script>document.forms[0].submit()</script>", ""); strings.Contains(body, "<script>") || strings.Contains(body, "<b ") {
			t.Errorf("%d: %s", n, s.body)
		}
		if s.status != 200 && strings.Contains(s.text, "evil") || s.link != "" && !strings.HasPrefix(s.link, "/authorize?client_id=%22%3E%3Cscript%3E") {
			t.Errorf("%d: an error page echoes: %s", n, s.body)
		}
	}
	if posted := screens[4]; posted.fields.Get("state") != evil {
		t.Errorf("the state: %q", posted.fields.Get("state"))
	}
}

// The cookie of who has signed in, on https, which replaces the first one.
func TestPoint12_TheCookieOfASession(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "", func(c *authserver.Config) { c.Issuer = "https://issuer.example" })
	visit := func(method, target, body string, cookie *http.Cookie) *http.Response {
		req := httptest.NewRequest(method, target, strings.NewReader(body))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if cookie != nil {
			req.AddCookie(cookie)
		}
		w := httptest.NewRecorder()
		i.ServeHTTP(w, req)
		return w.Result()
	}
	resp := visit(http.MethodGet, "/authorize?"+authParams(web).Encode(), "", nil)
	page := &screen{answer: answer{status: resp.StatusCode}}
	page.body, _ = io.ReadAll(resp.Body)
	page.parse(t)
	page.fields.Set("username", "alice")
	page.fields.Set("password", "alice-password")
	before := resp.Cookies()[0]
	resp = visit(http.MethodPost, page.action, page.fields.Encode(), before)
	if resp.StatusCode != 303 || len(resp.Cookies()) != 1 {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	c := resp.Cookies()[0]
	if !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || !strings.HasPrefix(c.Name, "__Host-") || c.Name != before.Name || c.Path != "/" || c.Domain != "" {
		t.Errorf("%v", c)
	}
}
