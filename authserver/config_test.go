package authserver_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

func TestNew_ErrorsNameTheField(t *testing.T) {
	t.Parallel()
	k := key(t, "ES256", "k1")
	client := func(edit func(*authserver.Client)) func(*authserver.Config) {
		return func(c *authserver.Config) { edit(&c.Clients[0]) }
	}
	keyed := func(k authserver.SigningKey) func(*authserver.Config) {
		return func(c *authserver.Config) { c.Keys = []authserver.SigningKey{k} }
	}
	for want, edit := range map[string]func(*authserver.Config){
		`Config.Clients[0] ("sh\nop"): client_id: `:                                   client(func(c *authserver.Client) { c.ClientID = "sh\nop" }),
		`Config.Clients[1] ("shop"): client_id: another`:                              func(c *authserver.Config) { c.Clients[1].ClientID = shop.id },
		`Config.Clients[0] (""): client_id: required`:                                 func(c *authserver.Config) { c.Clients[0].ClientID = "" },
		`Config.Clients[0] ("shop"): SecretHash: required for client_secret_b`:        client(func(c *authserver.Client) { c.SecretHash = authserver.Hash{} }),
		`Config.Clients[0] ("shop"): SecretHash: is that of an empty`:                 client(func(c *authserver.Client) { c.SecretHash = authserver.HashOf("") }),
		`Config.Clients[0] ("shop"): scope: `:                                         client(func(c *authserver.Client) { c.Scope = "a,  b" }),
		`Config.Clients[0] ("shop"): scope: must`:                                     client(func(c *authserver.Client) { c.Scope = `a"b` }),
		`Config.Clients[0] ("shop"): scope: must be`:                                  client(func(c *authserver.Client) { c.Scope = `a\b` }),
		`Config.Clients[0] ("shop"): scope: must be scope`:                            client(func(c *authserver.Client) { c.Scope = "é" }),
		`Config.Clients[0] ("shop"): scope: must be scope tokens`:                     client(func(c *authserver.Client) { c.Scope = " a" }),
		`Config.Clients[0] ("shop"): token_endpoint_auth_method: "None"`:              client(func(c *authserver.Client) { c.TokenEndpointAuthMethod = "None" }),
		`Config.Clients[0] ("shop"): grant_types: "implicit"`:                         client(func(c *authserver.Client) { c.GrantTypes = []string{"client_credentials", "implicit"} }),
		`Config.Clients[0] ("shop"): access_token_strategy: "JWT"`:                    client(func(c *authserver.Client) { c.AccessTokenStrategy = "JWT" }),
		`Config.Clients[0] ("shop"): audience[1]: must be`:                            client(func(c *authserver.Client) { c.Audience = []string{"a", ""} }),
		`Config.Clients[0] ("shop"): audience[0]: must be p`:                          client(func(c *authserver.Client) { c.Audience = []string{"two words"} }),
		`Config.Clients[0] ("shop"): audience[0]: must not have a fragment`:           client(func(c *authserver.Client) { c.Audience = []string{"https://x.example#y"} }),
		`Config.Clients[0] ("shop"): audience[0]: has a colon`:                        client(func(c *authserver.Client) { c.Audience = []string{":x"} }),
		`Config.Clients[0] ("shop"): redirect_uris[0]: must use https`:                client(func(c *authserver.Client) { c.RedirectURIs = []string{"http://app.example/cb"} }),
		`Config.Clients[0] ("shop"): redirect_uris[0]: must use https, http on a loo`: client(func(c *authserver.Client) { c.RedirectURIs = []string{"myapp://cb"} }),
		`Config.Clients[0] ("shop"): redirect_uris[0]: must not have a frag`:          client(func(c *authserver.Client) { c.RedirectURIs = []string{"https://app.example/cb#"} }),
		`Config.Clients[0] ("shop"): redirect_uris[0]: not an absolute`:               client(func(c *authserver.Client) { c.RedirectURIs = []string{"/cb"} }),
		`Config.Clients[0] ("shop"): redirect_uris[0]: must use https, http on`:       client(func(c *authserver.Client) { c.RedirectURIs = []string{"javascript:alert(1)"} }),
		`Config.Clients[0] ("shop"): scope: must be scope tokens with`:                client(func(c *authserver.Client) { c.Scope = strings.Repeat("a ", 256) + "a" }),
		`Config.Clients[0] ("shop"): scope: with audience it does not fit into a JWT`: client(func(c *authserver.Client) { c.Scope = strings.Repeat("a", 13_000) }),
		`Config.Clients[0] ("shop"): scope: with audience it`:                         client(func(c *authserver.Client) { c.Audience = []string{"https://x.example/" + strings.Repeat("a", 13_000)} }),
		`Config.Clients[0] ("shop"): audience[1]: is there twice`:                     client(func(c *authserver.Client) { c.Audience = []string{"a", "a"} }),
		`Config.Clients[0] ("shop"): redirect_uris[0]: must name one host`:            client(func(c *authserver.Client) { c.RedirectURIs = []string{"https://*.app.example/cb"} }),
		`Config.Clients[0] ("shop"): redirect_uris[0]: must not have dot`:             client(func(c *authserver.Client) { c.RedirectURIs = []string{"https://app.example/a/../cb"} }),
		`Config.Clients[0] ("shop"): redirect_uris[0]: must not have dot segments`:    client(func(c *authserver.Client) { c.RedirectURIs = []string{"https://app.example/%2e%2E/cb"} }),
		`Config.Clients[0] ("shop"): redirect_uris[0]: must have a port`:              client(func(c *authserver.Client) { c.RedirectURIs = []string{"https://app.example:65536/cb"} }),
		`Config.AllowedOrigins[0]: must name one host`:                                func(c *authserver.Config) { c.AllowedOrigins = []string{"https://*.app.example"} },
		`Config.AllowedOrigins[0]: must have a port`:                                  func(c *authserver.Config) { c.AllowedOrigins = []string{"https://app.example:"} },
		`Config.AllowedOrigins[0]: must have a port from`:                             func(c *authserver.Config) { c.AllowedOrigins = []string{"https://[2001:db8::1]:99999"} },
		`Config.Store: is a nil *authserver.MemoryStore`:                              func(c *authserver.Config) { c.Store = (*authserver.MemoryStore)(nil) },
		`Config.Logger: has no handler`:                                               func(c *authserver.Config) { c.Logger = &slog.Logger{} },
		`Config.TokenLifetime: must be whole seconds, from one second to 24 hours`:    func(c *authserver.Config) { c.TokenLifetime = 24*time.Hour + time.Second },
		`Config.Keys[0].Signer: required`:                                             keyed(authserver.SigningKey{Algorithm: "ES256"}),
		`Config.Keys[0].Signer: require`:                                              keyed(authserver.SigningKey{Signer: (*ecdsa.PrivateKey)(nil)}),
		`Config.Keys[0].Signer: a *rsa.PublicKey of this curve or size`:               keyed(authserver.SigningKey{Signer: &rsa.PrivateKey{}}),
		`Config.Keys[0].ID: must be at most 255 printable`:                            keyed(authserver.SigningKey{ID: "a\n", Signer: k.Signer}),
		`Config.Keys[0].ID: must be at most 255 printable ASCII`:                      keyed(authserver.SigningKey{ID: "a\xff", Signer: k.Signer}),
		`Config.Keys[0].ID: must be at most 255 `:                                     keyed(authserver.SigningKey{ID: strings.Repeat("a", 256), Signer: k.Signer}),
		`Config.TokenLifetime: `:                                                      func(c *authserver.Config) { c.TokenLifetime = -time.Second },
		`Config.TokenLifetime: must be whole seconds`:                                 func(c *authserver.Config) { c.TokenLifetime = 1500 * time.Millisecond },
		`Config.AllowedOrigins[0]: not an absolute URL`:                               func(c *authserver.Config) { c.AllowedOrigins = []string{"*"} },
		`Config.AllowedOrigins[0]: must be scheme and host`:                           func(c *authserver.Config) { c.AllowedOrigins = []string{"https://app.example/"} },
		`Config.AllowedOrigins[0]: must be scheme and host in lower case`:             func(c *authserver.Config) { c.AllowedOrigins = []string{"https://App.example"} },
		`Config.AllowedOrigins[0]: must be scheme and host in lower case,`:            func(c *authserver.Config) { c.AllowedOrigins = []string{"https://app.example:443"} },
		`Config.AllowedOrigins[0]: must use https`:                                    func(c *authserver.Config) { c.AllowedOrigins = []string{"http://app.example"} },
		`Config.Keys[1].ID: `: func(c *authserver.Config) { c.Keys = []authserver.SigningKey{k, k} },
		`Config.Clients[0] ("shop"): redirect_uris: required`: client(func(c *authserver.Client) { c.GrantTypes = []string{"authorization_code"} }),
		`Config.Users[1].Subject: another`:                    func(c *authserver.Config) { c.Users[1].Subject = c.Users[0].Subject },
		`Config.Users[0].Subject: must be`:                    func(c *authserver.Config) { c.Users[0].Subject = "" },
		`Config.Users[1].Subject: must be`:                    func(c *authserver.Config) { c.Users[1].Subject = "é" },
		`Config.Users[1].Subject: is the client_id`:           func(c *authserver.Config) { c.Users[1].Subject = shop.id },
		`Config.Users[1].Username: another`:                   func(c *authserver.Config) { c.Users[1].Username = c.Users[0].Username },
		`Config.Users[1].Username: must be`:                   func(c *authserver.Config) { c.Users[1].Username = "" },
		`Config.Users[1].Claims: json: unsupported type: func()`: func(c *authserver.Config) {
			c.Users[1].Claims = map[string]any{"name": func() {}}
		},
		`Config.FindUser: goes with Login`: func(c *authserver.Config) { c.FindUser = (&directory{}).find },
		`Config.Clients[0] ("shop"): post_logout_redirect_uris[1]: must use https`: client(func(c *authserver.Client) {
			c.PostLogoutRedirectURIs = []string{"https://shop.example/bye", "http://shop.example/bye"}
		}),
		`Config.Clients[0] ("shop"): post_logout_redirect_uris[0]: must not have a parameter`: client(func(c *authserver.Client) {
			c.PostLogoutRedirectURIs = []string{"https://shop.example/bye?state=x"}
		}),
		`Config.Login: is in place of Users`: func(c *authserver.Config) {
			c.Login = func(context.Context, string, string) (authserver.User, error) { return authserver.User{}, nil }
		},
		`Config.Keys[1].Algorithm: `: func(c *authserver.Config) {
			c.Keys = []authserver.SigningKey{k, {Algorithm: "PS256", Signer: k.Signer}}
		},
	} {
		cfg := authserver.Config{Issuer: "https://issuer.example", Clients: clients(), Users: slices.Clone(users())}
		if _, err := authserver.New(cfg); err != nil {
			t.Fatal(err)
		}
		edit(&cfg)
		if _, err := authserver.New(cfg); err == nil || !strings.HasPrefix(err.Error(), "authserver: "+want) {
			t.Errorf("want %s\ngot  %v", want, err)
		}
	}
}

func TestNew_TakesWhatIsGood(t *testing.T) {
	t.Parallel()
	c := clients()[0]
	c.Scope = strings.TrimSpace(strings.Repeat("a ", 256))
	c.RedirectURIs = []string{"https://app.example/cb?x=y", "https://app.example:65535/a..b/.../c", "http://127.0.0.1/cb", "http://localhost:8080/cb", "com.example.app:/cb"}
	c.Audience = []string{"https://api.example", "urn:example:api", "api"}
	if _, err := authserver.New(authserver.Config{
		Issuer: "https://issuer.example", Clients: []authserver.Client{c},
		TokenLifetime: 24 * time.Hour, AllowedOrigins: []string{"https://app.example", "https://app.example:8443", "http://localhost:3000", "http://[::1]:3000"},
	}); err != nil {
		t.Error(err)
	}
}

func TestNew_CopiesItsConfig(t *testing.T) {
	t.Parallel()
	cs, keys := clients(), []authserver.SigningKey{key(t, "ES256", "k1")}
	i := start(t, "", func(c *authserver.Config) {
		c.Clients, c.Keys, c.AllowedOrigins = cs, keys, []string{"https://app.example"}
	})
	keys[0] = key(t, "ES256", "k2")
	cs[0].GrantTypes[0], cs[0].Audience[0], cs[0].SecretHash = "x", "x", authserver.Hash{}
	header, payload := parts(t, i.token(shop, "resource", ordersAPI))
	if header["kid"] != "k1" || payload["sub"] != shop.id {
		t.Error(header, payload)
	}
}

func TestTokenLifetime(t *testing.T) {
	t.Parallel()
	i := start(t, "", func(c *authserver.Config) { c.TokenLifetime = time.Second })
	a := i.post("/token", shop, form("grant_type", "client_credentials"))
	if a.object()["expires_in"] != 1.0 || !i.active(orders, a.member("access_token")) {
		t.Errorf("%s", a.body)
	}
	i.clock.Advance(time.Second)
	if i.active(orders, a.member("access_token")) {
		t.Error("still active")
	}
}
