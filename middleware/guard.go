package middleware

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/countermark/countermark/validator"
)

// An Authorizer judges credentials. [*validator.Validator] is one, and
// [*validator.Issuers] for several issuers.
type Authorizer interface {
	Authorize(ctx context.Context, c validator.Credentials, r validator.Requirement) (*validator.Token, error)
}

// Options are what a Guard can do without. The zero value is good for use.
type Options struct {
	// Realm names the protected space in challenges (RFC 9110 section 11.5): any
	// printable ASCII. Empty means "api".
	Realm string
	// Logger is told why requests were refused: at level Info what clients did,
	// at Error what kept us from finding out. Nil means that nobody is told.
	Logger *slog.Logger
}

// A Guard stands in front of handlers. It is safe for concurrent use.
type Guard struct {
	authorizer Authorizer
	realm      string
	logger     *slog.Logger
}

// New returns a Guard that asks a; options may be nil.
func New(a Authorizer, options *Options) *Guard {
	g := &Guard{authorizer: a, realm: "api", logger: slog.New(slog.DiscardHandler)}
	if options != nil && options.Realm != "" {
		g.realm = options.Realm
	}
	if options != nil && options.Logger != nil {
		g.logger = options.Logger
	}
	return g
}

// Require lets requests pass whose token has all of the scopes; with none, those
// with any good token.
func (g *Guard) Require(scopes ...string) func(http.Handler) http.Handler {
	return g.RequireWith(validator.Requirement{Scopes: scopes})
}

// RequireAny lets requests pass whose token has at least one of the scopes; with
// none, those with any good token.
func (g *Guard) RequireAny(scopes ...string) func(http.Handler) http.Handler {
	return g.RequireWith(validator.Requirement{AnyScope: scopes})
}

// RequireWith lets requests pass whose token meets r.
func (g *Guard) RequireWith(r validator.Requirement) func(http.Handler) http.Handler {
	return g.wrap(func(req *http.Request) (*validator.Token, error) { return g.Authorize(req, r) })
}

// Optional lets requests without credentials pass as well: their context has no
// Token. Credentials that are there must be good.
func (g *Guard) Optional() func(http.Handler) http.Handler {
	return g.wrap(func(req *http.Request) (*validator.Token, error) {
		t, err := g.Authorize(req, validator.Requirement{})
		if errors.Is(err, validator.ErrNoToken) && len(req.Header["Authorization"]) == 0 {
			return nil, nil //nolint:nilnil // nobody asked for a token
		}
		return t, err
	})
}

func (g *Guard) wrap(authorize func(*http.Request) (*validator.Token, error)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			t, err := authorize(req)
			if err != nil {
				g.Refuse(w, req, err)
				return
			}
			if t != nil {
				req = req.WithContext(validator.ContextWithToken(req.Context(), t))
			}
			next.ServeHTTP(w, req)
		})
	}
}

// Authorize judges the credentials of req, for those who write a middleware of
// their own; [Guard.Refuse] answers for its error.
func (g *Guard) Authorize(req *http.Request, r validator.Requirement) (*validator.Token, error) {
	c, err := credentials(req)
	if err != nil {
		return nil, err
	}
	if g.authorizer == nil {
		return nil, validator.NewError(validator.ErrUnavailable, "middleware.New: no Authorizer")
	}
	return g.authorizer.Authorize(req.Context(), c, r)
}
