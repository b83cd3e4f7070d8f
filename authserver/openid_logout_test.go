package authserver_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

const byeURI = "https://web.example/bye?from=here"

// startLogout is startOpenID with a client that people come back to; twin is
// registered elsewhere.
func startLogout(t *testing.T, edits ...func(*authserver.Config)) *issuer {
	t.Helper()
	return startOpenID(t, append([]func(*authserver.Config){func(c *authserver.Config) {
		for n := range c.Clients {
			switch c.Clients[n].ClientID {
			case web.id:
				c.Clients[n].PostLogoutRedirectURIs = []string{byeURI, "http://127.0.0.1/bye"}
			case twin.id:
				c.Clients[n].PostLogoutRedirectURIs = []string{"https://twin.example/bye"}
			}
		}
	}}, edits...)...)
}

// arrives signs a browser in and returns the ID token that web got for it.
func (b *browser) arrives() (idToken string) {
	b.i.t.Helper()
	return b.i.redeem(web, b.grant(authParams(web)).response().Get("code")).member("id_token")
}

func (b *browser) logout(pairs ...string) *screen {
	b.i.t.Helper()
	return b.get(b.i.url + "/end_session?" + form(pairs...).Encode())
}

// isSignedIn reports whether somebody is signed in with b.
func (b *browser) isSignedIn() bool {
	b.i.t.Helper()
	return b.authorize(authParams(web, "prompt", "none")).response().Get("error") != "login_required"
}

func TestRPInitiatedLogout_2_AHintThatFitsTheSessionEndsIt(t *testing.T) {
	t.Parallel()
	i := startLogout(t)
	b := i.browser()
	token := b.arrives()
	cookies := b.client.Jar.Cookies(b.authorize(authParams(web)).at)
	s := b.logout("id_token_hint", token, "post_logout_redirect_uri", byeURI, "state", state, "logout_hint", "alice", "ui_locales", "fr")
	if want := byeURI + "&state=" + strings.ReplaceAll(url.QueryEscape(state), "+", "%20"); s.status != 303 || s.header.Get("Location") != want {
		t.Errorf("%d %q, want %q", s.status, s.header.Get("Location"), want)
	}
	if s.header.Get("Cache-Control") != "no-store" || s.header.Get("Referrer-Policy") != "no-referrer" {
		t.Error(s.header)
	}
	if left := b.client.Jar.Cookies(s.at); len(left) != 0 || len(cookies) != 1 {
		t.Errorf("cookies %v, and then %v", cookies, left)
	}
	if b.isSignedIn() {
		t.Error("the person is still signed in")
	}
	b.client.Jar.SetCookies(s.at, cookies) // as whoever stole it would
	if b.isSignedIn() {
		t.Error("the session outlives its cookie")
	}
}

// Section 2: an ID token that has expired says whom it is about all the same.
func TestRPInitiatedLogout_2_ExpiredHintsCount(t *testing.T) {
	t.Parallel()
	i := startLogout(t)
	b := i.browser()
	token := b.arrives()
	i.clock.Advance(11 * time.Hour)
	if s := b.logout("id_token_hint", token); s.status != 200 || s.title != "Signed out" || b.isSignedIn() {
		t.Errorf("%d %s", s.status, s.body)
	}
}

// What anybody could have written, or is about somebody else, signs nobody out.
func TestRPInitiatedLogout_2_OtherHintsAsk(t *testing.T) {
	t.Parallel()
	mine := key(t, "ES256", "mine")
	own, another := signer{"ES256", "mine", mine.Signer}, newSigner(t, "ES256", "mine")
	i := startLogout(t, withKeys(mine))
	b := i.browser()
	token := b.arrives()
	_, says := parts(t, token)
	forged := func(s signer, header, with members) string { return s.sign(t, header, members(says).with(with)) }
	for name, pairs := range map[string][]string{
		"none":                   nil,
		"a client alone":         {"client_id", web.id},
		"a client, and where to": {"client_id", web.id, "post_logout_redirect_uri", byeURI},
		"an invention":           {"id_token_hint", "abc"},
		"another key":            {"id_token_hint", forged(another, nil, nil)},
		"cut":                    {"id_token_hint", token[:len(token)-4]},
		"another issuer":         {"id_token_hint", forged(own, nil, members{"iss": "https://evil.example"})},
		"without sub":            {"id_token_hint", forged(own, nil, members{"sub": nil})},
		"an access token":        {"id_token_hint", forged(own, members{"typ": "at+jwt"}, nil)},
		"about somebody else":    {"id_token_hint", forged(own, nil, members{"sub": "sub-of-bob"})},
	} {
		s := b.logout(pairs...)
		if s.status != 200 || s.title != "Sign out?" || s.action == "" || !strings.Contains(s.text, "alice") || !b.isSignedIn() {
			t.Errorf("%s: %d %s", name, s.status, s.body)
		}
	}
	if s := b.logout("id_token_hint", forged(own, nil, nil)); s.title != "Signed out" || b.isSignedIn() {
		t.Errorf("as one of our keys signs it: %d %s", s.status, s.body)
	}
}

func TestRPInitiatedLogout_2_WhoSaysYesIsSignedOut(t *testing.T) {
	t.Parallel()
	i := startLogout(t)
	for name, c := range map[string]struct {
		pairs    []string
		location string
	}{
		"nowhere to go": {nil, ""},
		"back":          {[]string{"client_id", web.id, "post_logout_redirect_uri", byeURI, "state", "a b"}, byeURI + "&state=a%20b"},
		"without state": {[]string{"client_id", web.id, "post_logout_redirect_uri", "http://127.0.0.1/bye"}, "http://127.0.0.1/bye"},
	} {
		b := i.browser()
		b.arrives()
		asked := b.logout(c.pairs...)
		if c.location != "" && (!strings.Contains(asked.text, "Web <Shop>") || strings.Contains(string(asked.body), "<Shop>")) {
			t.Errorf("%s: the page does not name the client, or as HTML: %s", name, asked.body)
		}
		s := b.submit(asked)
		if s.header.Get("Location") != c.location || b.isSignedIn() || c.location == "" && s.title != "Signed out" {
			t.Errorf("%s: %d %q %s", name, s.status, s.header.Get("Location"), s.body)
		}
	}
}

// Section 3: no open redirector, whoever is signed in and whatever comes along.
func TestPoint13_LogoutRedirectsToWhatIsRegisteredAlone(t *testing.T) {
	t.Parallel()
	i := startLogout(t)
	b := i.browser()
	token := b.arrives()
	nobody := i.browser()
	for _, uri := range []string{
		"https://evil.example", webURI, byeURI + "&x=y", byeURI + "#f", "https://web.example/bye", strings.ToUpper(byeURI), "https://twin.example/bye",
		"//evil.example", "javascript:alert(1)", "http://127.0.0.1:8080/bye", byeURI + "/../evil",
	} {
		for _, by := range []*browser{b, nobody} {
			for _, who := range [][]string{{"id_token_hint", token}, {"client_id", web.id}, {"client_id", web.id, "id_token_hint", token}} {
				s := by.logout(append(who, "post_logout_redirect_uri", uri)...)
				if !s.isPage(400) {
					t.Errorf("%s %v: %d %q", uri, who[0], s.status, s.header.Get("Location"))
				}
			}
			if s := by.logout("post_logout_redirect_uri", uri); s.status != 200 || s.header.Get("Location") != "" || strings.Contains(string(s.body), "evil") {
				t.Errorf("%s, of nobody: %d %q", uri, s.status, s.header.Get("Location"))
			}
		}
	}
	if !b.isSignedIn() {
		t.Error("what was refused signed the person out")
	}
}

func TestRPInitiatedLogout_2_WhatDoesNotGoTogether(t *testing.T) {
	t.Parallel()
	i := startLogout(t)
	b := i.browser()
	token := b.arrives()
	for name, pairs := range map[string][]string{
		"another client's hint": {"id_token_hint", token, "client_id", twin.id},
		"an unknown client":     {"client_id", "stranger"},
		"a client twice":        {"client_id", web.id, "client_id", web.id},
		"a hint twice":          {"id_token_hint", token, "id_token_hint", token},
	} {
		if s := b.logout(pairs...); !s.isPage(400) || !b.isSignedIn() {
			t.Errorf("%s: %d %s", name, s.status, s.body)
		}
	}
}

func TestRPInitiatedLogout_NobodyIsSignedIn(t *testing.T) {
	t.Parallel()
	i := startLogout(t)
	token := i.browser().arrives()
	if s := i.browser().logout("id_token_hint", token, "post_logout_redirect_uri", byeURI); s.header.Get("Location") != byeURI {
		t.Errorf("%d %q", s.status, s.header.Get("Location"))
	}
	if s := i.browser().logout(); s.title != "Signed out" || len(s.header.Values("Set-Cookie")) != 0 {
		t.Errorf("%d %v %s", s.status, s.header, s.body)
	}
}

// Section 2: by POST as well. The cookie comes along once the browser is here.
func TestRPInitiatedLogout_2_Post(t *testing.T) {
	t.Parallel()
	i := startLogout(t)
	b := i.browser()
	token := b.arrives()
	s := b.post(i.url+"/end_session", form("id_token_hint", token, "post_logout_redirect_uri", byeURI))
	if s.status != 303 || !b.isSignedIn() {
		t.Fatalf("%d %s", s.status, s.body)
	}
	if s = b.follow(s); s.header.Get("Location") != byeURI || b.isSignedIn() {
		t.Errorf("%d %q", s.status, s.header.Get("Location"))
	}
}

func TestPoint12_SigningOutNeedsAPageOfThisBrowser(t *testing.T) {
	t.Parallel()
	i := startLogout(t)
	b, other := i.browser(), i.browser()
	b.arrives()
	other.arrives()
	asked, theirs := b.logout("client_id", web.id, "post_logout_redirect_uri", byeURI), other.logout("client_id", web.id, "post_logout_redirect_uri", byeURI)
	action := i.url + "/logout"
	for name, fields := range map[string]url.Values{
		"none":              form("request", asked.fields.Get("request")),
		"another browser's": form("request", asked.fields.Get("request"), "csrf", theirs.fields.Get("csrf")),
		"another request":   form("request", "", "csrf", asked.fields.Get("csrf")),
	} {
		if s := b.post(action, fields); s.status != 403 || !b.isSignedIn() {
			t.Errorf("%s: %d %s", name, s.status, s.body)
		}
	}
	b.header.Set("Sec-Fetch-Site", "cross-site")
	if s := b.submit(asked); s.status != 403 {
		t.Errorf("of another site: %d %s", s.status, s.body)
	}
	b.header.Del("Sec-Fetch-Site")
	if s := b.get(action); s.status != 405 || !b.isSignedIn() {
		t.Errorf("by GET: %d", s.status)
	}
	if s := b.submit(asked); s.header.Get("Location") != byeURI || b.isSignedIn() {
		t.Errorf("%d %s", s.status, s.body)
	}
}

// Who clicks twice, or had the page open in two tabs, is at the client in the end.
func TestRPInitiatedLogout_SigningOutTwiceIsSigningOut(t *testing.T) {
	t.Parallel()
	b := startLogout(t).browser()
	for name, c := range map[string]struct {
		request []string
		want    string
	}{
		"back":          {[]string{"client_id", web.id, "post_logout_redirect_uri", byeURI, "state", "a b"}, byeURI + "&state=a%20b"},
		"nowhere to go": {nil, ""},
	} {
		b.arrives()
		asked := b.logout(c.request...)
		b.submit(asked)
		if s := b.follow(b.submit(asked)); s.header.Get("Location") != c.want || c.want == "" && s.title != "Signed out" {
			t.Errorf("%s: %d %s", name, s.status, s.body)
		}
	}
	asked := b.logout()
	for name, request := range map[string]string{"another place": "client_id=web&post_logout_redirect_uri=https://evil.example", "no parameters": "%"} {
		s := b.post(b.i.url+"/logout", form("request", request, "csrf", asked.fields.Get("csrf")))
		if s.status == 303 {
			s = b.follow(s)
		}
		if !s.isPage(400) {
			t.Errorf("%s: %d %s %s", name, s.status, s.header, s.body)
		}
	}
	b.header.Set("Sec-Fetch-Site", "cross-site")
	if s := b.post(b.i.url+"/logout", form("request", "")); !s.isPage(403) {
		t.Errorf("from another site: %d %s", s.status, s.body)
	}
}

// A page that was open before somebody signed in on another leads on.
func TestPoint12_AnOldSignOutPageLeadsToANewOne(t *testing.T) {
	t.Parallel()
	i := startLogout(t)
	b := i.browser()
	b.arrives()
	asked := b.logout("client_id", web.id, "post_logout_redirect_uri", byeURI, "state", "s")
	b.signIn(b.authorize(authParams(web, "prompt", "login")), "bob")
	s := b.submit(asked)
	if s.status != 403 || !strings.Contains(s.link, "/end_session?") {
		t.Fatalf("%d %s", s.status, s.body)
	}
	to, err := s.at.Parse(s.link)
	if err != nil {
		t.Fatal(err)
	}
	if s = b.submit(b.get(to.String())); s.header.Get("Location") != byeURI+"&state=s" || b.isSignedIn() {
		t.Errorf("%d %s", s.status, s.body)
	}
}

func TestPoint11_SignOutPagesAreNotFramed(t *testing.T) {
	t.Parallel()
	i := startLogout(t)
	b := i.browser()
	b.arrives()
	for _, s := range []*screen{b.logout("client_id", web.id, "post_logout_redirect_uri", byeURI), i.browser().logout(), b.logout("client_id", "stranger")} {
		if csp := s.header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'none'") || s.header.Get("X-Frame-Options") != "DENY" ||
			s.header.Get("Referrer-Policy") != "no-referrer" || s.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", s.title, s.header)
		}
	}
}

// What the person let clients do does not end with the session.
func TestRPInitiatedLogout_RefreshTokensLast(t *testing.T) {
	t.Parallel()
	i := startLogout(t)
	b := i.browser()
	tokens := i.redeem(web, b.grant(authParams(web)).response().Get("code"))
	b.logout("id_token_hint", tokens.member("id_token"))
	if a := i.refresh(web, tokens.member("refresh_token")); b.isSignedIn() || a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestAudit_SignOut(t *testing.T) {
	t.Parallel()
	var tr trail
	i := startLogout(t, tr.attach)
	b := i.browser()
	b.logout("id_token_hint", b.arrives())
	b.arrives()
	b.submit(b.logout())
	b.logout() // nobody is there any more
	var got []authserver.Event
	for _, e := range tr.take() {
		if e.Type == authserver.EventSignOut {
			got = append(got, e)
		}
	}
	if len(got) != 2 || got[0].Subject != "sub-of-alice" || got[0].ClientID != web.id || got[1].Subject != "sub-of-alice" || got[1].ClientID != "" {
		t.Errorf("%+v", got)
	}
}

// The list is copied, so that nobody changes where people may be sent.
func TestRPInitiatedLogout_3_1_TheRegistrationIsCopied(t *testing.T) {
	t.Parallel()
	uris := []string{byeURI}
	i := startLogout(t, func(c *authserver.Config) {
		c.Clients = append(c.Clients, authserver.Client{ClientID: "mutable", TokenEndpointAuthMethod: "none", PostLogoutRedirectURIs: uris})
	})
	uris[0] = "https://evil.example"
	if s := i.browser().logout("client_id", "mutable", "post_logout_redirect_uri", byeURI); s.header.Get("Location") != byeURI {
		t.Errorf("%d %q", s.status, s.header.Get("Location"))
	}
}

// A clingingStore revokes nothing while cling is set.
type clingingStore struct {
	authserver.Store
	cling atomic.Bool
}

func (s *clingingStore) RevokeGrant(ctx context.Context, id, reason string, now, until time.Time) error {
	if s.cling.Load() {
		return errBroken
	}
	return s.Store.RevokeGrant(ctx, id, reason, now, until)
}

// A store that fails signs nobody out, and the person is not told otherwise.
func TestPoint12_SigningOutThatFails(t *testing.T) {
	t.Parallel()
	store := &clingingStore{Store: authserver.NewMemoryStore(nil)}
	i := startLogout(t, withStore(store))
	b := i.browser()
	token := b.arrives()
	store.cling.Store(true)
	s := b.logout("id_token_hint", token, "post_logout_redirect_uri", byeURI)
	store.cling.Store(false)
	if s.status != http.StatusServiceUnavailable || len(s.header.Values("Set-Cookie")) != 0 || !b.isSignedIn() {
		t.Errorf("%d %v", s.status, s.header)
	}
}

// Who is meant by a hint is signed out though the client is not there any more.
func TestRPInitiatedLogout_LogoutOutlivesTheClient(t *testing.T) {
	t.Parallel()
	i := startRegistering(t, func(c *authserver.Config) { c.Registration.Policy.Scope = "openid" })
	r := i.registrant(`,"scope":"openid"`)
	b := i.browser()
	code := b.grant(authParams(r.login, "redirect_uri", appURI, "scope", "openid")).response().Get("code")
	token := i.redeem(r.login, code, "redirect_uri", appURI).member("id_token")
	if token == "" {
		t.Fatal("no ID token")
	}
	i.metadata("DELETE", r.url, r.token, "")
	s := b.get(i.url + "/end_session?" + url.Values{"id_token_hint": {token}}.Encode())
	if s.title != "Signed out" {
		t.Errorf("%d %s", s.status, s.text)
	}
}

// Who is out of the directory for a moment and signs out is signed out afterwards.
func TestRPInitiatedLogout_WhoeverHasLeft(t *testing.T) {
	t.Parallel()
	d := &directory{}
	i := startOpenID(t, withDirectory(d))
	b := i.browser()
	b.grant(authParams(web))
	d.err = authserver.ErrNotFound
	if s := b.submit(b.logout()); s.title != "Signed out" {
		t.Fatalf("%d %s", s.status, s.text)
	}
	if d.err = nil; b.isSignedIn() {
		t.Error("signed in yet")
	}
	b.grant(authParams(web))
	d.err = errors.New("out of order")
	if s := b.logout(); s.status >= 500 {
		t.Errorf("nobody can sign out while the directory is down: %d %s", s.status, s.title)
	}
}
