package authserver_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/discovery"
)

func TestRFC8414_Section3_WellKnownPlaces(t *testing.T) {
	t.Parallel()
	const oauth, oidc = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
	for path, places := range map[string][]string{
		"":      {oauth, oidc},
		"/":     {oauth, oidc},
		"/t":    {oauth + "/t", "/t" + oidc, oidc + "/t"},
		"/t/":   {oauth + "/t", "/t" + oidc, oidc + "/t"},
		"/a/b":  {oauth + "/a/b", "/a/b" + oidc, oidc + "/a/b"},
		"/a%2F": {oauth + "/a%2F", "/a%2F" + oidc, oidc + "/a%2F"},
	} {
		i := start(t, path)
		for _, place := range places {
			a := i.get(i.host + place)
			if a.status != 200 || a.member("issuer") != i.url || a.header.Get("Content-Type") != "application/json" ||
				a.header.Get("Cache-Control") != "public, max-age=900" {
				t.Errorf("%s: %d %v %s", place, a.status, a.header, a.body)
			}
			if want := strings.TrimSuffix(i.url, "/") + "/token"; a.member("token_endpoint") != want {
				t.Errorf("%s: token_endpoint %s, want %s", place, a.member("token_endpoint"), want)
			}
		}
		for _, place := range []string{oauth, oidc, "/token", "/jwks"} {
			if a := i.get(i.host + place); strings.Trim(path, "/") != "" && a.status != 404 {
				t.Errorf("issuer %s answers at %s: %d", path, place, a.status)
			}
		}
		if m, err := discovery.Fetch(t.Context(), http.DefaultClient, i.url); err != nil || m.JWKSURI != strings.TrimSuffix(i.url, "/")+"/jwks" {
			t.Errorf("discovery: %+v, %v", m, err)
		}
	}
}

func TestRFC8414_Section2_Issuer(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"https://issuer.example", "https://issuer.example/", "https://issuer.example:8443/a/b", "https://issuer.example/a%20b", "https://issuer.example/a%2Fb/",
		"http://127.0.0.1:9000", "http://localhost", "http://[::1]:9000/t", "http://issuer.localhost",
	} {
		if _, err := authserver.New(authserver.Config{Issuer: good}); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "issuer.example", "//issuer.example", "http://issuer.example", "ftp://issuer.example", "https://", "https://issuer.example?x", "https://issuer.example?",
		"https://issuer.example#x", "https://issuer.example#", "https://user@issuer.example", "https://issuer.example/a/../b", "https://issuer.example//a",
		"https://issuer.example/a//", "https://issuer.example/./a", "HTTPS://issuer.example", "https://issuer.example/a b", "https://issuer.example/é", "https://issuer.example/%2e%2E/a", "https://issuer.example/a%2F%2Fb", ":", "\n",
		"https://issuer.example//", "https://Issuer.example", "https://issuer.example:", "https://issuer.example:0", "https://issuer.example:65536/a", "https://*.example", "https://[::1]:",
	} {
		_, err := authserver.New(authserver.Config{Issuer: bad})
		if err == nil || !strings.HasPrefix(err.Error(), "authserver: Config.Issuer: ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestRFC8414_Section3_1_HeadAndUnknownPaths(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	req, _ := http.NewRequest(http.MethodHead, i.url+"/.well-known/oauth-authorization-server", http.NoBody)
	if a := i.do(req); a.status != 200 || len(a.body) != 0 || a.header.Get("Content-Length") == "0" {
		t.Errorf("HEAD: %d %v", a.status, a.header)
	}
	for _, path := range []string{"/", "/token/", "//token", "/Token", "/authorize", "/.well-known/", "/jwks.json"} {
		if a := i.get(i.host + path); a.status != 404 {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}
