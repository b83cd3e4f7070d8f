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
