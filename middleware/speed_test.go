package middleware_test

import (
	"context"
	"crypto"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

// discard is a ResponseWriter that costs nothing.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

// warm returns a guarded handler whose Authorizer costs nothing, and a request
// that passes.
func warm() (http.Handler, *http.Request) {
	t := new(validator.Token)
	g := middleware.New(authorizer(func(context.Context, validator.Credentials, validator.Requirement) (*validator.Token, error) {
		return t, nil
	}), nil)
	req := httptest.NewRequest(http.MethodGet, "/orders?after=7&limit=10", nil)
	req.Header.Set("Authorization", "Bearer eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIn0.c2ln")
	return g.Require("orders:read")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})), req
}

// Two is what net/http asks for a value in a request's context: a context that
// holds it, and a copy of the request that holds the context. Finding the token
// takes none; a parameter with an encoded name takes one, to decode the name.
func TestGuard_AllocationsAreThoseOfTheRequestsContext(t *testing.T) {
	handler, req := warm()
	for query, want := range map[string]float64{"": 2, "after=7&limit=10": 2, "after=7&%6cimit=10": 3} {
		req.URL.RawQuery = query
		if n := testing.AllocsPerRun(1000, func() { handler.ServeHTTP(discard{}, req) }); n != want {
			t.Errorf("query %q: %v allocations, want %v", query, n, want)
		}
	}
}

// BenchmarkGuard_Remembered measures all that a request costs whose token was met
// before: the header, the token, and the request's copy with its context.
func BenchmarkGuard_Remembered(b *testing.B) {
	key := tokentest.NewKey(b, "2026-11", "RS256")
	v := newValidator(b, func(c *validator.Config) { c.Keys = oneKey{key.Private.Public()} })
	passed := 0
	handler := middleware.New(v, nil).Require("orders:read")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed++ }))
	req := httptest.NewRequest(http.MethodGet, "/orders", nil)
	req.Header.Set("Authorization", "Bearer "+longToken(b, key, 0))
	b.ReportAllocs()
	for b.Loop() {
		handler.ServeHTTP(discard{}, req)
	}
	if passed < b.N {
		b.Errorf("%d of %d passed", passed, b.N)
	}
}

// oneKey is a KeySource that costs nothing.
type oneKey []crypto.PublicKey

func (k oneKey) Keys(context.Context, string, string) ([]crypto.PublicKey, error) { return k, nil }

func BenchmarkGuard(b *testing.B) {
	handler, req := warm()
	b.ReportAllocs()
	for b.Loop() {
		handler.ServeHTTP(discard{}, req)
	}
}
