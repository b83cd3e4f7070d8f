package authserver_test

import (
	"fmt"
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

// What a client may do is what it is registered for now, not when the person said so.
func TestPoint22_ATokenIsWithinWhatTheClientIsStillRegisteredFor(t *testing.T) {
	t.Parallel()
	store := authserver.NewMemoryStore(nil)
	c := authserver.Client{
		ClientID: "kept", SecretHash: authserver.HashOf("secret-of-kept"), GrantTypes: []string{"authorization_code", deviceGrant},
		RedirectURIs: []string{webURI}, Scope: "orders:read orders:write", Audience: []string{ordersAPI, billingAPI},
	}
	kept := login{c.ClientID, "secret-of-kept"}
	i := startWeb(t, "", withStore(store))
	register := func() {
		if err := store.PutClient(t.Context(), &c); err != nil {
			t.Fatal(err)
		}
	}
	register()
	code := i.browser().grant(authParams(web, "client_id", kept.id)).response().Get("code")
	d, last := i.device(kept).decide("allow"), i.device(kept).decide("allow")
	c.Scope, c.Audience = "orders:read", []string{ordersAPI}
	register()
	for _, a := range []answer{i.redeem(kept, code, "redirect_uri", webURI), d.poll()} {
		if _, p := parts(t, a.member("access_token")); p["scope"] != "orders:read" || fmt.Sprint(p["aud"]) != "["+ordersAPI+"]" {
			t.Error(p)
		}
	}
	c.Audience = []string{"https://new.example"}
	register()
	last.want("400 invalid_target")
}

// A sign-in on another page leaves nobody standing who is at a device's, either: the
// link fills their code in, and no more.
func TestPoint12_ADevicesFormOfBeforeTheSignInLeadsOn(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "/tenant")
	d := i.device(tv)
	for name, fill := range map[string][]string{"/device": {"user_code", d.userCode}, "/login": {"username", "alice", "password", "alice-password"}} {
		b := i.browser()
		page := b.get(i.url + "/device")
		if name == "/login" {
			page = b.submit(page, "user_code", d.userCode)
		}
		b.signIn(b.authorize(authParams(web)), "alice")
		b.header.Set("Sec-Fetch-Site", "cross-site")
		if s := b.submit(page, fill...); !s.isPage(403) || s.link != "" {
			t.Errorf("%s of another site: %d %s", name, s.status, s.link)
		}
		b.header.Set("Sec-Fetch-Site", "same-origin")
		s := b.submit(page, fill...)
		if !s.isPage(403) || s.link != "/tenant/device?user_code="+d.userCode {
			t.Fatalf("%s: %d %s", name, s.status, s.link)
		}
		if s = b.get(i.host + s.link); s.title != "Connect a device" || s.fields.Get("user_code") != d.userCode {
			t.Errorf("%s: %d %s", name, s.status, s.title)
		}
	}
}
