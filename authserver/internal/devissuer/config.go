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
	// Users are for signing in, once that is there.
	Users []User `json:"users,omitempty"`
	// Resources are the APIs that tokens are for, by the names that RFC 8707 has
	// them in the resource parameter. A client without an audience has them all;
	// if there are any, no audience holds others.
	Resources []string `json:"resources,omitempty"`
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

// A User is somebody who can sign in.
type User struct {
	Sub      string                     `json:"sub"`
	Username string                     `json:"username"`
	Password string                     `json:"password"`
	Claims   map[string]json.RawMessage `json:"claims,omitempty"`
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
		case u.Sub == "" || u.Username == "" || u.Password == "":
			return nil, fmt.Errorf("users[%d]: sub, username and password are required", i)
		case subs[u.Sub] || names[u.Username]:
			return nil, fmt.Errorf("users[%d]: sub or username is that of another user", i)
		}
		subs[u.Sub], names[u.Username] = true, true
	}
	return &cfg, nil
}

// seeds is the configuration if there is no file: a client and the API that it
// gets tokens for. Secrets that everybody knows are for this machine only.
func seeds(local bool) *Config {
	secret := func(known string) string {
		if local {
			return known
		}
		return rand.Text()
	}
	api := []string{"https://api.example.com"}
	return &Config{Clients: []Client{
		{
			Client: authserver.Client{
				ClientID: "orders-client", ClientName: "A client of the orders API",
				GrantTypes: []string{"client_credentials"}, Scope: "orders:read orders:write", Audience: api,
			},
			ClientSecret: secret("orders-client-secret"),
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
		if len(client.RedirectURIs) > 0 {
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
		if slices.Contains(byCertificate, client.TokenEndpointAuthMethod) {
			notes = append(notes, fmt.Sprintf("clients[%d]: cannot authenticate: that takes a TLS certificate, and there is no TLS here", i))
		}
		if client.TLSClientCertificateBoundAccessTokens {
			notes = append(notes, fmt.Sprintf("clients[%d]: gets no tokens: they are bound to a TLS certificate, and there is no TLS here", i))
		}
	}
	if len(c.Users) > 0 {
		notes = append(notes, fmt.Sprintf("users: nobody can sign in yet, so the %d of the file have no effect", len(c.Users)))
	}
	return notes
}
