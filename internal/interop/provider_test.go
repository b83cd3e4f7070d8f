package interop_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/countermark/countermark/introspection"
	"github.com/countermark/countermark/jwks"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

// A provider is an issuer made with node-oidc-provider.
type provider struct {
	issuer   string
	redirect string
	answer   url.Values // that the redirect brought last
	in       io.Writer
	out      *bufio.Scanner
}

// startProvider runs node/provider.mjs, with further clients, until the test ends.
func startProvider(t *testing.T, further ...any) *provider {
	t.Helper()
	node := findNode22(t, "oidc-provider")
	p := &provider{}
	app := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { p.answer = r.URL.Query() }))
	t.Cleanup(app.Close)
	p.redirect = app.URL + "/callback"
	settings, err := json.Marshal(map[string]any{"clients": append(further,
		map[string]any{"client_id": "machine", "client_secret": secret, "grant_types": []string{"client_credentials"}, "redirect_uris": []string{}, "response_types": []string{}},
		map[string]any{"client_id": "api", "client_secret": secret, "grant_types": []string{}, "redirect_uris": []string{}, "response_types": []string{}},
		map[string]any{
			"client_id": "web", "client_secret": secret, "grant_types": []string{"authorization_code", "refresh_token"}, "redirect_uris": []string{p.redirect},
			"application_type": "native", // on loopback
		},
	)})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, "provider.mjs")
	cmd.Dir = "node"
	cmd.Env = append(os.Environ(), "SETTINGS="+string(settings))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.in, p.out = in, startProcess(t, cmd)
	p.issuer = p.line(t, "http://")
	return p
}

// line returns the next line that the program prints, with that prefix: the library
// prints notices of its own.
func (p *provider) line(t *testing.T, prefix string) string {
	t.Helper()
	for p.out.Scan() {
		if strings.HasPrefix(p.out.Text(), prefix) {
			return p.out.Text()
		}
	}
	t.Fatalf("no line %q: %v", prefix, p.out.Err())
	return ""
}

// useKeys has the issuer know those generations of keys alone, and sign with the
// first of them.
func (p *provider) useKeys(t *testing.T, generations string) {
	t.Helper()
	if _, err := io.WriteString(p.in, generations+"\n"); err != nil {
		t.Fatal(err)
	}
	p.line(t, "done")
}

func apiOf(kind string) string { return "https://api.example.com/" + kind }

// token gets a token for an API by client credentials.
func (p *provider) token(t *testing.T, kind string) string {
	t.Helper()
	config := clientcredentials.Config{
		ClientID: "machine", ClientSecret: secret, TokenURL: p.issuer + "/token", Scopes: []string{"orders:read"},
		EndpointParams: url.Values{"resource": {apiOf(kind)}},
	}
	token, err := config.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return token.AccessToken
}

// guard returns an API that is called that, and trusts the issuer.
func (p *provider) guard(t *testing.T, kind string) *httptest.Server {
	t.Helper()
	return p.guardThatAsks(t, kind, introspection.Config{Auth: introspection.Basic("api", secret)})
}

func (p *provider) keys(t *testing.T) *jwks.Cache {
	t.Helper()
	keys, err := jwks.New(jwks.Config{Issuer: p.issuer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	return keys
}

// guardThatAsks is guard, with a way to introspect.
func (p *provider) guardThatAsks(t *testing.T, kind string, how introspection.Config) *httptest.Server {
	t.Helper()
	keys := p.keys(t)
	how.Issuer, how.TTL, how.NegativeTTL = p.issuer, -1, -1
	asks, err := introspection.New(how)
	if err != nil {
		t.Fatal(err)
	}
	v, err := validator.New(validator.Config{Issuer: p.issuer, Audiences: []string{apiOf(kind)}, Keys: keys, Introspector: asks, Leeway: -1})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(middleware.New(v, nil).Require("orders:read")(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		token, _ := validator.TokenFromContext(req.Context())
		who := token.ClientID()
		if sub := token.Subject(); sub != "" && sub != who { // an opaque token of a client has none there
			who = sub + " by " + who
		}
		_, _ = io.WriteString(w, who)
	})))
	t.Cleanup(s.Close)
	return s
}

// show shows a token to an API, and returns its answer in short: who is served, or
// the status and challenge.
func show(t *testing.T, api *httptest.Server, token string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, api.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := api.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		return resp.Status + " " + resp.Header.Get("WWW-Authenticate")
	}
	return string(body)
}

const invalidToken = `401 Unauthorized Bearer realm="api", error="invalid_token"`

// JWT access tokens with each algorithm (RFC 9068), and opaque ones by introspection
// (RFC 7662), pass; those for another API do not.
func TestOIDCProvider_Tokens(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	for _, kind := range []string{"RS256", "PS256", "ES256", "ES512", "Ed25519", "opaque"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			api := p.guard(t, kind)
			if got := show(t, api, p.token(t, kind)); got != "machine" {
				t.Errorf("its own: %s", got)
			}
			if got := show(t, api, p.token(t, kind+"/300/other")); !strings.HasPrefix(got, invalidToken) {
				t.Errorf("for another API: %s", got)
			}
		})
	}
}

// A person's token passes, with the scope that was consented to, before and after a
// refresh; the ID token that came with it does not.
func TestOIDCProvider_Person(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	for _, kind := range []string{"ES256", "opaque"} {
		api := p.guard(t, kind)
		config := &oauth2.Config{
			ClientID: "web", ClientSecret: secret, RedirectURL: p.redirect, Scopes: []string{"openid", "offline_access", "orders:read"},
			Endpoint: oauth2.Endpoint{AuthURL: p.issuer + "/auth", TokenURL: p.issuer + "/token"},
		}
		verifier, resource := oauth2.GenerateVerifier(), oauth2.SetAuthURLParam("resource", apiOf(kind))
		link := config.AuthCodeURL("a state", oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("prompt", "consent"), resource)
		visit(t, link, url.Values{"login": {"alice"}, "password": {"wonderland"}}, url.Values{})
		token, err := config.Exchange(t.Context(), p.answer.Get("code"), oauth2.VerifierOption(verifier), resource)
		if err != nil {
			t.Fatal(err)
		}
		if got := show(t, api, token.AccessToken); got != "alice by web" {
			t.Errorf("%s: %s", kind, got)
		}
		idToken, _ := token.Extra("id_token").(string)
		if got := show(t, api, idToken); idToken == "" || !strings.HasPrefix(got, invalidToken) {
			t.Errorf("%s: the ID token: %s", kind, got)
		}
		refreshed, err := config.TokenSource(t.Context(), &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
		if err != nil {
			t.Fatal(err)
		}
		if got := show(t, api, refreshed.AccessToken); got != "alice by web" {
			t.Errorf("%s, refreshed: %s", kind, got)
		}
	}
}
