package authserver_test

import (
	"context"
	"strings"
	"testing"

	"github.com/countermark/countermark/authserver"
)

func TestRFC9068_Section2_1_SignedByEveryAlgorithm(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			i := start(t, "", withKeys(key(t, alg, "k1")))
			token := i.token(shop)
			if header, _ := parts(t, token); header["alg"] != alg || header["typ"] != "at+jwt" || header["kid"] != "k1" || len(header) != 3 {
				t.Error(header)
			}
			if err := i.verify(token); err != nil {
				t.Errorf("golang-jwt and jwx refuse it: %v", err)
			}
			cut := strings.LastIndexByte(token, '.') + 1
			if err := i.verify(token[:cut] + strings.Repeat("A", len(token)-cut)); err == nil {
				t.Error("a signature of zeros verifies: the check above shows nothing")
			}
			if !i.active(orders, token) {
				t.Error("the issuer does not know its own token")
			}
		})
	}
}

func TestRFC9068_Section2_2_Claims(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	_, payload := parts(t, i.token(shop))
	for _, name := range []string{"iss", "exp", "aud", "sub", "client_id", "iat", "jti"} {
		if payload[name] == nil {
			t.Errorf("%s is required", name)
		}
		delete(payload, name)
	}
	delete(payload, "scope")
	if len(payload) > 0 {
		t.Errorf("besides what was asked for there is %v", payload)
	}
}

// Section 2.2: iat and exp are whole seconds here, whatever the clock says, and
// exactly the lifetime apart.
func TestRFC9068_Section2_2_Times(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	_, payload := parts(t, i.token(shop))
	iat, _ := payload["iat"].(float64)
	exp, _ := payload["exp"].(float64)
	if now := i.clock.Now(); int64(iat) != now.Unix() || iat != float64(int64(iat)) || exp != iat+600 {
		t.Errorf("iat %v, exp %v at %v", iat, exp, now)
	}
}

// An API must not take a person for a client, or one for the other: where both
// have one name, whichever is not in the configuration is refused.
func TestRFC9068_Section5_NoSubjectIsAClient(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ES256", "k1")
	store := authserver.NewMemoryStore(nil)
	for _, id := range []string{"sub-of-alice", "sub-of-carol", "sub-of-dave"} {
		if err := store.PutClient(t.Context(), &authserver.Client{
			ClientID: id, SecretHash: authserver.HashOf("0123456789"), GrantTypes: []string{"client_credentials"}, Audience: []string{ordersAPI},
		}); err != nil {
			t.Fatal(err)
		}
	}
	sameName := func(t *authserver.TrustedIssuer) {
		t.Subject = func(_ context.Context, sub string) (string, error) { return sub, nil }
	}
	i := startWeb(t, "", withStore(store), trusting(t, s, sameName))
	for id, status := range map[string]int{"sub-of-alice": 500, "sub-of-carol": 200} {
		if a := i.post("/token", login{id, "0123456789"}, form("grant_type", "client_credentials")); a.status != status {
			t.Errorf("client %s: %d %s", id, a.status, a.body)
		}
	}
	if i.code(portal) == "" {
		t.Error("a client keeps a user out")
	}
	for sub, status := range map[string]int{"sub-of-carol": 400, shop.id: 400, "alice": 200} {
		says := i.assertion()
		says["sub"] = sub
		if a := i.post("/token", shop, form("grant_type", jwtBearer, "assertion", s.sign(t, nil, says))); a.status != status {
			t.Errorf("assertion about %s: %d %s", sub, a.status, a.body)
		}
	}
	i = startWeb(t, "", withStore(store), func(c *authserver.Config) {
		c.Users = nil
		c.Login = func(_ context.Context, username, _ string) (authserver.User, error) {
			return authserver.User{Subject: username}, nil
		}
	})
	for username, status := range map[string]int{"sub-of-dave": 500, shop.id: 500, "dave": 303} {
		b := i.browser()
		if s := b.submit(b.authorize(authParams(web)), "username", username, "password", "x"); s.status != status {
			t.Errorf("the person %s: %d", username, s.status)
		}
	}
}
