// Multitenant shows one API with several issuers: one that is always there, and
// tenants that come and go.
//
//	go run ./examples/multitenant
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"

	"github.com/countermark/countermark/examples/internal/demo"
	"github.com/countermark/countermark/jwks"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

const apiName = "https://orders.example.com"

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "multitenant:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	var started []*demo.Issuer
	defer func() {
		for _, issuer := range started {
			issuer.Stop()
		}
	}()
	for range 3 {
		issuer, err := demo.StartIssuer(ctx, demo.Client("app", "orders:read", apiName))
		if err != nil {
			return err
		}
		started = append(started, issuer)
	}
	own, tenant, stranger := started[0], started[1], started[2]

	var customers registry
	customers.add(tenant.URL)
	issuers, closeAll, err := newIssuers(own.URL, &customers)
	if err != nil {
		return err
	}
	defer closeAll()
	auth := middleware.New(issuers, nil)
	mux := http.NewServeMux()
	mux.Handle("GET /orders", auth.Require("orders:read")(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
	})))
	api, err := demo.StartAPI(ctx, mux)
	if err != nil {
		return err
	}
	defer api.Stop()

	call := func(title string, issuer *demo.Issuer, want int) demo.Step {
		return demo.Step{
			Title: title, Path: "/orders", Want: want,
			Token: func() (string, error) { return issuer.Token(ctx, "app") },
		}
	}
	if err := demo.Transcript(ctx, out, api, []demo.Step{
		call("our own issuer", own, http.StatusOK),
		call("a customer's issuer, resolved at its first token", tenant, http.StatusOK),
		call("an issuer that is nobody's", stranger, http.StatusUnauthorized),
	}); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "\nKey sets fetched: ours %d, the customer's %d, the stranger's %d.\n",
		own.KeyFetches(), tenant.KeyFetches(), stranger.KeyFetches())
	return err
}

// newIssuers trusts our own issuer, and those of the customers.
func newIssuers(own string, customers *registry) (issuers *validator.Issuers, closeAll func(), err error) {
	keys, err := jwks.New(jwks.Config{Issuer: own})
	if err != nil {
		return nil, nil, err
	}
	ours, err := validator.New(validator.Config{Issuer: own, Audiences: []string{apiName}, Keys: keys})
	if err != nil {
		return nil, nil, err
	}

	// snippet:issuers
	issuers, err = validator.NewIssuers(validator.IssuersConfig{
		Validators: []*validator.Validator{ours},
		Resolve: func(_ context.Context, issuer string, current *validator.Validator) (*validator.Validator, error) {
			if !customers.has(issuer) {
				return nil, validator.ErrIssuer // not one of ours: refused, and nothing was fetched
			}
			if current != nil {
				return current, nil // nothing changed: its keys stay
			}
			keys, err := jwks.New(jwks.Config{Issuer: issuer})
			if err != nil {
				return nil, err
			}
			return validator.New(validator.Config{Issuer: issuer, Audiences: []string{apiName}, Keys: keys})
		},
	})
	// end snippet
	if err != nil {
		return nil, nil, err
	}
	return issuers, func() {
		_ = issuers.Close()
		_ = keys.Close()
	}, nil
}

// registry stands for the table of customers.
type registry struct{ issuers sync.Map }

func (r *registry) add(issuer string) { r.issuers.Store(issuer, true) }

func (r *registry) has(issuer string) bool {
	_, ok := r.issuers.Load(issuer)
	return ok
}
