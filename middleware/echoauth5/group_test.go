package echoauth5_test

import (
	"net/http"
	"testing"

	"github.com/labstack/echo/v5"
	echomw "github.com/labstack/echo/v5/middleware"

	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/middleware/echoauth5"
)

// In Echo v5 a group's middleware is called for the group's routes, and for no more.
func TestGroup_ItsRoutesAreGuarded(t *testing.T) {
	t.Parallel()
	v, _ := newValidator(t)
	e := echo.New()
	e.Group("/api", echoauth5.Require(middleware.New(v, nil))).GET("/orders", greet)
	base := serve(t, e)
	for name, row := range map[string]struct {
		method, path string
		status       int // without a token
	}{
		"a route":                 {"GET", "/api/orders", 401},
		"a path without a route":  {"GET", "/api/other", 404},
		"the group itself":        {"GET", "/api", 404},
		"another method":          {"POST", "/api/orders", 405},
		"OPTIONS":                 {"OPTIONS", "/api/orders", 204},
		"OPTIONS without a route": {"OPTIONS", "/api/other", 404},
		"beside the group":        {"GET", "/apiary", 404},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resp, body := send(t, row.method, base+row.path)
			if resp.StatusCode != row.status || (resp.Header.Get("WWW-Authenticate") != "") != (row.status == http.StatusUnauthorized) {
				t.Errorf("%d %q, want %d", resp.StatusCode, body, row.status)
			}
		})
	}
}

// A preflight has no token, and the page has to be let read what it is told.
func TestGroup_CORSBeforeTheGuard(t *testing.T) {
	t.Parallel()
	const site, exposed = "https://app.example.com", "WWW-Authenticate,DPoP-Nonce"
	cors := echomw.CORSWithConfig(echomw.CORSConfig{
		AllowOrigins: []string{site}, ExposeHeaders: []string{"WWW-Authenticate", "DPoP-Nonce"},
	})
	v, mint := newValidator(t)
	guard := echoauth5.Require(middleware.New(v, nil))
	for name, row := range map[string]struct {
		build func(*echo.Echo)
		works bool // the preflight
	}{
		"at the Echo": {func(e *echo.Echo) {
			e.Use(cors)
			e.Group("/api", guard).GET("/orders", greet)
		}, true},
		"in the group": {func(e *echo.Echo) { e.Group("/api", cors, guard).GET("/orders", greet) }, false},
		"behind it":    {func(e *echo.Echo) { e.Group("/api", guard, cors).GET("/orders", greet) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := echo.New()
			row.build(e)
			orders := serve(t, e) + "/api/orders"
			resp, _ := send(t, http.MethodOptions, orders, "Origin: "+site, "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: authorization")
			allowed := resp.StatusCode == http.StatusNoContent && resp.Header.Get("Access-Control-Allow-Origin") == site
			if allowed != row.works {
				t.Errorf("the preflight: %d %q", resp.StatusCode, resp.Header)
			}
			if !row.works {
				return
			}
			for authorization, status := range map[string]int{"": 401, "Bearer " + mint("alice", ""): 200} {
				resp, body := send(t, http.MethodGet, orders, "Origin: "+site, "Authorization: "+authorization)
				if resp.StatusCode != status || resp.Header.Get("Access-Control-Allow-Origin") != site || resp.Header.Get("Access-Control-Expose-Headers") != exposed {
					t.Errorf("%d %q %q, want %d", resp.StatusCode, body, resp.Header, status)
				}
			}
		})
	}
}
