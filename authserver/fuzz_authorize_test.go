package authserver_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/countermark/countermark/authserver"
)

var fuzzedURIs = []string{
	webURI, portalURI, "https://web.example", "http://127.0.0.1/cb", "http://127.0.0.1:8080", "http://[::1]:8080/cb?x=y", "http://localhost:8080/cb", "com.example.app:/cb",
}

func newFuzzed(f *testing.F) *authserver.Server {
	f.Helper()
	s, err := authserver.New(authserver.Config{
		Issuer: "https://issuer.example", Logger: slog.New(slog.DiscardHandler), Users: users(),
		Clients: []authserver.Client{{
			ClientID: web.id, SecretHash: authserver.HashOf(web.secret), GrantTypes: []string{"authorization_code"}, RedirectURIs: fuzzedURIs,
			Scope: "orders:read orders:write", Audience: []string{ordersAPI},
		}},
	})
	if err != nil {
		f.Fatal(err)
	}
	return s
}

func serveAuthorize(t *testing.T, s http.Handler, query string) *screen {
	t.Helper()
	u := &url.URL{Scheme: "https", Host: "issuer.example", Path: "/authorize", RawQuery: query}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, (&http.Request{Method: http.MethodGet, URL: u, Header: http.Header{}, Body: http.NoBody}).WithContext(t.Context()))
	shown := &screen{answer: answer{w.Code, w.Header(), w.Body.Bytes()}, at: u}
	if strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		shown.parse(t)
	}
	return shown
}

// FuzzRedirectURI holds the comparison of redirect URIs against net/url's reading
// of them: nobody is sent to another place than a registered one, but for the port
// of a loopback address.
func FuzzRedirectURI(f *testing.F) {
	for _, uri := range append(fuzzedURIs,
		"http://127.0.0.1:1/cb", "http://127.0.0.1:80@evil/cb", "http://127.0.0.1:1#/cb", "http://127.0.0.1:1/cb?x", "http://127.0.0.1:99999", "http://[::1]:1/cb?x=y",
		"http://127.0.0.1:1\\@evil", "http://127.0.0.1:1/../cb", "http://[::1%25x]:1/cb?x=y", webURI+"/", "HTTPS://web.example/cb", "http://127.0.0.1?", "",
	) {
		f.Add(uri)
	}
	s := newFuzzed(f)
	f.Fuzz(func(t *testing.T, uri string) {
		shown := serveAuthorize(t, s, authParams(web, "redirect_uri", uri, "prompt", "none").Encode())
		if shown.status == 400 && shown.isPage(400) {
			if slices.Contains(fuzzedURIs, uri) {
				t.Fatalf("%q is registered", uri)
			}
			return
		}
		to := shown.header.Get("Location")
		if shown.status != 303 || !strings.HasPrefix(to, uri) || len(to) == len(uri) || to[len(uri)] != '?' && to[len(uri)] != '&' {
			t.Fatalf("%q: %d to %q", uri, shown.status, to)
		}
		got, err := url.Parse(uri)
		if err != nil || got.User != nil || strings.Contains(uri, "#") {
			t.Fatalf("%q, %v", uri, err)
		}
		for _, registered := range fuzzedURIs {
			want, _ := url.Parse(registered)
			ip, err := netip.ParseAddr(want.Hostname())
			loopback := want.Scheme == "http" && err == nil && ip.IsLoopback()
			if uri == registered || loopback && got.Scheme == "http" && got.Hostname() == want.Hostname() && got.EscapedPath() == want.EscapedPath() && got.RawQuery == want.RawQuery {
				return
			}
		}
		t.Fatalf("%q is nothing that is registered", uri)
	})
}

// FuzzAuthorize holds the authorization endpoint against a strict reading of its
// query: it redirects to where the client is registered and nowhere else, says by
// the book why, and shows the sign-in page for what it understood, which is the
// same when it comes back from there.
func FuzzAuthorize(f *testing.F) {
	f.Add(authParams(web).Encode())
	f.Add(authParams(web, "response_mode", "form_post", "prompt", "none", "state", "\xff").Encode())
	f.Add(authParams(web, "scope", "orders:read", "resource", ordersAPI, "max_age", "0", "prompt", "login consent", "login_hint", "a").Encode() + "&resource=")
	f.Add(authParams(web, "redirect_uri", "http://127.0.0.1:1/cb", "code_challenge_method", "plain").Encode() + "&scope=a&scope=b")
	for _, seed := range []string{"client_id=web", "client_id=web&client_id=web", "%zz", "&&", "client_id=web&redirect_uri=https://evil.example", "a;b", "request=x&client_id=web&redirect_uri=com.example.app:/cb"} {
		f.Add(seed)
	}
	s := newFuzzed(f)
	codes := []string{
		"invalid_request", "unsupported_response_type", "invalid_scope", "invalid_target", "login_required", "request_not_supported", "request_uri_not_supported",
	}
	f.Fuzz(func(t *testing.T, query string) {
		shown := serveAuthorize(t, s, query)
		params, err := url.ParseQuery(query)
		switch {
		case shown.title == "Sign in":
			readStrictly(t, query)
			carried := shown.fields.Get("request")
			if again := serveAuthorize(t, s, carried); again.title != "Sign in" || again.fields.Get("request") != carried || again.fields.Get("username") != shown.fields.Get("username") {
				t.Fatalf("%q, carried as %q, is another request", query, carried)
			}
			return
		case shown.status == 400 && shown.isPage(400), shown.status == 414:
			return
		case err != nil:
			t.Fatalf("%q is not form-encoded, but %d", query, shown.status)
		}
		response, to := shown.response(), shown.header.Get("Location")
		if shown.title == "One moment" {
			response, to = shown.fields, shown.action
		}
		uri := params.Get("redirect_uri")
		if uri == "" || to[:min(len(to), len(uri))] != uri {
			t.Fatalf("%q: sent to %q", query, to)
		}
		if !slices.Contains(codes, response.Get("error")) || response.Has("code") || !legalDescription.MatchString(response.Get("error_description")) {
			t.Fatalf("%q: %v", query, response)
		}
		if len(params["state"]) == 1 && response.Has("state") && response.Get("state") != params.Get("state") || response.Get("iss") != "https://issuer.example" {
			t.Fatalf("%q: %v", query, response)
		}
	})
}
