package authserver_test

import (
	"strings"
	"testing"
	"time"
)

// reuse has a thief use a refresh token of a grant of alice's.
func (i *issuer) reuse() {
	i.t.Helper()
	first, _ := i.signedUp()
	second, _ := i.rotated(web, first)
	i.rotated(web, second)
	i.wantGrantRefused("the reuse", i.refresh(web, first))
}

// signInAs fills in the sign-in page and returns what comes at once.
func (b *browser) signInAs(name string) *screen {
	b.i.t.Helper()
	return b.submit(b.authorize(authParams(web)), "username", name, "password", name+"-password")
}

func TestPoint24_ThePersonSeesANoticeAtTheNextSignIn(t *testing.T) {
	t.Parallel()
	i := startRefresh(t)
	i.reuse()
	i.clock.Advance(24 * time.Hour)
	if s := i.browser().signInAs("bob"); s.status != 303 {
		t.Errorf("another person: %d %s", s.status, s.text)
	}
	b := i.browser()
	s := b.signInAs("alice")
	if s.status != 200 || s.title != "Before you go on" || !strings.Contains(s.text, "Web <Shop>  was signed out on 2 January 2030, 03:04 UTC") {
		t.Fatalf("%d %s %s", s.status, s.title, s.text)
	}
	if s.header.Get("Content-Security-Policy") == "" || s.header.Get("Referrer-Policy") != "no-referrer" || s.header.Get("X-Frame-Options") != "DENY" {
		t.Error(s.header)
	}
	_, rest, _ := strings.Cut(string(s.body), `<a href="`)
	href, _, _ := strings.Cut(rest, `"`)
	if s := b.get(i.host + strings.ReplaceAll(href, "&amp;", "&")); s.response().Get("code") == "" {
		t.Errorf("it leads to %d %s", s.status, s.title)
	}
	if s := i.browser().signInAs("alice"); s.status != 303 {
		t.Errorf("the same notice again: %d %s", s.status, s.text)
	}
}

// It leads on to whatever the person signed in for.
func TestPoint24_TheNoticeOnTheWayToADevice(t *testing.T) {
	t.Parallel()
	i := startRefresh(t)
	i.reuse()
	b := i.browser()
	d := i.device(tv)
	s := b.submit(b.enter(d.userCode), "username", "alice", "password", "alice-password")
	_, rest, _ := strings.Cut(string(s.body), `<a href="`)
	href, _, _ := strings.Cut(rest, `"`)
	if s.title != "Before you go on" || href != "/device?user_code="+d.userCode {
		t.Fatalf("%d %s, to %s", s.status, s.title, href)
	}
	if s := b.get(i.host + href); s.title != "Allow access on another device?" {
		t.Errorf("it leads to %d %s", s.status, s.title)
	}
}

func TestPoint24_NoticesAddUpToABound(t *testing.T) {
	t.Parallel()
	i := startRefresh(t)
	b := i.browser() // signs in once, before there are any
	tokens := make([]string, 10)
	for n := range tokens {
		tokens[n] = i.redeem(web, b.grant(authParams(web)).response().Get("code")).member("refresh_token")
	}
	for _, c := range []struct{ reuses, notices int }{{2, 2}, {8, 6}, {0, 0}} { // a place of eight is taken until its notice expires
		for range c.reuses {
			next, _ := i.rotated(web, tokens[0])
			i.rotated(web, next)
			i.wantGrantRefused("the reuse", i.refresh(web, tokens[0]))
			tokens = tokens[1:]
		}
		if got := strings.Count(i.browser().signInAs("alice").text, "was signed out"); got != c.notices {
			t.Errorf("%d notices of %d reuses, want %d", got, c.reuses, c.notices)
		}
	}
	i.clock.Advance(91 * 24 * time.Hour)
	i.reuse()
	if got := strings.Count(i.browser().signInAs("alice").text, "was signed out"); got != 1 {
		t.Errorf("%d notices long after", got)
	}
}
