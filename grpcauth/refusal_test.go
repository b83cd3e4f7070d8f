package grpcauth_test

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/countermark/countermark/grpcauth"
	"github.com/countermark/countermark/validator"
)

func TestRefusal_EachHasItsCodeReasonAndChallenge(t *testing.T) {
	t.Parallel()
	type row struct {
		why                        error
		code                       codes.Code
		reason, message, challenge string
	}
	rows := map[string]row{
		"no token":          {validator.ErrNoToken, codes.Unauthenticated, "NO_TOKEN", "no access token", `Bearer realm="api"`},
		"malformed request": {validator.ErrRequest, codes.InvalidArgument, "INVALID_REQUEST", "malformed request", "invalid_request"},
		"scope":             {validator.ErrScope, codes.PermissionDenied, "INSUFFICIENT_SCOPE", "insufficient scope", "insufficient_scope"},
		"forbidden":         {validator.ErrForbidden, codes.PermissionDenied, "FORBIDDEN", "forbidden", ""},
		"the API's own":     {io.ErrUnexpectedEOF, codes.PermissionDenied, "FORBIDDEN", "forbidden", ""},
		"step-up": {validator.ErrStepUp, codes.Unauthenticated, "INSUFFICIENT_USER_AUTHENTICATION",
			"insufficient user authentication", "insufficient_user_authentication"},
		"proof":       {validator.ErrProof, codes.Unauthenticated, "INVALID_DPOP_PROOF", "invalid DPoP proof", "invalid_dpop_proof"},
		"nonce":       {validator.ErrNonce, codes.Unauthenticated, "USE_DPOP_NONCE", "a DPoP proof with our nonce is needed", "use_dpop_nonce"},
		"unavailable": {validator.ErrUnavailable, codes.Unavailable, "UNAVAILABLE", "cannot find out whether the token is good", ""},
	}
	for _, why := range []error{
		validator.ErrMalformed, validator.ErrType, validator.ErrAlgorithm, validator.ErrKey, validator.ErrSignature,
		validator.ErrIssuer, validator.ErrAudience, validator.ErrExpired, validator.ErrNotYetValid, validator.ErrInactive,
		validator.ErrRevoked, validator.ErrBinding,
	} {
		rows[why.Error()] = row{why, codes.Unauthenticated, "INVALID_TOKEN", why.Error(), "invalid_token"}
	}
	reasons := regexp.MustCompile(`^[A-Z][A-Z0-9_]{1,61}[A-Z0-9]$`) // what google.rpc.ErrorInfo asks for
	for name, row := range rows {
		challenge := row.challenge
		if challenge != "" && !strings.Contains(challenge, " ") {
			challenge = fmt.Sprintf(`Bearer realm="api", error=%q, error_description=%q`, row.challenge, row.message)
		}
		for way, call := range doors {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				s := serve(t, refusing(validator.NewError(row.why, "for the log alone")), everything, rig{})
				a := call(t, s, "authorization", "Bearer abc")
				s.wantRefused(t, a, row.code, row.reason, row.message, challenge)
				if len(a.info.GetMetadata()) > 0 || !reasons.MatchString(a.info.GetReason()) {
					t.Errorf("details %v", a.info)
				}
			})
		}
	}
}

func TestRefusal_SaysWhatWouldHelp(t *testing.T) {
	t.Parallel()
	scope := validator.NewError(validator.ErrScope, "")
	scope.Scopes = []string{"orders:read", "orders:write"}
	stepUp := validator.NewError(validator.ErrStepUp, "")
	stepUp.ACR, stepUp.MaxAge = []string{"urn:mfa", "urn:hardware"}, 5*time.Minute
	noToken := validator.NewError(validator.ErrNoToken, "")
	noToken.Scopes, noToken.Schemes = []string{"orders:read"}, []string{"DPoP", "Bearer"}
	nonce := validator.NewError(validator.ErrNonce, "")
	nonce.Nonce, nonce.Schemes = "eyJ7S_zG.eyJH0-Z", []string{"DPoP"}
	const algs = `algs="RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519"`
	for name, row := range map[string]struct {
		err        *validator.Error
		challenges []string
		metadata   map[string]string
		nonce      []string
	}{
		"scope": {scope, []string{
			`Bearer realm="api", error="insufficient_scope", error_description="insufficient scope", scope="orders:read orders:write"`,
		}, map[string]string{"scope": "orders:read orders:write"}, nil},
		"step-up": {stepUp, []string{
			`Bearer realm="api", error="insufficient_user_authentication", error_description="insufficient user authentication"` +
				`, acr_values="urn:mfa urn:hardware", max_age="300"`,
		}, map[string]string{"acr_values": "urn:mfa urn:hardware", "max_age": "300"}, nil},
		"two schemes": {noToken, []string{
			`DPoP realm="api", scope="orders:read", ` + algs,
			`Bearer realm="api", scope="orders:read"`,
		}, map[string]string{"scope": "orders:read"}, nil},
		"nonce": {nonce, []string{
			`DPoP realm="api", error="use_dpop_nonce", error_description="a DPoP proof with our nonce is needed", ` + algs,
		}, nil, []string{"eyJ7S_zG.eyJH0-Z"}},
	} {
		for way, call := range doors {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				a := call(t, serve(t, refusing(row.err), everything, rig{}))
				if got := a.trailer["www-authenticate"]; fmt.Sprintf("%q", got) != fmt.Sprintf("%q", row.challenges) {
					t.Errorf("challenges %q\nwant       %q", got, row.challenges)
				}
				if got := a.trailer["dpop-nonce"]; fmt.Sprint(got) != fmt.Sprint(row.nonce) {
					t.Errorf("nonce %q, want %q", got, row.nonce)
				}
				if !maps.Equal(a.info.GetMetadata(), row.metadata) {
					t.Errorf("details %v, want %v", a.info.GetMetadata(), row.metadata)
				}
			})
		}
	}
}

func TestRefusal_NamesTheRealmAndTheMetadata(t *testing.T) {
	t.Parallel()
	o := everything
	o.Realm, o.MetadataURL = `the "orders"`, "https://api.example.com/.well-known/oauth-protected-resource"
	for way, call := range doors {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s := serve(t, newValidator(t, nil), o, rig{})
			s.wantRefused(t, call(t, s), codes.Unauthenticated, "NO_TOKEN", "no access token",
				`Bearer realm="the \"orders\"", resource_metadata="https://api.example.com/.well-known/oauth-protected-resource"`)
		})
	}
}

// A client of gRPC drops a call whose metadata holds other characters.
func TestRefusal_IsPrintableWhateverAnAuthorizerPutsIn(t *testing.T) {
	t.Parallel()
	const evil = "a\"\\\r\nx-evil: b=cü\xff"
	e := validator.NewError(validator.ErrStepUp, "")
	e.Scopes, e.ACR, e.MaxAge, e.Nonce = []string{evil}, []string{evil}, time.Second, evil
	e.Code = "insufficient_user_authentication\r\n"
	for way, call := range doors {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s := serve(t, refusing(e), everything, rig{})
			a := call(t, s)
			s.wantRefused(t, a, codes.Unauthenticated, "INSUFFICIENT_USER_AUTHENTICATION", "insufficient user authentication",
				`Bearer realm="api", error="insufficient_user_authentication", error_description="insufficient user authentication"`+
					`, scope="a\"\\x-evil: b=c", acr_values="a\"\\x-evil: b=c", max_age="1"`)
			if got := a.trailer["dpop-nonce"]; len(got) != 1 || got[0] != `a"\x-evil: b=c` || a.info.GetMetadata()["scope"] != `a"\x-evil: b=c` {
				t.Errorf("nonce %q, details %v", got, a.info)
			}
		})
	}
}

func TestRefusal_RetryInfoIsWholeSecondsRoundedUpAtLeastOne(t *testing.T) {
	t.Parallel()
	for wait, want := range map[time.Duration]int64{
		-time.Hour: 1, 0: 1, 1: 1, time.Second: 1, time.Second + 1: 2, 7 * time.Second: 7, time.Hour: 3600, math.MaxInt64: 9223372037,
	} {
		t.Run(wait.String(), func(t *testing.T) {
			t.Parallel()
			e := validator.NewError(validator.ErrUnavailable, "")
			e.RetryAfter = wait
			a := unary(t, serve(t, refusing(e), everything, rig{}), "authorization", "Bearer abc")
			if got := a.retry.GetRetryDelay(); got.GetSeconds() != want || got.GetNanos() != 0 {
				t.Errorf("%v, want %d s", a.retry, want)
			}
		})
	}
}

// later is what a KeySource says that is out of reach for a while.
type later time.Duration

func (l later) Error() string             { return "keys out of reach" }
func (l later) RetryAfter() time.Duration { return time.Duration(l) }

func (l later) Keys(context.Context, string, string) ([]crypto.PublicKey, error) { return nil, l }

func TestRefusal_KeysOutOfReachAreUnavailable(t *testing.T) {
	t.Parallel()
	for way, call := range doors {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s := serve(t, newValidator(t, func(c *validator.Config) { c.Keys = later(7 * time.Second) }), everything, rig{})
			a := call(t, s, bearer(t, nil)...)
			s.wantRefused(t, a, codes.Unavailable, "UNAVAILABLE", "cannot find out whether the token is good", "")
			if got := a.retry.GetRetryDelay().GetSeconds(); got != 7 {
				t.Errorf("retry after %d s", got)
			}
			if log := s.log.String(); !strings.Contains(log, `"level":"ERROR"`) {
				t.Errorf("logged %s", log)
			}
		})
	}
}

// Whatever an Authorizer returns that is no refusal of package validator says
// nothing about the token.
func TestRefusal_WhoCannotJudgeLetsNobodyIn(t *testing.T) {
	t.Parallel()
	var none *validator.Error
	for name, a := range map[string]grpcauth.Authorizer{
		"an error of its own":         refusing(errors.New("disk full")),
		"a sentinel, bare":            refusing(validator.ErrExpired),
		"a context's error":           refusing(context.DeadlineExceeded),
		"a nil *Error":                refusing(none),
		"an empty *Error":             refusing(&validator.Error{}),
		"a status of success":         refusing(&validator.Error{Status: 200}),
		"an impossible status":        refusing(&validator.Error{Status: 1000}),
		"a Validator not made by New": new(validator.Validator),
		"Issuers not made by New":     new(validator.Issuers),
		"neither a token nor an error": authorizer(func(context.Context, validator.Credentials, validator.Requirement) (*validator.Token, error) {
			return nil, nil
		}),
		"a token and an error together": authorizer(func(context.Context, validator.Credentials, validator.Requirement) (*validator.Token, error) {
			return new(validator.Token), errors.New("disk full")
		}),
	} {
		for way, call := range doors {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				s := serve(t, a, everything, rig{})
				s.wantRefused(t, call(t, s, bearer(t, nil)...), codes.Unavailable, "UNAVAILABLE", "cannot find out whether the token is good", "")
				if log := s.log.String(); !strings.Contains(log, `"level":"ERROR"`) {
					t.Errorf("logged %s", log)
				}
			})
		}
	}
}

func TestRefusal_WithoutAnAuthorizerThereIsNoGuard(t *testing.T) {
	t.Parallel()
	for _, a := range []grpcauth.Authorizer{nil, (*validator.Validator)(nil), (*validator.Issuers)(nil), authorizer(nil)} {
		if g, err := grpcauth.New(a, nil); g != nil || err == nil || !strings.HasPrefix(err.Error(), "grpcauth: New: ") {
			t.Errorf("%T: %v, %v", a, g, err)
		}
	}
	greetings, errs := called(t, new(grpcauth.Guard), "/x.Y/Z", bearer(t, nil)...)
	for _, err := range errs {
		if status.Code(err) != codes.PermissionDenied || len(greetings) > 0 {
			t.Errorf("the zero value: %v, the handlers heard %q", err, greetings)
		}
	}
}

// Config.Check may refuse with a status of its own.
func TestRefusal_AStatusThatIsNotOurs(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		err     *validator.Error
		code    codes.Code
		reason  string
		message string
		retry   int64 // seconds; 0 for nobody knows
		level   string
	}{
		"401 without a code":         {&validator.Error{Status: 401}, codes.Unauthenticated, "NO_TOKEN", "no access token", 0, "INFO"},
		"401 with a code":            {&validator.Error{Status: 401, Code: "insufficient_something"}, codes.Unauthenticated, "INSUFFICIENT_SOMETHING", "no access token", 0, "INFO"},
		"400 without a code":         {&validator.Error{Status: 400}, codes.InvalidArgument, "INVALID_REQUEST", "malformed request", 0, "INFO"},
		"402":                        {&validator.Error{Status: 402}, codes.PermissionDenied, "FORBIDDEN", "forbidden", 0, "INFO"},
		"404":                        {&validator.Error{Status: 404}, codes.NotFound, "NOT_FOUND", "not found", 0, "INFO"},
		"409":                        {&validator.Error{Status: 409}, codes.Aborted, "CONFLICT", "conflict", 0, "INFO"},
		"429":                        {&validator.Error{Status: 429}, codes.ResourceExhausted, "TOO_MANY_REQUESTS", "too many requests", 0, "INFO"},
		"429, until when":            {&validator.Error{Status: 429, RetryAfter: 6500 * time.Millisecond}, codes.ResourceExhausted, "TOO_MANY_REQUESTS", "too many requests", 7, "INFO"},
		"500":                        {&validator.Error{Status: 500}, codes.Internal, "INTERNAL", "internal error", 0, "ERROR"},
		"502":                        {&validator.Error{Status: 502}, codes.Unavailable, "UNAVAILABLE", "cannot find out whether the token is good", 1, "ERROR"},
		"504, until when":            {&validator.Error{Status: 504, RetryAfter: time.Minute}, codes.Unavailable, "UNAVAILABLE", "cannot find out whether the token is good", 60, "ERROR"},
		"a refusal that was wrapped": {validator.NewError(validator.ErrExpired, ""), codes.Unauthenticated, "INVALID_TOKEN", "expired", 0, "INFO"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, refusing(fmt.Errorf("tenant 7: %w", row.err)), everything, rig{})
			a := unary(t, s)
			if a.code != row.code || a.info.GetReason() != row.reason || a.message != row.message || s.handled.Load() != 0 {
				t.Errorf("%s %q %q, want %s %q %q", a.code, a.info.GetReason(), a.message, row.code, row.reason, row.message)
			}
			if (a.retry != nil) != (row.retry > 0) || a.retry.GetRetryDelay().GetSeconds() != row.retry {
				t.Errorf("%v, want %d s", a.retry, row.retry)
			}
			if log := s.log.String(); !strings.Contains(log, `"level":"`+row.level+`"`) {
				t.Errorf("logged %s, want %s", log, row.level)
			}
		})
	}
}

// What a validator says when it could not ask, because its caller was gone.
func TestRefusal_ACallerThatLeftIsNoError(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		ctx  func(context.Context) (context.Context, context.CancelFunc)
		code codes.Code
	}{
		"canceled": {context.WithCancel, codes.Canceled},
		"too late": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 0)
		}, codes.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			left := func(ctx context.Context) context.Context {
				ctx, leave := row.ctx(ctx)
				leave()
				return ctx
			}
			s := serve(t, newValidator(t, func(c *validator.Config) { c.Keys = later(time.Second) }), everything, rig{
				unary: []grpc.UnaryServerInterceptor{
					func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
						return handler(left(ctx), req)
					},
				},
				stream: []grpc.StreamServerInterceptor{
					func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
						return handler(srv, withContext{ss, left(ss.Context())})
					},
				},
			})
			for way, call := range doors {
				a := call(t, s, bearer(t, nil)...)
				if a.code != row.code || s.handled.Load() != 0 || len(a.trailer) > 0 {
					t.Errorf("%s: %s %q, trailer %q", way, a.code, a.message, a.trailer)
				}
			}
			if log := s.log.String(); strings.Contains(log, "ERROR") || !strings.Contains(log, `"code":"`+row.code.String()+`"`) {
				t.Errorf("logged %s", log)
			}
		})
	}
}

// withContext is a stream as an interceptor of somebody else's would pass it on.
type withContext struct {
	grpc.ServerStream

	ctx context.Context
}

func (s withContext) Context() context.Context { return s.ctx }

func TestRefusal_ACallerThatLeftWhileWeAskedEndsAsItWould(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	s := serve(t, authorizer(func(ctx context.Context, _ validator.Credentials, _ validator.Requirement) (*validator.Token, error) {
		close(entered)
		<-ctx.Done()
		return nil, ctx.Err()
	}), everything, rig{})
	ctx, leave := context.WithCancel(outgoing(t, bearer(t, nil)...))
	go func() {
		<-entered
		leave()
	}()
	if _, err := s.client.UnaryCall(ctx, new(pb.SimpleRequest)); status.Code(err) != codes.Canceled {
		t.Errorf("the client got %v", err)
	}
	s.server.GracefulStop()
	if log := s.log.String(); strings.Contains(log, "ERROR") || !strings.Contains(log, `"code":"Canceled"`) || s.handled.Load() != 0 {
		t.Errorf("logged %s", log)
	}
}
