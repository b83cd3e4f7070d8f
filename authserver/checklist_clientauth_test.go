package authserver_test

import (
	"strings"
	"testing"

	"github.com/countermark/countermark/authserver"
)

func TestPoint25_PublicClientsAreHeldToLess(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ES256", "k1")
	i := startAsserting(t, s)
	for _, g := range []string{"client_credentials", tokenExchange} {
		if a := i.send("/token", form("client_id", pocket, "grant_type", g)); a.outcome() != "400 unauthorized_client" {
			t.Errorf("%s: %d %s", g, a.status, a.body)
		}
		c := authserver.Client{
			ClientID: "app", TokenEndpointAuthMethod: "none", GrantTypes: []string{g}, Audience: []string{ordersAPI}, TokenExchangeAudience: []string{ordersAPI},
		}
		if _, err := authserver.New(authserver.Config{Issuer: i.url, Clients: []authserver.Client{c}}); err == nil || !strings.Contains(err.Error(), "grant_types: a public client") {
			t.Errorf("%s: %v", g, err)
		}
	}
}

func TestPoint20_APublicClientHasItsWordAlone(t *testing.T) {
	t.Parallel()
	i := startAsserting(t, newSigner(t, "ES256", "k1"))
	if a := i.send("/revoke", form("client_id", pocket, "token", "x")); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	for name, a := range map[string]answer{
		"with a secret":                i.send("/revoke", form("client_id", pocket, "client_secret", "x", "token", "x")),
		"by Basic":                     i.post("/revoke", login{pocket, "x"}, form("token", "x")),
		"by Basic without a secret":    i.post("/revoke", login{pocket, ""}, form("token", "x")),
		"by an HMAC of nothing":        i.assert("/revoke", signer{"HS256", "", []byte{}}.sign(t, nil, i.claims(pocket)), "token", "x"),
		"a confidential one":           i.send("/revoke", form("client_id", shop.id, "token", "x")),
		"a confidential one, no value": i.send("/revoke", form("client_id", batch.id, "client_secret", "", "token", "x")),
		"one of private_key_jwt":       i.send("/revoke", form("client_id", robot, "token", "x")),
		"one of client_secret_jwt":     i.send("/revoke", form("client_id", sealer, "token", "x")),
		"nobody":                       i.send("/revoke", form("client_id", "nobody", "token", "x")),
		"nothing":                      i.send("/revoke", form("token", "x")),
	} {
		if a.outcome() != "401 invalid_client" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	known, unknown := i.send("/token", form("client_id", shop.id, "grant_type", grantCC)), i.send("/token", form("client_id", "nobody", "grant_type", grantCC))
	if string(known.body) != string(unknown.body) {
		t.Errorf("who is a client is told: %s and %s", known.body, unknown.body)
	}
}

func TestPoint20_ClientsOfAssertionsGetInNoOtherWay(t *testing.T) {
	t.Parallel()
	i := startAsserting(t, newSigner(t, "ES256", "k1"))
	for _, id := range []string{robot, sealer} {
		for _, secret := range []string{sealed, "", "x"} {
			if a := i.post("/token", login{id, secret}, form("grant_type", grantCC)); a.outcome() != "401 invalid_client" {
				t.Errorf("%s by Basic: %d %s", id, a.status, a.body)
			}
			if a := i.send("/token", form("grant_type", grantCC, "client_id", id, "client_secret", secret)); a.outcome() != "401 invalid_client" {
				t.Errorf("%s by post: %d %s", id, a.status, a.body)
			}
		}
	}
}

func TestPoint32_PublicClientsMayNotIntrospect(t *testing.T) {
	t.Parallel()
	i := startAsserting(t, newSigner(t, "ES256", "k1"), func(c *authserver.Config) {
		c.Clients = append(c.Clients, authserver.Client{ClientID: "page", TokenEndpointAuthMethod: "none", Audience: []string{ordersAPI}})
	})
	for _, id := range []string{pocket, "page"} {
		for _, token := range []string{i.token(shop), "x", ""} {
			if a := i.send("/introspect", form("client_id", id, "token", token)); a.outcome() != "401 invalid_client" || len(a.object()) != 2 {
				t.Errorf("%s: %d %s", id, a.status, a.body)
			}
		}
	}
}

// A secret in the clear in a store would make its readers clients.
func TestPoint40_NoClientOfTheStoreHasASecretInTheClear(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ES256", "k1")
	stored := authserver.Client{
		ClientID: "stored", TokenEndpointAuthMethod: "client_secret_jwt", Secret: sealed, GrantTypes: []string{grantCC}, Audience: []string{ordersAPI},
	}
	empty, keyed := stored, stored
	empty.ClientID, empty.Secret = "empty", ""
	keyed.ClientID, keyed.Secret, keyed.TokenEndpointAuthMethod, keyed.JWKS = "keyed", "", "private_key_jwt", jwks(t, s)
	store := authserver.NewMemoryStore(nil)
	for _, c := range []authserver.Client{stored, empty} {
		if err := store.PutClient(t.Context(), &c); err == nil || !strings.Contains(err.Error(), "token_endpoint_auth_method: client_secret_jwt needs") {
			t.Errorf("%s: %v", c.ClientID, err)
		}
	}
	i := startAsserting(t, s, withStore(fixedStore{store, map[string]*authserver.Client{"stored": &stored, "empty": &empty, "keyed": &keyed}}))
	for _, c := range []struct {
		id   string
		by   signer
		want string
	}{
		{"stored", hmacSigner("HS256"), "500 server_error"}, // told to whoever has the secret, and to nobody else
		{"stored", signer{"HS256", "", []byte("another secret, and no shorter one")}, "401 invalid_client"},
		{"empty", signer{"HS256", "", []byte{}}, "401 invalid_client"},
	} {
		if a := i.assert("/token", c.by.sign(t, nil, i.claims(c.id)), "grant_type", grantCC); a.outcome() != c.want {
			t.Errorf("%s: %d %s", c.id, a.status, a.body)
		}
	}
	if a := i.assert("/token", s.sign(t, nil, i.claims("keyed")), "grant_type", grantCC); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// What is wrong with a stored client is told to nobody who does not sign as it
// does, and no key set that is no good tells that the client is there.
func TestPoint20_AFailedAssertionTellsNothingOfStoredClients(t *testing.T) {
	t.Parallel()
	s, another := newSigner(t, "ES256", "k1"), newSigner(t, "ES256", "k1")
	stored := authserver.Client{
		ClientID: "stored", TokenEndpointAuthMethod: "private_key_jwt", JWKS: jwks(t, s), GrantTypes: []string{grantCC}, Audience: []string{ordersAPI},
	}
	broken, keyless := stored, stored
	broken.ClientID, broken.Scope = "broken", "two  spaces"
	keyless.ClientID, keyless.JWKS = "keyless", []byte("{")
	i := startAsserting(t, s, withStore(fixedStore{authserver.NewMemoryStore(nil), map[string]*authserver.Client{
		"stored": &stored, "broken": &broken, "Stored": &stored, "keyless": &keyless,
	}}))
	want := i.assert("/token", s.sign(t, nil, i.claims("absent")), "grant_type", grantCC)
	for _, id := range []string{"stored", "broken", "Stored", "keyless"} {
		if a := i.assert("/token", another.sign(t, nil, i.claims(id)), "grant_type", grantCC); a.status != 401 || string(a.body) != string(want.body) {
			t.Errorf("%s: %d %s", id, a.status, a.body)
		}
	}
	for id, status := range map[string]int{"stored": 200, "broken": 500, "Stored": 401, "keyless": 401} {
		if a := i.assert("/token", s.sign(t, nil, i.claims(id)), "grant_type", grantCC); a.status != status {
			t.Errorf("%s by its key: %d %s", id, a.status, a.body)
		}
	}
	for _, cause := range []string{`client \"broken\" in the store: scope: `, `client \"keyless\" in the store: jwks: `} {
		if log := i.log.String(); !strings.Contains(log, cause) {
			t.Errorf("the log does not say %s: %s", cause, log)
		}
	}
}

// A registration that cannot be meant is refused, with the name of the field.
func TestNew_ClientAuthenticationErrorsNameTheField(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ES256", "k1")
	set, hash := jwks(t, s), authserver.HashOf("0123456789")
	pair := func(text string) string { return strings.Replace(string(set), `"kid"`, text+`,"kid"`, 1) }
	for _, c := range []struct {
		want   string // "" if it is good
		client authserver.Client
	}{
		{"", authserver.Client{TokenEndpointAuthMethod: "none"}},
		{"", authserver.Client{TokenEndpointAuthMethod: "private_key_jwt", JWKS: set}},
		{"", authserver.Client{TokenEndpointAuthMethod: "private_key_jwt", JWKSURI: "https://app.example/jwks"}},
		{"", authserver.Client{TokenEndpointAuthMethod: "private_key_jwt", JWKS: set, TokenEndpointAuthSigningAlg: "ES256"}},
		{"", authserver.Client{TokenEndpointAuthMethod: "client_secret_jwt", Secret: authserver.Secret(sealed[:32])}},
		{"", authserver.Client{TokenEndpointAuthMethod: "client_secret_jwt", Secret: authserver.Secret(sealed[:64]), TokenEndpointAuthSigningAlg: "HS512"}},
		{"", authserver.Client{SecretHash: hash, JWKS: []byte(`{"keys":[]}`)}}, // keys for another purpose
		{"", authserver.Client{TokenEndpointAuthMethod: "tls_client_auth", TLSClientAuthSANDNS: "app.example"}},
		{"SecretHash: a client of none", authserver.Client{TokenEndpointAuthMethod: "none", SecretHash: hash}},
		{"Secret: a client of none", authserver.Client{TokenEndpointAuthMethod: "none", Secret: sealed}},
		{"SecretHash: a client of private_key_jwt", authserver.Client{TokenEndpointAuthMethod: "private_key_jwt", JWKS: set, SecretHash: hash}},
		{"Secret: a client of client_secret_basic", authserver.Client{SecretHash: hash, Secret: sealed}},
		{"SecretHash: a client of client_secret_jwt", authserver.Client{TokenEndpointAuthMethod: "client_secret_jwt", Secret: sealed, SecretHash: hash}},
		{"Secret: must have at least 32 bytes", authserver.Client{TokenEndpointAuthMethod: "client_secret_jwt"}},
		{"Secret: must have at least 32 bytes", authserver.Client{TokenEndpointAuthMethod: "client_secret_jwt", Secret: authserver.Secret(sealed[:31])}},
		{"Secret: must have at least 48 bytes", authserver.Client{TokenEndpointAuthMethod: "client_secret_jwt", Secret: authserver.Secret(sealed[:47]), TokenEndpointAuthSigningAlg: "HS384"}},
		{"Secret: must have at least 64 bytes", authserver.Client{TokenEndpointAuthMethod: "client_secret_jwt", Secret: authserver.Secret(sealed[:63]), TokenEndpointAuthSigningAlg: "HS512"}},
		{"token_endpoint_auth_signing_alg: \"ES256\"", authserver.Client{TokenEndpointAuthMethod: "client_secret_jwt", Secret: sealed, TokenEndpointAuthSigningAlg: "ES256"}},
		{"token_endpoint_auth_signing_alg: \"HS256\"", authserver.Client{TokenEndpointAuthMethod: "private_key_jwt", JWKS: set, TokenEndpointAuthSigningAlg: "HS256"}},
		{"token_endpoint_auth_signing_alg: \"none\"", authserver.Client{TokenEndpointAuthMethod: "private_key_jwt", JWKS: set, TokenEndpointAuthSigningAlg: "none"}},
		{"token_endpoint_auth_signing_alg: a client of", authserver.Client{SecretHash: hash, TokenEndpointAuthSigningAlg: "ES256"}},
		{"jwks: required", authserver.Client{TokenEndpointAuthMethod: "private_key_jwt"}},
		{"jwks: required", authserver.Client{TokenEndpointAuthMethod: "self_signed_tls_client_auth"}},
		{"jwks: no key has an x5c", authserver.Client{TokenEndpointAuthMethod: "self_signed_tls_client_auth", JWKS: set}},
		{"jwks: no key in it", authserver.Client{TokenEndpointAuthMethod: "private_key_jwt", JWKS: []byte(`{"keys":[]}`)}},
		{"jwks: no key in it", authserver.Client{TokenEndpointAuthMethod: "private_key_jwt", JWKS: []byte(pair(`"use":"enc"`))}},
		{"jwks: key set: JSON: not an object", authserver.Client{TokenEndpointAuthMethod: "private_key_jwt", JWKS: []byte("null")}},
		{"jwks: key \"k1\": it has secret members", authserver.Client{TokenEndpointAuthMethod: "private_key_jwt", JWKS: []byte(pair(`"d":"AA"`))}},
		{"jwks: key \"k1\": its alg", authserver.Client{SecretHash: hash, JWKS: []byte(pair(`"alg":"HS256"`))}},
		{"jwks_uri: must not be there beside", authserver.Client{TokenEndpointAuthMethod: "private_key_jwt", JWKS: set, JWKSURI: "https://app.example/jwks"}},
		{"jwks_uri: must use https", authserver.Client{TokenEndpointAuthMethod: "private_key_jwt", JWKSURI: "http://app.example/jwks"}},
		{"jwks_uri: must use https", authserver.Client{TokenEndpointAuthMethod: "private_key_jwt", JWKSURI: "file://app.example/jwks"}},
		{"tls_client_auth_subject_dn: it or one", authserver.Client{TokenEndpointAuthMethod: "tls_client_auth"}},
		{"tls_client_auth_subject_dn: it or one", authserver.Client{TokenEndpointAuthMethod: "tls_client_auth", TLSClientAuthSANDNS: "a", TLSClientAuthSANIP: "192.0.2.1"}},
		{"tls_client_auth_san_ip: not an IP", authserver.Client{TokenEndpointAuthMethod: "tls_client_auth", TLSClientAuthSANIP: "app.example"}},
		{"tls_client_auth_san_dns: is for clients", authserver.Client{SecretHash: hash, TLSClientAuthSANDNS: "app.example"}},
		{"token_exchange_audience: goes with", authserver.Client{SecretHash: hash, TokenExchangeAudience: []string{ordersAPI}}},
		{"token_exchange_audience: goes with", authserver.Client{SecretHash: hash, GrantTypes: []string{tokenExchange}}},
	} {
		c.client.ClientID = "c"
		_, err := authserver.New(authserver.Config{Issuer: "https://issuer.example", Clients: []authserver.Client{c.client}})
		if want := `authserver: Config.Clients[0] ("c"): ` + c.want; (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("want %s\ngot  %v", want, err)
		}
		if err != nil && strings.Contains(err.Error(), sealed[:8]) {
			t.Errorf("the secret is in the error: %v", err)
		}
	}
}
