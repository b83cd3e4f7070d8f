package canary_test

import (
	"context"
	"crypto"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/countermark/countermark/grpcauth"
	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/introspection"
	"github.com/countermark/countermark/jwks"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

// resolveTenants has issuers looked up by tokens that name them.
func resolveTenants(t *testing.T, w *witness) {
	t.Helper()
	m := newMint(t, w)
	wrong := m.validator(t, nil)
	for name, resolve := range map[string]func(context.Context, string, *validator.Validator) (*validator.Validator, error){
		"fails":   func(context.Context, string, *validator.Validator) (*validator.Validator, error) { return nil, errDown },
		"unknown": func(context.Context, string, *validator.Validator) (*validator.Validator, error) { return nil, nil },
		"another": func(context.Context, string, *validator.Validator) (*validator.Validator, error) { return wrong, nil },
		"panics": func(_ context.Context, issuer string, _ *validator.Validator) (*validator.Validator, error) {
			panic(issuer)
		},
	} {
		issuers, err := validator.NewIssuers(validator.IssuersConfig{Resolve: resolve})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			_, err := issuers.Validate(t.Context(), m.token(t, m.key, nil, map[string]any{"iss": "https://user:" + w.secret("an iss") + "@issuer.example"}))
			w.failed(t, "Resolve "+name, err)
		}
		_, err = issuers.Validate(t.Context(), w.secret("an opaque token"))
		w.failed(t, "an opaque token", err)
		w.print("Issuers", issuers)
		w.print("Close", issuers.Close())
	}
}

// readClaims reads claims into what they do not fit.
func readClaims(t *testing.T, w *witness) {
	t.Helper()
	m := newMint(t, w)
	tok, err := m.api.Validate(t.Context(), m.token(t, m.key, nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	told := func(name string, err error) { w.failed(t, "Claims into "+name, err) }
	_, err = validator.Claims[struct {
		N int8 `json:"n"`
	}](tok)
	told("a number out of range", err)
	_, err = validator.Claims[struct {
		Sub int `json:"sub"`
	}](tok)
	told("a number", err)
	_, err = validator.Claims[struct {
		Sub json.Number `json:"sub"`
	}](tok)
	told("a json.Number", err)
	_, err = validator.Claims[struct {
		Sub time.Time `json:"sub"`
	}](tok)
	told("a time", err)
	_, err = validator.Claims[struct {
		Sub netip.Addr `json:"sub"`
	}](tok)
	told("an address", err)
	_, err = validator.Claims[struct {
		EMail bool `json:"email"`
	}](tok)
	told("a boolean", err)
	_, err = validator.Claims[struct {
		Deep map[string]int `json:"deep"`
	}](tok)
	told("a map", err)
	_, err = validator.Claims[struct {
		EMail string `json:"EMAIL"`
	}](tok)
	told("another case", err)
	_, err = validator.Claims[[]string](tok)
	told("a slice", err)
}

// configureAPI makes everything with what is wrong, and holds a secret.
func configureAPI(t *testing.T, w *witness) {
	t.Helper()
	secret := w.secret("a secret in a configuration")
	places := []string{"https://user:" + secret + "@issuer.example", "http://" + secret, "https://[" + secret, "https://issuer.example/?" + secret, "https://issuer.example/%zz" + secret + "#", secret}
	for _, place := range places {
		_, err := jwks.New(jwks.Config{Issuer: place})
		w.failed(t, "jwks.Config.Issuer", err)
		_, err = jwks.New(jwks.Config{URL: strings.Replace(place, "?", "#", 1)})
		w.failed(t, "jwks.Config.URL", err)
		auth := introspection.Basic("api", w.secret("a client secret"))
		_, err = introspection.New(introspection.Config{Issuer: place, Auth: auth})
		w.failed(t, "introspection.Config.Issuer", err)
		_, err = introspection.New(introspection.Config{URL: strings.Replace(place, "?", "#", 1), Auth: auth})
		w.failed(t, "introspection.Config.URL", err)
		_, err = middleware.NewResourceMetadata(middleware.ResourceConfig{Resource: place, AuthorizationServers: []string{tokentest.Issuer}})
		w.failed(t, "middleware.ResourceConfig.Resource", err)
		_, err = middleware.NewResourceMetadata(middleware.ResourceConfig{Resource: tokentest.Audience, AuthorizationServers: []string{place}})
		w.failed(t, "middleware.ResourceConfig.AuthorizationServers", err)
		_, err = grpcauth.New(newMint(t, w).api, &grpcauth.Options{MetadataURL: strings.Replace(place, "?", "#", 1)})
		w.failed(t, "grpcauth.Options.MetadataURL", err)
	}
	_, err := middleware.NewResourceMetadata(middleware.ResourceConfig{
		Resource: tokentest.Audience, AuthorizationServers: []string{tokentest.Issuer}, ResourceDocumentation: "%zz" + secret,
	})
	w.failed(t, "middleware.ResourceConfig.ResourceDocumentation", err)
	for name, auth := range map[string]introspection.Authenticator{
		"SecretJWT":     introspection.SecretJWT("api", secret[:20]),
		"Basic":         introspection.Basic("", secret),
		"PrivateKeyJWT": introspection.PrivateKeyJWT("api", introspection.SigningKey{Algorithm: "RS256", Signer: newPrivate(t, w).Private}),
	} {
		_, err := introspection.New(introspection.Config{URL: tokentest.Issuer, Auth: auth})
		w.failed(t, "introspection."+name, err)
	}
	for name, edit := range map[string]func(*validator.Config){
		"NonceKey": func(c *validator.Config) { c.NonceKey = []byte(secret[:20]) },
		"Keys":     func(c *validator.Config) { c.Keys = (*jwks.Cache)(nil) },
	} {
		cfg := validator.Config{Issuer: places[0], Audiences: []string{secret}, Keys: tokentest.Keys{}}
		edit(&cfg)
		_, err := validator.New(cfg)
		w.failed(t, "validator.Config."+name, err)
	}
}

// newPrivate makes a key and hides what is private of it.
func newPrivate(t *testing.T, w *witness) *tokentest.Key {
	t.Helper()
	key := tokentest.NewKey(t, "key-1", "EdDSA")
	hidePrivate(t, w, key.Private)
	return key
}

// bomb is a hook that panics, with a value that a careless author might take: what it
// was given.
type bomb struct{}

func (bomb) Keys(_ context.Context, _, _ string) ([]crypto.PublicKey, error) { panic("boom") }
func (bomb) Introspect(_ context.Context, _ string, _ bool) ([]byte, error)  { panic("boom") }
func (bomb) Add(context.Context, [32]byte, time.Time) (bool, error)          { panic("boom") }
func (bomb) Get(context.Context, string) ([]byte, error)                     { panic("boom") }
func (bomb) Set(context.Context, string, []byte, time.Duration) error        { panic("boom") }

// RoundTrip panics with the request, whose fields and body are secret: the module's own
// goroutines say no more of it than its type.
func (bomb) RoundTrip(req *http.Request) (*http.Response, error) {
	panic(fmt.Sprint(req.Header, req.Body, req.URL))
}

// panicAtAPI has what the program plugs in panic, at each door: what the module adds
// to that is looked at, and the logs of who serves.
func panicAtAPI(t *testing.T, w *witness) {
	t.Helper()
	m := newMint(t, w)
	token := m.token(t, m.key, nil, nil)
	opaque := w.secret("an opaque token")
	bound := m.token(t, m.key, nil, map[string]any{"cnf": map[string]any{"jkt": m.stranger.Thumbprint(t)}})
	asked := &switchboard{}
	guard := middleware.New(asked, &middleware.Options{Logger: w.logger("the log of middleware")})
	server := httptest.NewUnstartedServer(guard.Require()(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		tok, _ := validator.TokenFromContext(req.Context())
		panic(tok) // which prints redacted
	})))
	server.Config.ErrorLog = w.errorLog("the ErrorLog of net/http")
	server.Start()
	t.Cleanup(server.Close)
	for name, row := range map[string]struct {
		edit          func(*validator.Config)
		authorization string
	}{
		"the handler":  {nil, "Bearer " + token},
		"Keys":         {func(c *validator.Config) { c.Keys = bomb{} }, "Bearer " + token},
		"Introspector": {func(c *validator.Config) { c.Introspector = bomb{} }, "Bearer " + opaque},
		"Replay":       {func(c *validator.Config) { c.Replay = bomb{} }, "DPoP " + bound},
		"Check": {func(c *validator.Config) {
			c.Check = func(_ context.Context, tok *validator.Token) error { panic(tok) }
		}, "Bearer " + token},
		"Now": {func(c *validator.Config) { c.Now = func() time.Time { panic("boom") } }, "Bearer " + token},
	} {
		asked.now.Store(m.validator(t, row.edit))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", row.authorization)
		if strings.HasPrefix(row.authorization, "DPoP") {
			req.Header["Dpop"] = m.signed(t, visit{authorization: []string{row.authorization}, proofs: []string{"good"}}, http.MethodGet, server.URL+"/")
		}
		if resp, err := server.Client().Do(req); err == nil {
			resp.Body.Close()
			t.Errorf("%s: no panic, but %s", name, resp.Status)
		}
	}
	for how, auth := range authenticators(w, m.key) {
		c, err := introspection.New(introspection.Config{URL: tokentest.Issuer, Auth: auth, Client: &http.Client{Transport: bomb{}}, Logger: w.logger("the log of introspection")})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Introspect(t.Context(), w.secret("an opaque token"), false)
		w.failed(t, "a transport that panics, "+how, err)
	}
	for name, edit := range map[string]func(*introspection.Config){
		"Cache": func(c *introspection.Config) { c.Cache = bomb{} },
		"Bearer": func(c *introspection.Config) {
			c.Auth = introspection.Bearer("api", func(context.Context) (string, error) { panic(w.secret("a bearer token")) })
		},
		"AuthFunc": func(c *introspection.Config) {
			c.Auth = introspection.AuthFunc("api", func(_ *http.Request, form url.Values) error { panic(form) })
		},
	} {
		cfg := introspection.Config{URL: "http://127.0.0.1:1", Auth: introspection.Basic("api", w.secret("a client secret")), Logger: w.logger("the log of introspection")}
		edit(&cfg)
		c, err := introspection.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Introspect(t.Context(), w.secret("an opaque token"), false)
		w.failed(t, name+" that panics", err)
	}
	keys, err := jwks.New(jwks.Config{URL: tokentest.Issuer, Client: &http.Client{Transport: bomb{}}, Logger: w.logger("the log of jwks")})
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	_, err = keys.Keys(t.Context(), w.secret("the kid of a token"), "ES256")
	w.failed(t, "a transport of jwks that panics", err)
	panicInStream(t, w, m)
}

// panicInStream has the handler of a stream panic, in the goroutine that the guard
// gave it.
func panicInStream(t *testing.T, w *witness, m *mint) {
	t.Helper()
	g, err := grpcauth.New(m.api, &grpcauth.Options{Default: &validator.Requirement{}, Logger: w.logger("the log of grpcauth")})
	if err != nil {
		t.Fatal(err)
	}
	w.print("a grpcauth.Guard", g)
	w.print("Check", g.Check(grpc.NewServer(grpc.Creds(insecure.NewCredentials()))))
	ctx := incoming(t.Context(), m.token(t, m.key, nil, nil))
	w.panicked(t, "a stream", func() {
		_ = g.Stream(nil, serverStream{ctx: ctx}, &grpc.StreamServerInfo{FullMethod: "/a.B/C"}, func(_ any, s grpc.ServerStream) error {
			tok, _ := validator.TokenFromContext(s.Context())
			panic(tok)
		})
	})
}

// printAPI prints everything public that holds a secret.
func printAPI(t *testing.T, w *witness) {
	t.Helper()
	m := newMint(t, w)
	private := newPrivate(t, w)
	token := m.token(t, m.key, nil, nil)
	tok, err := m.api.Validate(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	nonceKey := []byte(w.secret("a nonce key"))
	cfg := validator.Config{Issuer: tokentest.Issuer, Audiences: []string{tokentest.Audience}, Keys: tokentest.Keys{m.key}, NonceKey: nonceKey}
	v, err := validator.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	key := introspection.SigningKey{ID: "key-1", Signer: private.Private}
	credentials := validator.Credentials{Token: token, Scheme: "DPoP", Proof: w.secret("a proof"), Method: "GET"}
	for name, value := range map[string]any{
		"validator.Token": tok, "a copy of it": *tok, "validator.Credentials": credentials, "its address": &credentials,
		"validator.Config": cfg, "the Config's address": &cfg, "validator.Validator": v,
		"introspection.SigningKey": key, "the key's address": &key, "keys": []introspection.SigningKey{key},
		"a context":        validator.ContextWithToken(t.Context(), tok),
		"middleware.Guard": middleware.New(v, nil),
	} {
		w.print(name, value)
		w.print("a struct with "+name, struct{ Value any }{value})
	}
	for name, auth := range authenticators(w, private) {
		w.print("introspection."+name, auth)
		w.print("introspection.Config with "+name, introspection.Config{URL: tokentest.Issuer, Auth: auth})
	}
}
