package authserver_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"github.com/countermark/countermark/authserver"
)

// startMisuse is startOpenID with everything that takes tokens of any kind. The
// keys of the issuer are those of a client and of a trusted issuer as well.
func startMisuse(t *testing.T) *issuer {
	t.Helper()
	mine := key(t, "ES256", "mine")
	own := signer{"ES256", "mine", mine.Signer}
	return startOpenID(t, withKeys(mine), trusting(t, own, nil), func(c *authserver.Config) {
		api := exchanger(false)
		api.TokenExchangeAudience = []string{ordersAPI, web.id} // the aud of the ID token
		api.GrantTypes = append(api.GrantTypes, jwtBearer)
		c.Clients = append(c.Clients, api,
			authserver.Client{ClientID: "keyed", TokenEndpointAuthMethod: "private_key_jwt", JWKS: jwks(t, own), GrantTypes: []string{"client_credentials"}, Audience: []string{ordersAPI}},
			authserver.Client{ClientID: "sub-of-alice-as-client", TokenEndpointAuthMethod: "private_key_jwt", JWKS: jwks(t, own), GrantTypes: []string{"client_credentials"}, Audience: []string{ordersAPI}},
			authserver.Client{ClientID: "reader", SecretHash: authserver.HashOf(sealed), Audience: []string{web.id, ordersAPI}})
	})
}

func TestPoint28_AnIDTokenIsTakenNowhere(t *testing.T) {
	t.Parallel()
	i := startMisuse(t)
	answer := i.openID(web)
	id, access := answer.member("id_token"), answer.member("access_token")
	if i.verify(id) != nil || id == "" {
		t.Fatal("the ID token is not a good one: what follows shows nothing")
	}

	for _, method := range []string{http.MethodGet, http.MethodPost} {
		i.wantChallenge("userinfo", i.atUserinfo(method, id), 401, "Bearer", "invalid_token")
	}
	k := newDPoPKey(t)
	a := i.callUserinfo(http.MethodGet, "DPoP "+id, http.Header{"Dpop": {i.userinfoProof(k, "GET", id, nil)}})
	i.wantChallenge("userinfo, with a proof", a, 401, "DPoP", "invalid_token")

	for _, as := range []login{web, orders, {"reader", sealed}} {
		for _, hint := range []string{"access_token", "refresh_token", "id_token"} {
			if a := i.post("/introspect", as, form("token", id, "token_type_hint", hint)); string(a.body) != `{"active":false}` {
				t.Errorf("introspection by %s: %s", as.id, a.body)
			}
		}
	}

	if a := i.post("/revoke", web, form("token", id)); a.status != 200 || !i.active(orders, access) {
		t.Errorf("revocation: %d %s, and its access token is active: %v", a.status, a.body, i.active(orders, access))
	}

	const kind = "urn:ietf:params:oauth:token-type:"
	for _, as := range []string{accessTokenKind, kind + "id_token", kind + "jwt", kind + "refresh_token"} {
		if a := i.exchange(gateway, id, "subject_token_type", as); a.outcome() != "400 invalid_request" {
			t.Errorf("subject_token as %s: %d %s", as, a.status, a.body)
		}
		v := form("grant_type", tokenExchange, "subject_token", access, "subject_token_type", accessTokenKind, "actor_token", id, "actor_token_type", as)
		if a := i.post("/token", gateway, v); a.outcome() != "400 invalid_request" {
			t.Errorf("actor_token as %s: %d %s", as, a.status, a.body)
		}
	}
	if a := i.exchange(gateway, access); a.status != 200 {
		t.Errorf("the access token: %d %s", a.status, a.body)
	}

	if a := i.post("/token", gateway, form("grant_type", jwtBearer, "assertion", id)); a.outcome() != "400 invalid_grant" {
		t.Errorf("as an assertion: %d %s", a.status, a.body)
	}
	for _, client := range []string{"", "keyed", web.id, "sub-of-alice-as-client"} {
		extra := []string{"grant_type", "client_credentials"}
		if client != "" {
			extra = append(extra, "client_id", client)
		}
		if a := i.assert("/token", id, extra...); a.outcome() != "401 invalid_client" {
			t.Errorf("as a client assertion of %q: %d %s", client, a.status, a.body)
		}
	}

	for grant, name := range map[string]string{"refresh_token": "refresh_token", "authorization_code": "code"} {
		v := form("grant_type", grant, name, id, "code_verifier", verifier, "redirect_uri", webURI)
		if a := i.post("/token", web, v); a.outcome() != "400 invalid_grant" {
			t.Errorf("as a %s: %d %s", name, a.status, a.body)
		}
	}
	if a := i.fromDevice("/token", tv, "grant_type", deviceGrant, "device_code", id); a.outcome() != "400 invalid_grant" {
		t.Errorf("as a device code: %d %s", a.status, a.body)
	}
}

// And the other way round: what an access token gets nobody signed out by is in
// TestRPInitiatedLogout_2_OtherHintsAsk. Here, that an ID token holds nothing that
// would make it one.
func TestPoint28_AnIDTokenHasNothingOfAnAccessToken(t *testing.T) {
	t.Parallel()
	i := startOpenID(t)
	header, claims := i.idToken(i.openID(web))
	for _, name := range []string{"scope", "client_id", "jti", "cnf", "azp", "name", "email"} {
		if claims[name] != nil {
			t.Errorf("%s: %v", name, claims[name])
		}
	}
	if text, _ := json.Marshal(claims["aud"]); header["typ"] != "JWT" || !slices.Equal(text, []byte(`"`+web.id+`"`)) {
		t.Errorf("%v %s", header, text)
	}
}
