package interop_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/devissuer"
	"github.com/countermark/countermark/internal/issuertest"
	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/introspection"
	"github.com/countermark/countermark/jwks"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

const (
	other = "https://billing.example.com" // an API behind the one of audience

	deviceGrant   = "urn:ietf:params:oauth:grant-type:device_code"
	jwtBearer     = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	tokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
)

// devissuerFile is the devissuer command, once it is built.
var devissuerFile string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "interop")
	if err != nil {
		log.Fatal(err)
	}
	devissuerFile, err = issuertest.Build(dir, "github.com/countermark/countermark/authserver/cmd/devissuer")
	if err != nil {
		log.Fatal(err)
	}
	if err := trustTestServers(dir); err != nil {
		log.Fatal(err)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// trustTestServers has this process trust the certificate that all servers of
// httptest have.
func trustTestServers(dir string) error {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	file := filepath.Join(dir, "roots.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(file, certificate, 0o600); err != nil {
		return err
	}
	return os.Setenv("SSL_CERT_FILE", file)
}

// Parties are whom an issuer knows, and what they authenticate by. The programs of
// the folder node find them in their settings.
type Parties struct {
	Issuer   string            `json:"issuer"`
	API      string            `json:"api"` // where it is
	Audience string            `json:"audience"`
	Other    string            `json:"other"`
	Clients  map[string]string `json:"clients"` // secrets by client_id
	Keys     map[string]string `json:"keys"`    // PKCS #8 in base64, by key ID

	config devissuer.Config
}

// newParties has a client for each way to authenticate and each grant.
func newParties(t *testing.T) *Parties {
	t.Helper()
	p := &Parties{Audience: audience, Other: other, Clients: map[string]string{}, Keys: map[string]string{}}
	p.config.Users = []devissuer.User{{Sub: "1", Username: "alice", Password: "wonderland"}}
	machine, person := []string{"client_credentials"}, []string{"authorization_code", "refresh_token"}
	for _, c := range []authserver.Client{
		{ClientID: "basic", GrantTypes: machine},
		{ClientID: "post", GrantTypes: machine, TokenEndpointAuthMethod: "client_secret_post"},
		{ClientID: "hmac", GrantTypes: machine, TokenEndpointAuthMethod: "client_secret_jwt"},
		{ClientID: "opaque", GrantTypes: machine, AccessTokenStrategy: "opaque"},
		{ClientID: "bound", GrantTypes: machine, DPoPBoundAccessTokens: true},
		{ClientID: "web", GrantTypes: person},
		{ClientID: "pushed", GrantTypes: person, TokenEndpointAuthMethod: "client_secret_post", RequirePushedRequests: true},
		{ClientID: "spa", GrantTypes: person, TokenEndpointAuthMethod: "none"},
		{ClientID: "tv", GrantTypes: []string{deviceGrant, "refresh_token"}, TokenEndpointAuthMethod: "none"},
		{ClientID: "service", GrantTypes: []string{jwtBearer}},
		{ClientID: "gateway", GrantTypes: []string{tokenExchange}, Audience: []string{other}, TokenExchangeAudience: []string{audience}},
		{ClientID: "api"},
	} {
		p.register(&c, "secret of "+c.ClientID+": -_.~ +%/:é&=0123456789abcdef")
	}
	for _, alg := range []string{"RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"} {
		key := tokentest.NewKey(t, alg, alg)
		p.register(&authserver.Client{
			ClientID: "key " + alg, GrantTypes: machine, TokenEndpointAuthMethod: "private_key_jwt", JWKS: keySet(t, key),
		}, "")
		p.keep(t, key)
	}
	return p
}

// keep puts a key among the settings, under its ID.
func (p *Parties) keep(t *testing.T, key *tokentest.Key) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key.Private)
	if err != nil {
		t.Fatal(err)
	}
	p.Keys[key.ID] = base64.StdEncoding.EncodeToString(der)
}

func (p *Parties) register(c *authserver.Client, secret string) {
	c.Scope = "orders:read orders:write"
	if c.Audience == nil {
		c.Audience = []string{audience}
	}
	if len(c.GrantTypes) > 0 && c.GrantTypes[0] == "authorization_code" {
		c.RedirectURIs = []string{"http://127.0.0.1/callback"}
	}
	switch c.TokenEndpointAuthMethod {
	case "none", "private_key_jwt":
		secret = ""
	default:
		p.Clients[c.ClientID] = secret
	}
	p.config.Clients = append(p.config.Clients, devissuer.Client{Client: *c, ClientSecret: secret})
}

// startDevissuer is runDevissuer, and an API that takes the tokens.
func (p *Parties) startDevissuer(t *testing.T) {
	t.Helper()
	p.runDevissuer(t)
	p.startAPI(t)
}

// runDevissuer runs the command with the parties in its configuration file.
func (p *Parties) runDevissuer(t *testing.T) {
	t.Helper()
	text, err := json.Marshal(p.config)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	process := issuertest.Start(t, devissuerFile, nil, "-config", file)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the issuer's log:\n%s", &process.Stderr)
		}
	})
	p.Issuer = process.Field(t, "Issuer")
}

// startServer is for what no configuration file has: cfg, with the parties in it.
func (p *Parties) startServer(t *testing.T, cfg *authserver.Config) {
	t.Helper()
	for _, c := range p.config.Clients {
		client := c.Client
		switch {
		case c.ClientSecret == "":
		case client.TokenEndpointAuthMethod == "client_secret_jwt":
			client.Secret = authserver.Secret(c.ClientSecret)
		default:
			client.SecretHash = authserver.HashOf(c.ClientSecret)
		}
		cfg.Clients = append(cfg.Clients, client)
	}
	for _, u := range p.config.Users {
		cfg.Users = append(cfg.Users, authserver.User{Subject: u.Sub, Username: u.Username, PasswordHash: authserver.HashPassword(u.Password)})
	}
	cfg.Logger = slog.New(slog.DiscardHandler)
	p.Issuer = startWith(t, cfg)
	p.startAPI(t)
}

// startAPI starts the API of audience: GET /orders, and POST /payments, which wants
// nonces in DPoP proofs.
func (p *Parties) startAPI(t *testing.T) {
	t.Helper()
	keys, err := jwks.New(jwks.Config{Issuer: p.Issuer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	asks, err := introspection.New(introspection.Config{Issuer: p.Issuer, Auth: introspection.Basic("api", p.Clients["api"])})
	if err != nil {
		t.Fatal(err)
	}
	policy := validator.Config{Issuer: p.Issuer, Audiences: []string{audience}, Keys: keys, Introspector: asks}
	handler := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		token, _ := validator.TokenFromContext(req.Context())
		_, _ = io.WriteString(w, "served to "+token.Subject())
	})
	mux := http.NewServeMux()
	for pattern, nonceKey := range map[string]string{"GET /orders": "", "POST /payments": "a key of 32 bytes for nonces....."} {
		policy.NonceKey = []byte(nonceKey)
		v, err := validator.New(policy)
		if err != nil {
			t.Fatal(err)
		}
		mux.Handle(pattern, middleware.New(v, nil).Require("orders:read")(handler))
	}
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	p.API = s.URL
}

// keySet returns the public key as a JWK Set.
func keySet(t *testing.T, key *tokentest.Key) json.RawMessage {
	t.Helper()
	jwk := key.JWK(t)
	jwk["kid"] = key.ID
	set, err := json.Marshal(map[string]any{"keys": []any{jwk}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// partner maps the subjects of an issuer that is trusted.
func partner(_ context.Context, sub string) (string, error) { return "partner:" + sub, nil }
