package middleware_test

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

// signer is the issuer's key in every test that has a real token.
var signer = &tokentest.Key{ID: "key-1", Alg: "EdDSA", Private: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))}

// A wrapper is what Require and its like return.
type wrapper = func(http.Handler) http.Handler

// authorizer is an Authorizer of one function.
type authorizer func(context.Context, validator.Credentials, validator.Requirement) (*validator.Token, error)

func (f authorizer) Authorize(ctx context.Context, c validator.Credentials, r validator.Requirement) (*validator.Token, error) {
	return f(ctx, c, r)
}

// refusing refuses everything with err.
func refusing(err error) authorizer {
	return func(context.Context, validator.Credentials, validator.Requirement) (*validator.Token, error) {
		return nil, err
	}
}

// accepting accepts everything that shows a token, and tells whom it saw.
func accepting(saw func(validator.Credentials)) authorizer {
	return func(_ context.Context, c validator.Credentials, _ validator.Requirement) (*validator.Token, error) {
		if saw != nil {
			saw(c)
		}
		if c.Token == "" {
			return nil, validator.NewError(validator.ErrNoToken, "")
		}
		return new(validator.Token), nil
	}
}

// newValidator returns a real one for the tokens of token.
func newValidator(tb testing.TB, edit func(*validator.Config)) *validator.Validator {
	tb.Helper()
	cfg := validator.Config{Issuer: tokentest.Issuer, Audiences: []string{tokentest.Audience}, Keys: tokentest.Keys{signer}}
	if edit != nil {
		edit(&cfg)
	}
	v, err := validator.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// token mints a good token, but for the edits of its claims.
func token(tb testing.TB, edits map[string]any) string {
	tb.Helper()
	return signer.Token(tb, nil, tokentest.Claims(time.Now(), edits))
}

// An api is a server whose one handler stands behind a guard. The handler
// greets the token's subject.
type api struct {
	*httptest.Server
	handled atomic.Int32 // how often the handler was called
	log     logbook
}

// serve starts an api in front of which a stands, as guard says.
func serve(tb testing.TB, a middleware.Authorizer, guard func(*middleware.Guard) wrapper) *api {
	tb.Helper()
	s := new(api)
	g := middleware.New(a, &middleware.Options{Logger: slog.New(slog.NewJSONHandler(&s.log, nil))})
	s.Server = httptest.NewServer(guard(g)(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		s.handled.Add(1)
		_, _ = io.WriteString(w, greeting(req.Context()))
	})))
	tb.Cleanup(s.Close)
	return s
}

func greeting(ctx context.Context) string {
	if t, ok := validator.TokenFromContext(ctx); ok {
		return "hello " + t.Subject()
	}
	return "hello stranger"
}

// require is the guard that most tests have.
func require(scopes ...string) func(*middleware.Guard) wrapper {
	return func(g *middleware.Guard) wrapper { return g.Require(scopes...) }
}

// logbook keeps what is logged, and may be written to at any time.
type logbook struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// An answer is a response that was read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

// send sends the lines of a request as they are, which no http.Client would, and
// adds only what every request needs. The first line may leave out the version.
func (s *api) send(tb testing.TB, lines ...string) answer {
	tb.Helper()
	head := append([]string{lines[0] + " HTTP/1.1", "Host: api.example.com", "Connection: close"}, lines[1:]...)
	return s.exchange(tb, strings.Join(head, "\r\n")+"\r\n\r\n")
}

// exchange sends a whole request and reads the first response to it.
func (s *api) exchange(tb testing.TB, request string) answer {
	tb.Helper()
	var d net.Dialer
	conn, err := d.DialContext(tb.Context(), "tcp", s.Listener.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		tb.Fatal(err)
	}
	method, _, _ := strings.Cut(request, " ")
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: string(body)}
}

// wantRefused demands a refusal with exactly this challenge, or none if it is
// empty, before the handler saw the request.
func (s *api) wantRefused(tb testing.TB, a answer, status int, challenge string) {
	tb.Helper()
	var want []string
	if challenge != "" {
		want = []string{challenge}
	}
	got := a.header["Www-Authenticate"]
	if a.status != status || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		tb.Errorf("%d with challenges %q; want %d with %q", a.status, got, status, want)
	}
	if wait := a.header["Retry-After"]; (wait != nil) != (status == http.StatusServiceUnavailable) {
		tb.Errorf("%d with Retry-After %q", status, wait)
	}
	if n := s.handled.Load(); n != 0 {
		tb.Errorf("the handler was called %d times", n)
	}
}

// wantAccepted demands that the handler, and nobody else, answered.
func (s *api) wantAccepted(tb testing.TB, a answer) {
	tb.Helper()
	if a.status != http.StatusOK || s.handled.Load() != 1 {
		tb.Errorf("%d %q, handler called %d times; want 200 and one call\n%s", a.status, a.header["Www-Authenticate"], s.handled.Load(), s.log.String())
	}
	if len(a.header["Www-Authenticate"]) > 0 {
		tb.Errorf("a challenge: %q", a.header["Www-Authenticate"])
	}
}
