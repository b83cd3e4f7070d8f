package echoauth5_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v5"
	echomw "github.com/labstack/echo/v5/middleware"

	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/middleware/echoauth5"
	"github.com/countermark/countermark/validator"
)

// authorizer is an Authorizer of one function.
type authorizer func(validator.Credentials, validator.Requirement) (*validator.Token, error)

func (f authorizer) Authorize(_ context.Context, c validator.Credentials, r validator.Requirement) (*validator.Token, error) {
	return f(c, r)
}

func refusing(err error) authorizer {
	return func(validator.Credentials, validator.Requirement) (*validator.Token, error) { return nil, err }
}

// newValidator returns a real one, and what mints a good token for it.
func newValidator(tb testing.TB) (v *validator.Validator, mint func(sub, scope string) string) {
	tb.Helper()
	key := tokentest.NewKey(tb, "key-1", "EdDSA")
	v, err := validator.New(validator.Config{
		Issuer: tokentest.Issuer, Audiences: []string{tokentest.Audience}, Keys: tokentest.Keys{key},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return v, func(sub, scope string) string {
		return key.Token(tb, nil, tokentest.Claims(time.Now(), map[string]any{"sub": sub, "scope": scope}))
	}
}

func greet(c *echo.Context) error {
	if t, ok := validator.TokenFromContext(c.Request().Context()); ok {
		return c.String(http.StatusOK, "hello "+t.Subject())
	}
	return c.String(http.StatusOK, "hello stranger")
}

func serve(tb testing.TB, e *echo.Echo) string {
	tb.Helper()
	srv := httptest.NewServer(e)
	tb.Cleanup(srv.Close)
	return srv.URL
}

// send makes a request; each header is a line.
func send(tb testing.TB, method, url string, headers ...string) (resp *http.Response, body string) {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), method, url, nil)
	if err != nil {
		tb.Fatal(err)
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Add(name, value)
	}
	resp, err = http.DefaultClient.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return resp, string(content)
}

func TestWhoMayPass(t *testing.T) {
	t.Parallel()
	v, mint := newValidator(t)
	g := middleware.New(v, nil)
	e := echo.New()
	e.GET("/require", greet, echoauth5.Require(g, "a", "b"))
	e.GET("/any", greet, echoauth5.RequireAny(g, "a", "b"))
	e.GET("/with", greet, echoauth5.RequireWith(g, validator.Requirement{Scopes: []string{"a"}, ACR: []string{"urn:mfa"}}))
	e.GET("/optional", greet, echoauth5.Optional(g))
	base := serve(t, e)
	for name, row := range map[string]struct {
		path, scope string // "-" shows no token
		status      int
		body        string
	}{
		"Require, all":            {"/require", "a b", 200, "hello alice"},
		"Require, one of two":     {"/require", "a", 403, `{"message":"Forbidden"}`},
		"Require, no token":       {"/require", "-", 401, `{"message":"Unauthorized"}`},
		"RequireAny, one of two":  {"/any", "b", 200, "hello alice"},
		"RequireAny, none of two": {"/any", "c", 403, `{"message":"Forbidden"}`},
		"RequireWith, no acr":     {"/with", "a", 401, `{"message":"Unauthorized"}`},
		"Optional, no token":      {"/optional", "-", 200, "hello stranger"},
		"Optional, a token":       {"/optional", "", 200, "hello alice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var headers []string
			if row.scope != "-" {
				headers = append(headers, "Authorization: Bearer "+mint("alice", row.scope))
			}
			resp, body := send(t, http.MethodGet, base+row.path, headers...)
			if resp.StatusCode != row.status || strings.TrimSpace(body) != row.body {
				t.Errorf("%d %q, want %d %q", resp.StatusCode, body, row.status, row.body)
			}
		})
	}
}

func TestOptional_BadCredentialsAreRefused(t *testing.T) {
	t.Parallel()
	v, _ := newValidator(t)
	e := echo.New()
	e.GET("/", greet, echoauth5.Optional(middleware.New(v, nil)))
	base := serve(t, e)
	for authorization, status := range map[string]int{"Bearer abc": 401, "Bearer": 400, "Basic dXNlcjpwdw==": 401} {
		if resp, body := send(t, http.MethodGet, base, "Authorization: "+authorization); resp.StatusCode != status {
			t.Errorf("%s: %d %q", authorization, resp.StatusCode, body)
		}
	}
}

func TestRefusal_HTTPErrorHandlerSeesAnHTTPErrorThatWrapsTheReason(t *testing.T) {
	t.Parallel()
	v, mint := newValidator(t)
	e := echo.New()
	type seen struct {
		err       error
		challenge string
	}
	handled := make(chan seen, 1)
	e.HTTPErrorHandler = func(c *echo.Context, err error) {
		handled <- seen{err, c.Response().Header().Get("WWW-Authenticate")}
		_ = c.String(http.StatusTeapot, "in other words")
	}
	e.GET("/", func(c *echo.Context) error {
		t.Error("the handler was called")
		return c.NoContent(http.StatusOK)
	}, echoauth5.Require(middleware.New(v, nil), "orders:write"))

	resp, body := send(t, http.MethodGet, serve(t, e), "Authorization: Bearer "+mint("alice", "orders:read"))
	const challenge = `Bearer realm="api", error="insufficient_scope", error_description="insufficient scope", scope="orders:write"`
	if resp.StatusCode != http.StatusTeapot || body != "in other words" || resp.Header.Get("WWW-Authenticate") != challenge {
		t.Errorf("%d %q, challenge %q", resp.StatusCode, body, resp.Header.Get("WWW-Authenticate"))
	}
	got := <-handled
	if got.challenge != challenge {
		t.Errorf("the handler found the challenge %q", got.challenge)
	}
	he, ok := got.err.(*echo.HTTPError) //nolint:errorlint // as Echo's own handler looks
	if !ok || he.Code != http.StatusForbidden || he.Message != "Forbidden" {
		t.Fatalf("the handler got %#v", got.err)
	}
	refusal, ok := errors.AsType[*validator.Error](got.err)
	if !ok || !errors.Is(refusal, validator.ErrScope) || refusal.Scopes[0] != "orders:write" {
		t.Errorf("wrapped: %v", refusal)
	}
}

func TestRefusal_HeadHasNoBody(t *testing.T) {
	t.Parallel()
	v, _ := newValidator(t)
	e := echo.New()
	e.HEAD("/", greet, echoauth5.Require(middleware.New(v, nil)))
	resp, body := send(t, http.MethodHead, serve(t, e))
	if resp.StatusCode != 401 || body != "" || resp.Header.Get("WWW-Authenticate") != `Bearer realm="api"` {
		t.Errorf("%d %q %q", resp.StatusCode, body, resp.Header)
	}
}

// What lies beneath a refusal does not answer in its place.
func TestRefusal_AnHTTPErrorOfTheAuthorizerIsA503(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"bare":    echo.NewHTTPError(http.StatusOK, "let in"),
		"wrapped": fmt.Errorf("tenant 7: %w", echo.NewHTTPError(http.StatusOK, "let in")),
	} {
		e := echo.New()
		e.GET("/", greet, echoauth5.Require(middleware.New(refusing(err), nil)))
		resp, body := send(t, http.MethodGet, serve(t, e), "Authorization: Bearer abc")
		if resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "1" || strings.TrimSpace(body) != `{"message":"Service Unavailable"}` {
			t.Errorf("%s: %d %q, Retry-After %q", name, resp.StatusCode, body, resp.Header.Get("Retry-After"))
		}
	}
}

func TestRefusal_IsLoggedOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	g := middleware.New(refusing(validator.NewError(validator.ErrExpired, "an hour ago")), &middleware.Options{
		Logger: slog.New(slog.NewJSONHandler(&log, nil)),
	})
	e := echo.New()
	e.GET("/orders/:id", greet, echoauth5.Require(g))
	e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/orders/7?secret=1", nil))
	var got map[string]any
	if err := json.Unmarshal(log.Bytes(), &got); err != nil {
		t.Fatalf("not one line of JSON: %v\n%s", err, log.String())
	}
	delete(got, "time")
	want := map[string]any{
		"level": "INFO", "msg": "request refused", "status": 401.0,
		"method": "GET", "path": "/orders/7", "reason": "validator: expired: an hour ago",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("logged %v\nwant   %v", got, want)
	}
}

func TestRequirement_IsFixedWhenItIsMade(t *testing.T) {
	t.Parallel()
	var got validator.Requirement
	g := middleware.New(authorizer(func(_ validator.Credentials, r validator.Requirement) (*validator.Token, error) {
		got = r
		return new(validator.Token), nil
	}), nil)
	r := validator.Requirement{Scopes: []string{"a"}, AnyScope: []string{"b"}, ACR: []string{"c"}}
	e := echo.New()
	e.GET("/", greet, echoauth5.RequireWith(g, r))
	r.Scopes[0], r.AnyScope[0], r.ACR[0] = "changed", "changed", "changed"
	e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	if fmt.Sprint(got.Scopes, got.AnyScope, got.ACR) != "[a] [b] [c]" {
		t.Errorf("the requirement became %v", got)
	}
}

// RFC 9449 section 4.3: htu is held against the URL that the client sent.
func TestProof_TheURLIsTheClients(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ sent, want string }{
		"a route":                {"/api/orders/7?x=1", "/api/orders/7"},
		"rewritten":              {"/old/orders/7?x=1", "/old/orders/7"},
		"an encoded slash":       {"/api/orders/a%2Fb", "/api/orders/a%2Fb"},
		"an encoded question":    {"/api/orders/a%3Fb", "/api/orders/a%3Fb"},
		"a needless escape":      {"/api/orders/%61", "/api/orders/%61"},
		"rewritten, and encoded": {"/old/orders/a%2Fb", "/old/orders/a%2Fb"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := make(chan validator.Credentials, 1)
			g := middleware.New(authorizer(func(c validator.Credentials, _ validator.Requirement) (*validator.Token, error) {
				got <- c
				return new(validator.Token), nil
			}), nil)
			e := echo.New()
			e.Pre(echomw.Rewrite(map[string]string{"/old/*": "/api/$1"}))
			e.Group("/api", echoauth5.Require(g)).GET("/orders/:id", greet)
			base := serve(t, e)
			if resp, body := send(t, http.MethodGet, base+row.sent, "Authorization: DPoP abc", "DPoP: proof"); resp.StatusCode != 200 {
				t.Fatalf("%d %q", resp.StatusCode, body)
			}
			if c := <-got; c.Method != "GET" || c.URL != base+row.want || c.Proof != "proof" {
				t.Errorf("%s %s with proof %q; want GET %s", c.Method, c.URL, c.Proof, base+row.want)
			}
		})
	}
}

// Echo hands its contexts out again. What a handler took with it stays its own.
func TestToken_OutlivesEchosContext(t *testing.T) {
	t.Parallel()
	v, mint := newValidator(t)
	kept := make(chan context.Context, 50)
	e := echo.New()
	e.GET("/:sub", func(c *echo.Context) error {
		kept <- context.WithValue(c.Request().Context(), subject{}, c.Param("sub"))
		return c.NoContent(http.StatusNoContent)
	}, echoauth5.Require(middleware.New(v, nil)))
	base := serve(t, e)
	var wg sync.WaitGroup
	for i := range cap(kept) {
		wg.Go(func() {
			sub := fmt.Sprintf("user-%d", i)
			send(t, http.MethodGet, base+"/"+sub, "Authorization: Bearer "+mint(sub, ""))
		})
	}
	wg.Wait()
	close(kept)
	n := 0
	for ctx := range kept {
		n++
		if token, ok := validator.TokenFromContext(ctx); !ok || token.Subject() != ctx.Value(subject{}) {
			t.Errorf("%v holds the token of %q", ctx.Value(subject{}), token.Subject())
		}
	}
	if n != cap(kept) {
		t.Errorf("%d of %d requests passed", n, cap(kept))
	}
}

type subject struct{}
