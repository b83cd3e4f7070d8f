package jwks_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/memhttp"
	"github.com/countermark/countermark/jwks"
)

const (
	issuerURL = "https://issuer.example"
	setURL    = issuerURL + "/keys"
)

// A jwk is a key as it stands in a set.
type jwk map[string]any

// with returns k with members added, or replaced, or removed where they are nil.
func (k jwk) with(members jwk) jwk {
	k = maps.Clone(k)
	for name, value := range members {
		if value == nil {
			delete(k, name)
		} else {
			k[name] = value
		}
	}
	return k
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// jwkOf writes a public key as RFC 7518 section 6 and RFC 8037 section 2 say.
func jwkOf(t testing.TB, kid string, public crypto.PublicKey) jwk {
	t.Helper()
	k := jwk{"kid": kid}
	switch p := public.(type) {
	case *rsa.PublicKey:
		e := binary.BigEndian.AppendUint64(nil, uint64(p.E))
		k["kty"], k["n"], k["e"] = "RSA", b64(p.N.Bytes()), b64(bytes.TrimLeft(e, "\x00"))
	case *ecdsa.PublicKey:
		point, err := p.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		n := len(point) / 2
		k["kty"], k["crv"], k["x"], k["y"] = "EC", p.Params().Name, b64(point[1:1+n]), b64(point[1+n:])
	case ed25519.PublicKey:
		k["kty"], k["crv"], k["x"] = "OKP", "Ed25519", b64(p)
	default:
		t.Fatalf("no JWK for %T", public)
	}
	return k
}

func newEC(t testing.TB, curve elliptic.Curve) *ecdsa.PublicKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &key.PublicKey
}

func newEd(t testing.TB) ed25519.PublicKey {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return public
}

// rsaKey takes a while to make, so the tests share one.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// ecJWK is a new P-256 key under kid.
func ecJWK(t testing.TB, kid string) jwk {
	t.Helper()
	return jwkOf(t, kid, newEC(t, elliptic.P256()))
}

func setOf(t testing.TB, keys ...jwk) string {
	t.Helper()
	if keys == nil {
		keys = []jwk{}
	}
	body, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// An issuer serves metadata and a key set, and remembers when it was asked.
type issuer struct {
	mu       sync.Mutex
	body     string
	jwksURI  string
	header   http.Header
	status   int           // 0: 200
	delay    time.Duration // before it answers; only in a bubble
	gate     chan struct{} // if not nil, it says that it was entered, and answers once this is closed
	asked    []time.Time   // for the set
	metadata atomic.Int64
	entered  chan struct{}
}

func newIssuer(t testing.TB, keys ...jwk) *issuer {
	t.Helper()
	i := &issuer{jwksURI: setURL, entered: make(chan struct{})}
	i.publish(t, keys...)
	return i
}

// publish replaces the set.
func (i *issuer) publish(t testing.TB, keys ...jwk) {
	t.Helper()
	body := setOf(t, keys...)
	i.change(func() { i.body = body })
}

// change changes how the issuer answers.
func (i *issuer) change(f func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f()
}

// fetches returns when the set was asked for.
func (i *issuer) fetches() []time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	body, jwksURI, status, delay, gate := i.body, i.jwksURI, i.status, i.delay, i.gate
	isSet := r.URL.Path == "/keys" || r.URL.Path == "/moved"
	if isSet {
		i.asked = append(i.asked, time.Now())
		maps.Copy(w.Header(), i.header)
	}
	i.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
			return
		}
	}
	if gate != nil {
		i.entered <- struct{}{}
		select {
		case <-gate:
		case <-r.Context().Done():
			return
		}
	}
	switch {
	case status != 0:
		w.WriteHeader(status)
	case isSet && "https://"+r.Host+r.URL.Path != jwksURI && r.Host == "issuer.example":
		http.NotFound(w, r)
	case isSet:
		w.Header().Set("Content-Type", "application/jwk-set+json")
		_, _ = io.WriteString(w, body)
	case r.URL.Path == "/.well-known/openid-configuration":
		i.metadata.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": issuerURL, "jwks_uri": jwksURI})
	default:
		http.NotFound(w, r)
	}
}

// newCache returns a cache of i's set in memory, and the server between them. The
// test ends both.
func newCache(t testing.TB, i http.Handler, cfg jwks.Config) (*jwks.Cache, *memhttp.Server) {
	t.Helper()
	server := memhttp.New(i)
	t.Cleanup(server.Close)
	cfg.Client = server.Client()
	if cfg.Issuer == "" {
		cfg.URL = setURL
	}
	c, err := jwks.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, server
}

// mustFind returns the one key for kid and alg.
func mustFind(t testing.TB, c *jwks.Cache, kid, alg string) crypto.PublicKey {
	t.Helper()
	keys, err := c.Keys(t.Context(), kid, alg)
	if err != nil || len(keys) != 1 {
		t.Fatalf("kid %q, %s: %d keys, %v", kid, alg, len(keys), err)
	}
	return keys[0]
}

// mustLack fails unless the issuer has no key for kid and alg.
func mustLack(t testing.TB, c *jwks.Cache, kid, alg string) {
	t.Helper()
	if keys, err := c.Keys(t.Context(), kid, alg); err != nil || len(keys) != 0 {
		t.Fatalf("kid %q, %s: %d keys, %v; want none and no error", kid, alg, len(keys), err)
	}
}

// mustFail fails unless the keys are out of reach, and returns the error.
func mustFail(t testing.TB, c *jwks.Cache, kid, alg string) error {
	t.Helper()
	keys, err := c.Keys(t.Context(), kid, alg)
	if err == nil || len(keys) != 0 {
		t.Fatalf("kid %q, %s: %d keys, %v; want an error", kid, alg, len(keys), err)
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		t.Errorf("%v: looks as if the caller's context had ended", err)
	}
	return err
}

// A record collects what is logged.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

func (r *record) logger() *slog.Logger { return slog.New(slog.NewTextHandler(r, nil)) }
