package issuertest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/devissuer"
	"github.com/countermark/countermark/internal/tokentest"
)

const (
	// URL is the issuer identifier, where nothing has to listen.
	URL = "http://127.0.0.1:9000"
	// API is the one resource.
	API = "https://api.example.com"

	scope        = "orders:read orders:write"
	robot        = "robot"
	vouching     = "https://vouching.example"
	webSecret    = "secret-of-web-0123456789abcdef"
	kioskSecret  = "secret-of-kiosk-0123456789abcdef"
	ordersSecret = "secret-of-orders-0123456789abcdef"
	// The hash of alice-password, by bcrypt at its least cost.
	aliceHash = "$2a$04$LHxBzPXQe8//vMjFhrSo9umNk9e767E.SGbCkGh6/ySYeyA.gn90G"
)

// An Issuer is what any number of servers have in common that are one issuer, for
// an App of each of its clients.
type Issuer struct {
	// Web gets signed access tokens, Kiosk opaque ones; Orders is the API, which
	// introspects both.
	Web, Kiosk, Orders *App

	key    *tokentest.Key // whoever signs something for the issuer signs with it
	config authserver.Config
}

// New returns an issuer without a server.
func New(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{
		Web:    &App{ID: "web", Secret: webSecret, RedirectURI: "https://web.example/cb"},
		Kiosk:  &App{ID: "kiosk", Secret: kioskSecret, RedirectURI: "https://kiosk.example/cb"},
		Orders: &App{ID: "orders", Secret: ordersSecret},
		key:    tokentest.NewKey(t, "", "ES256"),
	}
	jwks, err := json.Marshal(map[string]any{"keys": []any{i.key.JWK(t)}})
	if err != nil {
		t.Fatal(err)
	}
	i.config = authserver.Config{
		Issuer: URL,
		Clients: []authserver.Client{
			{ClientID: i.Orders.ID, SecretHash: authserver.HashOf(i.Orders.Secret), Audience: []string{API}},
			{
				ClientID: robot, TokenEndpointAuthMethod: "private_key_jwt", JWKS: jwks,
				GrantTypes: []string{"client_credentials"}, Audience: []string{API},
			},
		},
		TrustedIssuers: []authserver.TrustedIssuer{{
			Issuer: vouching, JWKS: jwks, Scope: scope,
			Subject: func(_ context.Context, sub string) (string, error) { return sub, nil },
		}},
		Users:  []authserver.User{{Subject: "sub-of-alice", Username: "alice", PasswordHash: aliceHash}},
		Logger: slog.New(slog.DiscardHandler),
	}
	for app, strategy := range map[*App]string{i.Web: "jwt", i.Kiosk: "opaque"} {
		i.config.Clients = append(i.config.Clients, authserver.Client{
			ClientID: app.ID, SecretHash: authserver.HashOf(app.Secret), RedirectURIs: []string{app.RedirectURI},
			GrantTypes: []string{
				"authorization_code", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer", deviceGrant,
			},
			Scope: scope, Audience: []string{API}, AccessTokenStrategy: strategy,
		})
	}
	return i
}

// Server returns one more server of the issuer, on a store. Edit may be nil.
func (i *Issuer) Server(t testing.TB, store authserver.Store, edit func(*authserver.Config)) *authserver.Server {
	t.Helper()
	cfg := i.config
	cfg.Store = store
	if edit != nil {
		edit(&cfg)
	}
	s, err := authserver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ConfigFile writes the issuer as the configuration file of a devissuer.
func (i *Issuer) ConfigFile(t testing.TB) string {
	t.Helper()
	cfg := devissuer.Config{Issuer: URL}
	for _, c := range i.config.Clients {
		secret := map[string]string{i.Web.ID: i.Web.Secret, i.Kiosk.ID: i.Kiosk.Secret, i.Orders.ID: i.Orders.Secret}[c.ClientID]
		cfg.Clients = append(cfg.Clients, devissuer.Client{Client: c, ClientSecret: secret})
	}
	for _, u := range i.config.Users {
		cfg.Users = append(cfg.Users, devissuer.User{Sub: u.Subject, Username: u.Username, PasswordHash: u.PasswordHash})
	}
	text, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// ClientAssertion makes what a further client, for client credentials, can
// authenticate by once (RFC 7523 section 2.2), as parameters of a form.
func (i *Issuer) ClientAssertion(t testing.TB) url.Values {
	t.Helper()
	return url.Values{
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {i.assertion(t, robot, robot)},
	}
}

// Assertion makes an authorization grant that works once (RFC 7523 section 2.1).
func (i *Issuer) Assertion(t testing.TB) string {
	t.Helper()
	return i.assertion(t, vouching, "sub-of-carol")
}

// Proof makes a DPoP proof for the token endpoint (RFC 9449 section 4.2), which
// works once.
func (i *Issuer) Proof(t testing.TB) string {
	t.Helper()
	return i.key.Proof(t, nil, tokentest.ProofClaims(time.Now(), http.MethodPost, URL+"/token", "", map[string]any{"ath": nil}))
}

func (i *Issuer) assertion(t testing.TB, issuer, subject string) string {
	t.Helper()
	now := time.Now().Unix()
	return i.key.Token(t, map[string]any{"typ": "JWT", "kid": nil}, map[string]any{
		"iss": issuer, "sub": subject, "aud": URL, "iat": now, "exp": now + 60, "jti": rand.Text(),
	})
}
