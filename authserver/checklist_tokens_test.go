package authserver_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/jose"
)

func TestPoint28_OtherTokensOfOurKeysAreNoAccessTokens(t *testing.T) {
	t.Parallel()
	k := key(t, "ES256", "k1")
	i := start(t, "", withKeys(k))
	method, _ := jose.Lookup("ES256")
	_, payload := parts(t, i.token(shop))
	for typ, active := range map[string]bool{"at+jwt": true, "JWT": false, "": false, "logout+jwt": false, "dpop+jwt": false, "AT+JWT": false} {
		token := jwt.Token{Method: method, Header: map[string]any{"alg": "ES256", "kid": "k1", "typ": typ}, Claims: jwt.MapClaims(payload)}
		text, err := token.SignedString(k.Signer)
		if err != nil {
			t.Fatal(err)
		}
		if i.active(orders, text) != active {
			t.Errorf("typ %q is active: %v", typ, !active)
		}
	}
}

func TestPoint29_AccessTokensFollowRFC9068(t *testing.T) {
	t.Parallel()
	i := start(t, "/tenant")
	header, payload := parts(t, i.token(shop, "scope", "orders:read", "resource", ordersAPI))
	now := float64(i.clock.Now().Unix())
	jti, _ := payload["jti"].(string)
	want := map[string]any{
		"iss": i.url, "sub": shop.id, "client_id": shop.id, "aud": []any{ordersAPI}, "scope": "orders:read",
		"iat": now, "exp": now + 600, "jti": jti,
	}
	if fmt.Sprint(payload) != fmt.Sprint(want) || jti == "" {
		t.Errorf("%v\nwant %v", payload, want)
	}
	kid, _ := header["kid"].(string)
	if want := map[string]any{"typ": "at+jwt", "alg": "ES256", "kid": kid}; fmt.Sprint(header) != fmt.Sprint(want) || kid == "" {
		t.Error(header)
	}
}

// What is issued can be introspected and revoked, or it is not issued.
func TestPoint29_NoTokenIsTooLongToBeReadBack(t *testing.T) {
	t.Parallel()
	long := login{"long", "0123456789"}
	scopes := make([]string, 100) // in JSON each < takes six bytes
	for n := range scopes {
		scopes[n] = fmt.Sprint(strings.Repeat("<", 30), n)
	}
	i := start(t, "", func(c *authserver.Config) {
		c.Clients = append(c.Clients, authserver.Client{
			ClientID: long.id, SecretHash: authserver.HashOf(long.secret), GrantTypes: []string{"client_credentials"},
			Scope: strings.Join(scopes, " "), Audience: []string{ordersAPI},
		})
	})
	refused := 0
	for n := 1; n <= len(scopes); n++ {
		a := i.post("/token", long, form("grant_type", "client_credentials", "scope", strings.Join(scopes[:n], " ")))
		switch token := a.member("access_token"); {
		case a.status == 400 && a.member("error") == "invalid_scope":
			refused++
		case a.status != 200 || !i.active(orders, token):
			t.Fatalf("%d scopes: %d, a token of %d bytes: %s", n, a.status, len(token), a.body)
		}
	}
	if refused == 0 || refused == len(scopes) {
		t.Errorf("%d of %d were refused", refused, len(scopes))
	}
}

func TestPoint32_Introspection(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	for _, as := range []login{shop, kiosk} { // a JWT and an opaque token
		token := i.token(as, "scope", "orders:read", "resource", ordersAPI)
		got := i.introspect(orders, token).object()
		now := float64(i.clock.Now().Unix())
		jti, _ := got["jti"].(string)
		want := map[string]any{
			"active": true, "token_type": "Bearer", "iss": i.url, "sub": as.id, "client_id": as.id, "aud": []any{ordersAPI},
			"scope": "orders:read", "iat": now, "exp": now + 600, "jti": jti,
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || jti == "" {
			t.Errorf("%s: %v\nwant %v", as.id, got, want)
		}
	}
	if a := i.introspect(login{}, i.token(shop)); a.status != 401 || a.member("error") != "invalid_client" {
		t.Errorf("without authentication: %d %s", a.status, a.body)
	}
}

func TestPoint32_InactiveSaysNothingElse(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	for _, as := range []login{shop, kiosk} {
		token := i.token(as, "resource", ordersAPI)
		revoked := i.token(as, "resource", ordersAPI)
		i.post("/revoke", as, form("token", revoked))
		foreign := i.introspect(billing, token) // meant for another API
		other := i.introspect(batch, token)     // of another client
		if !i.active(orders, token) || !i.active(as, token) {
			t.Error("the token is not active for its API or its client")
		}
		for name, a := range map[string]answer{
			"foreign": foreign, "of another client": other, "revoked": i.introspect(orders, revoked),
			"unknown": i.introspect(orders, "x"), "cut": i.introspect(orders, token[:len(token)-1]),
			"longer": i.introspect(orders, token+"A"), "with a dot": i.introspect(orders, token+"."), "huge": i.introspect(orders, strings.Repeat("a.", 9000)),
			"signed by nobody": i.introspect(orders, strings.Join(strings.Split(token, ".")[:1], "")+".e30."),
		} {
			if a.status != 200 || string(a.body) != `{"active":false}` {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		}
	}
}

func TestPoint32_ExpiredIsInactive(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	tokens := []string{i.token(shop), i.token(kiosk)}
	exp := time.Unix(i.clock.Now().Unix()+600, 0)
	i.clock.Advance(exp.Sub(i.clock.Now()) - time.Millisecond)
	for n, token := range tokens {
		if !i.active(orders, token) {
			t.Errorf("token %d expired too early", n)
		}
	}
	i.clock.Advance(time.Millisecond) // on or after (RFC 7519 section 4.1.4)
	for n, token := range tokens {
		if a := i.introspect(orders, token); string(a.body) != `{"active":false}` {
			t.Errorf("token %d is expired: %s", n, a.body)
		}
	}
}

func TestPoint33_Revocation(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	for _, as := range []login{shop, kiosk, batch} {
		token, other := i.token(as), i.token(as)
		if a := i.post("/revoke", as, form("token", token)); a.status != 200 {
			t.Errorf("%s: %d %s", as.id, a.status, a.body)
		}
		if i.active(orders, token) || !i.active(orders, other) {
			t.Errorf("%s: not that token, or not that alone, was revoked", as.id)
		}
		for range 2 {
			if a := i.post("/revoke", as, form("token", token)); a.status != 200 {
				t.Errorf("%s again: %d %s", as.id, a.status, a.body)
			}
		}
	}
}

func TestPoint33_UnknownIsFine(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	expired := i.token(shop)
	i.clock.Advance(time.Hour)
	for _, token := range []string{"x", "a.b.c", "....", expired, strings.Repeat("x", 20<<10)} {
		for _, hint := range []string{"access_token", "refresh_token", "x"} {
			if a := i.post("/revoke", shop, form("token", token, "token_type_hint", hint)); a.status != 200 {
				t.Errorf("%.20q: %d %s", token, a.status, a.body)
			}
		}
	}
}

func TestPoint33_OnlyTheOwnerRevokes(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	for _, owner := range []login{shop, kiosk} {
		token := i.token(owner)
		for _, as := range []login{batch, orders, billing} {
			if a := i.post("/revoke", as, form("token", token)); a.status != 400 || a.member("error") != "invalid_grant" {
				t.Errorf("%s: %d %s", as.id, a.status, a.body)
			}
		}
		for _, as := range []login{stranger, {}} {
			if a := i.post("/revoke", as, form("token", token)); a.status != 401 {
				t.Errorf("%s: %d %s", as.id, a.status, a.body)
			}
		}
		if !i.active(orders, token) {
			t.Error("somebody else revoked the token")
		}
	}
}

func TestPoint35_KeySet(t *testing.T) {
	t.Parallel()
	var keys []authserver.SigningKey
	for _, alg := range []string{"ES256", "ES384", "ES512", "RS256", "PS256", "EdDSA"} {
		keys = append(keys, key(t, alg, ""))
	}
	i := start(t, "", withKeys(keys...))
	a := i.get(i.url + "/jwks")
	if a.header.Get("Cache-Control") != "public, max-age=900" || a.header.Get("Content-Type") != "application/json" {
		t.Error(a.header)
	}
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(a.body, &set); err != nil {
		t.Fatal(err)
	}
	members := map[string]string{"EC": "alg crv kid kty use x y", "RSA": "alg e kid kty n use", "OKP": "alg crv kid kty use x"}
	kids := map[string]bool{}
	for n, k := range set.Keys {
		var names []string
		for name := range k {
			names = append(names, name)
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != members[k["kty"]] {
			t.Errorf("members %s", got)
		}
		if k["use"] != "sig" || k["alg"] != keys[n].Algorithm {
			t.Error(k)
		}
		kids[k["kid"]] = true
	}
	if len(kids) != len(keys) {
		t.Errorf("%d kids of %d keys", len(kids), len(keys))
	}
}

func TestPoint35_ScheduledRotationOverlaps(t *testing.T) {
	t.Parallel()
	i := start(t, "", withKeys(key(t, "ES256", "old")), func(c *authserver.Config) { c.TokenLifetime = time.Hour })
	if err := i.RotateKeys(t.Context(), key(t, "EdDSA", "new"), authserver.RotateScheduled); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		after     time.Duration
		signs     string
		published string
	}{
		{0, "old", "old new"},
		{15*time.Minute - time.Millisecond, "old", "old new"}, // the key set may be cached for that long
		{15 * time.Minute, "new", "old new"},
		{15*time.Minute + time.Hour, "new", "old new"},                    // the last token of the old key expires
		{20*time.Minute + time.Hour - time.Millisecond, "new", "old new"}, // clocks differ
		{20*time.Minute + time.Hour, "new", "new"},
	} {
		i.clock.Advance(step.after - i.clock.Now().Sub(newClock().now))
		token := i.token(shop)
		header, _ := parts(t, token)
		if header["kid"] != step.signs {
			t.Errorf("after %v %v signs", step.after, header["kid"])
		}
		if got := i.kids(); got != step.published {
			t.Errorf("after %v %v are published", step.after, got)
		}
		if err := i.verify(token); err != nil {
			t.Errorf("after %v: %v", step.after, err)
		}
	}
}

func (i *issuer) kids() string {
	i.t.Helper()
	var kids []string
	set := i.keySet()
	for n := range set.Len() {
		k, _ := set.Key(n)
		kid, _ := k.KeyID()
		kids = append(kids, kid)
	}
	return strings.Join(kids, " ")
}

// What else the server gives away is no access token, and none stands for another.
func TestPoint28_NoSecretIsGoodAsAnother(t *testing.T) {
	t.Parallel()
	i := startRefresh(t, func(c *authserver.Config) {
		c.Clients = append(c.Clients, exchanger(false))
		for n := range c.Clients {
			c.Clients[n].AccessTokenStrategy = "opaque"
		}
	})
	refresh, access := i.signedUp()
	b := i.browser()
	code := b.grant(authParams(web)).response().Get("code")
	secrets := map[string]string{
		"refresh token": refresh, "code": code, "cookie": b.cookie(), "device code": i.device(tv).code,
		"request_uri": strings.TrimPrefix(i.push(web), "urn:ietf:params:oauth:request_uri:"), "access token": access,
	}
	for name, secret := range secrets {
		if i.active(orders, secret) != (name == "access token") {
			t.Errorf("a %s is an access token", name)
		}
		if a := i.exchange(gateway, secret); (a.status == 200) != (name == "access token") {
			t.Errorf("exchange of a %s: %d %s", name, a.status, a.body)
		}
		if name != "code" {
			i.wantGrantRefused("as a code, a "+name, i.redeem(web, secret))
		}
		if name != "refresh token" {
			i.wantGrantRefused("as a refresh token, a "+name, i.refresh(web, secret))
		}
		if name != "device code" {
			i.wantGrantRefused("as a device code, a "+name, i.fromDevice("/token", tv, "grant_type", deviceGrant, "device_code", secret))
		}
	}
	if a := i.redeem(web, code); a.status != 200 {
		t.Errorf("some of it burnt the code: %d %s", a.status, a.body)
	}
}
