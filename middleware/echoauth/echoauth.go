// Package echoauth guards the routes of Echo v4 with access tokens, as package
// middleware does with the handlers of net/http: the same policy, the same
// statuses and headers. For Echo v5 there is package echoauth5.
//
// A refusal is an [*echo.HTTPError], so its body is the doing of the program's
// HTTPErrorHandler. The [*validator.Error], which says why, is wrapped in it; the
// Guard's logger is told, and a client is not, unless that handler tells it: Echo's
// own does where Debug is set.
//
// A request that may pass has the [validator.Token] in its context:
//
//	token, ok := validator.TokenFromContext(c.Request().Context())
//
// A policy guards the route or group that it is written at, and no other: a tree
// of files that another route serves needs its own.
//
// In a guarded group, Echo v4 calls the guard for paths without a route, for other
// methods and for OPTIONS as well: they are 401 without a token, where Echo v5
// answers 404, 405 and 204. A browser's preflight has no token, so CORS comes
// before the guard, at the Echo or in the group.
//
// The URL in a DPoP proof is held against the one that the client sent, which
// Echo's Rewrite leaves alone, but AddTrailingSlash and RemoveTrailingSlash do
// not: have them redirect, or set [middleware.Options.URL].
package echoauth

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

// Require lets requests pass whose token has all of the scopes; with none, those
// with any good token.
func Require(g *middleware.Guard, scopes ...string) echo.MiddlewareFunc {
	return RequireWith(g, validator.Requirement{Scopes: scopes})
}

// RequireAny lets requests pass whose token has at least one of the scopes; with
// none, those with any good token.
func RequireAny(g *middleware.Guard, scopes ...string) echo.MiddlewareFunc {
	return RequireWith(g, validator.Requirement{AnyScope: scopes})
}

// RequireWith lets requests pass whose token meets r.
func RequireWith(g *middleware.Guard, r validator.Requirement) echo.MiddlewareFunc {
	r.Scopes, r.AnyScope, r.ACR = slices.Clone(r.Scopes), slices.Clone(r.AnyScope), slices.Clone(r.ACR)
	return wrap(g, func(req *http.Request) (*validator.Token, error) { return g.Authorize(req, r) })
}

// Optional lets requests without credentials pass as well: their context has no
// Token. Credentials that are there must be good.
func Optional(g *middleware.Guard) echo.MiddlewareFunc {
	return wrap(g, g.AuthorizeOptional)
}

func wrap(g *middleware.Guard, authorize func(*http.Request) (*validator.Token, error)) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			req := c.Request()
			t, err := authorize(req)
			if err != nil {
				status := g.Challenge(c.Response().Header(), err)
				g.Log(req, status, err)
				return &echo.HTTPError{Code: status, Message: http.StatusText(status), Internal: reason{err}}
			}
			if t != nil {
				c.SetRequest(req.WithContext(validator.ContextWithToken(req.Context(), t)))
			}
			return next(c)
		}
	}
}

// reason keeps Echo's own error handler from answering with an *echo.HTTPError
// beneath a refusal in the place of the refusal.
type reason struct{ error }

func (r reason) Unwrap() error { return r.error }
