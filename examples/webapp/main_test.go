package main

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/oauth2"
)

// A browser keeps cookies, follows redirects and fills in forms.
type browser struct {
	t      *testing.T
	client *http.Client
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, &http.Client{Jar: jar}}
}

// A screen is what a browser shows.
type screen struct {
	at     *url.URL
	status int
	text   string
}

func (b *browser) read(resp *http.Response, err error) *screen {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return &screen{resp.Request.URL, resp.StatusCode, string(body)}
}

func (b *browser) open(to string) *screen { b.t.Helper(); return b.read(b.client.Get(to)) }

// submit sends the form of a page whose action ends like that.
func (b *browser) submit(s *screen, action string, fields url.Values) *screen {
	b.t.Helper()
	if !strings.Contains(s.text, `action="`+action+`"`) {
		b.t.Fatalf("no form for %s at %s: %s", action, s.at, s.text)
	}
	for _, m := range regexp.MustCompile(`type="hidden" name="(\w+)" value="([^"]*)"`).FindAllStringSubmatch(s.text, -1) {
		fields.Set(m[1], html.UnescapeString(m[2]))
	}
	return b.read(b.client.PostForm(s.at.ResolveReference(&url.URL{Path: action}).String(), fields))
}

func startSystem(t *testing.T) *system {
	t.Helper()
	s, err := start(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

// signedIn is a browser that went all the way, and the page that it ends at.
func signedIn(t *testing.T, s *system) (*browser, *screen) {
	t.Helper()
	b := newBrowser(t)
	signIn := b.submit(b.open(s.webURL), "/signin", url.Values{})
	consent := b.submit(signIn, "/login", url.Values{"username": {"alice"}, "password": {"alice"}})
	return b, b.submit(consent, "/consent", url.Values{"decision": {"allow"}})
}

func TestWebapp_SignInSeeOrdersSignOut(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	b, home := signedIn(t, s)
	if home.at.String() != s.webURL+"/" || !strings.Contains(home.text, "Two orders of user-1, for webapp.") {
		t.Fatalf("%s: %s", home.at, home.text)
	}
	before := b.client.Jar.Cookies(home.at)
	if out := b.submit(home, "/signout", url.Values{}); !strings.Contains(out.text, "You are not signed in.") {
		t.Errorf("%d %s", out.status, out.text)
	}
	if again := b.submit(b.open(s.webURL), "/signin", url.Values{}); !strings.Contains(again.text, `action="/login"`) {
		t.Errorf("signed in at the issuer yet: %s", again.text)
	}
	b.client.Jar.SetCookies(home.at, before)
	if again := b.open(s.webURL); !strings.Contains(again.text, "You are not signed in.") {
		t.Errorf("by the old cookie: %s", again.text)
	}
}

func TestWebapp_WhoSaysNoIsNotSignedIn(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	b := newBrowser(t)
	signIn := b.submit(b.open(s.webURL), "/signin", url.Values{})
	consent := b.submit(signIn, "/login", url.Values{"username": {"alice"}, "password": {"alice"}})
	if out := b.submit(consent, "/consent", url.Values{"decision": {"deny"}}); !strings.Contains(out.text, "You were not signed in.") {
		t.Errorf("%d %s", out.status, out.text)
	}
}

// RFC 9700 section 4.7.1 and RFC 9207: an answer counts if this browser asked this
// issuer for it.
func TestWebapp_AnswersOfOthersAreRefused(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	if out := newBrowser(t).open(s.webURL + "/callback?code=x&state=y&iss=" + url.QueryEscape(s.issuerURL)); out.status != http.StatusBadRequest {
		t.Errorf("nobody asked: %d %s", out.status, out.text)
	}
	b := newBrowser(t)
	signIn := b.submit(b.open(s.webURL), "/signin", url.Values{})
	state := url.QueryEscape(signIn.at.Query().Get("state"))
	for name, query := range map[string]string{
		"another state":  "state=x&iss=" + url.QueryEscape(s.issuerURL),
		"no state":       "iss=" + url.QueryEscape(s.issuerURL),
		"another issuer": "state=" + state + "&iss=https://evil.example",
		"no issuer":      "state=" + state,
	} {
		if out := b.open(s.webURL + "/callback?code=x&" + query); out.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, out.status, out.text)
		}
	}
}

// A callback that is reloaded, or reached in a second tab, is no sign-out, nor is the
// button of a page from before.
func TestWebapp_WhoIsSignedInStaysSo(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	b := newBrowser(t)
	stale := b.open(s.webURL)
	other := b.submit(stale, "/signin", url.Values{})
	signIn := b.submit(stale, "/signin", url.Values{})
	consent := b.submit(signIn, "/login", url.Values{"username": {"alice"}, "password": {"alice"}})
	b.submit(consent, "/consent", url.Values{"decision": {"allow"}})
	iss := "&iss=" + url.QueryEscape(s.issuerURL)
	for name, out := range map[string]*screen{
		"the callback again":     b.open(s.webURL + "/callback?code=x&state=" + signIn.at.Query().Get("state") + iss),
		"that of the other tab":  b.open(s.webURL + "/callback?code=x&state=" + other.at.Query().Get("state") + iss),
		"its consent was denied": b.open(s.webURL + "/callback?error=access_denied&state=" + other.at.Query().Get("state") + iss),
		"signing in once more":   b.submit(stale, "/signin", url.Values{}),
		"a visit after all that": b.open(s.webURL),
	} {
		if strings.TrimSuffix(out.at.String(), "/") != s.webURL || !strings.Contains(out.text, "Two orders of user-1") {
			t.Errorf("%s: %s: %s", name, out.at, out.text)
		}
	}
}

func TestWebapp_OtherSitesCannotPost(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	b, _ := signedIn(t, s)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.webURL+"/signout", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	if out := b.read(b.client.Do(req)); out.status != http.StatusForbidden {
		t.Errorf("%d %s", out.status, out.text)
	}
	if home := b.open(s.webURL); !strings.Contains(home.text, "Two orders") {
		t.Errorf("signed out: %s", home.text)
	}
}

func TestWebapp_AFloodOfSignInsSignsNobodyOut(t *testing.T) {
	t.Parallel()
	var s sessions
	begin := func(one *session) *http.Request {
		w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/signin", http.NoBody)
		s.begin(w, r, one)
		r.AddCookie(w.Result().Cookies()[0])
		return r
	}
	somebody := begin(&session{tokens: oauth2.StaticTokenSource(&oauth2.Token{})})
	for range maxSessions {
		begin(&session{state: "x"})
	}
	if !s.of(somebody).signedIn() {
		t.Error("signed out")
	}
	if len(s.byID) > maxSessions {
		t.Errorf("%d sessions", len(s.byID))
	}
}

func TestRun_OnLoopbackOnly(t *testing.T) {
	t.Parallel()
	if err := run(t.Context(), "192.0.2.1:8080"); err == nil || !strings.Contains(err.Error(), "-addr: must be on loopback") {
		t.Error(err)
	}
}
