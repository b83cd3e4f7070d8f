package flood_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/issuertest"
	"github.com/countermark/countermark/introspection"
	"github.com/countermark/countermark/jwks"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

const (
	// Of the API's server, as an API may have them. A token has at most 16 KiB
	// (README.md, Limits). With the MiB that net/http takes by itself, a header costs
	// it 8 ms and 7 MiB, before anybody else is asked.
	headerTimeout  = 2 * time.Second
	readTimeout    = 10 * time.Second
	idleTimeout    = time.Minute // no regular's connection ends in a test
	maxHeaderBytes = 32 << 10
)

// newKeys returns the keys of i.
func newKeys(t *testing.T, i *issuer) *jwks.Cache {
	t.Helper()
	keys, err := jwks.New(jwks.Config{Issuer: issuertest.URL, Client: i.client})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keys.Close() })
	return keys
}

// newValidator returns one for JWTs and opaque tokens of i.
func newValidator(t *testing.T, i *issuer) *validator.Validator {
	t.Helper()
	asking, err := introspection.New(introspection.Config{
		Issuer: issuertest.URL, Client: i.client, Auth: introspection.Basic(i.orders.ID, i.orders.Secret),
		TTL:     time.Hour, // longer than any test: what is known is not asked about again
		Timeout: patience,
	})
	if err != nil {
		t.Fatal(err)
	}
	v, err := validator.New(validator.Config{
		Issuer: issuertest.URL, Audiences: []string{issuertest.API}, Keys: newKeys(t, i), Introspector: asking,
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// serve opens the API's door in net/http, and returns who dials there.
func serve(t *testing.T, a middleware.Authorizer) (dial func() line) {
	t.Helper()
	server := httptest.NewUnstartedServer(middleware.New(a, nil).Require("orders:read")(http.HandlerFunc(
		func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) },
	)))
	c := server.Config
	c.ReadHeaderTimeout, c.ReadTimeout, c.IdleTimeout, c.MaxHeaderBytes = headerTimeout, readTimeout, idleTimeout, maxHeaderBytes
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	return func() line { return &httpLine{addr: server.Listener.Addr().String()} }
}
