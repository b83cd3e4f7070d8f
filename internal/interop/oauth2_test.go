package interop_test

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/oauth2/jwt"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/tokentest"
)

// golang.org/x/oauth2/clientcredentials authenticates as it is told, or finds out
// by itself; its tokens pass at the API, JWTs and opaque ones.
func TestClientCredentials_OAuth2(t *testing.T) {
	t.Parallel()
	p := newParties(t)
	p.startDevissuer(t)
	for name, row := range map[string]struct {
		client string
		style  oauth2.AuthStyle
	}{
		"in the header":        {"basic", oauth2.AuthStyleInHeader},
		"in the body":          {"post", oauth2.AuthStyleInParams},
		"the header, detected": {"basic", oauth2.AuthStyleAutoDetect},
		"the body, detected":   {"post", oauth2.AuthStyleAutoDetect},
		"an opaque token":      {"opaque", oauth2.AuthStyleInHeader},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := clientcredentials.Config{
				ClientID: row.client, ClientSecret: p.Clients[row.client], TokenURL: p.Issuer + "/token", AuthStyle: row.style,
				Scopes: []string{"orders:read"}, EndpointParams: url.Values{"resource": {audience}},
			}
			if got := p.orders(t, config.Client(t.Context())); got != "served to "+row.client {
				t.Error(got)
			}
			config.Scopes = []string{"nonsense"}
			wantRefusal(t, config.TokenSource(t.Context()), "invalid_scope")
			config.Scopes, config.EndpointParams = nil, url.Values{"resource": {other}}
			wantRefusal(t, config.TokenSource(t.Context()), "invalid_target")
			config.EndpointParams, config.ClientSecret = nil, "wrong"
			wantRefusal(t, config.TokenSource(t.Context()), "invalid_client")
		})
	}
}

// golang.org/x/oauth2/jwt with a Subject, and claims of its own, gets a token that
// passes at the API; without a Subject it gets none.
func TestAssertion_OAuth2JWTAtTheAPI(t *testing.T) {
	t.Parallel()
	key := tokentest.NewKey(t, "k1", "RS256")
	der, err := x509.MarshalPKCS8PrivateKey(key.Private)
	if err != nil {
		t.Fatal(err)
	}
	p := newParties(t)
	p.register(&authserver.Client{ClientID: "services", TokenEndpointAuthMethod: "none", GrantTypes: []string{jwtBearer}}, "")
	p.startServer(t, &authserver.Config{TrustedIssuers: []authserver.TrustedIssuer{{
		Issuer: "svc@partner.example", JWKS: keySet(t, key), Subject: partner, MaxLifetime: time.Hour, AllowMissingID: true,
		ClientID: "services", PublicClients: true, PublicScope: "orders:read",
	}}})
	config := jwt.Config{
		Email: "svc@partner.example", Subject: "carol", PrivateKeyID: key.ID, TokenURL: p.Issuer + "/token", Expires: 10 * time.Minute,
		PrivateKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), PrivateClaims: map[string]any{"team": "blue"},
	}
	if got := p.orders(t, config.Client(t.Context())); got != "served to partner:carol" {
		t.Error(got)
	}
	config.Audience = other
	wantRefusal(t, config.TokenSource(t.Context()), "invalid_grant")
	config.Audience, config.Subject = "", ""
	wantRefusal(t, config.TokenSource(t.Context()), "invalid_grant")
}

// A device with golang.org/x/oauth2 understands that the person said no.
func TestDevice_OAuth2Denied(t *testing.T) {
	t.Parallel()
	p := newParties(t)
	p.startDevissuer(t)
	config, device := startDevice(t, p.Issuer)
	visit(t, device.VerificationURIComplete, url.Values{}, signIn, url.Values{"decision": {"deny"}})
	wantRefusal(t, tokenSource(func() (*oauth2.Token, error) { return config.DeviceAccessToken(t.Context(), device) }), "access_denied")
}

// An oauth2.Config.Client refreshes as often as it has to, and stops when the grant
// was revoked.
func TestRefresh_OAuth2(t *testing.T) {
	t.Parallel()
	p := newParties(t)
	p.startDevissuer(t)
	config, device := startDevice(t, p.Issuer)
	allow(t, device.VerificationURIComplete)
	token, err := config.DeviceAccessToken(t.Context(), device)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 5 {
		token.Expiry = time.Now().Add(-time.Minute)
		source := config.TokenSource(t.Context(), token)
		if got := p.orders(t, oauth2.NewClient(t.Context(), source)); got != "served to 1" {
			t.Fatal(got)
		}
		if token, err = source.Token(); err != nil || seen[token.RefreshToken] {
			t.Fatalf("no new refresh token: %v", err)
		}
		seen[token.RefreshToken] = true
	}
	resp, err := http.PostForm(p.Issuer+"/revoke", url.Values{"client_id": {"tv"}, "token": {token.RefreshToken}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	wantRefusal(t, config.TokenSource(t.Context(), &oauth2.Token{RefreshToken: token.RefreshToken}), "invalid_grant")
}

// A tokenSource is an [oauth2.TokenSource] that is a function.
type tokenSource func() (*oauth2.Token, error)

func (s tokenSource) Token() (*oauth2.Token, error) { return s() }

// orders asks the API, and returns what it says.
func (p *Parties) orders(t *testing.T, client *http.Client) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.API+"/orders", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// wantRefusal wants the library to tell by which code it was refused. That of
// assertions leaves its caller to read the body.
func wantRefusal(t *testing.T, source oauth2.TokenSource, code string) {
	t.Helper()
	_, err := source.Token()
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok || refused.ErrorCode != code && !strings.Contains(string(refused.Body), `"error":"`+code+`"`) {
		t.Errorf("%v, want %s", err, code)
	}
}
