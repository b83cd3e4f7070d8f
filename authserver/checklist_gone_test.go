package authserver_test

import (
	"testing"

	"github.com/countermark/countermark/authserver"
)

// without is another server of the issuer, on its store, whose first user is gone.
func (i *issuer) without(store authserver.Store) *issuer {
	i.t.Helper()
	return startRefresh(i.t, withStore(store), func(c *authserver.Config) {
		c.Issuer, c.Now, c.Users = i.url, i.clock.Now, users()[1:]
	})
}

// Who left has no use of what they allowed just before.
func TestPoint12_NoTokensForWhoIsGone(t *testing.T) {
	t.Parallel()
	store := authserver.NewMemoryStore(nil)
	i := startRefresh(t, withStore(store))
	code, d := i.code(web), i.device(tv).decide("allow")
	later := i.without(store)
	later.wantGrantRefused("a code", later.redeem(web, code))
	d.i = later
	d.want("400 invalid_grant")
}

// One server may not know yet of a person whom another one does.
func TestRFC7009_2_ARefreshTokenOfWhoIsGoneIsRevokedAllTheSame(t *testing.T) {
	t.Parallel()
	store := authserver.NewMemoryStore(nil)
	i := startRefresh(t, withStore(store))
	token, _ := i.signedUp()
	other := i.without(store)
	if a := other.post("/revoke", web, form("token", token)); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	i.wantGrantRefused("at the first", i.refresh(web, token))
}
