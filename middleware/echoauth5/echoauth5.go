// Package echoauth5 guards the routes of Echo v5 with access tokens, as package
// middleware does with the handlers of net/http: the same policy, the same
// statuses and headers. For Echo v4 there is package echoauth.
//
// A refusal is an [*echo.HTTPError], so its body is the doing of the program's
// HTTPErrorHandler. The [*validator.Error], which says why, is wrapped in it; the
// Guard's logger is told, and a client is not, unless that handler tells it: Echo's
// own does where it was made to expose errors.
//
// A request that may pass has the [validator.Token] in its context:
//
//	token, ok := validator.TokenFromContext(c.Request().Context())
//
// A policy guards the route or group that it is written at, and no other: a tree
// of files that another route serves needs its own.
//
// In a guarded group, Echo v5 calls the guard for its routes alone: a path without
// a route is 404, another method 405 and OPTIONS 204, token or not, where Echo v4
// has the guard answer. CORS belongs at the Echo (Use): a browser's preflight is
// OPTIONS without a token, for which no middleware of a group is called.
//
// The URL in a DPoP proof is held against the one that the client sent, which
// Echo's Rewrite leaves alone, but AddTrailingSlash and RemoveTrailingSlash do
// not: have them redirect, or set [middleware.Options.URL].
package echoauth5

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v5"

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
		return func(c *echo.Context) error {
			req := c.Request()
			t, err := authorize(req)
			if err != nil {
				status := g.Challenge(c.Response().Header(), err)
				g.Log(req, status, err)
				return echo.NewHTTPError(status, http.StatusText(status)).Wrap(err)
			}
			if t != nil {
				c.SetRequest(req.WithContext(validator.ContextWithToken(req.Context(), t)))
			}
			return next(c)
		}
	}
}
