package middleware

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"

	"github.com/countermark/countermark/internal/wire"
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
	// URL returns the URL that a client used, for the DPoP proof that names it;
	// query and fragment do not count. Nil takes scheme, host and path from the
	// request as it arrived, which is right unless a proxy changed them: then use
	// [ForwardedURL], or a function that knows the public URL. No forwarded header
	// is believed by itself.
	//
	// The Host that arrived is what the client says. A server that answers to any
	// name takes, under that name, a proof that was made for another server (and a
	// token that was shown to it): let the router know its hosts, or write a
	// function that names the server itself.
	URL func(*http.Request) string
	// Metadata is named in challenges, so that a client finds who issues tokens for
	// the API (RFC 9728 section 5.1). It has to be served as well, at its Path. Nil
	// names none.
	Metadata *ResourceMetadata
	// Logger is told why requests were refused, with their method and path: at level
	// Info what clients did, at Error what kept us from finding out, and every other
	// 5xx. Nil means that nobody is told.
	Logger *slog.Logger
}

// A Guard stands in front of handlers. It is safe for concurrent use.
type Guard struct {
	authorizer Authorizer
	space      wire.Space
	logger     *slog.Logger // nil for none
	url        func(*http.Request) string
}

// New returns a Guard that asks a; options may be nil.
func New(a Authorizer, options *Options) *Guard {
	g := &Guard{authorizer: a, space: wire.Space{Realm: "api"}, url: requestURL}
	if options != nil {
		g.space.Realm = cmp.Or(options.Realm, g.space.Realm)
		g.logger = options.Logger
		if options.URL != nil {
			g.url = options.URL
		}
		if options.Metadata != nil {
			g.space.Metadata = options.Metadata.URL()
		}
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
	r.Scopes, r.AnyScope, r.ACR = slices.Clone(r.Scopes), slices.Clone(r.AnyScope), slices.Clone(r.ACR)
	return g.wrap(func(req *http.Request) (*validator.Token, error) { return g.Authorize(req, r) })
}

// Optional lets requests without credentials pass as well: their context has no
// Token. Credentials that are there must be good.
func (g *Guard) Optional() func(http.Handler) http.Handler {
	return g.wrap(g.AuthorizeOptional)
}

// Authorize judges the credentials of req, for those who write a middleware of
// their own; [Guard.Refuse] answers for its error.
func (g *Guard) Authorize(req *http.Request, r validator.Requirement) (*validator.Token, error) {
	if g.authorizer == nil {
		return nil, validator.NewError(validator.ErrUnavailable, "middleware.New: no Authorizer")
	}
	c, err := g.credentials(req)
	if err != nil {
		return nil, err
	}
	t, err := g.authorizer.Authorize(req.Context(), c, r)
	if t == nil && err == nil {
		return nil, validator.NewError(validator.ErrUnavailable, "the Authorizer returned neither a token nor an error")
	}
	return t, err
}

// AuthorizeOptional is [Guard.Authorize] for a request that need not have
// credentials: without them there is no Token, and no error.
func (g *Guard) AuthorizeOptional(req *http.Request) (*validator.Token, error) {
	t, err := g.Authorize(req, validator.Requirement{})
	if errors.Is(err, validator.ErrNoToken) && len(req.Header["Authorization"]) == 0 {
		return nil, nil //nolint:nilnil // no token was needed, and none is there
	}
	return t, err
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
