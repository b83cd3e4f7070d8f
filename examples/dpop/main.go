// Dpop shows what a stolen token is worth when it is bound to a key of the client's
// (RFC 9449): nothing. Client and API are the code to copy. The client shows its
// key to the issuer too, which binds the token to it.
//
//	go run ./examples/dpop
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/countermark/countermark/examples/internal/demo"
	"github.com/countermark/countermark/jwks"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

const apiName = "https://bank.example.com"

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "dpop:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	app := demo.Client("app", "accounts:read payments:write", apiName)
	app.DPoPBoundAccessTokens = true // it gets no others
	issuer, err := demo.StartIssuer(ctx, app)
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

	fmt.Fprint(out, "The issuer binds the token to the key of a proof, in which it wants a nonce of its own.\n")
	wire := &eavesdropper{base: http.DefaultTransport}
	client, err := newClient(ctx, wire, issuer, api)
	if err != nil {
		return err
	}
	if err := counted(out, "its token", wire.count(), 2); err != nil {
		return err
	}
	return transcript(ctx, out, api, client, wire)
}

// newClient makes a key, gets a token that is bound to it, and returns what shows
// both to the API.
func newClient(ctx context.Context, wire http.RoundTripper, issuer *demo.Issuer, api *demo.API) (*dpopTransport, error) {
	key, err := newDPoPKey()
	if err != nil {
		return nil, err
	}
	from, err := url.Parse(issuer.URL)
	if err != nil {
		return nil, err
	}
	to, err := url.Parse(api.URL)
	if err != nil {
		return nil, err
	}
	asking := &http.Client{Transport: &dpopTransport{base: wire, server: from, key: key}}
	token, err := issuer.BoundToken(ctx, asking, "app", "DPoP")
	if err != nil {
		return nil, err
	}
	return &dpopTransport{base: wire, server: to, key: key, token: token}, nil
}

// newAPI guards two routes. One takes a proof that the client says was made just
// now; the other, where money moves, one that has our own nonce in it.
func newAPI(issuer string) (http.Handler, *jwks.Cache, error) {
	keys, err := jwks.New(jwks.Config{Issuer: issuer})
	if err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	done := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	nonceKey := make([]byte, 32) // one for all replicas, from where the other secrets are
	_, _ = rand.Read(nonceKey)

	// snippet:binding
	policy := validator.Config{
		Issuer:         issuer,
		Audiences:      []string{apiName},
		Keys:           keys,
		RequireBinding: true, // bound tokens need their key in any case; this refuses the others
	}
	v, err := validator.New(policy)
	if err != nil {
		return nil, nil, err
	}
	policy.NonceKey = nonceKey
	strict, err := validator.New(policy)
	if err != nil {
		return nil, nil, err
	}
	mux.Handle("GET /accounts", middleware.New(v, nil).Require("accounts:read")(done))
	mux.Handle("POST /payments", middleware.New(strict, nil).Require("payments:write")(done))
	// end snippet

	return mux, keys, nil
}

func transcript(ctx context.Context, out io.Writer, api *demo.API, client *dpopTransport, wire *eavesdropper) error {
	thiefsKey, err := newDPoPKey()
	if err != nil {
		return err
	}
	own := &http.Client{Transport: client}
	stolen := func() (string, error) { return client.token, nil }
	thief := &http.Client{Transport: &dpopTransport{base: http.DefaultTransport, server: client.server, key: thiefsKey, token: client.token}}
	refused := func(title, code string, client *http.Client, token func() (string, error)) demo.Step {
		return demo.Step{Title: title, Path: "/accounts", Client: client, Token: token, Want: http.StatusUnauthorized, Code: code}
	}
	if err := demo.Transcript(ctx, out, api, []demo.Step{
		{Title: "the client, with a proof", Path: "/accounts", Client: own, Want: http.StatusOK},
		refused("a thief sends all of that again", "invalid_dpop_proof", wire.replay(), nil),
		refused("the thief shows the token as a bearer token", "invalid_token", nil, stolen),
		refused("... or with a proof by a key of its own", "invalid_token", thief, nil),
		refused("... or with a proof of the client's for another URL", "invalid_dpop_proof", client.misled("/reports"), nil),
		{Title: "the client, with another proof", Path: "/accounts", Client: own, Want: http.StatusOK},
	}); err != nil {
		return err
	}

	fmt.Fprint(out, "\nWhere money moves, a proof needs a nonce of the API's.\n")
	before := wire.count()
	pay := func(title string, client *http.Client, want int, code string) demo.Step {
		return demo.Step{Title: title, Method: http.MethodPost, Path: "/payments", Client: client, Want: want, Code: code}
	}
	if err := demo.Transcript(ctx, out, api, []demo.Step{
		pay("a proof without one", client.misled("/payments"), http.StatusUnauthorized, "use_dpop_nonce"),
		pay("the client, which asks again with it", own, http.StatusOK, ""),
		pay("the client, which has it by now", own, http.StatusOK, ""),
	}); err != nil {
		return err
	}
	return counted(out, "its two payments", wire.count()-before, 3)
}

// counted tells how many requests the client sent for something.
func counted(out io.Writer, what string, sent, want int) error {
	fmt.Fprintf(out, "\nFor %s the client sent %d requests.\n", what, sent)
	if sent != want {
		return fmt.Errorf("for %s the client sent %d requests, it should be %d", what, sent, want)
	}
	return nil
}
