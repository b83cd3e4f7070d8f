package authserver_test

import (
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

// A token that lives for less than a second would say expires_in 0, which clients
// such as golang.org/x/oauth2 take for a token that never expires.
func TestPoint24_NoTokenIsIssuedDeadAtTheEndOfItsGrant(t *testing.T) {
	t.Parallel()
	for _, left := range []time.Duration{time.Second, time.Second - time.Millisecond, time.Millisecond} {
		var tr trail
		i := startRefresh(t, tr.attach)
		token, _ := i.signedUp()
		i.clock.Advance(30*24*time.Hour - left)
		tr.take()
		a := i.refresh(web, token)
		if left == time.Second {
			if a.status != 200 || a.object()["expires_in"] != 1.0 {
				t.Errorf("%v: %d %s", left, a.status, a.body)
			}
			continue
		}
		i.wantGrantRefused(left.String(), a)
		for _, e := range tr.take() {
			if e.Type != authserver.EventRefused {
				t.Errorf("%v: %s", left, e.Type)
			}
		}
	}
}

// Another server's clock may be behind: none is none all the same.
func TestPoint24_WithoutGraceThereIsNoRetryByAnotherClockEither(t *testing.T) {
	t.Parallel()
	var tr trail
	store := authserver.NewMemoryStore(nil)
	i := startRefresh(t, withStore(store), func(c *authserver.Config) { c.RefreshTokenGrace = -1 })
	behind := startRefresh(t, tr.attach, withStore(store), func(c *authserver.Config) { c.Issuer, c.RefreshTokenGrace = i.url, -1 })
	i.clock.Advance(time.Second)
	token, _ := i.signedUp()
	i.rotated(web, token)
	tr.take()
	behind.wantGrantRefused("the replay", behind.refresh(web, token))
	if e := tr.take()[0]; e.Type != authserver.EventRefreshReuse {
		t.Errorf("%+v", e)
	}
}
