package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

// oneToken is RFC 6750 section 2.1 and RFC 9449 section 7.1: a scheme in any
// case, spaces, a b64token, and white space around it all.
var oneToken = regexp.MustCompile(`^[ \t]*(?:[Bb][Ee][Aa][Rr][Ee][Rr]|[Dd][Pp][Oo][Pp]) +([A-Za-z0-9._~+/-]+=*)[ \t]*$`)

func FuzzCredentials(f *testing.F) {
	for _, authorization := range []string{
		"Bearer abc", "bearer  a.b-c_d~e+f/g==", "Bearer", "Bearer ", "Bearer =", "Bearer a b", "Bearer a, Bearer b",
		"Bearer \tabc", "Basic YTpi", "DPoP abc", "dpop", "DPoPabc", "", "\xff", "Bearer \u212a", "Bearer a\r\nb", "\tBearer abc ",
	} {
		f.Add(authorization, "", "api", "orders:read")
	}
	for _, query := range []string{
		"access_token=a", "x=1&access_token", "x;access_token=a", "%61ccess_token=a", "%zz&Access_Token=a", "access+token=a", "a=access_token",
	} {
		f.Add("Bearer abc", query, `"\`+"\r\nü", "a\"\r\n\\ü")
	}
	f.Fuzz(func(t *testing.T, authorization, query, realm, scope string) {
		inQuery := hasTokenParameter(query)
		var asked *validator.Credentials
		g := middleware.New(accepting(func(c validator.Credentials) { asked = &c }), &middleware.Options{Realm: realm})
		handler := g.Require()(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		req := &http.Request{
			Method: http.MethodGet, URL: &url.URL{Path: "/", RawQuery: query},
			Header: http.Header{"Authorization": {authorization}},
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, req)

		m := oneToken.FindStringSubmatch(authorization)
		switch {
		case inQuery:
			if asked != nil || w.Code != 400 {
				t.Errorf("a token in the query %q: %d", query, w.Code)
			}
		case m != nil:
			if asked == nil || asked.Token != m[1] || w.Code != 200 {
				t.Errorf("%q: %d, Authorizer asked about %+v", authorization, w.Code, asked)
			}
		case asked != nil:
			if asked.Token != "" || w.Code != 401 {
				t.Errorf("%q: not one token: %d, Authorizer asked about one of %d bytes", authorization, w.Code, len(asked.Token))
			}
		case w.Code != 400:
			t.Errorf("%q: refused without asking: %d", authorization, w.Code)
		}

		refusal := validator.NewError(validator.ErrScope, scope)
		refusal.Scopes, refusal.ACR = []string{scope, realm}, []string{query}
		h := w.Header().Clone()
		wantPrintable(t, h)
		g.Challenge(h, refusal)
		wantPrintable(t, h)
	})
}

// hasTokenParameter says whether some reader of query finds an access_token: one
// to whom a semicolon separates, or one to whom it does not.
func hasTokenParameter(query string) bool {
	for _, text := range []string{query, strings.ReplaceAll(query, ";", "&")} {
		if values, _ := url.ParseQuery(text); values.Has("access_token") {
			return true
		}
	}
	return false
}

func wantPrintable(tb testing.TB, h http.Header) {
	tb.Helper()
	for name, values := range h {
		for _, value := range values {
			if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
				tb.Errorf("%s: %q", name, value)
			}
		}
	}
	if c := h.Get("WWW-Authenticate"); c != "" && !regexp.MustCompile(`^(Bearer|DPoP) realm="([^"\\]|\\["\\])*"(, [a-z_]+="([^"\\]|\\["\\])*")*$`).MatchString(c) {
		tb.Errorf("malformed challenge %q", c)
	}
}
