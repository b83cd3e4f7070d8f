package authserver_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

func TestRFC8628_3_4_APersonAllowsAndTheDeviceGetsItsToken(t *testing.T) {
	t.Parallel()
	for _, as := range []login{tv, box} {
		i := startWeb(t, "/tenant")
		signedIn := i.clock.Now().Unix()
		d := i.device(as, "scope", "orders:read", "resource", ordersAPI)
		d.want("400 authorization_pending")
		d.decide("allow")
		i.clock.Advance(5 * time.Second)
		a := d.poll()
		if a.status != 200 || a.member("token_type") != "Bearer" || a.member("scope") != "orders:read" || a.object()["expires_in"] != 600.0 ||
			a.header.Get("Cache-Control") != "no-store" || len(a.object()) != 4 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		token := a.member("access_token")
		if err := i.verify(token); err != nil || !i.active(orders, token) {
			t.Error(err)
		}
		_, payload := parts(t, token)
		delete(payload, "jti")
		want := map[string]any{
			"iss": i.url, "sub": "sub-of-alice", "client_id": as.id, "aud": []any{ordersAPI}, "scope": "orders:read", "auth_time": float64(signedIn),
			"acr": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport", "iat": float64(signedIn + 5), "exp": float64(signedIn + 605),
		}
		if fmt.Sprint(payload) != fmt.Sprint(want) {
			t.Errorf("%v\nwant %v", payload, want)
		}
	}
}

func TestRFC8628_3_4_WithoutScopeAndResourceThereIsAllOfThem(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	a := i.device(tv).decide("allow").poll()
	_, payload := parts(t, a.member("access_token"))
	if a.member("scope") != "orders:read orders:write" || fmt.Sprint(payload["aud"]) != "["+ordersAPI+" "+billingAPI+"]" {
		t.Errorf("%s %v", a.body, payload)
	}
}

func TestRFC8628_3_4_OpaqueTokens(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	d := i.device(meter).decide("allow")
	token := d.poll().member("access_token")
	if about := i.introspect(orders, token); about.member("sub") != "sub-of-alice" || strings.Contains(token, ".") {
		t.Errorf("%s", about.body)
	}
}

// RFC 8707 section 2.2, as with codes.
func TestRFC8628_3_4_TheTokenRequestMayNarrowTheResources(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	a := i.device(tv).decide("allow").poll("resource", billingAPI)
	if _, payload := parts(t, a.member("access_token")); fmt.Sprint(payload["aud"]) != "["+billingAPI+"]" {
		t.Error(payload)
	}
	d := i.device(tv, "resource", ordersAPI).decide("allow")
	if a := d.poll("resource", billingAPI); a.outcome() != "400 invalid_target" {
		t.Errorf("%d %s", a.status, a.body)
	}
	d.want("200") // the mistake did not use the code up
}

// Two issuers may share a store, and their clients' names.
func TestRFC8628_3_4_TheCodesAreOneIssuers(t *testing.T) {
	t.Parallel()
	shared := withStore(authserver.NewMemoryStore(nil))
	i, other := startWeb(t, "", shared), startWeb(t, "", shared)
	d := i.device(tv)
	if s := other.browser().enter(d.userCode); s.status != 400 {
		t.Errorf("the user code: %d %s", s.status, s.body)
	}
	d.decide("allow")
	elsewhere := *d
	elsewhere.i = other
	elsewhere.want("400 invalid_grant")
	d.want("200")
}

func TestRFC8628_3_4_BadRequests(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	d := i.device(tv)
	for name, a := range map[string]answer{
		"400 invalid_request":     i.fromDevice("/token", tv, "grant_type", deviceGrant),
		"400 invalid_grant":       i.fromDevice("/token", tv, "grant_type", deviceGrant, "device_code", d.code+"x"),
		"400 unauthorized_client": d.pollAs(noTV),
		"401 invalid_client":      d.pollAs(stranger),
	} {
		if a.outcome() != name {
			t.Errorf("%d %s, want %s", a.status, a.body, name)
		}
	}
	// What a person types is no secret of the device.
	if a := i.fromDevice("/token", tv, "grant_type", deviceGrant, "device_code", d.userCode); a.outcome() != "400 invalid_grant" {
		t.Errorf("the user code: %d %s", a.status, a.body)
	}
}

func TestRFC8628_3_4_ADeviceCodeIsItsClients(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	d := i.device(tv)
	i.wantGrantRefused("before the answer", d.pollAs(box))
	d.want("400 authorization_pending") // another client does not use up the interval
	i.wantGrantRefused("and then", d.pollAs(box))
	d.decide("allow")
	i.wantGrantRefused("after the answer", d.pollAs(box))
	d.want("200") // nor the code
	i.wantGrantRefused("another client's replay", d.pollAs(box))
	denied := i.device(tv).decide("deny")
	i.wantGrantRefused("another client's denial", denied.pollAs(box))
}

func TestRFC8628_3_4_ADeviceCodeWorksOnce(t *testing.T) {
	t.Parallel()
	for _, as := range []login{tv, meter} {
		i := startWeb(t, "")
		d := i.device(as).decide("allow")
		token := d.poll().member("access_token")
		if !i.active(orders, token) {
			t.Fatal("no token")
		}
		i.wantGrantRefused("replay by another client", d.pollAs(box))
		if !i.active(orders, token) {
			t.Error("another client's replay revoked the token")
		}
		i.wantGrantRefused("replay", d.poll())
		if i.active(orders, token) {
			t.Error("the token of the first redemption is still good")
		}
		i.wantGrantRefused("another replay", d.poll())
	}
}

func TestRFC8628_3_4_ALateReplayRevokesToo(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	d := i.device(tv).decide("allow")
	i.clock.Advance(10*time.Minute - time.Second)
	token := d.poll().member("access_token")
	i.clock.Advance(9 * time.Minute)
	if !i.active(orders, token) {
		t.Fatal("not active")
	}
	i.wantGrantRefused("late replay", d.poll())
	if i.active(orders, token) {
		t.Error("the token is still good")
	}
}

func TestRFC8628_3_4_DPoP(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "", func(c *authserver.Config) {
		for n := range c.Clients {
			c.Clients[n].DPoPBoundAccessTokens = c.Clients[n].ClientID == box.id
		}
	})
	k := newDPoPKey(t)
	d := i.device(box)
	poll := func(proofs ...string) answer {
		return i.show("/token", box, form("grant_type", deviceGrant, "device_code", d.code), proofs...)
	}
	if a := poll(i.proof(k, nil)); a.outcome() != "400 authorization_pending" {
		t.Errorf("%d %s", a.status, a.body)
	}
	d.decide("allow")
	if a := poll(); a.outcome() != "400 invalid_dpop_proof" {
		t.Errorf("without a proof: %d %s", a.status, a.body)
	}
	a := poll(i.proof(k, nil))
	if cnf, _ := i.bound(a.member("access_token")).(edits); a.member("token_type") != "DPoP" || cnf["jkt"] != k.Thumbprint(t) {
		t.Errorf("%d %s, bound to %v", a.status, a.body, cnf)
	}
}

// A device that may have refresh tokens gets one, and a replay of its code ends
// that, too, for as long as it lives.
func TestRFC8628_3_4_RefreshTokens(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "", func(c *authserver.Config) {
		for n := range c.Clients {
			if c.Clients[n].ClientID == box.id {
				c.Clients[n].GrantTypes = []string{deviceGrant, "refresh_token"}
			}
		}
	})
	d := i.device(box).decide("allow")
	a := d.poll()
	next, _ := i.rotated(box, a.member("refresh_token"))
	i.clock.Advance(29 * 24 * time.Hour)
	next, access := i.rotated(box, next)
	i.wantGrantRefused("a replay of the device code", d.poll())
	i.wantGrantRefused("the refresh token after it", i.refresh(box, next))
	if i.active(orders, access) {
		t.Error("the access token is still good")
	}
	if a := i.device(tv).decide("allow").poll(); a.status != 200 || a.member("refresh_token") != "" {
		t.Errorf("one that may not: %d %s", a.status, a.body)
	}
}
