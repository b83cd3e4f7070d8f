package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

func TestGuard_WhoMayPass(t *testing.T) {
	t.Parallel()
	oneOf := func(scopes ...string) func(*middleware.Guard) wrapper {
		return func(g *middleware.Guard) wrapper { return g.RequireAny(scopes...) }
	}
	with := func(r validator.Requirement) func(*middleware.Guard) wrapper {
		return func(g *middleware.Guard) wrapper { return g.RequireWith(r) }
	}
	for name, row := range map[string]struct {
		guard  func(*middleware.Guard) wrapper
		scope  string // the token's
		status int
	}{
		"Require nothing":                  {require(), "", 200},
		"Require one, has it":              {require("a"), "a", 200},
		"Require one, has more":            {require("a"), "b a", 200},
		"Require one, has another":         {require("a"), "b", 403},
		"Require one, has none":            {require("a"), "", 403},
		"Require one, has a longer":        {require("a"), "ab", 403},
		"Require one, in another case":     {require("a"), "A", 403},
		"Require two, has both":            {require("a", "b"), "b a", 200},
		"Require two, has the first":       {require("a", "b"), "a", 403},
		"Require two, has the second":      {require("a", "b"), "b", 403},
		"Require two in one word":          {require("a b"), "a b", 403},
		"RequireAny of nothing":            {oneOf(), "", 200},
		"RequireAny of two, has the first": {oneOf("a", "b"), "a", 200},
		"RequireAny of two, has the other": {oneOf("a", "b"), "b", 200},
		"RequireAny of two, has both":      {oneOf("a", "b"), "a b", 200},
		"RequireAny of two, has neither":   {oneOf("a", "b"), "c", 403},
		"RequireWith nothing":              {with(validator.Requirement{}), "", 200},
		"RequireWith both kinds":           {with(validator.Requirement{Scopes: []string{"a"}, AnyScope: []string{"b", "c"}}), "a c", 200},
		"RequireWith both kinds, has all":  {with(validator.Requirement{Scopes: []string{"a"}, AnyScope: []string{"b", "c"}}), "a", 403},
		"RequireWith both kinds, has any":  {with(validator.Requirement{Scopes: []string{"a"}, AnyScope: []string{"b", "c"}}), "b", 403},
		"Optional":                         {(*middleware.Guard).Optional, "", 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, newValidator(t, nil), row.guard)
			a := s.send(t, "GET /", "Authorization: Bearer "+token(t, map[string]any{"scope": row.scope, "sub": "alice"}))
			if row.status != 200 {
				s.wantRefused(t, a, row.status, a.header.Get("WWW-Authenticate"))
				return
			}
			s.wantAccepted(t, a)
			if a.body != "hello alice" {
				t.Errorf("the handler found another token: %q", a.body)
			}
		})
	}
}

func TestGuard_ABadTokenPassesNowhere(t *testing.T) {
	t.Parallel()
	const invalid = `Bearer realm="api", error="invalid_token", error_description=`
	good := token(t, nil)
	for name, row := range map[string]struct{ token, challenge string }{
		"opaque":           {"abc", invalid + `"malformed token"`},
		"expired":          {token(t, map[string]any{"exp": 1}), invalid + `"expired"`},
		"another audience": {token(t, map[string]any{"aud": "https://other.example"}), invalid + `"meant for another audience"`},
		"another issuer":   {token(t, map[string]any{"iss": "https://evil.example"}), invalid + `"wrong issuer"`},
		"a cut signature":  {good[:strings.LastIndexByte(good, '.')+1] + "AAAA", invalid + `"wrong signature"`},
	} {
		for guard, of := range map[string]func(*middleware.Guard) wrapper{
			"Require":    require("orders:read"),
			"RequireAny": func(g *middleware.Guard) wrapper { return g.RequireAny("orders:read") },
			"Optional":   (*middleware.Guard).Optional,
		} {
			t.Run(name+", "+guard, func(t *testing.T) {
				t.Parallel()
				s := serve(t, newValidator(t, nil), of)
				s.wantRefused(t, s.send(t, "GET /", "Authorization: Bearer "+row.token), 401, row.challenge)
			})
		}
	}
}

func TestGuard_OptionalLetsPassWhoShowsNothing(t *testing.T) {
	t.Parallel()
	s := serve(t, newValidator(t, nil), (*middleware.Guard).Optional)
	a := s.send(t, "GET /?x=1")
	s.wantAccepted(t, a)
	if a.body != "hello stranger" {
		t.Errorf("the handler found a token: %q", a.body)
	}
}

func TestGuard_OptionalRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		lines     []string
		status    int
		challenge string
	}{
		"an empty header":       {[]string{"GET /", "Authorization:"}, 401, challengeBare},
		"another scheme":        {[]string{"GET /", "Authorization: Basic dXNlcjpwdw=="}, 401, challengeBare},
		"a scheme without more": {[]string{"GET /", "Authorization: Bearer"}, 400, challengeRequest},
		"two headers":           {[]string{"GET /", "Authorization: Bearer abc", "Authorization: Bearer abc"}, 400, challengeRequest},
		"a token in the query":  {[]string{"GET /?access_token=abc"}, 400, challengeRequest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, newValidator(t, nil), (*middleware.Guard).Optional)
			s.wantRefused(t, s.send(t, row.lines...), row.status, row.challenge)
		})
	}
}

func TestGuard_EveryMethodAlike(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			s := serve(t, newValidator(t, nil), require())
			a := s.send(t, method+" /")
			s.wantRefused(t, a, 401, challengeBare)
			if method == "HEAD" && a.body != "" {
				t.Errorf("body %q", a.body)
			}
			s.wantAccepted(t, s.send(t, method+" /", "Authorization: Bearer "+token(t, nil)))
		})
	}
}

func TestGuard_NestedGuardsAllHaveTheirSay(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		outer, inner func(*middleware.Guard) wrapper
		scope        string // of the token; "-" for none
		status       int
	}{
		"both agree":            {require("a"), require("b"), "a b", 200},
		"the outer one refuses": {require("a"), require("b"), "b", 403},
		"the inner one refuses": {require("a"), require("b"), "a", 403},
		"an optional one within a strict one, without credentials": {require(), (*middleware.Guard).Optional, "-", 401},
		"a strict one within an optional one, without credentials": {(*middleware.Guard).Optional, require(), "-", 401},
		"a strict one within an optional one":                      {(*middleware.Guard).Optional, require("a"), "a", 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, newValidator(t, nil), func(g *middleware.Guard) wrapper {
				return func(next http.Handler) http.Handler { return row.outer(g)(row.inner(g)(next)) }
			})
			lines := []string{"GET /"}
			if row.scope != "-" {
				lines = append(lines, "Authorization: Bearer "+token(t, map[string]any{"scope": row.scope}))
			}
			a := s.send(t, lines...)
			if row.status == 200 {
				s.wantAccepted(t, a)
				return
			}
			s.wantRefused(t, a, row.status, a.header.Get("WWW-Authenticate"))
		})
	}
}

func TestGuard_ARequirementIsFixedWhenItIsMade(t *testing.T) {
	t.Parallel()
	r := validator.Requirement{Scopes: []string{"a"}, AnyScope: []string{"b"}, ACR: []string{"c"}}
	scopes := []string{"a"}
	for name, guard := range map[string]func(*middleware.Guard) wrapper{
		"Require":     require(scopes...),
		"RequireAny":  func(g *middleware.Guard) wrapper { return g.RequireAny(scopes...) },
		"RequireWith": func(g *middleware.Guard) wrapper { return g.RequireWith(r) },
	} {
		var got validator.Requirement
		g := middleware.New(authorizer(func(_ context.Context, _ validator.Credentials, r validator.Requirement) (*validator.Token, error) {
			got = r
			return new(validator.Token), nil
		}), nil)
		handler := guard(g)(http.NotFoundHandler())
		for _, list := range [][]string{scopes, r.Scopes, r.AnyScope, r.ACR} {
			list[0] = "changed later"
		}
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
		if strings.Contains(fmt.Sprint(got), "changed") {
			t.Errorf("%s: the requirement became %v", name, got)
		}
		scopes[0], r.Scopes[0], r.AnyScope[0], r.ACR[0] = "a", "a", "b", "c"
	}
}

type contextKey struct{}

func TestGuard_TheRequestIsOtherwiseUnchanged(t *testing.T) {
	t.Parallel()
	for name, guard := range map[string]wrapper{
		"accepted": middleware.New(accepting(nil), nil).Require("a"),
		"optional": middleware.New(refusing(validator.NewError(validator.ErrNoToken, "")), nil).Optional(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := context.WithValue(t.Context(), contextKey{}, "the caller's")
			req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/orders/7?x=1;y", strings.NewReader("body"))
			req.Header.Set("X-Trace", "1")
			req.SetPathValue("id", "7")
			if name == "accepted" {
				req.Header.Set("Authorization", "Bearer abc")
			}
			before := req.Clone(ctx)
			before.Body = req.Body
			w := httptest.NewRecorder()
			called := false
			guard(http.HandlerFunc(func(gotW http.ResponseWriter, got *http.Request) {
				called = true
				if name == "optional" && got != req {
					t.Error("another request, though there is nothing to add")
				}
				if gotW != http.ResponseWriter(w) {
					t.Error("another ResponseWriter")
				}
				if got.PathValue("id") != "7" || got.Context().Value(contextKey{}) != "the caller's" {
					t.Error("a path value or the context's values are gone")
				}
				if _, ok := validator.TokenFromContext(got.Context()); ok != (name == "accepted") {
					t.Errorf("a token in the context: %v", ok)
				}
				if !reflect.DeepEqual(got.WithContext(ctx), before) {
					t.Errorf("got %+v\nwant %+v", got, before)
				}
			})).ServeHTTP(w, req)
			if !called {
				t.Fatal("the handler was not called")
			}
			if !reflect.DeepEqual(req, before) {
				t.Error("the caller's request was changed")
			}
		})
	}
}

func TestGuard_PanicsAreNotSwallowed(t *testing.T) {
	t.Parallel()
	panicking := func() { panic(http.ErrAbortHandler) }
	for name, handler := range map[string]http.Handler{
		"the handler's": middleware.New(accepting(nil), nil).Require()(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panicking() })),
		"the Authorizer's": middleware.New(authorizer(func(context.Context, validator.Credentials, validator.Requirement) (*validator.Token, error) {
			panicking()
			return new(validator.Token), nil
		}), nil).Optional()(http.NotFoundHandler()),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			req := httptest.NewRequest(http.MethodGet, "/", nil)
			req.Header.Set("Authorization", "Bearer abc")
			defer func() {
				if p := recover(); p != http.ErrAbortHandler { //nolint:errorlint // the value itself
					t.Errorf("panicked with %v, want the same value", p)
				}
				if w.Body.Len() > 0 || len(w.Header()) > 0 {
					t.Error("something was answered")
				}
			}()
			handler.ServeHTTP(w, req)
		})
	}
}

func TestGuard_ManyRequestsAtOnceKeepTheirTokensApart(t *testing.T) {
	t.Parallel()
	s := serve(t, newValidator(t, nil), require())
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			subject := fmt.Sprintf("user-%d", i)
			a := s.send(t, "GET /", "Authorization: Bearer "+token(t, map[string]any{"sub": subject}))
			if a.body != "hello "+subject {
				t.Errorf("%s was greeted with %q", subject, a.body)
			}
		})
	}
	wg.Wait()
}
