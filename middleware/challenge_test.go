package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

func TestChallenge_TheRealmIsAQuotedString(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ realm, want string }{
		"default":              {"", `Bearer realm="api"`},
		"plain":                {"Orders of example.com", `Bearer realm="Orders of example.com"`},
		"a quotation mark":     {`a"b`, `Bearer realm="a\"b"`},
		"a backslash":          {`a\b`, `Bearer realm="a\\b"`},
		"a backslash at last":  {`a\`, `Bearer realm="a\\"`},
		"an escape of its own": {`a\"b`, `Bearer realm="a\\\"b"`},
		"another parameter":    {`a", error="b`, `Bearer realm="a\", error=\"b"`},
		"CR LF and a header":   {"a\r\nSet-Cookie: b=c", `Bearer realm="aSet-Cookie: b=c"`},
		"LF alone":             {"a\nb", `Bearer realm="ab"`},
		"CR alone":             {"a\rb", `Bearer realm="ab"`},
		"NUL, tab and DEL":     {"a\x00\t\x7fb", `Bearer realm="ab"`},
		"UTF-8":                {"Bestellungen für alle", `Bearer realm="Bestellungen fr alle"`},
		"no UTF-8":             {"a\xff\xfeb", `Bearer realm="ab"`},
		"UTF-8 alone":          {"ü", `Bearer realm=""`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := middleware.New(refusing(validator.NewError(validator.ErrNoToken, "")), &middleware.Options{Realm: row.realm})
			s := &api{Server: httptest.NewServer(g.Require()(http.NotFoundHandler()))}
			defer s.Close()
			a := s.send(t, "GET /")
			s.wantRefused(t, a, 401, row.want)
			if a.header["Set-Cookie"] != nil {
				t.Error("a header was split")
			}
		})
	}
}

func TestChallenge_ScopesAndContextsCannotSplitIt(t *testing.T) {
	t.Parallel()
	const evil = "a\"\\\r\nSet-Cookie: b=cü"
	e := validator.NewError(validator.ErrStepUp, "")
	e.Scopes, e.ACR, e.MaxAge = []string{evil}, []string{evil}, time.Second
	s := serve(t, refusing(e), require())
	a := s.send(t, "GET /")
	s.wantRefused(t, a, 401, stepUp+`, scope="a\"\\Set-Cookie: b=c", acr_values="a\"\\Set-Cookie: b=c", max_age="1"`)
	if a.header["Set-Cookie"] != nil {
		t.Error("a header was split")
	}
}

// A refusal of somebody else's making may hold what none of this module does.
func TestChallenge_OfACodeThatIsNotOurs(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		err       *validator.Error
		challenge string
	}{
		"401 without a code":       {&validator.Error{Status: 401}, challengeBare},
		"400 without a code":       {&validator.Error{Status: 400}, ""},
		"404":                      {&validator.Error{Status: 404}, ""},
		"500":                      {&validator.Error{Status: 500}, ""},
		"a code with a line break": {&validator.Error{Status: 401, Code: "a\r\nb"}, `Bearer realm="api", error="ab"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, refusing(row.err), require())
			a := s.send(t, "GET /")
			s.wantRefused(t, a, row.err.Status, row.challenge)
		})
	}
}

func TestChallenge_ReplacesOneThatIsThere(t *testing.T) {
	t.Parallel()
	h := http.Header{"Www-Authenticate": {`Basic realm="old"`}}
	status := middleware.New(nil, nil).Challenge(h, validator.NewError(validator.ErrNoToken, ""))
	if got := h["Www-Authenticate"]; status != 401 || len(got) != 1 || got[0] != challengeBare {
		t.Errorf("%d %q", status, got)
	}
}
