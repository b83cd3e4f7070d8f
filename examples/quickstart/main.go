// Quickstart shows an API that lets the right callers in and keeps everyone else
// out: a real issuer, real tokens, keys fetched over HTTP, all on loopback.
//
//	go run ./examples/quickstart          # the transcript; exits 0 if all went as it should
//	go run ./examples/quickstart -serve   # keeps both running for your own curl
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/countermark/countermark/examples/internal/demo"
)

const apiName = "https://orders.example.com" // what tokens for the API name as their audience

func main() {
	serve := flag.Bool("serve", false, "keep the issuer and the API running until interrupted")
	flag.Parse()
	if err := run(os.Stdout, *serve); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, serve bool) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	issuer, err := demo.StartIssuer(ctx,
		demo.Client("shop", "orders:read orders:write", apiName),
		demo.Client("reporter", "reports:read", apiName),
		demo.Client("biller", "orders:read", "https://billing.example.com"))
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

	fmt.Fprintf(out, "issuer  %s\napi     %s   GET /orders needs the scope orders:read\n", issuer.URL, api.URL)
	if serve {
		fmt.Fprintf(out, `
TOKEN=$(curl -s -u shop:%s -d grant_type=client_credentials %s/token | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
curl -i -H "Authorization: Bearer $TOKEN" %s/orders

Interrupt to stop.
`, demo.Secret, issuer.URL, api.URL)
		<-ctx.Done()
		return nil
	}
	if err := demo.Transcript(ctx, out, api, steps(ctx, issuer)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "\nThe API fetched the key set %d times.\n", issuer.KeyFetches())
	return err
}

func steps(ctx context.Context, issuer *demo.Issuer) []demo.Step {
	tokenOf := func(client string) func() (string, error) {
		return func() (string, error) { return issuer.Token(ctx, client) }
	}
	var first string // a good token, and still good at the end
	return []demo.Step{
		{
			Title: "no token", Path: "/orders", Want: http.StatusUnauthorized,
		},
		{
			Title: "a good token", Path: "/orders", Want: http.StatusOK,
			Token: func() (token string, err error) {
				first, err = issuer.Token(ctx, "shop")
				return first, err
			},
		},
		{
			Title: "a token without the scope", Path: "/orders", Want: http.StatusForbidden,
			Token: tokenOf("reporter"),
		},
		{
			Title: "a token for another API", Path: "/orders", Want: http.StatusUnauthorized,
			Token: tokenOf("biller"),
		},
		{
			Title: "an expired token", Path: "/orders", Want: http.StatusUnauthorized,
			Token: func() (string, error) {
				defer issuer.TurnClock(-time.Hour)()
				return issuer.Token(ctx, "shop")
			},
		},
		{
			Title: "a token signed with a new key, which the API has not seen", Path: "/orders", Want: http.StatusOK,
			Token: func() (string, error) {
				if err := issuer.RotateKey(ctx); err != nil {
					return "", err
				}
				return issuer.Token(ctx, "shop")
			},
		},
		{
			Title: "the issuer is down, and its keys are known", Path: "/orders", Want: http.StatusOK,
			Token: func() (string, error) {
				issuer.Stop()
				return first, nil
			},
		},
	}
}
