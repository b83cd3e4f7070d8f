package grpcauth_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/countermark/countermark/grpcauth"
	"github.com/countermark/countermark/validator"
)

func TestRFC6750_Section2_1_TheTokenIsWhatFollowsTheScheme(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ key, value, scheme, token string }{
		"as in the RFC":        {"authorization", "Bearer mF_9.B5f-4.1JqM", "Bearer", "mF_9.B5f-4.1JqM"},
		"scheme in lower case": {"authorization", "bearer abc", "Bearer", "abc"},
		"scheme in upper case": {"authorization", "BEARER abc", "Bearer", "abc"},
		"key in mixed case":    {"Authorization", "Bearer abc", "Bearer", "abc"}, // the client writes it in lower case
		"two spaces":           {"authorization", "Bearer  abc", "Bearer", "abc"},
		"every character":      {"authorization", "Bearer azAZ09-._~+/", "Bearer", "azAZ09-._~+/"},
		"padding":              {"authorization", "Bearer abc==", "Bearer", "abc=="},
		"DPoP":                 {"authorization", "DPoP abc", "DPoP", "abc"},
		"DPoP in lower case":   {"authorization", "dpop abc", "DPoP", "abc"},
	} {
		for way, call := range doors {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				var got atomic.Pointer[validator.Credentials]
				s := serve(t, accepting(func(c validator.Credentials) { got.Store(&c) }), everything, rig{})
				s.wantAccepted(t, call(t, s, row.key, row.value), "hello ")
				if c := got.Load(); c == nil || c.Token != row.token || c.Scheme != row.scheme {
					t.Errorf("the Authorizer was asked about %#v, want %s %q", c, row.scheme, row.token)
				}
			})
		}
	}
}

func TestRFC6750_Section2_1_WhatIsNotOneTokenIsInvalidRequest(t *testing.T) {
	t.Parallel()
	for name, values := range map[string][]string{
		"no token":                    {"Bearer"},
		"spaces for a token":          {"Bearer    "},
		"padding alone":               {"Bearer =="},
		"padding within":              {"Bearer ab=cd"},
		"two tokens":                  {"Bearer abc def"},
		"joined by a comma":           {"Bearer abc, Bearer def"},
		"joined by a comma, no space": {"Bearer abc,def"},
		"quoted":                      {`Bearer "abc"`},
		"a colon":                     {"Bearer abc:def"},
		"percent-encoding":            {"Bearer %61bc"},
		"two values":                  {"Bearer abc", "Bearer def"},
		"two equal values":            {"Bearer abc", "Bearer abc"},
		"two values of two schemes":   {"Basic dXNlcjpwdw==", "Bearer abc"},
		"two values, the first empty": {"", "Bearer abc"},
		"two values, the last empty":  {"Bearer abc", ""},
		"a DPoP token that is none":   {"DPoP a b"}, // told in its own scheme: RFC 9449 section 7.1
	} {
		want := `Bearer realm="api", error="invalid_request", error_description="malformed request"`
		if strings.HasPrefix(values[0], "DPoP") {
			want = dpopChallenge("invalid_request", "malformed request")
		}
		for way, call := range doors {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				s := serve(t, accepting(func(validator.Credentials) { t.Error("the Authorizer was asked") }), everything, rig{})
				var pairs []string
				for _, value := range values {
					pairs = append(pairs, "authorization", value)
				}
				s.wantRefused(t, call(t, s, pairs...), codes.InvalidArgument, "INVALID_REQUEST", "malformed request", want)
			})
		}
	}
}

// Values that a client of grpc-go would not send.
func TestRFC6750_Section2_1_BytesThatAreNoText(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"Bearer \tabc", "Bearer abc\r\n", "Bearer abc\x00", "Bearer äbc", "Bearer abc\xff", "Bearer \u212a"} {
		g := newGuard(t, accepting(nil), &everything)
		greetings, errs := called(t, g, unaryCall, "authorization", value)
		for _, err := range errs {
			if status.Code(err) != codes.InvalidArgument || len(greetings) > 0 {
				t.Errorf("%q: %v, the handlers heard %q", value, err, greetings)
			}
		}
	}
}

func TestRFC6750_Section3_1_NoCodeWithoutCredentials(t *testing.T) {
	t.Parallel()
	for name, pairs := range map[string][]string{
		"no metadata":            {},
		"an empty value":         {"authorization", ""},
		"Basic":                  {"authorization", "Basic dXNlcjpwdw=="},
		"Basic, then Bearer":     {"authorization", "Basic dXNlcjpwdw==, Bearer TOKEN"},
		"a longer scheme":        {"authorization", "BearerX TOKEN"},
		"a token alone":          {"authorization", "TOKEN"},
		"binary metadata":        {"authorization-bin", "Bearer TOKEN"},
		"another key":            {"proxy-authorization", "Bearer TOKEN"},
		"the key of a gateway":   {"grpcgateway-authorization", "Bearer TOKEN"},
		"a key like a form's":    {"access_token", "TOKEN"},
		"a key like a scheme":    {"bearer", "TOKEN"},
		"a cookie":               {"cookie", "access_token=TOKEN"},
		"a proof alone":          {"dpop", "TOKEN"},
		"a key with a character": {"authorization_", "Bearer TOKEN"},
	} {
		for way, call := range doors {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				s := serve(t, newValidator(t, nil), grpcauth.Options{Default: &validator.Requirement{Scopes: []string{"orders:read"}}}, rig{})
				shown := []string{}
				for _, text := range pairs {
					shown = append(shown, strings.ReplaceAll(text, "TOKEN", token(t, nil)))
				}
				s.wantRefused(t, call(t, s, shown...), codes.Unauthenticated, "NO_TOKEN", "no access token", `Bearer realm="api", scope="orders:read"`)
			})
		}
	}
}

func TestRFC6750_ABadTokenPassesNowhere(t *testing.T) {
	t.Parallel()
	good := token(t, nil)
	for name, row := range map[string]struct{ token, message string }{
		"opaque":           {"abc", "malformed token"},
		"expired":          {token(t, map[string]any{"exp": 1}), "expired"},
		"another audience": {token(t, map[string]any{"aud": "https://other.example"}), "meant for another audience"},
		"another issuer":   {token(t, map[string]any{"iss": "https://evil.example"}), "wrong issuer"},
		"a cut signature":  {good[:strings.LastIndexByte(good, '.')+1] + "AAAA", "wrong signature"},
	} {
		for way, call := range doors {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				s := serve(t, newValidator(t, nil), everything, rig{})
				s.wantRefused(t, call(t, s, "authorization", "Bearer "+row.token), codes.Unauthenticated, "INVALID_TOKEN", row.message,
					`Bearer realm="api", error="invalid_token", error_description="`+row.message+`"`)
			})
		}
	}
}

func TestRFC6750_AGoodTokenIsInTheHandlersContext(t *testing.T) {
	t.Parallel()
	for way, call := range doors {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s := serve(t, newValidator(t, nil), grpcauth.Options{Default: &validator.Requirement{Scopes: []string{"orders:read"}}}, rig{})
			s.wantAccepted(t, call(t, s, bearer(t, map[string]any{"sub": "alice"})...), "hello alice")
			s.wantAccepted(t, call(t, s, bearer(t, map[string]any{"sub": "bob"})...), "hello bob")
			if log := s.log.String(); log != "" {
				t.Errorf("logged %s", log)
			}
		})
	}
}
