package authserver_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

// cookie returns the value of the issuer's cookie.
func (b *browser) cookie() string {
	u, _ := url.Parse(b.i.url)
	all := b.client.Jar.Cookies(u)
	if len(all) != 1 {
		b.i.t.Fatalf("cookies: %v", all)
	}
	return all[0].Value
}

func TestPoint12_FormsOfOthersAreForbidden(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b, other := i.browser(), i.browser()
	right := []string{"username", "alice", "password", "alice-password", "decision", "allow"}
	signIn, otherSignIn := b.authorize(authParams(web)), other.authorize(authParams(web))
	forbidden := func(name string, s *screen) {
		t.Helper()
		if !s.isPage(403) {
			t.Errorf("%s: %d %s", name, s.status, s.header.Get("Location"))
		}
	}
	attack := func(page string, s, foreign *screen) {
		t.Helper()
		forbidden(page+" without a token", b.submit(s, append(right, "csrf", "")...))
		forbidden(page+" with another session's token", b.submit(s, append(right, "csrf", foreign.fields.Get("csrf"))...))
		forbidden(page+" for another request", b.submit(s, append(right, "request", authParams(portal).Encode())...))
		forbidden(page+" without a cookie", i.browser().submit(s, right...))
		forbidden(page+" with another's cookie", other.submit(s, right...))
		b.header.Set("Sec-Fetch-Site", "cross-site")
		forbidden(page+" from another site", b.submit(s, right...))
		b.header.Set("Sec-Fetch-Site", "same-site")
		forbidden(page+" from a subdomain", b.submit(s, right...))
		b.header.Del("Sec-Fetch-Site")
	}
	attack("sign-in", signIn, otherSignIn)
	b.header.Set("Sec-Fetch-Site", "same-origin")
	b.header.Set("Origin", "null") // what browsers send with no-referrer
	consent, otherConsent := b.signIn(signIn, "alice"), other.signIn(otherSignIn, "bob")
	b.header.Del("Sec-Fetch-Site")
	b.header.Del("Origin")
	attack("consent", consent, otherConsent)
	forbidden("sign-in's token at consent", b.submit(consent, append(right, "csrf", signIn.fields.Get("csrf"))...))
	if s := b.submit(consent, "decision", "allow"); s.response().Get("code") == "" {
		t.Errorf("the right form: %d %s", s.status, s.body)
	}
}

// Whoever is taken out of the configuration is out at the next start, whatever the
// store holds: a session, or a refresh token of a client.
func TestPoint12_WhoIsNoUserAnyMoreIsOut(t *testing.T) {
	t.Parallel()
	store := authserver.NewMemoryStore(nil)
	before := startWeb(t, "", withStore(store), withRefresh)
	b := before.browser()
	code := b.grant(authParams(web)).response().Get("code")
	token := before.redeem(web, code).member("refresh_token")
	after := func(users []authserver.User) (signedIn bool, status int) {
		i := startWeb(t, "", withStore(store), withRefresh, func(c *authserver.Config) { c.Issuer, c.Users = before.url, users })
		req := httptest.NewRequest(http.MethodGet, "/authorize?"+authParams(web).Encode(), http.NoBody)
		u, _ := url.Parse(before.url)
		req.AddCookie(b.client.Jar.Cookies(u)[0])
		w := httptest.NewRecorder()
		i.ServeHTTP(w, req)
		req = i.request("/token", form("grant_type", "refresh_token", "refresh_token", token).Encode())
		req.SetBasicAuth(web.id, web.secret)
		refreshed := httptest.NewRecorder()
		i.ServeHTTP(refreshed, req)
		return w.Code == http.StatusSeeOther, refreshed.Code
	}
	if signedIn, status := after(users()[1:]); signedIn || status != 400 {
		t.Errorf("without alice: signed in %v, refresh %d", signedIn, status)
	}
	if signedIn, status := after(users()); !signedIn || status != 200 {
		t.Errorf("with alice: signed in %v, refresh %d", signedIn, status)
	}
}

// Of two pages that are open, the sign-in on one makes the form of the other
// worthless, and the person can go on nevertheless.
func TestPoint12_AFormOfBeforeTheSignInLeadsOn(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "/tenant")
	b := i.browser()
	one, two := b.authorize(authParams(web)), b.authorize(authParams(web, "state", "two"))
	consent := b.signIn(one, "alice")
	goOn := func(s *screen, wantState string) {
		t.Helper()
		if !s.isPage(403) || !strings.HasPrefix(s.link, "/tenant/authorize?") {
			t.Fatalf("%d %s", s.status, s.body)
		}
		s = b.get(i.host + s.link)
		if s.title != "Allow access?" {
			t.Fatalf("%d %s", s.status, s.body)
		}
		if s = b.submit(s, "decision", "allow"); !s.response().Has("code") || s.response().Get("state") != wantState {
			t.Errorf("%d %s", s.status, s.header.Get("Location"))
		}
	}
	b.header.Set("Sec-Fetch-Site", "same-origin")
	goOn(b.submit(two, "username", "alice", "password", "alice-password"), "two")
	again := b.authorize(authParams(web, "prompt", "login", "state", "three"))
	b.signIn(again, "bob")
	goOn(b.submit(consent, "decision", "allow"), state)

	b.header.Set("Sec-Fetch-Site", "same-site")
	if s := b.submit(consent, "decision", "allow"); !s.isPage(403) || s.link != "" {
		t.Errorf("a page of another site leads on: %s", s.body)
	}
	b.header.Del("Sec-Fetch-Site")
	if s := i.browser().submit(consent, "decision", "allow"); !s.isPage(403) || s.link != "" || !strings.Contains(s.text, "cookies may be turned off") {
		t.Errorf("without a cookie: %s", s.body)
	}
	if s := b.submit(consent, "csrf", "x", "request", `"><script>&client_id="><script>`); !s.isPage(403) || strings.Contains(string(s.body), "<script>") {
		t.Errorf("%s", s.body)
	}
}

func TestPoint12_GETNeverGrants(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	s := b.signIn(b.authorize(authParams(web)), "alice")
	fields := s.fields
	fields.Set("decision", "allow")
	for _, path := range []string{"/consent", "/login"} {
		if s := b.get(i.url + path + "?" + fields.Encode()); s.status != 405 || s.header.Get("Location") != "" {
			t.Errorf("GET %s: %d", path, s.status)
		}
	}
	for _, where := range []string{"/authorize?" + authParams(web).Encode() + "&" + fields.Encode(), "/authorize?" + authParams(web, "decision", "allow").Encode()} {
		if s := b.get(i.url + where); s.status == 303 && s.response().Has("code") {
			t.Errorf("%s: %s", where, s.header.Get("Location"))
		}
	}
	if s := b.post(i.url+"/consent?"+fields.Encode(), url.Values{}); !s.isPage(400) {
		t.Errorf("a form in the query: %d", s.status)
	}
}

func TestPoint12_TheSessionChangesAtSignIn(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b, thief := i.browser(), i.browser()
	signIn := b.authorize(authParams(web))
	planted := b.cookie()
	b.signIn(signIn, "alice")
	first := b.cookie()
	b.signIn(b.authorize(authParams(web, "prompt", "login")), "alice")
	second := b.cookie()
	if planted == first || first == second {
		t.Fatal("the cookie stays")
	}
	u, _ := url.Parse(i.url)
	for name, value := range map[string]string{"before the sign-in": planted, "before the second one": first, "of nobody": strings.Repeat("A", 43)} {
		thief.client.Jar.SetCookies(u, []*http.Cookie{{Name: b.client.Jar.Cookies(u)[0].Name, Value: value}})
		if s := thief.authorize(authParams(web)); s.title != "Sign in" {
			t.Errorf("the cookie %s is signed in: %s", name, s.body)
		}
	}
	thief.client.Jar.SetCookies(u, []*http.Cookie{{Name: b.client.Jar.Cookies(u)[0].Name, Value: second}})
	if s := thief.authorize(authParams(web)); s.title != "Allow access?" {
		t.Error("the right cookie does not count") // or the test above shows nothing
	}
}

func TestPoint12_SessionsEnd(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	b.grant(authParams(portal))
	i.clock.Advance(12*time.Hour - time.Second)
	if s := b.authorize(authParams(portal)); !s.response().Has("code") {
		t.Errorf("%d", s.status)
	}
	i.clock.Advance(time.Second)
	if s := b.authorize(authParams(portal)); s.title != "Sign in" {
		t.Errorf("after 12 hours: %d", s.status)
	}
}

func TestPoint14_PromptNone(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	silently := func(as login, want string, extra ...string) {
		t.Helper()
		s := b.authorize(authParams(as, append(extra, "prompt", "none")...))
		if s.status != 303 || s.response().Get("error") != want || s.response().Has("code") != (want == "") || s.response().Get("state") != state {
			t.Errorf("%d %s, want %q", s.status, s.header.Get("Location"), want)
		}
	}
	silently(portal, "login_required")
	silently(web, "login_required")
	b.grant(authParams(portal))
	silently(portal, "")
	silently(web, "consent_required")
	b.grant(authParams(web))
	silently(web, "")
	i.clock.Advance(10 * time.Second)
	silently(portal, "", "max_age", "10")
	silently(portal, "login_required", "max_age", "9")
	silently(portal, "login_required", "max_age", "0")
	for _, prompt := range []string{"none login", "login none", "none none x", "x", "None", "login,consent", "create"} {
		if s := b.authorize(authParams(portal, "prompt", prompt)); s.response().Get("error") != "invalid_request" {
			t.Errorf("%q: %d %s", prompt, s.status, s.header.Get("Location"))
		}
	}
}

func TestPoint14_PromptLoginAsksAgain(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	b.grant(authParams(portal))
	for _, prompt := range []string{"login", "select_account", "login consent", "consent login"} {
		params := authParams(portal, "prompt", prompt)
		for range 2 { // the same request again
			i.clock.Advance(time.Minute)
			s := b.authorize(params)
			if s.title != "Sign in" {
				t.Fatalf("%s: %d %s", prompt, s.status, s.header.Get("Location"))
			}
			s = b.signIn(s, "bob")
			if strings.Contains(prompt, "consent") {
				s = b.submit(s, "decision", "allow")
			}
			a := i.redeem(portal, s.response().Get("code"))
			_, payload := parts(t, a.member("access_token"))
			if payload["sub"] != "sub-of-bob" || payload["auth_time"] != float64(i.clock.Now().Unix()) {
				t.Errorf("%s: %v", prompt, payload)
			}
		}
	}
}

// A sign-in is heard for its request for ten minutes.
func TestPoint14_PromptLoginWantsALateSignIn(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	for wait, title := range map[time.Duration]string{10*time.Minute - time.Second: "", 10 * time.Minute: "Sign in"} {
		s := b.submit(b.authorize(authParams(portal, "prompt", "login")), "username", "alice", "password", "alice-password")
		i.clock.Advance(wait)
		if s = b.follow(s); s.title != title {
			t.Errorf("after %v: %d %q", wait, s.status, s.title)
		}
	}
}

func TestPoint14_PromptConsentAsksAgain(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	for _, as := range []login{web, portal} {
		b.grant(authParams(as))
		if s := b.authorize(authParams(as, "prompt", "consent")); s.title != "Allow access?" {
			t.Errorf("%s: %d %s", as.id, s.status, s.header.Get("Location"))
		}
	}
}

func TestPoint14_MaxAge(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	b.grant(authParams(portal))
	signedInAt := i.clock.Now().Unix()
	i.clock.Advance(100 * time.Second)
	s := b.authorize(authParams(portal, "max_age", "100"))
	if _, payload := parts(t, i.redeem(portal, s.response().Get("code")).member("access_token")); payload["auth_time"] != float64(signedInAt) {
		t.Errorf("auth_time %v, not %d", payload["auth_time"], signedInAt)
	}
	for _, age := range []string{"99", "0"} {
		s := b.authorize(authParams(portal, "max_age", age))
		if s.title != "Sign in" {
			t.Errorf("%s: %d %s", age, s.status, s.header.Get("Location"))
			continue
		}
		s = b.signIn(s, "alice")
		if _, payload := parts(t, i.redeem(portal, s.response().Get("code")).member("access_token")); payload["auth_time"] != float64(i.clock.Now().Unix()) {
			t.Errorf("auth_time %v", payload["auth_time"])
		}
		i.clock.Advance(100 * time.Second)
	}
	for _, age := range []string{"-1", "1.5", "x", "99999999999999999999", "+1"} {
		if s := b.authorize(authParams(portal, "max_age", age)); s.response().Get("error") != "invalid_request" {
			t.Errorf("%q: %d %s", age, s.status, s.header.Get("Location"))
		}
	}
}

func TestPoint14_LoginHint(t *testing.T) {
	t.Parallel()
	b := startWeb(t, "").browser()
	if s := b.authorize(authParams(web, "login_hint", "alice")); s.fields.Get("username") != "alice" {
		t.Errorf("%s", s.body)
	}
}
