package grpcauth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/countermark/countermark/internal/fetch"
	"github.com/countermark/countermark/internal/wire"
	"github.com/countermark/countermark/validator"
)

// An Authorizer judges credentials. [*validator.Validator] is one, and
// [*validator.Issuers] for several issuers.
type Authorizer interface {
	Authorize(ctx context.Context, c validator.Credentials, r validator.Requirement) (*validator.Token, error)
}

// Options are the policy of a [Guard]. The zero value refuses every call.
type Options struct {
	// Methods says what a call of each method asks of its token. A key is a full
	// method, "/shop.Orders/Cancel", or "/shop.Orders/*" for those methods of a
	// service that have no key of their own. Names are compared byte for byte. A
	// scope that no token can have (RFC 6749 section 3.3) is an error.
	Methods map[string]validator.Requirement
	// Public lists the methods, in the same two forms, that need no token; one
	// that is shown there is not looked at, and the handler finds none.
	Public []string
	// Default is for methods that neither Methods nor Public names. Nil means that
	// they are refused, so that a new method is not open by oversight.
	Default *validator.Requirement

	// StreamGrace is how long a stream may go on after its token expired. Zero
	// means not at all; a negative value is an error.
	StreamGrace time.Duration

	// URL returns the URL of a method as the client sees it, for the DPoP proof
	// that names it: "https://api.example.com/shop.Orders/Cancel". Nil takes the
	// scheme from the connection and the host from :authority, which is right
	// unless a proxy in front of the server ends TLS or changes the name.
	URL func(ctx context.Context, fullMethod string) string
	// Realm names the protected space in challenges (RFC 9110 section 11.5): any
	// printable ASCII. Empty means "api".
	Realm string
	// MetadataURL is where the metadata of the API is (RFC 9728), for challenges to
	// name: the URL of a middleware.ResourceMetadata, which an HTTP server has to
	// serve. Empty names none.
	MetadataURL string
	// Logger is told why calls were refused: at level Info what clients did, at
	// Error what kept us from finding out, and calls of methods without a policy.
	// Nil means that nobody is told.
	Logger *slog.Logger
}

// A Guard stands in front of the handlers of a gRPC server. It is safe for
// concurrent use.
type Guard struct {
	authorizer Authorizer
	policies   policies
	grace      time.Duration
	space      wire.Space
	logger     *slog.Logger // nil for none
	url        func(ctx context.Context, fullMethod string) string
}

// New returns a Guard that asks a. The options are copied; nil refuses every
// call. An error names the option that is wrong.
func New(a Authorizer, options *Options) (*Guard, error) {
	if a == nil {
		return nil, errors.New("grpcauth: New: an Authorizer is required")
	}
	if v := reflect.ValueOf(a); (v.Kind() == reflect.Pointer || v.Kind() == reflect.Func) && v.IsNil() {
		return nil, fmt.Errorf("grpcauth: New: the Authorizer is a nil %T", a)
	}
	if options == nil {
		options = new(Options)
	}
	if options.StreamGrace < 0 {
		return nil, errors.New("grpcauth: Options.StreamGrace: must not be negative")
	}
	if options.MetadataURL != "" {
		if err := fetch.CheckURL(options.MetadataURL); err != nil {
			return nil, fmt.Errorf("grpcauth: Options.MetadataURL: %w", err)
		}
	}
	p, err := newPolicies(options)
	if err != nil {
		return nil, err
	}
	g := &Guard{
		authorizer: a,
		policies:   p,
		grace:      options.StreamGrace,
		space:      wire.Space{Realm: cmp.Or(options.Realm, "api"), Metadata: options.MetadataURL},
		logger:     options.Logger,
		url:        options.URL,
	}
	if g.url == nil {
		g.url = callURL
	}
	return g, nil
}

// Unary is a [grpc.UnaryServerInterceptor].
func (g *Guard) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	a, err := g.authorize(ctx, info.FullMethod)
	if err != nil {
		return nil, g.refuse(ctx, info.FullMethod, err, func(md metadata.MD) { _ = grpc.SetTrailer(ctx, md) })
	}
	if a.token != nil {
		ctx = validator.ContextWithToken(ctx, a.token)
	}
	return handler(ctx, req)
}

// Stream is a [grpc.StreamServerInterceptor]. The handler runs in a goroutine of
// its own, so that the stream ends on time whatever the handler waits for.
func (g *Guard) Stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	a, err := g.authorize(ss.Context(), info.FullMethod)
	if err != nil {
		return g.refuse(ss.Context(), info.FullMethod, err, ss.SetTrailer)
	}
	if a.token == nil {
		return handler(srv, ss)
	}
	return g.serve(ss, a, info.FullMethod, func(s grpc.ServerStream) error { return handler(srv, s) })
}

// An admission is what let a call in.
type admission struct {
	token  *validator.Token // nil if the method is public
	scheme string           // that it was shown with
	came   time.Time        // the call, before anybody was asked about it
}

// authorize judges a call.
func (g *Guard) authorize(ctx context.Context, fullMethod string) (admission, error) {
	p, ok := g.policies.of(fullMethod)
	switch {
	case !ok:
		return admission{}, validator.NewError(errNoPolicy, "")
	case p.public:
		return admission{}, nil
	}
	came := time.Now()
	c, err := g.credentials(ctx, fullMethod)
	if err != nil {
		return admission{}, err
	}
	t, err := g.authorizer.Authorize(ctx, c, p.requirement)
	if t == nil && err == nil {
		err = validator.NewError(validator.ErrUnavailable, "the Authorizer returned neither a token nor an error")
	}
	return admission{t, c.Scheme, came}, err
}
