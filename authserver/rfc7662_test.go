package authserver_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/jose"
)

func TestRFC7662_Section2_1_Request(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	for _, params := range []string{"", "token=", "token_type_hint=access_token"} {
		req := i.request("/introspect", params)
		req.SetBasicAuth(orders.id, orders.secret)
		if a := i.do(req); a.status != 400 || a.member("error") != "invalid_request" {
			t.Errorf("%q: %d %s", params, a.status, a.body)
		}
	}
	for _, as := range []login{shop, kiosk} {
		token := i.token(as)
		for _, hint := range []string{"access_token", "refresh_token", "x"} { // it is a hint, no filter
			if a := i.post("/introspect", orders, form("token", token, "token_type_hint", hint)); a.object()["active"] != true {
				t.Errorf("%s: %s", hint, a.body)
			}
		}
	}
}

// Section 4: an API learns of no token but those meant for it, a client of none
// but its own.
func TestRFC7662_Section4_WhoMayLook(t *testing.T) {
	t.Parallel()
	blind := login{"blind", "0123456789"}
	i := start(t, "", func(c *authserver.Config) {
		c.Clients = append(c.Clients, authserver.Client{ClientID: blind.id, SecretHash: authserver.HashOf(blind.secret)})
	})
	for name, c := range map[string]struct {
		token string
		may   []login
	}{
		"a JWT for orders":        {i.token(shop, "resource", ordersAPI), []login{shop, orders}},
		"a JWT for billing":       {i.token(shop, "resource", billingAPI), []login{shop, billing}},
		"a JWT for both":          {i.token(shop), []login{shop, orders, billing}},
		"another client's JWT":    {i.token(batch), []login{batch, orders}},
		"an opaque token":         {i.token(kiosk), []login{kiosk, orders}},
		"what nobody ever issued": {"x", nil},
	} {
		for _, as := range []login{shop, batch, kiosk, orders, billing, blind} {
			may := false
			for _, l := range c.may {
				may = may || l == as
			}
			if i.active(as, c.token) != may {
				t.Errorf("%s: %s may look: %v", name, as.id, !may)
			}
		}
	}
}

// Each token is what the issuer would have signed but for one thing.
func TestRFC7662_Section4_ForgedTokens(t *testing.T) {
	t.Parallel()
	k1, k2 := key(t, "ES256", "k1"), key(t, "PS256", "k2")
	i := start(t, "", withKeys(k1, k2))
	_, payload := parts(t, i.token(shop))
	sign := func(k authserver.SigningKey, header map[string]any, edit func(jwt.MapClaims)) string {
		method, _ := jose.Lookup(k.Algorithm)
		h := map[string]any{"alg": k.Algorithm, "kid": k.ID, "typ": "at+jwt"}
		maps.Copy(h, header)
		claims := jwt.MapClaims(maps.Clone(payload))
		if edit != nil {
			edit(claims)
		}
		token := jwt.Token{Method: method, Header: h, Claims: claims}
		text, err := token.SignedString(k.Signer)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for name, token := range map[string]string{"signed": sign(k1, nil, nil), "signed by the other key": sign(k2, nil, nil)} {
		if !i.active(orders, token) {
			t.Fatalf("%s: the tokens below would show nothing", name)
		}
	}
	rs := k2
	rs.Algorithm = "RS256"
	good := strings.Split(sign(k1, nil, nil), ".")
	raw := func(header string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + good[1] + "."
	}
	for name, token := range map[string]string{
		"another key under our kid":   sign(key(t, "ES256", "k1"), nil, nil),
		"unknown kid":                 sign(k1, map[string]any{"kid": "k3"}, nil),
		"no kid":                      sign(k1, map[string]any{"kid": ""}, nil),
		"kid of the other key":        sign(k1, map[string]any{"kid": "k2"}, nil),
		"an algorithm we do not use":  sign(rs, nil, nil),
		"alg of another algorithm":    sign(k1, map[string]any{"alg": "ES384"}, nil),
		"alg none":                    raw(`{"alg":"none","kid":"k1","typ":"at+jwt"}`),
		"two alg":                     raw(`{"alg":"none","alg":"ES256","kid":"k1","typ":"at+jwt"}`) + good[2],
		"another issuer":              sign(k1, nil, func(c jwt.MapClaims) { c["iss"] = "https://other.example" }),
		"no issuer":                   sign(k1, nil, func(c jwt.MapClaims) { delete(c, "iss") }),
		"no exp":                      sign(k1, nil, func(c jwt.MapClaims) { delete(c, "exp") }),
		"exp in the past":             sign(k1, nil, func(c jwt.MapClaims) { c["exp"] = i.clock.Now().Unix() - 1 }),
		"no jti, so not revocable":    sign(k1, nil, func(c jwt.MapClaims) { delete(c, "jti") }),
		"an aud that is no string":    sign(k1, nil, func(c jwt.MapClaims) { c["aud"] = []any{ordersAPI, 1} }),
		"no signature":                good[0] + "." + good[1] + ".",
		"a signature with padding":    good[0] + "." + good[1] + "." + good[2] + "=",
		"a line break in it":          good[0] + "." + good[1] + ".\n" + good[2],
		"another token's payload":     good[0] + "." + strings.Split(i.token(batch), ".")[1] + "." + good[2],
		"five parts":                  strings.Join(good, ".") + ".a.b",
		"more than 16 KiB":            sign(k1, nil, func(c jwt.MapClaims) { c["pad"] = strings.Repeat("x", 16<<10) }),
		"the payload alone":           good[1],
		"a jti as an opaque token":    fmt.Sprint(payload["jti"]),
		"the hash of an opaque token": opaqueKey(i.token(kiosk)),
	} {
		if a := i.introspect(orders, token); string(a.body) != `{"active":false}` {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

func opaqueKey(token string) string {
	h := authserver.HashOf(token)
	return base64.RawURLEncoding.EncodeToString(h[:])
}

// A refresh token is its client's business alone, and nothing that an API could
// take for an access token.
func TestRFC7662_RefreshTokens(t *testing.T) {
	t.Parallel()
	i := startRefresh(t)
	began := i.clock.Now()
	first, _ := i.signedUp()
	token, _ := i.rotated(web, first)
	for _, as := range []login{orders, billing, twin, shop} {
		if got := string(i.introspect(as, token).body); got != `{"active":false}` {
			t.Errorf("%s: %s", as.id, got)
		}
	}
	if got := string(i.introspect(web, first).body); got != `{"active":false}` {
		t.Errorf("a spent one: %s", got)
	}
	want := fmt.Sprintf(`{"active":true,"iss":%q,"sub":"sub-of-alice","client_id":"web","scope":"orders:read orders:write bills:read","exp":%d}`,
		i.url, began.Add(30*24*time.Hour).Unix())
	if got := string(i.introspect(web, token).body); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
