// Introspection shows how soon a revocation bites: at once where the issuer is
// asked afresh, within the time of the cache elsewhere.
//
//	go run ./examples/introspection
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/countermark/countermark/examples/internal/demo"
	"github.com/countermark/countermark/introspection"
	"github.com/countermark/countermark/jwks"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

const (
	apiName  = "https://bank.example.com"
	cacheTTL = 2 * time.Second // short, so that the example need not run for a minute
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "introspection:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	opaque := demo.Client("teller", "accounts:read payments:write", apiName)
	opaque.AccessTokenStrategy = "opaque"
	bank := demo.Client("bank", "", apiName) // the API itself: a client that gets no tokens
	bank.GrantTypes = nil
	issuer, err := demo.StartIssuer(ctx, opaque, bank, demo.Client("app", "accounts:read payments:write", apiName))
	if err != nil {
		return err
	}
	defer issuer.Stop()
	handler, keys, err := newAPI(issuer.URL)
	if err != nil {
		return err
	}
	defer func() { _ = keys.Close() }()
	api, err := demo.StartAPI(ctx, handler)
	if err != nil {
		return err
	}
	defer api.Stop()
	return demo.Transcript(ctx, out, api, steps(ctx, issuer))
}

func newAPI(issuer string) (http.Handler, *jwks.Cache, error) {
	keys, err := jwks.New(jwks.Config{Issuer: issuer})
	if err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	done := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })

	// snippet:fresh
	asking, err := introspection.New(introspection.Config{
		Issuer: issuer,
		Auth:   introspection.Basic("bank", demo.Secret),
		TTL:    cacheTTL,
	})
	if err != nil {
		return nil, nil, err
	}
	v, err := validator.New(validator.Config{
		Issuer:       issuer,
		Audiences:    []string{apiName},
		Keys:         keys,   // a JWT is verified here
		Introspector: asking, // an opaque token is asked about
	})
	if err != nil {
		return nil, nil, err
	}
	auth := middleware.New(v, nil)
	mux.Handle("GET /accounts", auth.Require("accounts:read")(done))
	mux.Handle("POST /payments", auth.RequireWith(validator.Requirement{
		Scopes: []string{"payments:write"},
		Fresh:  true, // money moves: ask about every token, now
	})(done))
	// end snippet

	return mux, keys, nil
}

func steps(ctx context.Context, issuer *demo.Issuer) []demo.Step {
	var opaque, jwt string
	get := func(client string, token *string) func() (string, error) {
		return func() (_ string, err error) {
			*token, err = issuer.Token(ctx, client)
			return *token, err
		}
	}
	again := func(token *string) func() (string, error) {
		return func() (string, error) { return *token, nil }
	}
	revoked := func(client string, token *string) func() (string, error) {
		return func() (string, error) { return *token, issuer.Revoke(ctx, client, *token) }
	}
	accounts := func(title string, token func() (string, error), want int) demo.Step {
		return demo.Step{Title: title, Path: "/accounts", Token: token, Want: want}
	}
	payments := func(title string, token func() (string, error), want int) demo.Step {
		return demo.Step{Title: title, Method: http.MethodPost, Path: "/payments", Token: token, Want: want}
	}
	return []demo.Step{
		accounts("an opaque token", get("teller", &opaque), http.StatusOK),
		payments("the same, asked about afresh", again(&opaque), http.StatusOK),
		payments("the same, just revoked: dead at the very next request, and nobody says of what",
			revoked("teller", &opaque), http.StatusUnauthorized),
		accounts("the fresh answer is known here, too", again(&opaque), http.StatusUnauthorized),
		accounts("a second opaque token", get("teller", &opaque), http.StatusOK),
		accounts("just revoked, but the good answer is still remembered", revoked("teller", &opaque), http.StatusOK),
		accounts(fmt.Sprintf("%v later it is forgotten", cacheTTL), func() (string, error) {
			time.Sleep(cacheTTL)
			return opaque, nil
		}, http.StatusUnauthorized),
		payments("a JWT, verified here and asked about", get("app", &jwt), http.StatusOK),
		payments("the same, just revoked: it verifies here, so it can be nothing else",
			revoked("app", &jwt), http.StatusUnauthorized),
		accounts("where nobody asks, a JWT is good until it expires", again(&jwt), http.StatusOK),
	}
}
