package authserver_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

// A keyHost serves a client's key set, which may change, and counts.
type keyHost struct {
	*httptest.Server
	fetched atomic.Int64

	mu    sync.Mutex
	serve http.HandlerFunc
}

func startKeyHost(t testing.TB, set json.RawMessage) *keyHost {
	t.Helper()
	h := &keyHost{}
	h.show(set)
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.fetched.Add(1)
		h.mu.Lock()
		serve := h.serve
		h.mu.Unlock()
		serve(w, r)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *keyHost) do(serve http.HandlerFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.serve = serve
}

func (h *keyHost) show(set json.RawMessage) {
	h.do(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/jwk-set+json")
		_, _ = w.Write(set)
	})
}

func (h *keyHost) fail() {
	h.do(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
}

// at registers robot with a jwks_uri instead of its jwks.
func at(uri string) func(*authserver.Config) {
	return func(c *authserver.Config) {
		n := len(c.Clients) - 3
		c.Clients[n].JWKS, c.Clients[n].JWKSURI = nil, uri
	}
}

func TestPoint27_KeysAtTheJWKSURI(t *testing.T) {
	t.Parallel()
	old, next, foreign := newSigner(t, "ES256", "old"), newSigner(t, "ES256", "next"), newSigner(t, "ES256", "foreign")
	h := startKeyHost(t, jwks(t, old))
	i := startAsserting(t, old, at(h.URL+"/keys?of=robot"))
	step := func(what string, s signer, status int, fetched int64) {
		t.Helper()
		a := i.assert("/token", s.sign(t, nil, i.claims(robot)), "grant_type", grantCC)
		if got := h.fetched.Load(); a.status != status || got != fetched {
			t.Fatalf("%s: %d and %d fetches, want %d and %d: %s\n%s", what, a.status, got, status, fetched, a.body, i.log)
		}
	}
	if h.fetched.Load() != 0 {
		t.Fatal("a constructor fetches")
	}
	step("the first", old, 200, 1)
	step("the second", old, 200, 1)
	h.show(jwks(t, old, next))
	step("a new key, a moment after a fetch", next, 401, 1)
	i.clock.Advance(5 * time.Second)
	step("a new key", next, 200, 2)
	step("the old key", old, 200, 2)
	step("an invented kid", foreign, 401, 2)
	i.clock.Advance(5 * time.Second)
	step("an invented kid again", foreign, 401, 3)
	for range 20 {
		step("many invented kids", newSigner(t, "ES256", fmt.Sprint(i.clock.Now().UnixNano())), 401, 3)
	}
	h.show(jwks(t, next))
	i.clock.Advance(15 * time.Minute)
	step("a key that was withdrawn", old, 401, 4)
	h.fail()
	i.clock.Advance(15 * time.Minute)
	step("while the keys are out of reach", next, 200, 5)
	step("and again, which asks for nothing", next, 200, 5)
	i.clock.Advance(time.Hour)
	step("an hour of that", next, 503, 6)
	h.show(jwks(t, next))
	i.clock.Advance(5 * time.Second)
	step("back again", next, 200, 7)
}

func TestPoint27_AnUnknownKidIsFetchedForOnce(t *testing.T) {
	t.Parallel()
	s, next := newSigner(t, "ES256", "k1"), newSigner(t, "ES256", "k2")
	h := startKeyHost(t, jwks(t, s))
	i := startAsserting(t, s, at(h.URL))
	i.assert("/token", s.sign(t, nil, i.claims(robot)), "grant_type", grantCC)
	i.clock.Advance(time.Minute)
	h.show(jwks(t, s, next))
	texts := make([]string, 64)
	for n := range texts {
		texts[n] = next.sign(t, nil, i.claims(robot))
	}
	wins := all64(func(n int) bool { return i.assert("/token", texts[n], "grant_type", grantCC).status == 200 })
	if wins != 64 || h.fetched.Load() != 2 {
		t.Errorf("%d of 64 got in, by %d fetches", wins, h.fetched.Load()-1)
	}
}

// Nothing that is not a key set, or is too much, is waited for or believed.
func TestPoint27_WhatTheJWKSURIMayAnswer(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ES256", "k1")
	good := jwks(t, s)
	elsewhere := startKeyHost(t, good)
	serve := func(contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			_, _ = w.Write([]byte(body))
		}
	}
	private := strings.Replace(string(good), `"kid"`, `"d":"AA","kid"`, 1)
	for name, c := range map[string]struct {
		serve  http.HandlerFunc
		status int
	}{
		"application/json":      {serve("application/json", string(good)), 200},
		"text/html":             {serve("text/html", string(good)), 503},
		"a redirect":            {http.RedirectHandler(elsewhere.URL, http.StatusFound).ServeHTTP, 503},
		"204":                   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, 503},
		"512 KiB":               {serve("application/json", string(good)+strings.Repeat(" ", 512<<10-len(good))), 200},
		"a byte more":           {serve("application/json", string(good)+strings.Repeat(" ", 512<<10-len(good)+1)), 503},
		"no JSON":               {serve("application/json", "canary"), 503},
		"keys twice":            {serve("application/json", `{"keys":[],"Keys":[]}`), 503},
		"no keys":               {serve("application/json", `{"keys":[]}`), 401},
		"a private key":         {serve("application/json", private), 401},
		"a good one and others": {serve("application/json", `{"keys":[{"kty":"oct","k":"AA"},null,`+string(firstKey(t, good))+`]}`), 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := startKeyHost(t, good)
			h.do(c.serve)
			i := startAsserting(t, s, at(h.URL))
			if a := i.assert("/token", s.sign(t, nil, i.claims(robot)), "grant_type", grantCC); a.status != c.status {
				t.Errorf("%d %s", a.status, a.body)
			}
			if strings.Contains(i.log.String(), "canary") {
				t.Errorf("%s", i.log)
			}
		})
	}
	t.Cleanup(func() {
		if n := elsewhere.fetched.Load(); n != 0 {
			t.Errorf("a redirect was followed %d times", n)
		}
	})
}

// An issuer that is not on loopback connects to no address inside, whatever the
// name says that leads there.
func TestPoint27_JWKSURIsLeadNowhereInside(t *testing.T) {
	t.Parallel()
	port, connected := countConnections(t)
	s := newSigner(t, "ES256", "k1")
	ask := func(issuerURL, uri string) answer {
		i := startAsserting(t, s, at(uri), func(c *authserver.Config) { c.Issuer = issuerURL })
		claims := i.claims(robot).with(members{"aud": issuerURL})
		v := form("grant_type", grantCC, "client_assertion_type", clientAssertionType, "client_assertion", s.sign(t, nil, claims))
		path := "/token"
		if u, _ := url.Parse(issuerURL); u != nil {
			path = u.Path + path
		}
		return i.send(path, v)
	}
	for _, uri := range []string{
		"https://127.0.0.1:" + port, "https://localhost:" + port, "https://[::ffff:127.0.0.1]:" + port, "https://127.1.2.3:" + port,
		"http://127.0.0.1:" + port, "http://localhost:" + port, "https://10.0.0.1", "https://192.168.0.1", "https://169.254.169.254", "https://[::1]:" + port,
		"https://[fe80::1]", "https://[fd00::1]", "https://0.0.0.0:" + port, "https://[::]:" + port, "https://100.64.0.1", "https://[64:ff9b::7f00:1]", "https://[::127.0.0.1]",
	} {
		if a := ask("https://issuer.example", uri); a.outcome() != "503 temporarily_unavailable" {
			t.Errorf("%s: %d %s", uri, a.status, a.body)
		}
	}
	if n := connected.Load(); n != 0 {
		t.Errorf("%d connections to the inside", n)
	}
	ask("http://127.0.0.1:1", "https://127.0.0.1:"+port)
	if connected.Load() == 0 {
		t.Error("an issuer on loopback does not get there either: the test shows nothing")
	}
}

// countConnections listens on a port of 127.0.0.1, and counts who connects.
func countConnections(t *testing.T) (port string, connected *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	connected = new(atomic.Int64)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			connected.Add(1)
			conn.Close()
		}
	}()
	_, port, _ = net.SplitHostPort(listener.Addr().String())
	return port, connected
}
