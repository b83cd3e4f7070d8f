// Direct calls the validator itself, as a queue consumer or a command does that
// is handed a token outside of HTTP.
//
//	go run ./authserver/cmd/devissuer     # an issuer first, in another terminal
//	TOKEN=… go run ./examples/direct      # with a token that it gave
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/countermark/countermark/jwks"
	"github.com/countermark/countermark/validator"
)

func main() {
	issuer := flag.String("issuer", "http://127.0.0.1:9000", "issuer of the token")
	audience := flag.String("audience", "https://api.example.com", "audience that the token must name")
	flag.Parse()
	raw := os.Getenv("TOKEN")
	if raw == "" {
		fmt.Fprintf(os.Stderr, "direct: the environment has no TOKEN; the access_token of a devissuer is one:\n\n  %s\n", getToken(*issuer))
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := judge(ctx, os.Stdout, *issuer, *audience, raw); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:gocritic // the timer ends with the process
	}
}

// getToken is the command by which the client that a devissuer has by itself gets
// a token.
func getToken(issuer string) string {
	return "curl -sS -u orders-client:orders-client-secret -d grant_type=client_credentials " + issuer + "/token"
}

// tenant is what this program's issuer adds to its tokens.
type tenant struct {
	Tenant string `json:"tenant_id"`
}

func judge(ctx context.Context, out io.Writer, issuer, audience, raw string) error {
	keys, err := jwks.New(jwks.Config{Issuer: issuer})
	if err != nil {
		return err
	}
	defer func() { _ = keys.Close() }()
	v, err := validator.New(validator.Config{Issuer: issuer, Audiences: []string{audience}, Keys: keys})
	if err != nil {
		return err
	}

	// snippet:validate
	token, err := v.Validate(ctx, raw)
	switch {
	case errors.Is(err, validator.ErrUnavailable):
		return fmt.Errorf("try again later: %w", err) // nobody knows whether the token is good
	case err != nil:
		return err
	}
	extra, err := validator.Claims[tenant](token)
	// end snippet
	if err != nil {
		return err
	}

	_, err = fmt.Fprintf(out, "good here: subject %q, scopes %q, tenant %q, until %s\n",
		token.Subject(), token.Scopes(), extra.Tenant, token.Expiry().UTC().Format(time.RFC3339))
	return err
}
