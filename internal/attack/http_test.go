package attack_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"testing"

	echov4 "github.com/labstack/echo/v4"
	echov5 "github.com/labstack/echo/v5"

	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/middleware/echoauth"
	"github.com/countermark/countermark/middleware/echoauth5"
)

var (
	netHTTP  = httpDoor("net/http", 1, netHandler)
	netHTTP2 = httpDoor("net/http, HTTP/2", 2, netHandler)
)

func netHandler(g *middleware.Guard, h *house) http.Handler {
	guard := g.RequireWith(h.needs)
	if h.optional {
		guard = g.Optional()
	}
	mux := http.NewServeMux()
	mux.Handle("/orders/{id}", guard(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { h.enter(req.Context()) })))
	return mux
}

var echo4 = httpDoor("Echo v4", 1, func(g *middleware.Guard, h *house) http.Handler {
	guard := echoauth.RequireWith(g, h.needs)
	if h.optional {
		guard = echoauth.Optional(g)
	}
	e := echov4.New()
	e.Any("/orders/:id", func(c echov4.Context) error {
		h.enter(c.Request().Context())
		return c.NoContent(http.StatusOK)
	}, guard)
	return e
})

var echo5 = httpDoor("Echo v5", 1, func(g *middleware.Guard, h *house) http.Handler {
	guard := echoauth5.RequireWith(g, h.needs)
	if h.optional {
		guard = echoauth5.Optional(g)
	}
	e := echov5.New()
	e.Any("/orders/:id", func(c *echov5.Context) error {
		h.enter(c.Request().Context())
		return c.NoContent(http.StatusOK)
	}, guard)
	return e
})

// httpDoor is a door that a handler opens, for clients of the given version of HTTP.
func httpDoor(name string, version int, handler func(*middleware.Guard, *house) http.Handler) door {
	return door{name, httpKind, func(tb testing.TB, h *house) entrance {
		tb.Helper()
		g := middleware.New(h, &middleware.Options{Logger: h.logger()})
		srv := httptest.NewUnstartedServer(handler(g, h))
		srv.TLS = h.tls
		srv.EnableHTTP2 = version == 2
		srv.Config.ErrorLog = log.New(io.Discard, "", 0)
		srv.StartTLS()
		tb.Cleanup(srv.Close)
		url := srv.URL + "/orders/7"
		clients := map[*tls.Certificate]*http.Transport{}
		return entrance{http.MethodGet, url, func(knocks testing.TB, r *request) answer {
			knocks.Helper()
			client := clients[r.visit.certificate]
			if client == nil {
				client = &http.Transport{TLSClientConfig: clientTLS(r), ForceAttemptHTTP2: version == 2}
				clients[r.visit.certificate] = client
				tb.Cleanup(client.CloseIdleConnections)
			}
			resp := send(knocks, client, url, r)
			defer resp.Body.Close()
			if resp.ProtoMajor != version && httpKind.sendable(r.authorization...) {
				knocks.Errorf("the answer came by %s", resp.Proto)
			}
			return answerTo(knocks, resp)
		}}
	}}
}

// clientTLS is how a client connects.
func clientTLS(r *request) *tls.Config {
	cfg := &tls.Config{RootCAs: r.roots, MinVersion: tls.VersionTLS13}
	if r.visit.certificate != nil {
		cfg.Certificates = []tls.Certificate{*r.visit.certificate}
	}
	return cfg
}

func send(tb testing.TB, client *http.Transport, url string, r *request) *http.Response {
	tb.Helper()
	method, body := http.MethodGet, io.Reader(nil)
	if r.visit.form != "" {
		method, body = http.MethodPost, strings.NewReader(r.visit.form)
	}
	if r.visit.query != "" {
		url += "?" + r.visit.query
	}
	req, err := http.NewRequestWithContext(tb.Context(), method, url, body)
	if err != nil {
		tb.Fatal(err)
	}
	maps.Copy(req.Header, r.visit.fields)
	if r.visit.form != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if r.authorization != nil {
		req.Header["Authorization"] = r.authorization
	}
	req.Header["Dpop"] = r.proofs
	if httpKind.sendable(r.authorization...) {
		resp, err := client.RoundTrip(req)
		if err != nil {
			tb.Fatal(err)
		}
		return resp
	}

	// A client that does not care what a field may hold.
	conn, err := tls.Dial("tcp", req.URL.Host, clientTLS(r))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n", req.URL.RequestURI(), req.URL.Host)
	for _, value := range r.authorization {
		fmt.Fprintf(conn, "Authorization: %s\r\n", value)
	}
	io.WriteString(conn, "\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		tb.Fatal(err)
	}
	return resp
}

func answerTo(tb testing.TB, resp *http.Response) answer {
	tb.Helper()
	text, err := httputil.DumpResponse(resp, true)
	if err != nil {
		tb.Fatal(err)
	}
	return answer{
		status:     resp.StatusCode,
		challenges: resp.Header["Www-Authenticate"],
		retryAfter: resp.Header.Get("Retry-After"),
		nonce:      resp.Header.Get("DPoP-Nonce"),
		text:       string(text),
	}
}
