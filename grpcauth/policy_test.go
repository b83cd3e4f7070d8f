package grpcauth_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/countermark/countermark/grpcauth"
	"github.com/countermark/countermark/validator"
)

// called calls the interceptors themselves, with a name that no server might let
// through, and says whether the handler ran, and with whose token.
func called(tb testing.TB, g *grpcauth.Guard, fullMethod string, pairs ...string) (greetings []string, errs []error) {
	tb.Helper()
	ctx := incoming(tb, pairs...)
	_, err := g.Unary(ctx, nil, &grpc.UnaryServerInfo{FullMethod: fullMethod}, func(ctx context.Context, _ any) (any, error) {
		greetings = append(greetings, greeting(ctx))
		return nil, nil
	})
	errs = append(errs, err)
	err = g.Stream(nil, fakeStream{ctx: ctx}, &grpc.StreamServerInfo{FullMethod: fullMethod}, func(_ any, s grpc.ServerStream) error {
		greetings = append(greetings, greeting(s.Context()))
		return nil
	})
	return greetings, append(errs, err)
}

// incoming is the context of a call with the given metadata.
func incoming(tb testing.TB, pairs ...string) context.Context {
	tb.Helper()
	return metadata.NewIncomingContext(tb.Context(), metadata.Pairs(pairs...))
}

// fakeStream is a ServerStream of no server.
type fakeStream struct {
	grpc.ServerStream

	ctx context.Context
}

func (s fakeStream) Context() context.Context { return s.ctx }
func (fakeStream) SetTrailer(metadata.MD)     {}

func newGuard(tb testing.TB, a grpcauth.Authorizer, o *grpcauth.Options) *grpcauth.Guard {
	tb.Helper()
	g, err := grpcauth.New(a, o)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

func TestPolicy_TheMostExactOneCounts(t *testing.T) {
	t.Parallel()
	const noToken = "no access token"
	const scope = "insufficient scope"
	const noPolicy = "no policy for this method"
	a := &validator.Requirement{Scopes: []string{"a"}}
	for name, row := range map[string]struct {
		methods map[string]validator.Requirement
		public  []string
		others  *validator.Requirement // the default
		bare    string                 // what a call without a token gets; "" if it passes
		without string                 // one with a token without scope a
		with    string                 // one with it
	}{
		"nothing":               {nil, nil, nil, noPolicy, noPolicy, noPolicy},
		"the method":            {methods: map[string]validator.Requirement{"/x.Y/Z": *a}, bare: noToken, without: scope},
		"the service":           {methods: map[string]validator.Requirement{"/x.Y/*": *a}, bare: noToken, without: scope},
		"another method":        {map[string]validator.Requirement{"/x.Y/Zz": *a}, nil, nil, noPolicy, noPolicy, noPolicy},
		"in another case":       {map[string]validator.Requirement{"/x.Y/z": *a}, nil, nil, noPolicy, noPolicy, noPolicy},
		"another service":       {map[string]validator.Requirement{"/x.Yy/*": *a}, nil, nil, noPolicy, noPolicy, noPolicy},
		"the package":           {map[string]validator.Requirement{"/x/*": *a}, nil, nil, noPolicy, noPolicy, noPolicy},
		"the default":           {others: a, bare: noToken, without: scope},
		"public method":         {public: []string{"/x.Y/Z"}},
		"public service":        {public: []string{"/x.Y/*"}},
		"another public method": {nil, []string{"/x.Y/Zz"}, nil, noPolicy, noPolicy, noPolicy},
		"method over service": {
			methods: map[string]validator.Requirement{"/x.Y/Z": *a, "/x.Y/*": {}}, bare: noToken, without: scope,
		},
		"method over a stricter service": {
			methods: map[string]validator.Requirement{"/x.Y/Z": {}, "/x.Y/*": *a}, bare: noToken,
		},
		"method over public service": {
			methods: map[string]validator.Requirement{"/x.Y/Z": *a}, public: []string{"/x.Y/*"}, bare: noToken, without: scope,
		},
		"public method over service": {methods: map[string]validator.Requirement{"/x.Y/*": *a}, public: []string{"/x.Y/Z"}},
		"method over the default":    {methods: map[string]validator.Requirement{"/x.Y/Z": *a}, others: new(validator.Requirement), bare: noToken, without: scope},
		"service over the default":   {methods: map[string]validator.Requirement{"/x.Y/*": *a}, others: new(validator.Requirement), bare: noToken, without: scope},
		"public over the default":    {public: []string{"/x.Y/*"}, others: a},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGuard(t, newValidator(t, nil), &grpcauth.Options{Methods: row.methods, Public: row.public, Default: row.others})
			for _, call := range []struct {
				want  string
				pairs []string
			}{
				{row.bare, nil},
				{row.without, bearer(t, map[string]any{"scope": "b"})},
				{row.with, bearer(t, map[string]any{"scope": "a b"})},
			} {
				greetings, errs := called(t, g, "/x.Y/Z", call.pairs...)
				for _, err := range errs {
					if got := status.Convert(err).Message(); got != call.want {
						t.Errorf("%q: %q, want %q", call.pairs, got, call.want)
					}
				}
				if (len(greetings) == 2) != (call.want == "") {
					t.Errorf("%q: the handlers heard %q", call.pairs, greetings)
				}
			}
		})
	}
}

func TestPolicy_AMethodWithoutOneIsRefused(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]grpcauth.Options{
		"no policy at all":     {},
		"policies for another": {Methods: map[string]validator.Requirement{outputCall: {}}, Public: []string{otherMethods}},
	} {
		for way, call := range doors {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				s := serve(t, newValidator(t, nil), o, rig{})
				for _, pairs := range [][]string{nil, bearer(t, nil)} {
					s.wantRefused(t, call(t, s, pairs...), codes.PermissionDenied, "NO_POLICY", "no policy for this method", "")
				}
				if log := s.log.String(); strings.Count(log, `"level":"ERROR"`) != 2 || !strings.Contains(log, "no policy for this method") {
					t.Errorf("logged %s", log)
				}
			})
		}
	}
}

// A name that two readers might take for two methods is nobody's, whatever the
// policy says of the rest.
func TestPolicy_AMalformedNameIsRefused(t *testing.T) {
	t.Parallel()
	open := &grpcauth.Options{
		Methods: map[string]validator.Requirement{"/x.Y/*": {}, "/x.Y/Z": {}},
		Default: new(validator.Requirement),
	}
	public := &grpcauth.Options{Public: []string{"/x.Y/*", "/x.Y/Z"}, Default: new(validator.Requirement)}
	for name, fullMethod := range map[string]string{
		"empty":                    "",
		"a slash":                  "/",
		"two slashes":              "//",
		"no leading slash":         "x.Y/Z",
		"no leading slash, alone":  "Z",
		"no method":                "/x.Y/",
		"no second slash":          "/x.Y",
		"no service":               "//Z",
		"a second leading slash":   "//x.Y/Z",
		"a trailing slash":         "/x.Y/Z/",
		"two slashes within":       "/x.Y//Z",
		"a third segment":          "/x.Y/Z/Z",
		"a segment before":         "/v1/x.Y/Z",
		"a wild card":              "/x.Y/*",
		"a wild card within":       "/x.Y/Z*",
		"a wild card for all":      "/*",
		"a wild card for services": "/*/Z",
		"two wild cards":           "/*/*",
		"an escape":                "/x.Y/%5A",
		"an escaped slash":         "/x.Y%2FZ",
		"a query":                  "/x.Y/Z?x=1",
		"a fragment":               "/x.Y/Z#x",
		"a parameter":              "/x.Y/Z;x",
		"a backslash":              `/x.Y\Z`,
		"a dot":                    "/x.Y/.",
		"two dots":                 "/x.Y/..",
		"two dots and on":          "/x.Y/../Z",
		"a dot before":             "/.x.Y/Z",
		"a dot behind":             "/x.Y./Z",
		"two dots within":          "/x..Y/Z",
		"a space":                  "/x.Y/Z ",
		"a space before":           " /x.Y/Z",
		"a line break":             "/x.Y/Z\n",
		"NUL":                      "/x.Y/Z\x00",
		"DEL":                      "/x.Y/Z\x7f",
		"a URL":                    "http://x.Y/Z",
		"a letter like another":    "/x.Y/Ζ", // Greek
		"no UTF-8":                 "/x.Y/Z\xff",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for kind, o := range map[string]*grpcauth.Options{"by token": open, "public": public} {
				greetings, errs := called(t, newGuard(t, newValidator(t, nil), o), fullMethod, bearer(t, nil)...)
				for _, err := range errs {
					if st := status.Convert(err); st.Code() != codes.PermissionDenied || st.Message() != "no policy for this method" {
						t.Errorf("%s: %v", kind, err)
					}
				}
				if len(greetings) > 0 {
					t.Errorf("%s: the handlers heard %q", kind, greetings)
				}
			}
		})
	}
}

func TestPolicy_WellFormedNames(t *testing.T) {
	t.Parallel()
	for _, fullMethod := range []string{"/Y/Z", "/x.Y/Z", "/a.b_c.d1.Y/get_Z9", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/my-service/my-method"} {
		for kind, o := range map[string]*grpcauth.Options{
			"by name":    {Methods: map[string]validator.Requirement{fullMethod: {}}},
			"by service": {Methods: map[string]validator.Requirement{fullMethod[:strings.LastIndexByte(fullMethod, '/')] + "/*": {}}},
			"by default": {Default: new(validator.Requirement)},
		} {
			if greetings, errs := called(t, newGuard(t, newValidator(t, nil), o), fullMethod, bearer(t, nil)...); len(greetings) != 2 {
				t.Errorf("%s %s: %v", fullMethod, kind, errs)
			}
		}
	}
}

func TestPolicy_APublicMethodDoesNotLookAtCredentials(t *testing.T) {
	t.Parallel()
	expired := token(t, map[string]any{"exp": 1})
	for name, pairs := range map[string][]string{
		"none":            nil,
		"a good token":    bearer(t, nil),
		"a bad token":     {"authorization", "Bearer " + expired},
		"two tokens":      {"authorization", "Bearer abc", "authorization", "Bearer def"},
		"no token at all": {"authorization", "Bearer"},
		"two proofs":      {"authorization", "DPoP abc", "dpop", "a", "dpop", "b"},
	} {
		for way, call := range doors {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				a := accepting(func(validator.Credentials) { t.Error("the Authorizer was asked") })
				s := serve(t, a, grpcauth.Options{Public: []string{everyMethod}}, rig{})
				s.wantAccepted(t, call(t, s, pairs...), "hello stranger")
			})
		}
	}
}

func TestPolicy_ARequirementIsFixedWhenTheGuardIsMade(t *testing.T) {
	t.Parallel()
	r := validator.Requirement{Scopes: []string{"a"}, AnyScope: []string{"b"}, ACR: []string{"c"}}
	var got []validator.Requirement
	a := authorizer(func(_ context.Context, _ validator.Credentials, r validator.Requirement) (*validator.Token, error) {
		got = append(got, r)
		return new(validator.Token), nil
	})
	o := &grpcauth.Options{Methods: map[string]validator.Requirement{"/x.Y/Z": r}, Public: []string{"/x.Y/P"}, Default: &r}
	g := newGuard(t, a, o)
	for _, list := range [][]string{r.Scopes, r.AnyScope, r.ACR} {
		list[0] = "changed later"
	}
	delete(o.Methods, "/x.Y/Z")
	o.Public[0] = "/x.Y/Other"
	called(t, g, "/x.Y/Z")
	called(t, g, "/x.Y/Other")
	if len(got) != 4 || strings.Contains(fmt.Sprint(got), "changed") {
		t.Errorf("the requirements became %v", got)
	}
	if greetings, errs := called(t, g, "/x.Y/P"); len(got) != 4 || len(greetings) != 2 {
		t.Errorf("a public method is public no more: %v", errs)
	}
}

func TestNew_RefusesAPolicyThatIsNone(t *testing.T) {
	t.Parallel()
	some := validator.Requirement{}
	for name, row := range map[string]struct {
		o    grpcauth.Options
		want string
	}{
		"a method without a slash":   {grpcauth.Options{Methods: map[string]validator.Requirement{"x.Y/Z": some}}, `Options.Methods: "x.Y/Z"`},
		"a service without a slash":  {grpcauth.Options{Methods: map[string]validator.Requirement{"x.Y/*": some}}, `Options.Methods: "x.Y/*"`},
		"an empty key":               {grpcauth.Options{Methods: map[string]validator.Requirement{"": some}}, `Options.Methods: ""`},
		"a service alone":            {grpcauth.Options{Methods: map[string]validator.Requirement{"/x.Y": some}}, `Options.Methods: "/x.Y"`},
		"an empty method":            {grpcauth.Options{Methods: map[string]validator.Requirement{"/x.Y/": some}}, `Options.Methods: "/x.Y/"`},
		"an empty service":           {grpcauth.Options{Methods: map[string]validator.Requirement{"//*": some}}, `Options.Methods: "//*"`},
		"every service":              {grpcauth.Options{Methods: map[string]validator.Requirement{"/*": some}}, `Options.Methods: "/*"`},
		"a wild card for a service":  {grpcauth.Options{Methods: map[string]validator.Requirement{"/*/Z": some}}, `Options.Methods: "/*/Z"`},
		"a wild card twice":          {grpcauth.Options{Methods: map[string]validator.Requirement{"/*/*": some}}, `Options.Methods: "/*/*"`},
		"a part of a method":         {grpcauth.Options{Methods: map[string]validator.Requirement{"/x.Y/Get*": some}}, `Options.Methods: "/x.Y/Get*"`},
		"a package":                  {grpcauth.Options{Methods: map[string]validator.Requirement{"/x.*/Z": some}}, `Options.Methods: "/x.*/Z"`},
		"three segments":             {grpcauth.Options{Methods: map[string]validator.Requirement{"/x/Y/Z": some}}, `Options.Methods: "/x/Y/Z"`},
		"three segments, a wildcard": {grpcauth.Options{Methods: map[string]validator.Requirement{"/x/Y/*": some}}, `Options.Methods: "/x/Y/*"`},
		"a regular expression":       {grpcauth.Options{Public: []string{"/x.Y/.*"}}, `Options.Public: "/x.Y/.*"`},
		"a space":                    {grpcauth.Options{Public: []string{" /x.Y/Z"}}, `Options.Public: " /x.Y/Z"`},
		"a public service alone":     {grpcauth.Options{Public: []string{"/x.Y"}}, `Options.Public: "/x.Y"`},
		"both public and not":        {grpcauth.Options{Methods: map[string]validator.Requirement{"/x.Y/Z": some}, Public: []string{"/x.Y/Z"}}, `Options.Public: "/x.Y/Z": is in Options.Methods too`},
		"a service both":             {grpcauth.Options{Methods: map[string]validator.Requirement{"/x.Y/*": some}, Public: []string{"/x.Y/*"}}, `Options.Public: "/x.Y/*": is in Options.Methods too`},
		"a service's empty scope":    {grpcauth.Options{Methods: map[string]validator.Requirement{"/x.Y/*": {Scopes: []string{"a", ""}}}}, `Options.Methods["/x.Y/*"].Scopes: "": not a scope-token`},
		"an empty choice":            {grpcauth.Options{Methods: map[string]validator.Requirement{"/x.Y/Z": {AnyScope: []string{""}}}}, `Options.Methods["/x.Y/Z"].AnyScope: "": not a scope-token`},
		"a negative age":             {grpcauth.Options{Methods: map[string]validator.Requirement{"/x.Y/Z": {AuthMaxAge: -1}}}, `Options.Methods["/x.Y/Z"].AuthMaxAge: must not be negative`},
		"two scopes in one":          {grpcauth.Options{Default: &validator.Requirement{Scopes: []string{"a b"}}}, `Options.Default.Scopes: "a b": not a scope-token`},
		"a scope that is none":       {grpcauth.Options{Default: &validator.Requirement{AnyScope: []string{"a", "é"}}}, `Options.Default.AnyScope: "é": not a scope-token`},
		"a default's empty scope":    {grpcauth.Options{Default: &validator.Requirement{Scopes: []string{""}}}, `Options.Default.Scopes: "": not a scope-token`},
		"a default's negative age":   {grpcauth.Options{Default: &validator.Requirement{AuthMaxAge: -1}}, "Options.Default.AuthMaxAge: must not be negative"},
		"a negative grace":           {grpcauth.Options{StreamGrace: -1}, "Options.StreamGrace: must not be negative"},
		"metadata without TLS":       {grpcauth.Options{MetadataURL: "http://api.example.com/.well-known/oauth-protected-resource"}, "Options.MetadataURL: "},
		"metadata without a host":    {grpcauth.Options{MetadataURL: "/.well-known/oauth-protected-resource"}, "Options.MetadataURL: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, err := grpcauth.New(accepting(nil), &row.o)
			if g != nil || err == nil || !strings.HasPrefix(err.Error(), "grpcauth: "+row.want) {
				t.Errorf("%v, %v; want %q", g, err, row.want)
			}
		})
	}
}

func TestNew_WithoutOptionsRefusesEverything(t *testing.T) {
	t.Parallel()
	greetings, errs := called(t, newGuard(t, accepting(nil), nil), "/x.Y/Z", bearer(t, nil)...)
	for _, err := range errs {
		if status.Code(err) != codes.PermissionDenied {
			t.Error(err)
		}
	}
	if len(greetings) > 0 {
		t.Errorf("the handlers heard %q", greetings)
	}
}
