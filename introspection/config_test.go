package introspection_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/introspection"
)

type noKeys struct{}

func (noKeys) Keys(context.Context, string, string) ([]crypto.PublicKey, error) { return nil, nil }

func TestNew_Refuses(t *testing.T) {
	t.Parallel()
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	basic := introspection.Basic("orders-api", "s")
	jwt := func(key introspection.SigningKey) introspection.Config {
		return introspection.Config{URL: endpointURL, Auth: introspection.PrivateKeyJWT("orders-api", key)}
	}
	for name, row := range map[string]struct {
		config introspection.Config
		want   string
	}{
		"nobody to ask":               {introspection.Config{Auth: basic}, "Config.Issuer: is empty"},
		"an issuer without https":     {introspection.Config{Issuer: "http://issuer.example", Auth: basic}, "Config.Issuer: must use https"},
		"an issuer with a query":      {introspection.Config{Issuer: issuerURL + "?a", Auth: basic}, "Config.Issuer: must not have a query"},
		"a URL without https":         {introspection.Config{URL: "http://issuer.example/i", Auth: basic}, "Config.URL: must use https"},
		"a URL with credentials":      {introspection.Config{URL: "https://u:p@issuer.example", Auth: basic}, "Config.URL: must not hold user information"},
		"no URL at all":               {introspection.Config{URL: "introspect", Auth: basic}, "Config.URL: "},
		"a bad URL beside an issuer":  {introspection.Config{Issuer: issuerURL, URL: "/introspect", Auth: basic}, "Config.URL: "},
		"no authentication":           {introspection.Config{URL: endpointURL}, "Config.Auth: is required"},
		"no identifier":               {introspection.Config{URL: endpointURL, Auth: introspection.Basic("", "s")}, "Config.Auth: the client identifier is empty"},
		"no identifier, TLS":          {introspection.Config{URL: endpointURL, Auth: introspection.TLS("")}, "Config.Auth: the client identifier is empty"},
		"no secret":                   {introspection.Config{URL: endpointURL, Auth: introspection.Basic("a", "")}, "Config.Auth: the secret is empty"},
		"no secret, Post":             {introspection.Config{URL: endpointURL, Auth: introspection.Post("a", "")}, "Config.Auth: the secret is empty"},
		"a short secret for HMAC":     {introspection.Config{URL: endpointURL, Auth: introspection.SecretJWT("a", strings.Repeat("s", 31))}, "Config.Auth: the secret has fewer than 32 bytes"},
		"no function, Bearer":         {introspection.Config{URL: endpointURL, Auth: introspection.Bearer("a", nil)}, "Config.Auth: the function is nil"},
		"no function, AuthFunc":       {introspection.Config{URL: endpointURL, Auth: introspection.AuthFunc("a", nil)}, "Config.Auth: the function is nil"},
		"no key":                      {jwt(introspection.SigningKey{}), "Config.Auth: SigningKey.Signer: required"},
		"no RSA key":                  {jwt(introspection.SigningKey{Signer: (*rsa.PrivateKey)(nil)}), "Config.Auth: SigningKey.Signer: required"},
		"half a key":                  {jwt(introspection.SigningKey{Signer: ed25519.PrivateKey("half")}), "SigningKey.Signer: an ed25519.PrivateKey of 4 bytes"},
		"a weak key":                  {jwt(introspection.SigningKey{Signer: tokentest.WeakRSA(t)}), "Config.Auth: SigningKey.Signer: no algorithm fits"},
		"a key of another kind":       {jwt(introspection.SigningKey{Signer: p256, Algorithm: "RS256"}), "does not fit RS256"},
		"a key of another curve":      {jwt(introspection.SigningKey{Signer: p256, Algorithm: "ES384"}), "does not fit ES384"},
		"HMAC with a key":             {jwt(introspection.SigningKey{Signer: p256, Algorithm: "HS256"}), "SigningKey.Algorithm is not"},
		"none":                        {jwt(introspection.SigningKey{Signer: p256, Algorithm: "none"}), "SigningKey.Algorithm is not"},
		"TLS without a client":        {introspection.Config{URL: endpointURL, Auth: introspection.TLS("a")}, "Config.Client: is required with TLS"},
		"a negative timeout":          {introspection.Config{URL: endpointURL, Auth: basic, Timeout: -1}, "Config.Timeout: is negative"},
		"negative retries":            {introspection.Config{URL: endpointURL, Auth: basic, Retries: -1}, "Config.Retries: is out of range"},
		"too many retries":            {introspection.Config{URL: endpointURL, Auth: basic, Retries: 6}, "Config.Retries: is out of range"},
		"a cache for nothing":         {introspection.Config{URL: endpointURL, Auth: basic, Cache: &sharedCache{}, TTL: -1}, "Config.Cache: has nothing to hold"},
		"keys of an unnamed issuer":   {introspection.Config{URL: endpointURL, Auth: basic, Keys: noKeys{}}, "Config.Issuer: is required with Keys"},
		"an audience without answers": {introspection.Config{URL: endpointURL, Auth: basic, Audience: "a"}, "Config.Audience: is for signed answers"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := introspection.New(row.config)
			if err == nil || c != nil || !strings.HasPrefix(err.Error(), "introspection: ") || !strings.Contains(err.Error(), row.want) {
				t.Errorf("%v, want %q", err, row.want)
			}
		})
	}
}

func TestNew_NoRequestAndNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 100 {
		newClient(t, introspection.Config{
			Issuer: issuerURL,
			Cache:  &sharedCache{},
			Keys:   noKeys{},
			Client: &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) {
				t.Error("a request")
				return nil, http.ErrServerClosed
			})},
			Timeout: time.Second,
		})
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines, %d before", after, before)
	}
}
