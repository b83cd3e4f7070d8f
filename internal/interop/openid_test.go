package interop_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	capoidc "github.com/hashicorp/cap/oidc"
	"golang.org/x/oauth2"

	"github.com/countermark/countermark/internal/issuertest"
)

// relyingParty is the configuration of a devissuer with a client that wants to know
// who signs in.
const relyingParty = `{
	"resources": ["` + audience + `"],
	"clients": [
		{
			"client_id": "web", "client_secret": "secret-of-web", "grant_types": ["authorization_code", "refresh_token"],
			"redirect_uris": ["https://app.example/callback", "http://127.0.0.1/callback"], "post_logout_redirect_uris": ["https://app.example/signed-out"],
			"scope": "openid profile email orders:read orders:write"
		},
		{"client_id": "api", "client_secret": "secret-of-api"}
	],
	"users": [{"sub": "1", "username": "alice", "password": "wonderland", "claims": {"name": "Alice Example", "email": "alice@example.com"}}]
}`

// startOpenID runs the devissuer command for relying parties.
func startOpenID(t *testing.T) *Parties {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, []byte(relyingParty), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, there := metadataOf(t, issuertest.Start(t, devissuerFile, nil).Field(t, "Issuer"))["end_session_endpoint"]; !there {
		t.Skip("devissuer has no OpenID Connect: no ID tokens, no userinfo endpoint and no end_session endpoint")
	}
	p := &Parties{Audience: audience, Clients: map[string]string{"api": "secret-of-api"}}
	p.Issuer = issuertest.Start(t, devissuerFile, nil, "-config", file).Field(t, "Issuer")
	p.startAPI(t)
	return p
}

// openid-client and oauth4webapi as relying parties (OpenID Connect Core,
// RP-Initiated Logout).
func TestOpenID_JavaScript(t *testing.T) {
	t.Parallel()
	node := findNode(t, "openid-client")
	p := startOpenID(t)
	runNode(t, node, "openid.mjs", map[string]any{"issuer": p.Issuer, "api": p.API, "audience": audience, "secret": "secret-of-web"})
}

// github.com/coreos/go-oidc as a relying party. Its verifier of ID tokens refuses
// the access token, and our API the ID token.
func TestOpenID_GoOIDC(t *testing.T) {
	t.Parallel()
	p := startOpenID(t)
	redirect, answer := landing(t)
	provider, err := oidc.NewProvider(t.Context(), p.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	config := &oauth2.Config{
		ClientID: "web", ClientSecret: "secret-of-web", RedirectURL: redirect, Endpoint: provider.Endpoint(), Scopes: []string{oidc.ScopeOpenID, "email", "orders:read"},
	}
	verifier := oauth2.GenerateVerifier()
	visit(t, config.AuthCodeURL("a state", oidc.Nonce("a nonce"), oauth2.S256ChallengeOption(verifier)), signIn, consent)
	token, err := config.Exchange(t.Context(), answer.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := token.Extra("id_token").(string)
	verify := provider.VerifierContext(t.Context(), &oidc.Config{ClientID: "web"})
	idToken, err := verify.Verify(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := idToken.VerifyAccessToken(token.AccessToken); err != nil || idToken.Nonce != "a nonce" || idToken.Subject != "1" {
		t.Errorf("%v, nonce %q, sub %q", err, idToken.Nonce, idToken.Subject)
	}
	about, err := provider.UserInfo(t.Context(), oauth2.StaticTokenSource(token))
	if err != nil || about.Subject != "1" || about.Email != "alice@example.com" {
		t.Errorf("%+v, %v", about, err)
	}
	if _, err := verify.Verify(t.Context(), token.AccessToken); err == nil {
		t.Error("the access token is taken for an ID token")
	}
	if got := p.orders(t, config.Client(t.Context(), token)); got != "served to 1" {
		t.Error(got)
	}
	if got := p.orders(t, config.Client(t.Context(), &oauth2.Token{AccessToken: raw})); got != "Unauthorized\n" {
		t.Errorf("the ID token: %s", got)
	}
}

// github.com/hashicorp/cap as a relying party.
func TestOpenID_Cap(t *testing.T) {
	t.Parallel()
	p := startOpenID(t)
	redirect, answer := landing(t)
	config, err := capoidc.NewConfig(p.Issuer, "web", "secret-of-web", []capoidc.Alg{capoidc.ES256}, []string{redirect})
	if err != nil {
		t.Fatal(err)
	}
	provider, err := capoidc.NewProvider(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(provider.Done)
	verifier, err := capoidc.NewCodeVerifier()
	if err != nil {
		t.Fatal(err)
	}
	request, err := capoidc.NewRequest(2*time.Minute, redirect, capoidc.WithPKCE(verifier), capoidc.WithScopes("email"), capoidc.WithMaxAge(300))
	if err != nil {
		t.Fatal(err)
	}
	link, err := provider.AuthURL(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	visit(t, link, signIn, consent)
	token, err := provider.Exchange(t.Context(), request, answer.Get("state"), answer.Get("code"))
	if err != nil {
		t.Fatal(err)
	}
	var claims struct{ Email string }
	if err := provider.UserInfo(t.Context(), token.StaticTokenSource(), "1", &claims); err != nil || claims.Email != "alice@example.com" {
		t.Errorf("%+v, %v", claims, err)
	}
}

// landing is where people are sent back to, with what they bring.
func landing(t *testing.T) (redirect string, answer *url.Values) {
	t.Helper()
	answer = new(url.Values)
	app := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { *answer = r.URL.Query() }))
	t.Cleanup(app.Close)
	return app.URL + "/callback", answer
}
