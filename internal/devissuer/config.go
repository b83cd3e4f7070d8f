package devissuer

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/strictjson"
)

// A Config is the configuration file: one JSON object, in which anything unknown
// is an error.
type Config struct {
	// Issuer is the issuer's URL, unless a flag says another.
	Issuer string `json:"issuer,omitempty"`
	// Clients are registered with the issuer.
	Clients []Client `json:"clients,omitempty"`
	// Users are the people who can sign in.
	Users []User `json:"users,omitempty"`
	// Resources are the APIs that tokens are for, by the names that RFC 8707 has
	// them in the resource parameter. A client without an audience has them all;
	// if there are any, no audience holds others.
	Resources []string `json:"resources,omitempty"`

	registers bool // whether other clients may come by themselves
}

// A Client is client metadata (RFC 7591) with the client's secret in the clear.
type Client struct {
	authserver.Client
	ClientSecret string `json:"client_secret,omitempty"`
}

// The methods by which a client authenticates without a secret, if at all.
var (
	byCertificate = []string{"tls_client_auth", "self_signed_tls_client_auth"}
	secretless    = append([]string{"none", "private_key_jwt"}, byCertificate...)
)

// A User is somebody who can sign in: with a password in the clear, or one whose
// hash is there.
type User struct {
	Sub          string                     `json:"sub"`
	Username     string                     `json:"username"`
	Password     string                     `json:"password,omitempty"`
	PasswordHash string                     `json:"password_hash,omitempty"`
	Claims       map[string]json.RawMessage `json:"claims,omitempty"`
}

// Load reads a configuration file.
func Load(name string) (*Config, error) {
	data, _, err := readFile(name)
	if err != nil {
		return nil, err
	}
	cfg, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return cfg, nil
}

// Parse reads the text of a configuration file. An error names the place and
// holds no value. What the issuer itself has to say about clients, it says when
// it is made of them.
func Parse(data []byte) (*Config, error) {
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return nil, errors.New("begins with a byte order mark; save it as UTF-8 without one")
	case len(bytes.TrimSpace(data)) == 0:
		return nil, errors.New("is empty; a configuration is one JSON object, {} at least")
	case string(bytes.TrimSpace(data)) == "null":
		return nil, errors.New("is null; a configuration is one JSON object, {} at least")
	}
	var cfg Config
	if err := strictjson.UnmarshalKnown(data, &cfg); err != nil {
		return nil, err
	}
	if slices.Contains(cfg.Resources, "") {
		return nil, errors.New("resources: must not be empty")
	}
	for i := range cfg.Clients {
		c := &cfg.Clients[i]
		secret := !slices.Contains(secretless, c.TokenEndpointAuthMethod)
		switch {
		case secret && c.ClientSecret == "":
			return nil, fmt.Errorf("clients[%d].client_secret: required", i)
		case !secret && c.ClientSecret != "":
			return nil, fmt.Errorf("clients[%d].client_secret: a client of %s has none", i, c.TokenEndpointAuthMethod)
		case len(c.Audience) == 0:
			c.Audience = slices.Clone(cfg.Resources)
		}
		for _, list := range []struct {
			field string
			names []string
		}{{"audience", c.Audience}, {"token_exchange_audience", c.TokenExchangeAudience}} {
			for n, name := range list.names {
				if len(cfg.Resources) > 0 && !slices.Contains(cfg.Resources, name) {
					return nil, fmt.Errorf("clients[%d].%s[%d]: is not among resources", i, list.field, n)
				}
			}
		}
	}
	subs, names := map[string]bool{}, map[string]bool{}
	for i, u := range cfg.Users {
		switch {
		case u.Sub == "" || u.Username == "":
			return nil, fmt.Errorf("users[%d]: sub and username are required", i)
		case (u.Password == "") == (u.PasswordHash == ""):
			return nil, fmt.Errorf("users[%d]: either password or password_hash is required", i)
		case subs[u.Sub] || names[u.Username]:
			return nil, fmt.Errorf("users[%d]: sub or username is that of another user", i)
		}
		subs[u.Sub], names[u.Username] = true, true
	}
	return &cfg, nil
}

// hashOfAlice is the hash of the password alice, made before for a quick start.
const hashOfAlice = "$argon2id$v=19$m=19456,t=2,p=1$3OiyAQtTwJ9aeNvXqdG7ig$EY47fVOcYOrtGQGudnSJvtF+THryj2pykFgFkVOuhvg"

// seeds is the configuration if there is no file: clients, the API that they get
// tokens for, and somebody to sign in. Secrets that everybody knows are for this
// machine only, and so is the user.
func seeds(local bool) *Config {
	secret := func(known string) string {
		if local {
			return known
		}
		return rand.Text()
	}
	var users []User
	if local {
		users = []User{{
			Sub: "5f0c2d6e", Username: "alice", Password: "alice", PasswordHash: hashOfAlice,
			Claims: map[string]json.RawMessage{"name": json.RawMessage(`"Alice Example"`), "email": json.RawMessage(`"alice@example.com"`)},
		}}
	}
	api := []string{"https://api.example.com"}
	return &Config{Users: users, Clients: []Client{
		{
			Client: authserver.Client{
				ClientID: "orders-client", ClientName: "A client of the orders API",
				GrantTypes: []string{"client_credentials"}, Scope: "orders:read orders:write", Audience: api,
			},
			ClientSecret: secret("orders-client-secret"),
		},
		{
			Client: authserver.Client{
				ClientID: "orders-web", ClientName: "Orders on the web",
				GrantTypes: []string{"authorization_code", "refresh_token"}, Scope: "orders:read orders:write openid profile email", Audience: api,
				RedirectURIs:           []string{"http://127.0.0.1/callback", "http://localhost:8080/callback"},
				PostLogoutRedirectURIs: []string{"http://localhost:8080/"},
			},
			ClientSecret: secret("orders-web-secret"),
		},
		{
			Client:       authserver.Client{ClientID: "orders-api", ClientName: "The orders API, which introspects tokens", Audience: api},
			ClientSecret: secret("orders-api-secret"),
		},
	}}
}

// registered returns the clients as the issuer knows them.
func (c *Config) registered() []authserver.Client {
	clients := make([]authserver.Client, len(c.Clients))
	for i, client := range c.Clients {
		clients[i] = client.Client
		switch {
		case client.ClientSecret == "":
		case client.TokenEndpointAuthMethod == "client_secret_jwt":
			clients[i].Secret = authserver.Secret(client.ClientSecret)
		default:
			clients[i].SecretHash = authserver.HashOf(client.ClientSecret)
		}
	}
	return clients
}

// people returns the users as the issuer knows them.
func (c *Config) people() []authserver.User {
	users := make([]authserver.User, len(c.Users))
	for i, u := range c.Users {
		users[i] = authserver.User{Subject: u.Sub, Username: u.Username, PasswordHash: u.PasswordHash}
		if u.PasswordHash == "" {
			users[i].PasswordHash = authserver.HashPassword(u.Password)
		}
		users[i].Claims = make(map[string]any, len(u.Claims))
		for name, value := range u.Claims {
			users[i].Claims[name] = value
		}
	}
	return users
}

// notes says what of the file has no effect, or hardly the one that was meant.
func (c *Config) notes() []string {
	var notes []string
	for i, r := range c.Resources {
		if u, err := url.Parse(r); err != nil || !u.IsAbs() {
			notes = append(notes, fmt.Sprintf("resources[%d]: is no absolute URI, so no request can name it as resource (RFC 8707 section 2)", i))
		}
	}
	for i, client := range c.Clients {
		switch {
		case len(client.Audience) > 0:
		case len(client.GrantTypes) > 0:
			notes = append(notes, fmt.Sprintf("clients[%d]: has no audience and there are no resources, so it can get no token", i))
		default:
			notes = append(notes, fmt.Sprintf("clients[%d]: has no grant_types and no audience, so every token is inactive to it", i))
		}
		var fields []string
		signsIn := slices.Contains(client.GrantTypes, "authorization_code")
		if len(client.RedirectURIs) > 0 && !signsIn {
			fields = append(fields, "redirect_uris")
		}
		if keyless := client.TokenEndpointAuthMethod; keyless != "private_key_jwt" && keyless != "self_signed_tls_client_auth" {
			if client.JWKS != nil {
				fields = append(fields, "jwks")
			}
			if client.JWKSURI != "" {
				fields = append(fields, "jwks_uri")
			}
		}
		if fields != nil {
			notes = append(notes, fmt.Sprintf("clients[%d]: no grant, nor its client authentication, uses %s", i, strings.Join(fields, ", ")))
		}
		for _, g := range []string{"authorization_code", "urn:ietf:params:oauth:grant-type:device_code"} {
			if slices.Contains(client.GrantTypes, g) && len(c.Users) == 0 {
				notes = append(notes, fmt.Sprintf("clients[%d]: has the grant %s, and there are no users to sign in", i, g))
			}
		}
		if slices.Contains(byCertificate, client.TokenEndpointAuthMethod) {
			notes = append(notes, fmt.Sprintf("clients[%d]: cannot authenticate: that takes a TLS certificate, and there is no TLS here", i))
		}
		if client.TLSClientCertificateBoundAccessTokens {
			notes = append(notes, fmt.Sprintf("clients[%d]: gets no tokens: they are bound to a TLS certificate, and there is no TLS here", i))
		}
	}
	return notes
}
