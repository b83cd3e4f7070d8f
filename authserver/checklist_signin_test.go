package authserver_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

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

func TestPoint15_ConsentNamesWhatItIsAbout(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	s := b.signIn(b.authorize(authParams(web, "scope", "bills:read", "resource", billingAPI)), "alice")
	for _, want := range []string{"Web <Shop>", "bills:read", billingAPI, "web.example", "alice"} {
		if !strings.Contains(s.text, want) {
			t.Errorf("no %q in %s", want, s.text)
		}
	}
	if strings.Contains(s.text, "orders") || strings.Contains(s.text, "canary") {
		t.Errorf("too much: %s", s.text)
	}
	for uri, want := range map[string]string{
		"http://127.0.0.1:49152/cb": "127.0.0.1:49152 (a program on this device)", "com.example.app:/cb": "the app com.example.app",
	} {
		if s := b.authorize(authParams(native, "redirect_uri", uri)); !strings.Contains(s.text, want) || !strings.Contains(s.text, "native") {
			t.Errorf("no %q in %s", want, s.text)
		}
	}
}

func TestPoint15_NoSilentApprovalOnPeoplesMachines(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	for _, uri := range []string{"http://127.0.0.1:49152/cb", "http://[::1]:49152/cb?x=y", "http://localhost:8080/cb", "https://localhost/cb", "com.example.app:/cb"} {
		params := authParams(native, "redirect_uri", uri)
		b.grant(params)
		if s := b.authorize(params); s.title != "Allow access?" {
			t.Errorf("%s: %d %s", uri, s.status, s.header.Get("Location"))
		}
		params.Set("prompt", "none")
		if s := b.authorize(params); s.response().Get("error") != "consent_required" {
			t.Errorf("%s: %d %s", uri, s.status, s.header.Get("Location"))
		}
	}
}

func TestPoint15_ConsentIsRememberedForWhatItWasAbout(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	b.grant(authParams(web, "scope", "orders:read bills:read", "resource", ordersAPI))
	asked := func(s *screen) bool { return s.title == "Allow access?" }
	if s := b.authorize(authParams(web, "scope", "bills:read orders:read", "resource", ordersAPI)); !s.response().Has("code") {
		t.Errorf("asked again: %s", s.body)
	}
	for name, extra := range map[string][]string{
		"more scope":       {"scope", "orders:read bills:read orders:write", "resource", ordersAPI},
		"another scope":    {"scope", "orders:write", "resource", ordersAPI},
		"another resource": {"scope", "orders:read bills:read", "resource", billingAPI},
		"all resources":    {"scope", "orders:read bills:read"},
	} {
		if s := b.authorize(authParams(web, extra...)); !asked(s) {
			t.Errorf("%s: not asked: %d %s", name, s.status, s.header.Get("Location"))
		}
	}
	other := i.browser()
	if s := other.signIn(other.authorize(authParams(web, "scope", "orders:read bills:read", "resource", ordersAPI)), "bob"); !asked(s) {
		t.Errorf("another person: %d %s", s.status, s.header.Get("Location"))
	}
	i.clock.Advance(30 * 24 * time.Hour)
	if s := b.signIn(b.authorize(authParams(web, "scope", "orders:read bills:read", "resource", ordersAPI)), "alice"); !asked(s) {
		t.Errorf("after 30 days: %d %s", s.status, s.header.Get("Location"))
	}
}

// What was shown is what is granted, even if the client is registered anew between
// the page and the answer.
func TestPoint15_OnlyWhatWasShownIsGranted(t *testing.T) {
	t.Parallel()
	s := authserver.NewMemoryStore(nil)
	i := startWeb(t, "", withStore(s))
	register := func(scope string) {
		if err := s.PutClient(t.Context(), &authserver.Client{
			ClientID: "late", SecretHash: authserver.HashOf("0123"), GrantTypes: []string{"authorization_code"}, RedirectURIs: []string{webURI}, Scope: scope, Audience: []string{ordersAPI},
		}); err != nil {
			t.Fatal(err)
		}
	}
	register("read")
	b := i.browser()
	consent := b.signIn(b.authorize(authParams(web, "client_id", "late")), "alice")
	register("read write")
	again := b.submit(consent, "decision", "allow")
	if again.title != "Allow access?" || !strings.Contains(again.text, "write") {
		t.Fatalf("%d %s", again.status, again.body)
	}
	if s := b.submit(again, "decision", "allow"); !s.response().Has("code") {
		t.Errorf("%d %s", s.status, s.body)
	}
}

func TestPoint15_PeopleMaySayNo(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	consent := b.signIn(b.authorize(authParams(web)), "alice")
	if s := b.submit(consent, "decision", "deny"); s.response().Get("error") != "access_denied" || s.response().Get("state") != state {
		t.Errorf("%d %s", s.status, s.header.Get("Location"))
	}
	for _, decision := range []string{"", "Allow", "yes"} {
		if s := b.submit(consent, "decision", decision); !s.isPage(400) {
			t.Errorf("%q: %d %s", decision, s.status, s.header.Get("Location"))
		}
	}
	s := b.submit(consent, "decision", "switch")
	if s.title != "Sign in" {
		t.Fatalf("%d %s", s.status, s.body)
	}
	if s = b.signIn(s, "bob"); s.title != "Allow access?" || !strings.Contains(s.text, "bob") {
		t.Errorf("%d %s", s.status, s.body)
	}
}

func TestPoint16_SameAnswerForUnknownNamesAndWrongPasswords(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	signIn := b.authorize(authParams(web))
	look := func(username, password string) string {
		s := b.submit(signIn, "username", username, "password", password)
		s.header.Del("Date")
		s.header.Del("Content-Length")
		return fmt.Sprint(s.status, s.header, strings.ReplaceAll(string(s.body), username, "NAME"))
	}
	want := look("alice", "wrong")
	for _, c := range [][2]string{{"nobody", "wrong"}, {"nobody", "alice-password"}, {"nobody", "bob-password"}, {"Alice", "alice-password"}, {"alice ", "alice-password"}, {"bob", strings.Repeat("x", 2000)}} {
		if got := look(c[0], c[1]); got != want {
			t.Errorf("%s: %s\nnot %s", c[0], got, want)
		}
	}
	if s := b.submit(signIn, "username", "", "password", ""); s.status != 200 || !strings.Contains(s.text, "is wrong") {
		t.Errorf("nothing filled in: %d %s", s.status, s.text)
	}
}

// For a name that nobody has, somebody's password is hashed all the same.
func TestPoint16_SameTimeForUnknownNamesAndWrongPasswords(t *testing.T) {
	t.Parallel()
	slow, err := bcrypt.GenerateFromPassword([]byte("x"), 10)
	if err != nil {
		t.Fatal(err)
	}
	i := startWeb(t, "", func(c *authserver.Config) {
		c.Users = []authserver.User{{Subject: "1", Username: "slow", PasswordHash: string(slow)}}
	})
	b := i.browser()
	signIn := b.authorize(authParams(web))
	took := func(username string) time.Duration {
		least := time.Hour
		for range 3 {
			began := time.Now()
			if s := b.submit(signIn, "username", username, "password", "wrong"); !strings.Contains(s.text, "is wrong") {
				t.Fatalf("%d %s", s.status, s.text)
			}
			least = min(least, time.Since(began))
		}
		return least
	}
	known, unknown := took("slow"), took("nobody")
	if unknown < known/5 || known < unknown/5 { // a page without a hash takes a hundredth
		t.Errorf("%v for a known name, %v for an unknown one", known, unknown)
	}
}

func TestPoint16_GuessingIsSlowedDown(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"alice", "nobody"} {
		i := startWeb(t, "")
		b := i.browser()
		signIn := b.authorize(authParams(web))
		try := func(username, password string) *screen {
			return b.submit(signIn, "username", username, "password", password)
		}
		for range 10 {
			if s := try(name, "wrong"); s.status != 200 {
				t.Fatalf("%d", s.status)
			}
		}
		for _, variant := range []string{name, strings.ToUpper(name), " " + name} {
			s := try(variant, name+"-password")
			if wait, _ := strconv.Atoi(s.header.Get("Retry-After")); s.status != 429 || wait < 1 || wait > 30 || !strings.Contains(s.text, "Too many") {
				t.Errorf("%s: %d, Retry-After %q", variant, s.status, s.header.Get("Retry-After"))
			}
		}
		if s := try("bob", "bob-password"); s.status != 303 {
			t.Errorf("bob is locked out too: %d", s.status)
		}
		signIn = b.authorize(authParams(web, "prompt", "login"))
		i.clock.Advance(30 * time.Second)
		if s := try(name, "wrong"); s.status != 200 {
			t.Errorf("after the wait: %d", s.status)
		}
		if s := try(name, "wrong"); s.status != 429 {
			t.Errorf("and at once again: %d", s.status)
		}
		i.clock.Advance(5 * time.Minute)
		if s := try("alice", "alice-password"); s.status != 303 {
			t.Errorf("the right password after a while: %d", s.status)
		}
	}
}

func TestPoint16_AnAddressIsSlowedDown(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	signIn := b.authorize(authParams(web))
	for n := range 50 {
		if s := b.submit(signIn, "username", fmt.Sprint("name", n), "password", "x"); s.status != 200 {
			t.Fatalf("%d: %d", n, s.status)
		}
	}
	if s := b.submit(signIn, "username", "one more", "password", "x"); s.status != 429 || s.header.Get("Retry-After") != "2" {
		t.Errorf("%d, Retry-After %q", s.status, s.header.Get("Retry-After"))
	}
}

func TestPoint16_WhoIsAtHomeIsNotKeptOut(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	i.from.Store("192.0.2.1:1")
	home, attacker := i.browser(), i.browser()
	if s := home.grant(authParams(portal)); !s.response().Has("code") {
		t.Fatal(s.status)
	}
	i.from.Store("198.51.100.1:1")
	guess := attacker.authorize(authParams(web))
	var s *screen
	for range 11 {
		s = attacker.submit(guess, "username", "alice", "password", "wrong")
	}
	if s.status != 429 {
		t.Fatalf("the attacker: %d", s.status)
	}
	i.from.Store("192.0.2.1:4711")
	again := home.authorize(authParams(portal, "prompt", "login"))
	if s := home.submit(again, "username", "alice", "password", "alice-password"); s.status != 303 {
		t.Errorf("alice at home: %d", s.status)
	}
}

func TestPoint16_TheEmbeddersLogin(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	i := startWeb(t, "", func(c *authserver.Config) {
		c.Users = nil
		c.Login = func(_ context.Context, username, password string) (authserver.User, error) {
			calls.Add(1)
			switch {
			case username == "down":
				return authserver.User{}, errors.New("the directory is down")
			case username == "odd":
				return authserver.User{}, nil
			case username != "carol" || password != "carol-password":
				return authserver.User{}, fmt.Errorf("ldap: %w", authserver.ErrBadCredentials)
			}
			return authserver.User{Subject: "sub-of-carol"}, nil
		}
	})
	b := i.browser()
	signIn := b.authorize(authParams(portal))
	for username, status := range map[string]int{"carol": 200, "dave": 200, "down": 503, "odd": 500} {
		if s := b.submit(signIn, "username", username, "password", "x"); s.status != status || strings.Contains(string(s.body), "directory is") {
			t.Errorf("%s: %d %s", username, s.status, s.body)
		}
	}
	s := b.signIn(signIn, "carol")
	if _, payload := parts(t, i.redeem(portal, s.response().Get("code")).member("access_token")); payload["sub"] != "sub-of-carol" {
		t.Error(payload)
	}
	before := calls.Load()
	signIn = b.authorize(authParams(portal, "prompt", "login"))
	statuses := []int{}
	for range 11 {
		statuses = append(statuses, b.submit(signIn, "username", "dave", "password", "x").status)
	}
	if !slices.Contains(statuses, 429) || calls.Load()-before > 9 {
		t.Errorf("%v, %d calls", statuses, calls.Load()-before)
	}
}
