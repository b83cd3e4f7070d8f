// Mtls shows what a stolen token is worth when it is bound to the client's
// certificate (RFC 8705): nothing. The client shows the certificate to the issuer,
// beside its secret, and then to the API.
//
//	go run ./examples/mtls
package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/countermark/countermark/examples/internal/demo"
	"github.com/countermark/countermark/jwks"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

const apiName = "https://bank.example.com"

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mtls:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	all, err := newCast()
	if err != nil {
		return err
	}
	app := demo.Client("app", "accounts:read", apiName)
	app.TLSClientCertificateBoundAccessTokens = true
	issuer, err := demo.StartIssuerTLS(ctx, newServerTLS(all.issuer), app)
	if err != nil {
		return err
	}
	defer issuer.Stop()
	handler, keys, err := newAPI(issuer.URL, all.client())
	if err != nil {
		return err
	}
	defer func() { _ = keys.Close() }()
	api, err := demo.StartTLS(ctx, handler, newServerTLS(all.api))
	if err != nil {
		return err
	}
	defer api.Stop()

	own := all.client(all.app)
	token, err := issuer.BoundToken(ctx, own, "app", "Bearer") // RFC 8705 leaves the type as it is
	if err != nil {
		return err
	}
	return transcript(ctx, out, api, token, own, all)
}

func transcript(ctx context.Context, out io.Writer, api *demo.API, token string, own *http.Client, all *cast) error {
	step := func(title string, client *http.Client, want int, code string) demo.Step {
		return demo.Step{
			Title: title, Path: "/accounts", Client: client, Want: want, Code: code,
			Token: func() (string, error) { return token, nil },
		}
	}
	return demo.Transcript(ctx, out, api, []demo.Step{
		step("the client, with its certificate", own, http.StatusOK, ""),
		step("a thief, without a certificate", all.client(), http.StatusUnauthorized, "invalid_token"),
		step("the thief, with a certificate of its own", all.client(all.thief), http.StatusUnauthorized, "invalid_token"),
		step("the client, once more", own, http.StatusOK, ""),
	})
}

// newAPI guards a route as for any other token: a bound one passes only with its
// certificate, whatever the policy.
func newAPI(issuer string, client *http.Client) (http.Handler, *jwks.Cache, error) {
	keys, err := jwks.New(jwks.Config{Issuer: issuer, Client: client})
	if err != nil {
		return nil, nil, err
	}
	v, err := validator.New(validator.Config{
		Issuer:         issuer,
		Audiences:      []string{apiName},
		Keys:           keys,
		RequireBinding: true, // this refuses the others
	})
	if err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	auth := middleware.New(v, nil)
	mux.Handle("GET /accounts", auth.Require("accounts:read")(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
	})))
	return mux, keys, nil
}

// newServerTLS has the issuer and the API ask for certificates. Neither need know who
// signed them: the issuer binds the token to whichever it is shown, the token tells
// the API which one is right, and TLS both that the client has its key.
func newServerTLS(own tls.Certificate) *tls.Config {
	// snippet:server
	return &tls.Config{
		Certificates: []tls.Certificate{own},
		ClientAuth:   tls.RequestClientCert,
		MinVersion:   tls.VersionTLS12,
	}
	// end snippet
}
