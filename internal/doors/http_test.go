package doors_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"

	echov4 "github.com/labstack/echo/v4"
	echov5 "github.com/labstack/echo/v5"

	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/middleware/echoauth"
	"github.com/countermark/countermark/middleware/echoauth5"
)

var netHTTP = httpDoor("net/http", func(g *middleware.Guard, h *house) http.Handler {
	guard := g.RequireWith(h.needs)
	if h.optional {
		guard = g.Optional()
	}
	mux := http.NewServeMux()
	mux.Handle("GET /orders/{id}", guard(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { h.enter(req.Context()) })))
	return mux
})

var echo4 = httpDoor("Echo v4", func(g *middleware.Guard, h *house) http.Handler {
	guard := echoauth.RequireWith(g, h.needs)
	if h.optional {
		guard = echoauth.Optional(g)
	}
	e := echov4.New()
	e.GET("/orders/:id", func(c echov4.Context) error {
		h.enter(c.Request().Context())
		return c.NoContent(http.StatusOK)
	}, guard)
	return e
})

var echo5 = httpDoor("Echo v5", func(g *middleware.Guard, h *house) http.Handler {
	guard := echoauth5.RequireWith(g, h.needs)
	if h.optional {
		guard = echoauth5.Optional(g)
	}
	e := echov5.New()
	e.GET("/orders/:id", func(c *echov5.Context) error {
		h.enter(c.Request().Context())
		return c.NoContent(http.StatusOK)
	}, guard)
	return e
})

// httpDoor is a door that a handler opens.
func httpDoor(name string, handler func(*middleware.Guard, *house) http.Handler) door {
	return door{name, func(tb testing.TB, h *house) entrance {
		tb.Helper()
		g := middleware.New(h.authorizer, &middleware.Options{Logger: h.logger()})
		srv := httptest.NewUnstartedServer(handler(g, h))
		srv.TLS = h.tls
		srv.StartTLS()
		tb.Cleanup(srv.Close)
		url := srv.URL + "/orders/7"
		return entrance{http.MethodGet, url, func(tb testing.TB, r request) answer {
			tb.Helper()
			return get(tb, url, r)
		}}
	}}
}

func get(tb testing.TB, url string, r request) answer {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, url, nil)
	if err != nil {
		tb.Fatal(err)
	}
	req.Header["Authorization"] = r.authorization
	req.Header["Dpop"] = r.proofs
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: r.roots, MinVersion: tls.VersionTLS13}}
	defer transport.CloseIdleConnections()
	if r.certificate != nil {
		transport.TLSClientConfig.Certificates = []tls.Certificate{*r.certificate}
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		tb.Fatal(err)
	}
	_ = resp.Body.Close()
	return answer{
		status:     resp.StatusCode,
		challenges: resp.Header["Www-Authenticate"],
		retryAfter: resp.Header.Get("Retry-After"),
		nonce:      resp.Header.Get("DPoP-Nonce"),
	}
}
