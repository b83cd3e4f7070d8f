package authserver_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/countermark/countermark/authserver"
)

func inDevelopment(c *authserver.Config) { c.Development = true }

// The buttons of the people who are there, and a clear word; no secret.
func TestDevelopment_OneClickSignsIn(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "/tenant", inDevelopment)
	b := i.browser()
	s := b.authorize(authParams(web))
	for _, want := range []string{"Development issuer", `name="as" value="alice"`, `name="as" value="bob"`} {
		if !strings.Contains(string(s.body), want) {
			t.Errorf("no %s in %s", want, s.body)
		}
	}
	for _, secret := range []string{"$2a$", "sub-of-", "Canary"} {
		if strings.Contains(string(s.body), secret) {
			t.Errorf("%s is in the page", secret)
		}
	}
	s = b.follow(b.submit(s, "as", "bob"))
	if s.title != "Allow access?" || !strings.Contains(s.text, "bob") || !strings.Contains(s.text, "Development issuer") {
		t.Fatalf("%s", s.body)
	}
	if s = b.submit(s, "decision", "allow"); s.response().Get("code") == "" {
		t.Errorf("%d %s", s.status, s.body)
	}
}

// What a password goes through, a click goes through: the form's token, a session of
// its own, the events, the throttle.
func TestDevelopment_AClickIsASignIn(t *testing.T) {
	t.Parallel()
	events := make(chan authserver.Event, 8)
	i := startWeb(t, "", inDevelopment, func(c *authserver.Config) {
		c.Audit = func(_ context.Context, e authserver.Event) {
			if e.Type == authserver.EventSignIn {
				events <- e
			}
		}
	})
	b := i.browser()
	s := b.authorize(authParams(web))
	if forged := b.submit(s, "as", "alice", "csrf", "x"); !forged.isPage(403) {
		t.Errorf("without the token: %d", forged.status)
	}
	if other := i.browser().submit(s, "as", "alice"); !other.isPage(403) {
		t.Errorf("of another browser: %d", other.status)
	}
	before := b.cookie()
	if signedIn := b.submit(s, "as", "alice"); signedIn.status != 303 || b.cookie() == before {
		t.Errorf("%d, the same cookie: %v", signedIn.status, b.cookie() == before)
	}
	if e := <-events; e.Subject != "sub-of-alice" || e.ClientID != web.id || e.Error != "" {
		t.Errorf("%+v", e)
	}
	b = i.browser()
	s = b.authorize(authParams(web))
	if nobody := b.submit(s, "as", "mallory"); nobody.title != "Sign in" || !strings.Contains(nobody.text, "is wrong") {
		t.Errorf("%d %s", nobody.status, nobody.body)
	}
	if e := <-events; e.Error != "access_denied" || e.Subject != "" {
		t.Errorf("%+v", e)
	}
	for range 10 {
		s = b.submit(b.authorize(authParams(web)), "as", "mallory")
		<-events
	}
	if s.status != 429 {
		t.Errorf("the eleventh: %d", s.status)
	}
}

func TestDevelopment_APasswordIsAsGood(t *testing.T) {
	t.Parallel()
	b := startWeb(t, "", inDevelopment).browser()
	s := b.authorize(authParams(web))
	if wrong := b.submit(s, "username", "alice", "password", "x"); wrong.title != "Sign in" {
		t.Errorf("%d %s", wrong.status, wrong.body)
	}
	if s = b.signIn(s, "alice"); s.title != "Allow access?" {
		t.Errorf("%s", s.body)
	}
}

func TestDevelopment_NowhereElse(t *testing.T) {
	t.Parallel()
	i := startRefresh(t)
	for name, s := range everyPage(t, i) {
		if body := string(s.body); strings.Contains(body, "Development") || strings.Contains(body, `name="as"`) || strings.Contains(body, "Without a password") {
			t.Errorf("%s: %s", name, body)
		}
	}
	b := i.browser()
	for _, as := range [][]string{{"as", "alice"}, {"as", "alice", "username", "alice"}, {"as", "alice", "username", "alice", "password", ""}} {
		if s := b.submit(b.authorize(authParams(web)), as...); s.status != 200 || s.title != "Sign in" {
			t.Errorf("%q: %d %s", as, s.status, s.body)
		}
	}
	if s := b.authorize(authParams(web)); s.title != "Sign in" {
		t.Errorf("somebody is signed in: %s", s.text)
	}
}

func TestDevelopment_OnLoopbackAlone(t *testing.T) {
	t.Parallel()
	for issuer, good := range map[string]bool{
		"http://127.0.0.1:9000": true, "http://localhost:9000/t": true, "http://[::1]:9000": true,
		"https://issuer.example": false, "https://127.0.0.1.issuer.example": false, "https://10.0.0.1": false, "https://localhost.issuer.example": false,
	} {
		for name, c := range map[string]authserver.Config{
			"users": {Users: users()}, "nobody": {},
			"login": {Login: func(context.Context, string, string) (authserver.User, error) {
				return authserver.User{}, authserver.ErrBadCredentials
			}},
		} {
			c.Issuer, c.Development = issuer, true
			if _, err := authserver.New(c); (err == nil) != good || !good && !strings.HasPrefix(err.Error(), "authserver: Config.Development: ") {
				t.Errorf("%s with %s: %v", issuer, name, err)
			}
		}
	}
}

// A site that has its name lead to this machine finds nobody to sign in as.
func TestDevelopment_UnderNoOtherName(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "", inDevelopment)
	b := i.browser()
	own := b.authorize(authParams(web))
	for _, host := range []string{"evil.example", "evil.example:" + own.at.Port(), "127.0.0.1", "1:" + own.at.Port()} {
		req := httptest.NewRequest(http.MethodGet, own.at.RequestURI(), http.NoBody)
		req.Host, req.RemoteAddr = host, "127.0.0.1:49152"
		w := httptest.NewRecorder()
		i.ServeHTTP(w, req)
		if body := w.Body.String(); w.Code != http.StatusOK || strings.Contains(body, `name="as"`) {
			t.Errorf("%s: %d %s", host, w.Code, body)
		}
		own.fields.Set("as", "alice")
		req = httptest.NewRequest(http.MethodPost, "/login", strings.NewReader(own.fields.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.AddCookie(b.client.Jar.Cookies(own.at)[0])
		req.Host, req.RemoteAddr = host, "127.0.0.1:49152"
		w = httptest.NewRecorder()
		if i.ServeHTTP(w, req); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "is wrong") {
			t.Errorf("%s: a click: %d %s", host, w.Code, w.Body)
		}
	}
}

// A server that listens to the network besides has no buttons for who comes from
// there, whatever Host they say; a password is as good as ever.
func TestDevelopment_FromNoOtherMachine(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "", inDevelopment)
	b := i.browser()
	own := b.authorize(authParams(web))
	for from, here := range map[string]bool{
		"127.0.0.1:49152": true, "[::1]:49152": true, "[::ffff:127.0.0.1]:49152": true, "127.8.8.8:1": true,
		"192.168.1.7:49152": false, "172.17.0.1:49152": false, "[fe80::1%eth0]:49152": false, "[2001:db8::1]:49152": false, "203.0.113.1:49152": false,
		"": false, "127.0.0.1": false, "localhost:49152": false, "@": false,
	} {
		req := httptest.NewRequest(http.MethodGet, own.at.RequestURI(), http.NoBody)
		req.Host, req.RemoteAddr = own.at.Host, from
		w := httptest.NewRecorder()
		i.ServeHTTP(w, req)
		if w.Code != http.StatusOK || strings.Contains(w.Body.String(), `name="as"`) != here {
			t.Errorf("%s: %d %s", from, w.Code, w.Body)
		}
		for pair, good := range map[[2]string]bool{{"as", "alice"}: here, {"password", "alice-password"}: true} {
			fields := form("csrf", own.fields.Get("csrf"), "request", own.fields.Get("request"), "username", "alice", pair[0], pair[1])
			req = httptest.NewRequest(http.MethodPost, "/login", strings.NewReader(fields.Encode()))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.AddCookie(b.client.Jar.Cookies(own.at)[0])
			req.Host, req.RemoteAddr = own.at.Host, from
			w = httptest.NewRecorder()
			if i.ServeHTTP(w, req); (w.Code == http.StatusSeeOther) != good {
				t.Errorf("%s, %s: %d %s", from, pair[0], w.Code, w.Body)
			}
		}
	}
}

// People who are kept elsewhere have no buttons.
func TestDevelopment_WithALoginThereIsNobodyToClick(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "", inDevelopment, func(c *authserver.Config) {
		c.Users = nil
		c.Login = func(_ context.Context, username, password string) (authserver.User, error) {
			if password != "right" {
				return authserver.User{}, authserver.ErrBadCredentials
			}
			return authserver.User{Subject: username}, nil
		}
	})
	b := i.browser()
	s := b.authorize(authParams(web))
	if strings.Contains(string(s.body), `name="as"`) || !strings.Contains(s.text, "Development issuer") {
		t.Errorf("%s", s.body)
	}
	if s = b.submit(s, "as", "alice"); s.title != "Sign in" {
		t.Errorf("%d", s.status)
	}
}
