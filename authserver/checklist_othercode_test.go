package authserver_test

import (
	"testing"

	"github.com/countermark/countermark/authserver"
)

// Whoever sees the code of a redirect, and has no code_verifier, ends nothing by
// passing it off as a device's.
func TestPoint21_ACodeIsNoDeviceCode(t *testing.T) {
	t.Parallel()
	var tr trail
	i := startWeb(t, "", tr.attach, withSPA, func(c *authserver.Config) {
		last := &c.Clients[len(c.Clients)-1]
		last.GrantTypes = []string{"authorization_code", deviceGrant, "refresh_token"}
	})
	code := i.spaCode()
	stolen := form("grant_type", deviceGrant, "client_id", spa, "device_code", code)
	i.wantGrantRefused("before it is redeemed", i.send("/token", stolen))
	a := i.redeemSPA(code)
	i.wantGrantRefused("after it", i.send("/token", stolen))
	if !i.active(orders, a.member("access_token")) {
		t.Error("the grant was ended")
	}
	i.rotated(login{}, a.member("refresh_token"), "client_id", spa)
	tr.wantNoAlert(t)
}
