package authserver_test

import (
	"strings"
	"testing"
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
