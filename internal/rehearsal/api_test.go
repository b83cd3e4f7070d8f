package rehearsal_test

import (
	"context"
	"flag"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/rehearsal"
	"github.com/countermark/countermark/introspection"
	"github.com/countermark/countermark/jwks"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

const (
	keysTimeout   = 5 * time.Second // of package jwks, for one request
	answerTimeout = 3 * time.Second // of introspection, as configured here
)

// Rows wait for issuers that do not answer: all of them at once, however few cores
// there are.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "1000"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func start(t *testing.T) *rehearsal.Issuer {
	t.Helper()
	i, err := rehearsal.New(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// An api is guarded with the tokens of a rehearsed issuer.
type api struct {
	t         *testing.T
	guarded   http.Handler
	validator *validator.Validator
	refresh   func(context.Context) error // nil: there is nothing to
	close     func()
}

// byKeys is an api for JWTs. What cfg leaves empty is for i.
func byKeys(t *testing.T, i *rehearsal.Issuer, cfg jwks.Config, cacheSize int) *api {
	t.Helper()
	cfg.Client, cfg.Logger = &http.Client{Transport: i.Transport()}, slog.New(slog.DiscardHandler)
	keys, err := jwks.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	a := newAPI(t, validator.Config{Issuer: i.URL, Keys: keys, CacheSize: cacheSize})
	a.refresh, a.close = keys.Refresh, func() { _ = keys.Close() }
	return a
}

// byAnswers is an api for opaque tokens.
func byAnswers(t *testing.T, i *rehearsal.Issuer, cfg introspection.Config) *api {
	t.Helper()
	transport := i.Transport()
	transport.TLSHandshakeTimeout = answerTimeout // a connection may serve later questions: nobody else ends one that is being made
	cfg.Client, cfg.Timeout, cfg.NegativeTTL = &http.Client{Transport: transport}, answerTimeout, time.Minute
	cfg.Auth, cfg.Logger = introspection.Basic("api", "secret"), slog.New(slog.DiscardHandler)
	asks, err := introspection.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	a := newAPI(t, validator.Config{Issuer: i.URL, Introspector: asks})
	a.close = transport.CloseIdleConnections // that is the program's to do: it made the client
	return a
}

func newAPI(t *testing.T, cfg validator.Config) *api {
	t.Helper()
	cfg.Audiences = []string{rehearsal.Audience}
	v, err := validator.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	return &api{t: t, validator: v, guarded: middleware.New(v, nil).Require(rehearsal.Scope)(ok)}
}

// visit shows token at the door. A visitor who is told to come again later is told
// when.
func (a *api) visit(token string) (status int, retryAfter time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "https://api.example.com/orders", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	a.guarded.ServeHTTP(w, r)
	if ctx.Err() != nil {
		a.t.Errorf("no verdict within %v", patience)
	}
	seconds, err := strconv.Atoi(w.Header().Get("Retry-After"))
	if (w.Code == 503) != (err == nil && seconds > 0) {
		a.t.Errorf("%d with Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	return w.Code, time.Duration(seconds) * time.Second
}

func (a *api) want(what, token string, status int) {
	a.t.Helper()
	if got, _ := a.visit(token); got != status {
		a.t.Errorf("%s: %d, want %d", what, got, status)
	}
}

// eventually waits for what comes about by itself.
func eventually(within time.Duration, is func() bool) bool {
	for deadline := time.Now().Add(within); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}
