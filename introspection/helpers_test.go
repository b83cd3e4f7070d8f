package introspection_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/memhttp"
	"github.com/countermark/countermark/introspection"
)

const (
	issuerURL   = "https://issuer.example"
	endpointURL = issuerURL + "/introspect"
	token       = "mF_9.B5f-4.1JqMxxxxxxxxxxxxxxxxxxxxxxxxx"
	secret      = "a secret that nobody may see: 0123456789"
	active      = `{"active":true,"sub":"private-subject","scope":"read"}`
	inactive    = `{"active":false}`
)

// An endpoint is an issuer of tests: it counts the questions and answers them
// by whatever is set.
type endpoint struct {
	asked  atomic.Int64
	answer atomic.Pointer[http.HandlerFunc]
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.asked.Add(1)
	_ = r.ParseForm() // only then does the server notice that the client left
	(*e.answer.Load())(w, r)
}

func (e *endpoint) set(h http.HandlerFunc) { e.answer.Store(&h) }

// says answers every question with a JSON body.
func says(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}
}

func newEndpoint(h http.HandlerFunc) *endpoint {
	e := new(endpoint)
	e.set(h)
	return e
}

// inBubble returns a client of h over pipes, for use within synctest.Test.
func inBubble(t *testing.T, h http.Handler, config introspection.Config) (*introspection.Client, *memhttp.Server) {
	t.Helper()
	server := memhttp.New(h)
	t.Cleanup(server.Close)
	config.Client = server.Client()
	return newClient(t, config), server
}

// onLoopback returns a client of h over a socket.
func onLoopback(t *testing.T, h http.Handler, config introspection.Config) *introspection.Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	config.URL = server.URL + "/introspect"
	return newClient(t, config)
}

// newClient fills in what a test does not care about.
func newClient(t testing.TB, config introspection.Config) *introspection.Client {
	t.Helper()
	if config.Issuer == "" && config.URL == "" {
		config.URL = endpointURL
	}
	if fmt.Sprint(config.Auth) == fmt.Sprint(introspection.Authenticator{}) {
		config.Auth = introspection.Basic("orders-api", secret)
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	c, err := introspection.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ask fails the test if the question is not answered.
func ask(t *testing.T, c *introspection.Client, token string, fresh bool) string {
	t.Helper()
	answer, err := c.Introspect(t.Context(), token, fresh)
	if err != nil {
		t.Error(err)
	}
	return string(answer)
}

// expect asks and holds the answer and the number of questions so far against
// what they should be.
func expect(t *testing.T, c *introspection.Client, e *endpoint, fresh bool, want string, questions int64) {
	t.Helper()
	if got := ask(t, c, token, fresh); got != want {
		t.Errorf("answer %s, want %s", got, want)
	}
	if n := e.asked.Load(); n != questions {
		t.Errorf("%d questions at the endpoint, want %d", n, questions)
	}
}

// A transport answers requests in this process.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func jsonResponse(r *http.Request, body string) *http.Response {
	return &http.Response{
		StatusCode: http.StatusOK,
		Header:     http.Header{"Content-Type": {"application/json"}},
		Body:       io.NopCloser(strings.NewReader(body)),
		Request:    r,
	}
}

// A sharedCache is a Cache in memory that can be told to misbehave.
type sharedCache struct {
	mu     sync.Mutex
	values map[string][]byte
	ttls   map[string]time.Duration
	gets   int
	sets   int
	err    error
	stuck  bool // until the context ends
}

func (s *sharedCache) Get(ctx context.Context, key string) ([]byte, error) {
	if err := s.trouble(ctx, &s.gets); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.values[key]), nil
}

func (s *sharedCache) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := s.trouble(ctx, &s.sets); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.values == nil {
		s.values, s.ttls = map[string][]byte{}, map[string]time.Duration{}
	}
	s.values[key], s.ttls[key] = bytes.Clone(value), ttl
	return nil
}

func (s *sharedCache) trouble(ctx context.Context, calls *int) error {
	s.mu.Lock()
	*calls++
	stuck, err := s.stuck, s.err
	s.mu.Unlock()
	if stuck {
		<-ctx.Done()
		return ctx.Err()
	}
	return err
}

// do calls f with the cache to itself.
func (s *sharedCache) do(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// A logged keeps what was logged.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSuffix(l.text.String(), "\n"), "\n")
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
