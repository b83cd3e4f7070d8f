package authserver_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/countermark/countermark/authserver"
)

// FuzzTokenForm holds the token endpoint's reading of a form against another
// one: what gets a token says so exactly once, and gets what it says; anything
// else gets an error by the book.
func FuzzTokenForm(f *testing.F) {
	for _, seed := range []string{
		"grant_type=client_credentials",
		"grant_type=client_credentials&scope=orders%3Aread+bills:read&resource=https://orders.example/api",
		"grant_type=client_credentials&resource=https%3A%2F%2Fbilling.example%2Fapi&resource=https%3A%2F%2Forders.example%2Fapi&x=y",
		"grant_type=client_credentials&client_id=shop&client_secret=&scope=",
		"grant_type=client_credentials&scope=admin", "grant_type=password", "grant_type=a&grant_type=b", "%zz", "&&&", ";", "a=b;c=d", "\x00=\xff", "",
	} {
		f.Add(seed)
	}
	s, err := authserver.New(authserver.Config{Issuer: "https://issuer.example", Clients: clients(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	registered := clients()[0]
	f.Fuzz(func(t *testing.T, body string) {
		a := serveForm(s, body)
		checkAnswer(t, a)
		if a.status != 200 {
			return
		}
		params := readStrictly(t, body)
		if params.Get("grant_type") != "client_credentials" {
			t.Fatalf("a token for %q", body)
		}
		asked := slices.DeleteFunc(strings.Split(params.Get("scope"), " "), func(s string) bool { return s == "" })
		granted := strings.Split(a.member("scope"), " ")
		if len(asked) > 0 && !slices.Equal(slices.Compact(slices.Sorted(slices.Values(asked))), slices.Sorted(slices.Values(granted))) {
			t.Fatalf("%q granted for %q", granted, asked)
		}
		for _, s := range granted {
			if !slices.Contains(strings.Fields(registered.Scope), s) {
				t.Fatalf("scope %q, which the client has not", s)
			}
		}
		_, payload := parts(t, a.member("access_token"))
		aud, _ := payload["aud"].([]any)
		for _, one := range aud {
			if !slices.Contains(registered.Audience, one.(string)) {
				t.Fatalf("aud %q, which the client has not", one)
			}
		}
		if payload["scope"] != a.member("scope") || payload["sub"] != shop.id || len(aud) == 0 {
			t.Fatalf("%v", payload)
		}

		again := serveForm(s, escapeAll(params))
		_, same := parts(t, again.member("access_token"))
		if fmt.Sprint(same["scope"], same["aud"]) != fmt.Sprint(payload["scope"], payload["aud"]) {
			t.Fatalf("%v with every byte escaped, %v without", same, payload)
		}
		if b := serveForm(s, body+"&grant_type=client_credentials"); b.status != 400 {
			t.Fatalf("a second grant_type: %d %s", b.status, b.body)
		}
	})
}

func serveForm(s http.Handler, body string) answer { return serveFormAt(s, "/token", shop, body) }

var legalDescription = regexp.MustCompile(`^[\x20-\x21\x23-\x5B\x5D-\x7E]+$`)

func checkAnswer(t *testing.T, a answer) {
	t.Helper()
	statuses := map[string]int{
		"": 200, "invalid_request": 400, "invalid_client": 401, "invalid_scope": 400, "invalid_target": 400, "unsupported_grant_type": 400,
	}
	want, known := statuses[a.member("error")]
	if a.status == 413 {
		want = 413
	}
	if !known || a.status != want || a.header.Get("Cache-Control") != "no-store" || !json.Valid(a.body) {
		t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	if a.status != 200 && !legalDescription.MatchString(a.member("error_description")) {
		t.Fatalf("%s", a.body)
	}
}

// readStrictly reads a form as its grammar has it, and fails if there is
// anything that could be read in two ways.
func readStrictly(t *testing.T, body string) url.Values {
	t.Helper()
	params := url.Values{}
	for pair := range strings.SplitSeq(body, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err1 := url.QueryUnescape(name)
		value, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil {
			t.Fatalf("a token for %q, which is not form-encoded", body)
		}
		if params.Has(name) && name != "resource" {
			t.Fatalf("a token for %q, which has %q twice", body, name)
		}
		params.Add(name, value)
	}
	return params
}

// escapeAll writes a form with every byte escaped.
func escapeAll(params url.Values) string {
	var b strings.Builder
	escape := func(s string) {
		for _, c := range []byte(s) {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	for name, values := range params {
		for _, value := range values {
			b.WriteByte('&')
			escape(name)
			b.WriteByte('=')
			escape(value)
		}
	}
	return b.String()[1:]
}
