package authserver_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

const (
	codePage    = "Connect a device"
	consentPage = "Allow access on another device?"
	donePage    = "Go back to your device"
	deniedPage  = "Access denied"
)

func TestRFC8628_3_3_ThePageForTheCode(t *testing.T) {
	t.Parallel()
	b := startWeb(t, "/tenant").browser()
	s := b.get(b.i.url + "/device")
	if s.status != 200 || s.title != codePage || s.action != "/tenant/device" || s.fields.Get("user_code") != "" || s.fields.Get("csrf") == "" {
		t.Errorf("%d %s", s.status, s.body)
	}
	input := regexp.MustCompile(`<input id="user_code"[^>]*>`).FindString(string(s.body))
	for _, want := range []string{` type="text"`, ` autocomplete="off"`, ` autocapitalize="characters"`, ` spellcheck="false"`, ` required`, ` autofocus`} {
		if !strings.Contains(input, want) {
			t.Errorf("no%s in %s", want, input)
		}
	}
	if !strings.Contains(string(s.body), `<label for="user_code">`) {
		t.Errorf("no label: %s", s.body)
	}
	if policy := s.header.Get("Content-Security-Policy"); !strings.HasSuffix(policy, "; form-action 'self'") {
		t.Error(policy)
	}
}

// The link of verification_uri_complete fills the code in. It does not say that the
// person sees that code, and shows nothing of who asks.
func TestRFC8628_3_3_1_TheLinkIsNotEnough(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	d := i.device(tv)
	b := i.browser()
	for _, who := range []string{"signed out", "signed in"} {
		s := b.get(d.complete)
		if s.status != 200 || s.title != codePage || s.fields.Get("user_code") != d.userCode || strings.Contains(s.text, "TV") || !strings.Contains(s.text, "shows this very code") {
			t.Errorf("%s: %d %s", who, s.status, s.body)
		}
		b.grant(authParams(web))
	}
	if s := b.submit(b.get(d.complete)); s.title != consentPage {
		t.Errorf("%d %s", s.status, s.body)
	}
	// Nor does a sign-in for another request, or for another device's code.
	other := i.device(tv)
	b = i.browser()
	b.consent(other.userCode)
	if s := b.get(d.complete); s.title != codePage {
		t.Errorf("after a sign-in for another code: %d %s", s.status, s.body)
	}
	for _, junk := range []string{"canary", "BCDF-GHJ1", `"><script>`, "%zz", strings.Repeat("B", 20000)} {
		if s := b.get(i.url + "/device?user_code=" + url.PathEscape(junk)); s.fields.Get("user_code") != "" || strings.Contains(string(s.body), "canary") {
			t.Errorf("%.20q: %d %s", junk, s.status, s.body)
		}
	}
	d.want("400 authorization_pending")
}

func TestRFC8628_6_1_CodesAreTypedAsPeopleType(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	b.grant(authParams(web))
	d := i.device(tv)
	plain := strings.ReplaceAll(d.userCode, "-", "")
	for _, typed := range []string{d.userCode, strings.ToLower(d.userCode), plain, " " + strings.ToLower(plain) + " ", plain[:2] + " " + plain[2:6] + "-" + plain[6:]} {
		if s := b.enter(typed); s.title != consentPage || !strings.Contains(s.text, d.userCode) {
			t.Errorf("%q: %d %s", typed, s.status, s.body)
		}
	}
}

func TestRFC8628_5_1_CodesThatAreNotInUseAreAllOne(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	expired := i.device(tv)
	i.clock.Advance(10 * time.Minute)
	b := i.browser()
	token := regexp.MustCompile(`value="[^"]*"`)
	var want string
	for name, code := range map[string]string{
		"unknown": "BBBB-BBBB", "expired": expired.userCode, "allowed": i.device(tv).decide("allow").userCode, "denied": i.device(tv).decide("deny").userCode,
	} {
		s := b.enter(code)
		body := token.ReplaceAllString(string(s.body), "")
		if want == "" {
			want = body
		}
		if s.status != 400 || s.title != codePage || !strings.Contains(s.text, "not in use") || body != want {
			t.Errorf("%s: %d %s", name, s.status, s.body)
		}
	}
	for _, code := range []string{"", "x", "BCDF-GHJ1"} {
		if s := b.enter(code); s.status != 400 || s.title != codePage || !strings.Contains(s.text, "not in use") || s.fields.Get("user_code") != "" {
			t.Errorf("%q: %d %s", code, s.status, s.body)
		}
	}
}

// RFC 8628 section 5.4: whoever is sent a code by somebody else can know it.
func TestRFC8628_5_4_TheConsentPageWarns(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	d := i.device(tv, "scope", "orders:write", "resource", billingAPI)
	s := i.browser().consent(d.userCode)
	for _, want := range []string{
		"TV <Shop>", "on another device", "alice", "orders:write", billingAPI, d.userCode, "only if you started it yourself", "shows this code", "If somebody sent you the code or a link",
	} {
		if !strings.Contains(s.text, want) {
			t.Errorf("no %q in %s", want, s.text)
		}
	}
	if strings.Contains(s.text, "orders:read") || strings.Contains(s.text, ordersAPI) || strings.Contains(s.text, "You will be sent") {
		t.Errorf("too much: %s", s.text)
	}
	if policy := s.header.Get("Content-Security-Policy"); !strings.HasSuffix(policy, "; form-action 'self'") {
		t.Error(policy)
	}
}

func TestRFC8628_5_4_ThePersonIsAskedEachTime(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "", func(c *authserver.Config) {
		for n := range c.Clients {
			if c.Clients[n].ClientID == web.id || c.Clients[n].ClientID == portal.id {
				c.Clients[n].GrantTypes = []string{"authorization_code", deviceGrant}
			}
		}
	})
	b := i.browser()
	b.submit(b.consent(i.device(web).userCode), "decision", "allow")
	if s := b.authorize(authParams(web)); s.title != "Allow access?" {
		t.Errorf("what was allowed to a device is remembered: %d %s", s.status, s.header.Get("Location"))
	}
	b.grant(authParams(web)) // which is remembered: web is not asked about again
	if s := b.authorize(authParams(web)); !s.response().Has("code") {
		t.Fatal(s.status)
	}
	for _, as := range []login{web, portal, box, tv} { // of which all but web are registered with SkipConsent
		for range 2 {
			d := i.device(as)
			s := b.enter(d.userCode)
			if s.title != consentPage {
				t.Fatalf("%s: %d %s", as.id, s.status, s.body)
			}
			d.want("400 authorization_pending")
			b.submit(s, "decision", "allow")
			d.want("200")
		}
	}
}

func TestRFC8628_3_3_WhatThePersonAnswers(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	d := i.device(tv)
	s := b.consent(d.userCode)
	for _, decision := range []string{"", "Allow", "yes"} {
		if s := b.submit(s, "decision", decision); !s.isPage(400) {
			t.Errorf("%q: %d %s", decision, s.status, s.body)
		}
	}
	d.want("400 authorization_pending")
	signIn := b.submit(s, "decision", "switch")
	if signIn.title != "Sign in" || !strings.Contains(signIn.text, "TV <Shop>") {
		t.Fatalf("%d %s", signIn.status, signIn.body)
	}
	if s = b.signIn(signIn, "bob"); s.title != consentPage || !strings.Contains(s.text, "bob") {
		t.Fatalf("%d %s", s.status, s.body)
	}
	done := b.submit(s, "decision", "allow")
	if done.status != 200 || done.title != donePage || done.action != "" || !strings.Contains(done.text, "TV <Shop>") {
		t.Errorf("%d %s", done.status, done.body)
	}
	if _, payload := parts(t, d.poll().member("access_token")); payload["sub"] != "sub-of-bob" {
		t.Error(payload)
	}
	if s := b.submit(s, "decision", "deny"); s.status != 400 || s.title != codePage {
		t.Errorf("a second answer: %d %s", s.status, s.body)
	}
	denied := b.submit(b.enter(i.device(tv).userCode), "decision", "deny")
	if denied.status != 200 || denied.title != deniedPage || denied.action != "" || !strings.Contains(denied.text, "no access") {
		t.Errorf("%d %s", denied.status, denied.body)
	}
}

func TestRFC8628_3_3_NobodyAllowsWhoIsNotSignedIn(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	b.consent(i.device(tv).userCode)
	i.clock.Advance(12*time.Hour - time.Minute)
	d := i.device(tv)
	s := b.enter(d.userCode) // signed in still
	i.clock.Advance(time.Minute)
	if s := b.submit(s, "decision", "allow"); s.title != "Sign in" {
		t.Errorf("%d %s", s.status, s.body)
	}
	d.want("400 authorization_pending")
}

func TestRFC8628_3_3_AnAnswerAfterTheCodeExpired(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	d := i.device(tv)
	signIn := b.enter(d.userCode)
	s := b.signIn(signIn, "alice")
	i.clock.Advance(10 * time.Minute)
	for _, decision := range []string{"allow", "deny"} {
		if s := b.submit(s, "decision", decision); s.status != 400 || s.title != codePage {
			t.Errorf("%s: %d %s", decision, s.status, s.body)
		}
	}
	if s := b.get(d.complete); s.status != 200 || s.title != codePage {
		t.Errorf("%d %s", s.status, s.body)
	}
	d.want("400 expired_token")
}

// Of answers at once one counts, whoever gave it, even if all of them found that
// nobody had answered yet; and the others learn that theirs did not.
func TestRFC8628_3_3_OneOfManyAnswersCounts(t *testing.T) {
	t.Parallel()
	store := &meetingStore{Store: authserver.NewMemoryStore(nil), kind: authserver.DeviceDecision}
	i := startWeb(t, "", withStore(store))
	people := map[string]*browser{"sub-of-alice": i.browser(), "sub-of-bob": i.browser()}
	for name, b := range people {
		b.signIn(b.authorize(authParams(web)), strings.TrimPrefix(name, "sub-of-"))
	}
	for range 20 {
		d := i.device(tv)
		counted := make(chan [2]string, 8)
		var racers, meet sync.WaitGroup
		meet.Add(8)
		pages := map[string]*screen{}
		for name, b := range people {
			pages[name] = b.enter(d.userCode)
		}
		store.meet.Store(&meet)
		for name, b := range people {
			for n := range 4 {
				decision := []string{"allow", "deny"}[n%2]
				racers.Go(func() {
					switch s := b.submit(pages[name], "decision", decision); {
					case s.status == 200:
						counted <- [2]string{name, decision}
					case s.status != 400 || s.title != codePage:
						t.Errorf("%d %s", s.status, s.body)
					}
				})
			}
		}
		racers.Wait()
		store.meet.Store(nil)
		if len(counted) != 1 {
			t.Fatalf("%d answers counted", len(counted))
		}
		answer, a := <-counted, d.poll()
		switch {
		case answer[1] == "deny":
			if a.outcome() != "400 access_denied" {
				t.Fatalf("denied, but %d %s", a.status, a.body)
			}
		case a.status != 200:
			t.Fatalf("allowed, but %d %s", a.status, a.body)
		default:
			if _, payload := parts(t, a.member("access_token")); payload["sub"] != answer[0] {
				t.Fatalf("allowed by %s, but %v", answer[0], payload)
			}
		}
	}
}

func TestRFC8628_3_3_FormsOfOthersAreForbidden(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	d, others := i.device(tv), i.device(tv)
	b, other := i.browser(), i.browser()
	right := []string{"user_code", d.userCode, "username", "alice", "password", "alice-password", "decision", "allow"}
	attack := func(page string, s, foreign *screen) {
		t.Helper()
		forbidden := func(name string, s *screen) {
			t.Helper()
			if !s.isPage(403) {
				t.Errorf("%s %s: %d %s", page, name, s.status, s.body)
			}
		}
		forbidden("without a token", b.submit(s, append(right, "csrf", "")...))
		forbidden("with another session's token", b.submit(s, append(right, "csrf", foreign.fields.Get("csrf"))...))
		forbidden("for another device", b.submit(s, append(right, "request", "user_code="+others.userCode)...))
		forbidden("for a browser's request", b.submit(s, append(right, "request", authParams(portal).Encode())...))
		forbidden("without a cookie", i.browser().submit(s, right...))
		forbidden("with another's cookie", other.submit(s, right...))
		b.header.Set("Sec-Fetch-Site", "cross-site")
		forbidden("from another site", b.submit(s, right...))
		b.header.Del("Sec-Fetch-Site")
	}
	enter, otherEnter := b.get(d.complete), other.get(others.complete)
	attack("code", enter, otherEnter)
	signIn, otherSignIn := b.submit(enter), other.submit(otherEnter)
	attack("sign-in", signIn, otherSignIn)
	consent, otherConsent := b.signIn(signIn, "alice"), other.signIn(otherSignIn, "bob")
	attack("consent", consent, otherConsent)
	d.want("400 authorization_pending")
	fields := consent.fields
	fields.Set("decision", "allow")
	for _, path := range []string{"/consent", "/device"} {
		if s := b.get(i.url + path + "?user_code=" + d.userCode + "&" + fields.Encode()); s.title == donePage {
			t.Errorf("GET %s decides: %d %s", path, s.status, s.body)
		}
	}
	i.clock.Advance(5 * time.Second)
	d.want("400 authorization_pending")
	if s := b.submit(consent, "decision", "allow"); s.title != donePage {
		t.Errorf("the right form: %d %s", s.status, s.body)
	}
}

// What was shown is what is granted.
func TestRFC8628_3_3_OnlyWhatWasShownIsGranted(t *testing.T) {
	t.Parallel()
	store := authserver.NewMemoryStore(nil)
	i := startWeb(t, "", withStore(store))
	late := login{"late", "secret-of-late-0123456789abcdef"}
	register := func(scope string, grants ...string) {
		if err := store.PutClient(t.Context(), &authserver.Client{
			ClientID: late.id, SecretHash: authserver.HashOf(late.secret), GrantTypes: grants, Scope: scope, Audience: []string{ordersAPI},
		}); err != nil {
			t.Fatal(err)
		}
	}
	register("read", deviceGrant)
	b := i.browser()
	d, named := i.device(late), i.device(late, "scope", "read")
	consent := b.consent(d.userCode)
	register("read write", deviceGrant)
	again := b.submit(consent, "decision", "allow")
	if again.title != consentPage || !strings.Contains(again.text, "write") {
		t.Fatalf("%d %s", again.status, again.body)
	}
	d.want("400 authorization_pending")
	b.submit(again, "decision", "allow")
	if a := d.poll(); a.member("scope") != "read write" {
		t.Errorf("%d %s", a.status, a.body)
	}
	register("write", deviceGrant)
	if s := b.enter(named.userCode); !s.isPage(400) {
		t.Errorf("a scope that the client has lost: %d %s", s.status, s.body)
	}
	lost := i.device(late)
	register("write", "client_credentials")
	if s := b.enter(lost.userCode); !s.isPage(400) {
		t.Errorf("the grant is lost: %d %s", s.status, s.body)
	}
}

func TestRFC8628_5_1_GuessingIsSlowedDown(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	i.from.Store("192.0.2.1:1")
	d := i.device(tv)
	b := i.browser()
	page := b.get(i.url + "/device")
	guess := func(code string) *screen { return b.submit(page, "user_code", code) }
	throttled := func(name string, s *screen) {
		t.Helper()
		wait, _ := strconv.Atoi(s.header.Get("Retry-After"))
		if s.status != 429 || wait < 1 || wait > 30 || !strings.Contains(s.text, "Too many") || strings.Contains(s.text, "TV") {
			t.Errorf("%s: %d, Retry-After %q, %s", name, s.status, s.header.Get("Retry-After"), s.text)
		}
	}
	for range 20 {
		if s := guess(d.userCode); s.title != "Sign in" { // what is right is not counted
			t.Fatalf("%d %s", s.status, s.body)
		}
	}
	for n := range 10 {
		if s := guess(fmt.Sprintf("BBBB-BBB%c", "BCDFGHJKLM"[n])); s.status != 400 {
			t.Fatalf("%d: %d", n, s.status)
		}
	}
	throttled("a guess", guess("BBBB-BBBN"))
	throttled("the right code", guess(d.userCode))
	throttled("what can be no code", guess("x"))
	i.from.Store("192.0.2.1:2") // another port of the same address, in another browser
	fresh := i.browser()
	throttled("another browser", fresh.enter(d.userCode))
	i.from.Store("192.0.2.2:1")
	if s := guess(d.userCode); s.title != "Sign in" {
		t.Errorf("another address: %d %s", s.status, s.body)
	}
	i.from.Store("192.0.2.1:1")
	i.clock.Advance(30 * time.Second)
	if s := guess("BBBB-BBBN"); s.status != 400 {
		t.Errorf("after the wait: %d", s.status)
	}
	throttled("and at once again", guess("BBBB-BBBN"))
	i.clock.Advance(30 * time.Second)
	if s := guess(d.userCode); s.title != "Sign in" {
		t.Errorf("the right code, after the wait: %d %s", s.status, s.body)
	}
}

// Who makes the forms that come after the code by himself, with a secret that he
// knows, guesses no more than others.
func TestRFC8628_5_1_NoWayAroundTheThrottle(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/login", "/consent"} {
		i := startWeb(t, "")
		d := i.device(tv)
		b := i.browser()
		b.consent(i.device(tv).userCode)
		secret := b.cookie()
		try := func(code string) *screen {
			query := "user_code=" + code
			return b.post(i.url+path, form("csrf", formToken(secret, path, query), "request", query, "username", "alice", "password", "x", "decision", "x"))
		}
		if s := try(d.userCode); s.status == 403 || s.title == codePage {
			t.Fatalf("%s: the form is not as the server makes it: %d %s", path, s.status, s.body)
		}
		for range 10 {
			if s := try("BBBB-BBBB"); s.status != 400 {
				t.Fatalf("%s: %d %s", path, s.status, s.body)
			}
		}
		for _, code := range []string{"BBBB-BBBB", d.userCode} {
			if s := try(code); s.status != 429 || s.header.Get("Retry-After") == "" {
				t.Errorf("%s: %d %s", path, s.status, s.body)
			}
		}
		if s := b.enter(d.userCode); s.status != 429 {
			t.Errorf("%s is counted apart: %d", path, s.status)
		}
	}
}

func TestRFC8628_3_3_MethodsOfThePage(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	for _, method := range []string{http.MethodPut, http.MethodDelete} {
		req := i.request("/device", "")
		req.Method = method
		if a := i.do(req); a.status != 405 || a.header.Get("Allow") != "GET, POST" {
			t.Errorf("%s: %d %v", method, a.status, a.header)
		}
	}
}
