package authserver_test

import (
	"errors"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

func TestRFC7009_Section2_1_Request(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	for _, params := range []string{"", "token=", "token_type_hint=access_token"} {
		req := i.request("/revoke", params)
		req.SetBasicAuth(shop.id, shop.secret)
		if a := i.do(req); a.status != 400 || a.member("error") != "invalid_request" {
			t.Errorf("%q: %d %s", params, a.status, a.body)
		}
	}
	for _, as := range []login{shop, kiosk} {
		for _, hint := range []string{"access_token", "refresh_token", "x"} { // a wrong hint costs nothing
			token := i.token(as)
			if a := i.post("/revoke", as, form("token", token, "token_type_hint", hint)); a.status != 200 || i.active(orders, token) {
				t.Errorf("%s: %d %s", hint, a.status, a.body)
			}
		}
	}
}

// A revocation is remembered as long as the token could be taken for good by a
// clock that is five minutes behind, and then forgotten.
func TestRFC7009_Section2_2_RememberedAsLongAsTheTokenLives(t *testing.T) {
	t.Parallel()
	store := authserver.NewMemoryStore(nil)
	i := start(t, "", withStore(store))
	token := i.token(shop)
	_, payload := parts(t, token)
	jti, _ := payload["jti"].(string)
	i.post("/revoke", shop, form("token", token))
	exp := time.Unix(i.clock.Now().Unix()+600, 0)
	if n, err := store.Purge(t.Context(), exp.Add(5*time.Minute-time.Second), 100); err != nil || n != 0 {
		t.Errorf("%d purged, %v", n, err)
	}
	if g, err := store.Grant(t.Context(), jti); err != nil || g.Revoked.IsZero() || g.Reason == "" {
		t.Errorf("forgotten too early: %+v, %v", g, err)
	}
	if n, err := store.Purge(t.Context(), exp.Add(5*time.Minute), 100); err != nil || n != 1 {
		t.Errorf("%d purged, %v", n, err)
	}
	if _, err := store.Grant(t.Context(), jti); !errors.Is(err, authserver.ErrNotFound) {
		t.Errorf("remembered for ever: %v", err)
	}
}

func TestRFC7009_Section2_RevokedAcrossAKeyRotation(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	revokedBefore, revokedAfter, kept := i.token(shop), i.token(shop), i.token(shop)
	i.post("/revoke", shop, form("token", revokedBefore))
	if err := i.RotateKeys(t.Context(), key(t, "ES256", "next"), authserver.RotateNow); err != nil {
		t.Fatal(err)
	}
	i.post("/revoke", shop, form("token", revokedAfter))
	if i.active(orders, revokedBefore) || i.active(orders, revokedAfter) || !i.active(orders, kept) {
		t.Error("a rotation changes what is revoked")
	}
}

// Section 2.1: with a refresh token go the access tokens of its grant. One that is
// used up stands for the grant as well, or a client that revokes while it
// refreshes would not be rid of it.
func TestRFC7009_RefreshTokens(t *testing.T) {
	t.Parallel()
	for name, which := range map[string]int{"the current one": 1, "a spent one": 0} {
		i := startRefresh(t)
		first, access0 := i.signedUp()
		second, access1 := i.rotated(web, first)
		tokens := []string{first, second}
		if a := i.post("/revoke", twin, form("token", tokens[which])); a.outcome() != "400 invalid_grant" {
			t.Errorf("%s, by another client: %d %s", name, a.status, a.body)
		}
		if !i.active(orders, access0) {
			t.Fatal("another client revoked it")
		}
		if a := i.post("/revoke", web, form("token", tokens[which], "token_type_hint", "refresh_token")); a.status != 200 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if i.active(orders, access0) || i.active(orders, access1) {
			t.Errorf("%s: an access token is still good", name)
		}
		i.wantGrantRefused(name, i.refresh(web, second))
		if a := i.post("/revoke", web, form("token", tokens[which])); a.status != 200 {
			t.Errorf("%s, again: %d %s", name, a.status, a.body)
		}
	}
	i := startRefresh(t)
	token, access := i.signedUp()
	i.post("/revoke", web, form("token", access))
	i.wantGrantRefused("after its access token", i.refresh(web, token))
}
