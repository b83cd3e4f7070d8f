package discovery_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/countermark/countermark/internal/discovery"
	"github.com/countermark/countermark/internal/fetch"
	"github.com/countermark/countermark/internal/memhttp"
)

func TestFetch_Section3_WhereTheDocumentMayBe(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ issuerPath, at string }{
		"OpenID Connect":                 {"", "/.well-known/openid-configuration"},
		"RFC 8414":                       {"", "/.well-known/oauth-authorization-server"},
		"OpenID Connect, path":           {"/t/1", "/t/1/.well-known/openid-configuration"},
		"RFC 8414, path":                 {"/t/1", "/.well-known/oauth-authorization-server/t/1"},
		"RFC 8414 section 5, path":       {"/t/1", "/.well-known/openid-configuration/t/1"},
		"OpenID Connect, trailing slash": {"/", "/.well-known/openid-configuration"},
		"RFC 8414, path, trailing slash": {"/t/", "/.well-known/oauth-authorization-server/t"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var issuer string
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != row.at {
					http.NotFound(w, r)
					return
				}
				w.Header().Set("Content-Type", "application/json")
				_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":"https://keys.example/jwks","other":[1]}`, issuer)
			}))
			defer srv.Close()
			issuer = srv.URL + row.issuerPath
			m, err := discovery.Fetch(t.Context(), fetch.Client(srv.Client()), issuer)
			if err != nil || m.JWKSURI != "https://keys.example/jwks" {
				t.Errorf("%+v, %v", m, err)
			}
		})
	}
}

func TestFetch_Refuses(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		answer  func(w http.ResponseWriter, issuer string)
		wantErr string
	}{
		"another issuer":              {document(`{"issuer":"https://evil.example","jwks_uri":"https://evil.example/jwks"}`), "byte for byte"},
		"a trailing slash more":       {document(`{"issuer":"ISSUER/","jwks_uri":"https://a.example"}`), "byte for byte"},
		"no issuer":                   {document(`{"jwks_uri":"https://a.example"}`), "byte for byte"},
		"two issuers":                 {document(`{"issuer":"ISSUER","issuer":"ISSUER"}`), "a second member"},
		"issuer in another case":      {document(`{"Issuer":"ISSUER"}`), "by case alone"},
		"a jwks_uri without https":    {document(`{"issuer":"ISSUER","jwks_uri":"http://a.example/jwks"}`), "jwks_uri: must use https"},
		"a jwks_uri with credentials": {document(`{"issuer":"ISSUER","jwks_uri":"https://u:p@a.example/jwks"}`), "user information"},
		"an mTLS alias without https": {document(`{"issuer":"ISSUER","mtls_endpoint_aliases":{"introspection_endpoint":"http://a.example"}}`), "must use https"},
		"an array":                    {document(`[]`), "not an object"},
		"too large":                   {document(strings.Repeat(" ", discovery.Limit) + `{}`), "more than"},
		"HTML":                        {func(w http.ResponseWriter, _ string) { _, _ = w.Write([]byte("<html>")) }, "Content-Type"},
		"500":                         {func(w http.ResponseWriter, _ string) { w.WriteHeader(500) }, "answered 500"},
		"429":                         {func(w http.ResponseWriter, _ string) { w.WriteHeader(429) }, "answered 429"},
		"404 everywhere":              {func(w http.ResponseWriter, _ string) { w.WriteHeader(404) }, "answered 404"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var srv *httptest.Server
			srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { row.answer(w, srv.URL) }))
			defer srv.Close()
			if _, err := discovery.Fetch(t.Context(), fetch.Client(nil), srv.URL); err == nil || !strings.Contains(err.Error(), row.wantErr) {
				t.Errorf("%v, want %q", err, row.wantErr)
			}
		})
	}
}

func TestFetch_ARemoteIssuerNamesNoLoopbackEndpoint(t *testing.T) {
	t.Parallel()
	srv := memhttp.New(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		document(`{"issuer":"https://issuer.example","jwks_uri":"http://localhost:8080/keys"}`)(w, "")
	}))
	defer srv.Close()
	_, err := discovery.Fetch(t.Context(), srv.Client(), "https://issuer.example")
	if err == nil || !strings.Contains(err.Error(), "jwks_uri: must use https, as the issuer does") {
		t.Error(err)
	}
}

func document(doc string) func(http.ResponseWriter, string) {
	return func(w http.ResponseWriter, issuer string) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(strings.ReplaceAll(doc, "ISSUER", issuer)))
	}
}

func TestFetch_NoRedirectToAnotherHost(t *testing.T) {
	t.Parallel()
	var asked atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Store(true) }))
	defer other.Close()
	srv := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusFound))
	defer srv.Close()
	if _, err := discovery.Fetch(t.Context(), fetch.Client(nil), srv.URL); err == nil || asked.Load() {
		t.Errorf("%v; the other host was asked: %v", err, asked.Load())
	}
}

func TestCheckIssuer_Section2(t *testing.T) {
	t.Parallel()
	for issuer, ok := range map[string]bool{
		"https://a.example": true, "https://a.example/t/1": true, "http://127.0.0.1:9000": true, "http://localhost": true, "http://[::1]:1": true,
		"": false, "a.example": false, "http://a.example": false, "https://a.example?x": false, "https://a.example#x": false, "https://a.example/#": false,
		"https://u@a.example": false, "ftp://a.example": false, "https://": false, "http://127.0.0.1.evil.example": false, "http://localhost.evil.example": false,
	} {
		if err := discovery.CheckIssuer(issuer); (err == nil) != ok {
			t.Errorf("%q: %v", issuer, err)
		}
	}
}
