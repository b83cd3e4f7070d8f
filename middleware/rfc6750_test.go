package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

// The challenges of requests that never got as far as a token.
const (
	challengeBare    = `Bearer realm="api"`
	challengeRequest = `Bearer realm="api", error="invalid_request", error_description="malformed request"`
)

func TestRFC6750_Section2_1_TheTokenIsWhatFollowsTheScheme(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ line, want string }{
		"as in the RFC":            {"Authorization: Bearer mF_9.B5f-4.1JqM", "mF_9.B5f-4.1JqM"},
		"scheme in lower case":     {"Authorization: bearer abc", "abc"},
		"scheme in upper case":     {"Authorization: BEARER abc", "abc"},
		"scheme in mixed case":     {"Authorization: bEaReR abc", "abc"},
		"header in lower case":     {"authorization: Bearer abc", "abc"},
		"header in upper case":     {"AUTHORIZATION: Bearer abc", "abc"},
		"two spaces":               {"Authorization: Bearer  abc", "abc"},
		"many spaces":              {"Authorization: Bearer" + strings.Repeat(" ", 100) + "abc", "abc"},
		"spaces around the value":  {"Authorization:   Bearer abc   ", "abc"},
		"a tab around the value":   {"Authorization:\tBearer abc\t", "abc"},
		"no space after the colon": {"Authorization:Bearer abc", "abc"},
		"every character":          {"Authorization: Bearer azAZ09-._~+/", "azAZ09-._~+/"},
		"padding":                  {"Authorization: Bearer abc==", "abc=="},
		"one character":            {"Authorization: Bearer a", "a"},
		"the scheme as token":      {"Authorization: Bearer Bearer", "Bearer"},
		"a long one":               {"Authorization: Bearer " + strings.Repeat("x", 20<<10), strings.Repeat("x", 20<<10)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got atomic.Pointer[validator.Credentials]
			s := serve(t, accepting(func(c validator.Credentials) { got.Store(&c) }), require())
			s.wantAccepted(t, s.send(t, "GET /", row.line))
			if c := got.Load(); c == nil || c.Token != row.want || !strings.EqualFold(c.Scheme, "Bearer") {
				t.Errorf("the Authorizer was asked about %#v, want token %q", c, row.want)
			}
		})
	}
}

func TestRFC6750_Section2_1_WhatIsNotOneTokenIsInvalidRequest(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string][]string{
		"no token":                     {"Authorization: Bearer"},
		"spaces for a token":           {"Authorization: Bearer    "},
		"padding alone":                {"Authorization: Bearer =="},
		"padding within":               {"Authorization: Bearer ab=cd"},
		"two tokens":                   {"Authorization: Bearer abc def"},
		"joined by a comma":            {"Authorization: Bearer abc, Bearer def"},
		"joined by a comma, no space":  {"Authorization: Bearer abc,def"},
		"joined to another scheme":     {"Authorization: Bearer abc, Basic dXNlcjpwdw=="},
		"a tab before the token":       {"Authorization: Bearer \tabc"},
		"a tab within":                 {"Authorization: Bearer abc\tdef"},
		"quoted":                       {`Authorization: Bearer "abc"`},
		"an auth-param":                {`Authorization: Bearer token="abc"`},
		"a colon":                      {"Authorization: Bearer abc:def"},
		"a semicolon":                  {"Authorization: Bearer abc;"},
		"percent-encoding":             {"Authorization: Bearer %61bc"},
		"an ampersand":                 {"Authorization: Bearer abc&scope=admin"},
		"UTF-8":                        {"Authorization: Bearer äbc"},
		"a byte beyond ASCII":          {"Authorization: Bearer abc\xff"},
		"two headers":                  {"Authorization: Bearer abc", "Authorization: Bearer def"},
		"two equal headers":            {"Authorization: Bearer abc", "Authorization: Bearer abc"},
		"two headers, unlike in case":  {"Authorization: Bearer abc", "authorization: Bearer abc"},
		"two headers, the first empty": {"Authorization:", "Authorization: Bearer abc"},
		"two headers, the last empty":  {"Authorization: Bearer abc", "Authorization:"},
		"two headers of two schemes":   {"Authorization: Basic dXNlcjpwdw==", "Authorization: Bearer abc"},
		"two headers of other schemes": {"Authorization: Basic dXNlcjpwdw==", "Authorization: Digest a=b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, accepting(func(validator.Credentials) { t.Error("the Authorizer was asked") }), require("orders:read"))
			s.wantRefused(t, s.send(t, append([]string{"GET /"}, lines...)...), 400, challengeRequest)
		})
	}
}

func TestRFC6750_Section2_2_ATokenInTheBodyIsNone(t *testing.T) {
	t.Parallel()
	s := serve(t, newValidator(t, nil), require())
	form := "access_token=" + token(t, nil)
	a := s.exchange(t, fmt.Sprintf("POST / HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(form), form))
	s.wantRefused(t, a, 401, challengeBare)
}

// A server asks for an announced body only once somebody reads it.
func TestRFC6750_Section2_2_TheBodyOfARefusedRequestIsNotRead(t *testing.T) {
	t.Parallel()
	s := serve(t, newValidator(t, nil), require())
	a := s.exchange(t, "POST / HTTP/1.1\r\nHost: api.example.com\r\nExpect: 100-continue\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\n")
	s.wantRefused(t, a, 401, challengeBare)
}

func TestRFC6750_Section2_2_TheHandlerReadsTheWholeBody(t *testing.T) {
	t.Parallel()
	const form = "access_token=of-somebody-else&amount=12"
	g := middleware.New(newValidator(t, nil), nil)
	srv := httptest.NewServer(g.Require()(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Form != nil || req.PostForm != nil {
			t.Error("the form was parsed")
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(body)
	})))
	defer srv.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Bearer "+token(t, nil))
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != form {
		t.Errorf("the handler read %q (%v), want %q", body, err, form)
	}
}

func TestRFC6750_Section2_3_ATokenInTheQueryIsInvalidRequest(t *testing.T) {
	t.Parallel()
	for name, query := range map[string]string{
		"alone":                     "access_token=TOKEN",
		"first":                     "access_token=TOKEN&x=1",
		"last":                      "x=1&access_token=TOKEN",
		"twice":                     "access_token=TOKEN&access_token=TOKEN",
		"empty":                     "access_token=",
		"without a value":           "access_token",
		"a letter encoded":          "%61ccess_token=TOKEN",
		"the last letter encoded":   "access_toke%6e=TOKEN",
		"the underscore encoded":    "access%5Ftoken=TOKEN",
		"encoded in lower case":     "access%5ftoken=TOKEN",
		"every letter encoded":      "%61%63%63%65%73%73%5F%74%6F%6B%65%6E=TOKEN",
		"behind a semicolon":        "x=1;access_token=TOKEN",
		"before a semicolon":        "access_token;x=1",
		"encoded after a semicolon": "x=1;%61ccess_token=TOKEN",
		"behind empty pairs":        "&&access_token=TOKEN",
		"behind a malformed pair":   "x=%zz&access_token=TOKEN",
		"behind a malformed name":   "%zz=1&access_token=TOKEN",
		"behind a question mark":    "x=?&access_token=TOKEN",
		"with two equals signs":     "access_token==TOKEN",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := "GET /orders?" + strings.ReplaceAll(query, "TOKEN", token(t, nil))
			s := serve(t, newValidator(t, nil), require())
			s.wantRefused(t, s.send(t, target), 400, challengeRequest)
			s.wantRefused(t, s.send(t, target, "Authorization: Bearer "+token(t, nil)), 400, challengeRequest)
		})
	}
}

func TestRFC6750_Section2_3_OtherParametersAreTheHandlers(t *testing.T) {
	t.Parallel()
	for name, query := range map[string]string{
		"upper case":             "ACCESS_TOKEN=1",
		"title case":             "Access_Token=1",
		"upper case, encoded":    "%41ccess_token=1",
		"more behind":            "access_token2=1",
		"more before":            "my_access_token=1",
		"as a value":             "x=access_token",
		"as a value, with equal": "x=access_token=1",
		"a plus for underscore":  "access+token=1",
		"a plus before":          "+access_token=1",
		"a space behind":         "access_token%20=1",
		"a NUL behind":           "access_token%00=1",
		"an equals sign encoded": "access_token%3D1",
		"encoded twice":          "%2561ccess_token=1",
		"a malformed escape":     "%access_token=1",
		"in brackets":            "a[access_token]=1",
		"nothing":                "",
		"separators alone":       "&;&",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, newValidator(t, nil), require())
			s.wantAccepted(t, s.send(t, "GET /?"+query, "Authorization: Bearer "+token(t, nil)))
		})
	}
}

func TestRFC6750_Section3_EachRefusalHasItsChallenge(t *testing.T) {
	t.Parallel()
	invalidToken := func(description string) string {
		return `Bearer realm="api", error="invalid_token", error_description="` + description + `"`
	}
	for name, row := range map[string]struct {
		why       error
		status    int
		challenge string
	}{
		"no token":             {validator.ErrNoToken, 401, challengeBare},
		"malformed request":    {validator.ErrRequest, 400, challengeRequest},
		"malformed token":      {validator.ErrMalformed, 401, invalidToken("malformed token")},
		"type":                 {validator.ErrType, 401, invalidToken("wrong type of token")},
		"algorithm":            {validator.ErrAlgorithm, 401, invalidToken("signature algorithm not accepted")},
		"key":                  {validator.ErrKey, 401, invalidToken("no key of the issuer fits")},
		"signature":            {validator.ErrSignature, 401, invalidToken("wrong signature")},
		"issuer":               {validator.ErrIssuer, 401, invalidToken("wrong issuer")},
		"audience":             {validator.ErrAudience, 401, invalidToken("meant for another audience")},
		"expired":              {validator.ErrExpired, 401, invalidToken("expired")},
		"not yet valid":        {validator.ErrNotYetValid, 401, invalidToken("not yet valid")},
		"inactive":             {validator.ErrInactive, 401, invalidToken("not active")},
		"revoked":              {validator.ErrRevoked, 401, invalidToken("revoked")},
		"binding":              {validator.ErrBinding, 401, invalidToken("bound to a key that was not shown")},
		"scope":                {validator.ErrScope, 403, `Bearer realm="api", error="insufficient_scope", error_description="insufficient scope"`},
		"forbidden":            {validator.ErrForbidden, 403, ""},
		"what the API made up": {io.ErrUnexpectedEOF, 403, ""},
		"step-up": {validator.ErrStepUp, 401,
			`Bearer realm="api", error="insufficient_user_authentication", error_description="insufficient user authentication"`},
		"unavailable": {validator.ErrUnavailable, 503, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, refusing(validator.NewError(row.why, "for the log alone")), require())
			a := s.send(t, "GET /", "Authorization: Bearer abc")
			s.wantRefused(t, a, row.status, row.challenge)
			if want := http.StatusText(row.status) + "\n"; a.body != want {
				t.Errorf("body %q, want %q", a.body, want)
			}
			if row.challenge != "" {
				wantLegalChallenge(t, row.challenge)
			}
		})
	}
}

// wantLegalChallenge demands the grammar of RFC 6750 section 3: the scheme and
// at least one auth-param, none twice, error_description without quotes and
// backslashes, scope of scope-tokens one space apart.
func wantLegalChallenge(tb testing.TB, challenge string) {
	tb.Helper()
	params, ok := strings.CutPrefix(challenge, "Bearer ")
	if !ok {
		tb.Fatalf("%q: not a Bearer challenge with an auth-param", challenge)
	}
	seen := map[string]string{}
	rest := params
	for rest != "" {
		m := regexp.MustCompile(`^([a-z_]+)="((?:[ !#-\[\]-~]|\\["\\])*)"(?:, .|$)`).FindStringSubmatch(rest)
		if m == nil {
			tb.Fatalf("%q: no auth-param at %q", challenge, rest)
		}
		if _, twice := seen[m[1]]; twice {
			tb.Errorf("%q: %s twice", challenge, m[1])
		}
		seen[m[1]] = m[2]
		rest = strings.TrimPrefix(rest[len(m[1])+len(m[2])+3:], ", ")
	}
	for name, pattern := range map[string]string{
		"error":             `^[!#-\[\]-~]+$`,
		"error_description": `^[ !#-\[\]-~]+$`,
		"scope":             `^[!#-\[\]-~]+( [!#-\[\]-~]+)*$`,
	} {
		if value, ok := seen[name]; ok && !regexp.MustCompile(pattern).MatchString(value) {
			tb.Errorf("%q: %s is %q", challenge, name, value)
		}
	}
}

func TestRFC6750_Section3_InsufficientScopeNamesTheScopes(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		guard func(*middleware.Guard) wrapper
		scope string
	}{
		"one":           {require("orders:write"), "orders:write"},
		"all of them":   {require("orders:read", "orders:write"), "orders:read orders:write"},
		"one is enough": {func(g *middleware.Guard) wrapper { return g.RequireAny("orders:write", "admin") }, "orders:write"},
		"both kinds": {func(g *middleware.Guard) wrapper {
			return g.RequireWith(validator.Requirement{Scopes: []string{"a"}, AnyScope: []string{"b", "c"}})
		}, "a b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, newValidator(t, nil), row.guard)
			want := `Bearer realm="api", error="insufficient_scope", error_description="insufficient scope", scope="` + row.scope + `"`
			s.wantRefused(t, s.send(t, "GET /", "Authorization: Bearer "+token(t, nil)), 403, want)
			wantLegalChallenge(t, want)
		})
	}
}

func TestRFC6750_Section3_1_NoCodeWithoutCredentials(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string][]string{
		"no header":              {},
		"an empty header":        {"Authorization:"},
		"Basic":                  {"Authorization: Basic dXNlcjpwdw=="},
		"Digest":                 {`Authorization: Digest username="x"`},
		"Basic, then Bearer":     {"Authorization: Basic dXNlcjpwdw==, Bearer abc"},
		"a longer scheme":        {"Authorization: BearerX abc"},
		"no space":               {"Authorization: Bearerabc"},
		"a tab for a space":      {"Authorization: Bearer\tabc"},
		"a token alone":          {"Authorization: abc"},
		"another header":         {"Proxy-Authorization: Bearer abc"},
		"a cookie":               {"Cookie: access_token=abc"},
		"a header like a form's": {"Access-Token: abc"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, newValidator(t, nil), require("orders:read"))
			a := s.send(t, append([]string{"GET /"}, lines...)...)
			s.wantRefused(t, a, 401, challengeBare+`, scope="orders:read"`)
			wantLegalChallenge(t, a.header.Get("WWW-Authenticate"))
		})
	}
}
