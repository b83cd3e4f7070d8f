package interop_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/jwt"

	"github.com/countermark/countermark/authserver"
)

// startWith starts an issuer of cfg on loopback, and returns its identifier.
func startWith(t *testing.T, cfg *authserver.Config) string {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	cfg.Issuer = "http://" + server.Listener.Addr().String()
	s, err := authserver.New(*cfg)
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = s
	server.Start()
	t.Cleanup(server.Close)
	return cfg.Issuer
}

// golang.org/x/oauth2 finds out by itself how to authenticate: it sends the code
// with Basic credentials and, if those are refused, the same code again with
// credentials in the body.
func TestAuthorizationCode_OAuth2(t *testing.T) {
	t.Parallel()
	for method, secret := range map[string]string{"client_secret_basic": "-_.~ +%/:secret-0123456789", "client_secret_post": "-_.~ +%/:secret-0123456789", "none": ""} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			const id = "an app-1_2.3~4"
			var response url.Values
			app := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { response = r.URL.Query() }))
			t.Cleanup(app.Close)
			client := authserver.Client{
				ClientID: id, TokenEndpointAuthMethod: method, GrantTypes: []string{"authorization_code", "refresh_token"}, RedirectURIs: []string{app.URL},
				Scope: "orders:read", Audience: []string{audience},
			}
			if secret != "" {
				client.SecretHash = authserver.HashOf(secret)
			}
			issuer := startWith(t, &authserver.Config{
				Users:   []authserver.User{{Subject: "1", Username: "alice", PasswordHash: authserver.HashPassword("wonderland")}},
				Clients: []authserver.Client{client},
			})
			config := &oauth2.Config{
				ClientID: id, ClientSecret: secret, RedirectURL: app.URL, Scopes: []string{"orders:read"},
				Endpoint: oauth2.Endpoint{AuthURL: issuer + "/authorize", TokenURL: issuer + "/token"},
			}
			verifier := oauth2.GenerateVerifier()
			resource := oauth2.SetAuthURLParam("resource", audience) // as clients of the Model Context Protocol do
			visit(t, config.AuthCodeURL("a state", oauth2.S256ChallengeOption(verifier), resource), signIn, consent)
			if response.Get("state") != "a state" || response.Get("iss") != issuer {
				t.Fatal(response)
			}
			token, err := config.Exchange(t.Context(), response.Get("code"), oauth2.VerifierOption(verifier), resource)
			if err != nil {
				t.Fatal(err)
			}
			was := token.RefreshToken
			token.Expiry = time.Now().Add(-time.Minute)
			if token, err = config.TokenSource(t.Context(), token).Token(); err != nil || token.RefreshToken == "" || token.RefreshToken == was {
				t.Errorf("refresh: %v", err)
			}
		})
	}
}

// An assertion as golang.org/x/oauth2/jwt sends it: RS256, an hour, the scope
// within, no jti, and no client. It has a sub if its Subject is set, and needs one.
func TestAssertion_OAuth2JWT(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(map[string]any{"keys": []any{map[string]string{
		"kty": "RSA", "kid": "k1", "n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": "AQAB",
	}}})
	if err != nil {
		t.Fatal(err)
	}
	const service = "svc@partner.example"
	issuer := startWith(t, &authserver.Config{
		Clients: []authserver.Client{{
			ClientID: "services", TokenEndpointAuthMethod: "none", GrantTypes: []string{"urn:ietf:params:oauth:grant-type:jwt-bearer"},
			Scope: "orders:read", Audience: []string{audience},
		}},
		TrustedIssuers: []authserver.TrustedIssuer{{
			Issuer: service, JWKS: set, MaxLifetime: time.Hour, AllowMissingID: true, ClientID: "services", PublicClients: true, PublicScope: "orders:read",
			Subject: func(_ context.Context, sub string) (string, error) { return "partner:" + sub, nil },
		}},
	})
	config := &jwt.Config{
		Email: service, Subject: service, PrivateKeyID: "k1", TokenURL: issuer + "/token", Scopes: []string{"orders:read"},
		PrivateKey: pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}),
	}
	token, err := config.TokenSource(t.Context()).Token()
	if err != nil || token.AccessToken == "" || token.TokenType != "Bearer" {
		t.Errorf("%v, %v", token, err)
	}
}
