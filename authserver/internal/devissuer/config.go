package devissuer

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
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
	// them in the resource parameter. A client with a grant but without an
	// audience has them all; if there are any, an audience holds no others.
	Resources []string `json:"resources,omitempty"`
}

// A Client is client metadata (RFC 7591) with the client's secret in the clear.
type Client struct {
	authserver.Client
	ClientSecret string          `json:"client_secret,omitempty"`
	JWKS         json.RawMessage `json:"jwks,omitempty"`
	JWKSURI      string          `json:"jwks_uri,omitempty"`
}

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
	data, err := os.ReadFile(name) //nolint:gosec // the file that the user names
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
	var cfg Config
	if err := strictjson.UnmarshalKnown(data, &cfg); err != nil {
		return nil, err
	}
	if slices.Contains(cfg.Resources, "") {
		return nil, errors.New("resources: must not be empty")
	}
	for i := range cfg.Clients {
		c := &cfg.Clients[i]
		if len(c.Audience) == 0 && len(c.GrantTypes) > 0 {
			c.Audience = slices.Clone(cfg.Resources)
		}
		for n, a := range c.Audience {
			if len(cfg.Resources) > 0 && !slices.Contains(cfg.Resources, a) {
				return nil, fmt.Errorf("clients[%d].audience[%d]: is not among resources", i, n)
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
				GrantTypes: []string{"authorization_code"}, Scope: "orders:read orders:write", Audience: api,
				RedirectURIs: []string{"http://127.0.0.1/callback", "http://localhost:8080/callback"},
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
		if client.ClientSecret != "" {
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

// unused says what of the file has no effect yet.
func (c *Config) unused() []string {
	var notes []string
	for i, client := range c.Clients {
		var fields []string
		if client.JWKS != nil {
			fields = append(fields, "jwks")
		}
		if client.JWKSURI != "" {
			fields = append(fields, "jwks_uri")
		}
		if fields != nil {
			notes = append(notes, fmt.Sprintf("clients[%d]: no client authentication uses %s yet", i, strings.Join(fields, ", ")))
		}
	}
	return notes
}
