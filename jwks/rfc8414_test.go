package jwks_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermark/countermark/jwks"
)

func TestDiscovery_Section3_PathIssuer(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]string{
		"RFC 8414":       "/.well-known/oauth-authorization-server/tenant",
		"OpenID Connect": "/tenant/.well-known/openid-configuration",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := setOf(t, ecJWK(t, "a"))
			c, _ := newCache(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				switch r.URL.Path {
				case at:
					_, _ = io.WriteString(w, `{"issuer":"https://issuer.example/tenant","jwks_uri":"https://keys.example/tenant"}`)
				case "/tenant":
					if r.Host == "keys.example" {
						_, _ = io.WriteString(w, set)
					}
				default:
					http.NotFound(w, r)
				}
			}), jwks.Config{Issuer: "https://issuer.example/tenant"})
			mustFind(t, c, "a", "ES256")
		})
	}
}

func TestDiscovery_Section3_3_MetadataThatIsNotTheIssuers(t *testing.T) {
	t.Parallel()
	for name, metadata := range map[string]string{
		"another issuer":       `{"issuer":"https://evil.example","jwks_uri":"https://issuer.example/keys"}`,
		"a slash more":         `{"issuer":"https://issuer.example/","jwks_uri":"https://issuer.example/keys"}`,
		"no jwks_uri":          `{"issuer":"https://issuer.example"}`,
		"jwks_uri in the open": `{"issuer":"https://issuer.example","jwks_uri":"http://issuer.example/keys"}`,
		"not JSON":             `<html>`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := setOf(t, ecJWK(t, "a"))
			c, _ := newCache(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if strings.HasPrefix(r.URL.Path, "/.well-known/") {
					_, _ = io.WriteString(w, metadata)
				} else {
					_, _ = io.WriteString(w, set)
				}
			}), jwks.Config{Issuer: issuerURL})
			mustFail(t, c, "a", "ES256")
		})
	}
}

func TestDiscovery_MovedKeySetIsFound(t *testing.T) {
	t.Parallel()
	t.Run("with the next refresh", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			i := newIssuer(t, ecJWK(t, "a"))
			c, _ := newCache(t, i, jwks.Config{Issuer: issuerURL})
			mustFind(t, c, "a", "ES256")
			i.change(func() { i.jwksURI = issuerURL + "/moved" })
			time.Sleep(15 * time.Minute)
			i.publish(t, ecJWK(t, "b"))
			mustFind(t, c, "b", "ES256")
			if n := i.metadata.Load(); n != 2 {
				t.Errorf("metadata was read %d times", n)
			}
		})
	})
	for name, old := range map[string]http.HandlerFunc{
		"when the old address fails":               http.NotFound,
		"when the old address is no key set's now": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var moved atomic.Bool
				i := newIssuer(t, ecJWK(t, "a"))
				c, _ := newCache(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if moved.Load() && r.URL.Path == "/keys" {
						old(w, r)
						return
					}
					i.ServeHTTP(w, r)
				}), jwks.Config{Issuer: issuerURL})
				mustFind(t, c, "a", "ES256")
				time.Sleep(time.Minute)
				i.publish(t, ecJWK(t, "b"))
				i.change(func() { i.jwksURI = issuerURL + "/moved" })
				moved.Store(true)
				mustFail(t, c, "b", "ES256")
				time.Sleep(250 * time.Millisecond)
				mustFind(t, c, "b", "ES256")
			})
		})
	}
}

func TestDiscovery_MetadataIsNotReadForEachUnknownKid(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, ecJWK(t, "a"))
		c, _ := newCache(t, i, jwks.Config{Issuer: issuerURL})
		start := time.Now()
		for time.Since(start) < 9*time.Minute {
			mustLack(t, c, time.Since(start).String(), "ES256")
			time.Sleep(5 * time.Second)
		}
		if n := i.metadata.Load(); n != 1 {
			t.Errorf("metadata was read %d times for %d fetches", n, len(i.fetches()))
		}
	})
}
