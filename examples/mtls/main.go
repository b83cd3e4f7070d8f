// Mtls shows what a stolen token is worth when it is bound to the client's
// certificate (RFC 8705): nothing. The tokens are made by a tiny issuer of the
// example's own, as authserver issues no bound tokens yet.
//
//	go run ./examples/mtls
package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

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
	issuer, err := demo.StartBindingIssuer(ctx)
	if err != nil {
		return err
	}
	defer issuer.Stop()
	handler, keys, err := newAPI(issuer)
	if err != nil {
		return err
	}
	defer func() { _ = keys.Close() }()
	own, thiefs, apis, err := threeCertificates()
	if err != nil {
		return err
	}
	api, err := demo.StartTLS(ctx, handler, newServerTLS(apis))
	if err != nil {
		return err
	}
	defer api.Stop()

	token := func() (string, error) {
		return issuer.Token(apiName, "accounts:read", "x5t#S256", thumbprint(own.Leaf))
	}
	refused := func(title string, client *http.Client) demo.Step {
		return demo.Step{
			Title: title, Path: "/accounts", Token: token, Client: client,
			Want: http.StatusUnauthorized, Code: "invalid_token",
		}
	}
	return demo.Transcript(ctx, out, api, []demo.Step{
		{Title: "the client, with its certificate", Path: "/accounts", Token: token, Client: newClient(apis.Leaf, own), Want: http.StatusOK},
		refused("a thief, without a certificate", newClient(apis.Leaf)),
		refused("the thief, with a certificate of its own", newClient(apis.Leaf, thiefs)),
		{Title: "the client, once more", Path: "/accounts", Token: token, Client: newClient(apis.Leaf, own), Want: http.StatusOK},
	})
}

// newAPI guards a route as for any other token: a bound one passes only with its
// certificate, whatever the policy.
func newAPI(issuer *demo.BindingIssuer) (http.Handler, *jwks.Cache, error) {
	keys, err := jwks.New(jwks.Config{URL: issuer.KeysURL})
	if err != nil {
		return nil, nil, err
	}
	v, err := validator.New(validator.Config{
		Issuer:         issuer.URL,
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

// newServerTLS has the API ask for certificates. It need not know who signed them:
// the token says which one is right, and TLS that the client has its key.
func newServerTLS(own tls.Certificate) *tls.Config {
	// snippet:server
	return &tls.Config{
		Certificates: []tls.Certificate{own},
		ClientAuth:   tls.RequestClientCert,
		MinVersion:   tls.VersionTLS12,
	}
	// end snippet
}

// newClient trusts the API's certificate and shows its own, if it has one.
func newClient(api *x509.Certificate, own ...tls.Certificate) *http.Client {
	trusted := x509.NewCertPool()
	trusted.AddCert(api)
	return &http.Client{
		Timeout: 5 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{
			Certificates: own,
			RootCAs:      trusted,
			MinVersion:   tls.VersionTLS12,
		}},
	}
}

// thumbprint is the x5t#S256 that tokens are bound by (RFC 8705 section 3.1).
func thumbprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
