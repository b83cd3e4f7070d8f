package authserver_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

// Two issuers may keep their records in one store and have clients and people of
// the same names: what one gave counts nowhere else.
func TestPoint12_ASessionIsGoodAtItsIssuerAlone(t *testing.T) {
	t.Parallel()
	ours, theirs := twoIssuers(t)
	guest, host := theirs.browser(), ours.browser()
	guest.grant(authParams(web))
	host.authorize(authParams(web)) // for the name of the cookie
	jar := func(b *browser) (*url.URL, []*http.Cookie) {
		u, err := url.Parse(b.i.url)
		if err != nil {
			t.Fatal(err)
		}
		return u, b.client.Jar.Cookies(u)
	}
	_, from := jar(guest)
	at, to := jar(host)
	to[0].Value = from[0].Value
	host.client.Jar.SetCookies(at, to)
	if s := host.authorize(authParams(portal)); s.title != "Sign in" {
		t.Errorf("another issuer's cookie is signed in: %d %s", s.status, s.header.Get("Location"))
	}
	if s := host.signIn(host.authorize(authParams(web)), "alice"); s.title != "Allow access?" {
		t.Errorf("consent given to another issuer: %d %s", s.status, s.header.Get("Location"))
	}
	if s := guest.authorize(authParams(web)); !s.response().Has("code") {
		t.Errorf("the sign-in at another issuer ended the session: %d %s", s.status, s.body)
	}
}

func TestPoint22_ACodeIsGoodAtItsIssuerAlone(t *testing.T) {
	t.Parallel()
	ours, theirs := twoIssuers(t)
	code := theirs.code(web)
	if a := ours.redeem(web, code); a.status != 400 || a.member("error") != "invalid_grant" {
		t.Errorf("another issuer's code: %d %s", a.status, a.body)
	}
	if a := theirs.redeem(web, code); a.status != 200 {
		t.Errorf("at its own issuer, later: %d %s", a.status, a.body)
	}
}

func TestRFC9126_Section2_2_ARequestURIIsGoodAtItsIssuerAlone(t *testing.T) {
	t.Parallel()
	ours, theirs := twoIssuers(t)
	uri := theirs.push(web)
	if s := ours.browser().authorize(pushed(web, uri)); !s.isPage(400) {
		t.Errorf("another issuer's request_uri: %d %s", s.status, s.body)
	}
	if s := theirs.browser().grant(pushed(web, uri)); !s.response().Has("code") {
		t.Errorf("at its own issuer, later: %s", s.header.Get("Location"))
	}
}

func TestPoint24_ARefreshTokenIsGoodAtItsIssuerAlone(t *testing.T) {
	t.Parallel()
	ours, theirs := twoIssuers(t)
	token, _ := theirs.signedUp()
	if a := ours.refresh(web, token); a.status != 400 || a.member("error") != "invalid_grant" {
		t.Errorf("another issuer's refresh token: %d %s", a.status, a.body)
	}
	if ours.active(web, token) {
		t.Error("another issuer's refresh token is active")
	}
	if a := ours.post("/revoke", web, form("token", token)); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	next, _ := theirs.rotated(web, token)
	if a := ours.refresh(web, next); a.status != 400 {
		t.Errorf("another issuer's next refresh token: %d %s", a.status, a.body)
	}
	theirs.clock.Advance(time.Minute)
	theirs.refresh(web, token) // a second time, of which alice is to be told
	if s := signInOnly(ours); s.status != 303 {
		t.Errorf("told of a theft at another issuer: %d %s", s.status, s.body)
	}
	if s := signInOnly(theirs); s.status != 200 || s.title != "Before you go on" {
		t.Errorf("not told of a theft: %d %s", s.status, s.body)
	}
}

func signInOnly(i *issuer) *screen {
	b := i.browser()
	return b.submit(b.authorize(authParams(web)), "username", "alice", "password", "alice-password")
}

func twoIssuers(t *testing.T) (ours, theirs *issuer) {
	t.Helper()
	store := authserver.NewMemoryStore(nil)
	return startWeb(t, "/ours", withStore(store), withRefresh), startWeb(t, "/theirs", withStore(store), withRefresh)
}
