package canary_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/introspection"
	"github.com/countermark/countermark/jwks"
)

// echoes are answers that hold what was asked with, wherever an answer can hold
// something: whoever is asked knows it. Not here is what comes after a whole answer:
// of that net/http tells the process's logger itself.
var echoes = map[string]string{
	"status":             "HTTP/1.1 500 %[1]s\r\nX: %[1]s\r\nContent-Length: 0\r\n\r\n",
	"401":                "HTTP/1.1 401 %[1]s\r\nWWW-Authenticate: %[1]s\r\nContent-Length: %[2]d\r\n\r\n%[1]s",
	"429":                "HTTP/1.1 429 No\r\nRetry-After: %[1]s\r\nContent-Length: %[2]d\r\n\r\n%[1]s",
	"content type":       "HTTP/1.1 200 OK\r\nContent-Type: %[1]s\r\nContent-Length: %[2]d\r\n\r\n%[1]s",
	"HTML":               "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %[2]d\r\n\r\n%[1]s",
	"no JSON":            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %[2]d\r\n\r\n%[1]s",
	"JSON":               "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{\"active\":true,\"exp\":\"%[1]s\",\"%[1]s\":\"%[1]s\",\"keys\":[{\"kty\":\"%[1]s\",\"n\":\"%[1]s\",\"d\":\"%[1]s\"}],\"issuer\":\"%[1]s\",\"jwks_uri\":\"%[1]s\"}",
	"duplicates":         "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{\"%[1]s\":1,\"%[1]s\":2}",
	"active of a type":   "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{\"active\":\"%[1]s\",\"keys\":\"%[1]s\"}",
	"a signed answer":    "HTTP/1.1 200 OK\r\nContent-Type: application/token-introspection+jwt\r\nConnection: close\r\n\r\neyJhbGciOiJFUzI1NiJ9.%[1]s.%[1]s",
	"truncated":          "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999\r\n\r\n%[1]s",
	"redirect":           "HTTP/1.1 307 No\r\nLocation: http://127.0.0.1:1/%[1]s?%[1]s\r\nContent-Length: 0\r\n\r\n",
	"see other":          "HTTP/1.1 303 No\r\nLocation: /%[1]s?%[1]s\r\nContent-Length: 0\r\n\r\n",
	"malformed redirect": "HTTP/1.1 302 No\r\nLocation: http://%[1]s:%%zz/%[1]s\r\nContent-Length: 0\r\n\r\n",
	"no HTTP":            "%[1]s\r\n\r\n",
	"no version":         "HTTP/%[1]s 200 OK\r\n\r\n",
	"no status":          "HTTP/1.1 %[1]s OK\r\n\r\n",
	"a field's name":     "HTTP/1.1 200 OK\r\n%[1]s\r\n\r\n",
	"a field's value":    "HTTP/1.1 200 OK\r\nX: \x01%[1]s\r\n\r\n",
	"Content-Length":     "HTTP/1.1 200 OK\r\nContent-Length: %[1]s\r\n\r\n",
	"two lengths":        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: %[1]s\r\n\r\n",
	"Transfer-Encoding":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: %[1]s\r\n\r\n",
	"a chunk":            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n%[1]s\r\n",
	"a trailer":          "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n%[1]s\r\n\r\n",
	"Content-Encoding":   "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n%[1]s",
	"upgrade":            "HTTP/1.1 101 %[1]s\r\nUpgrade: %[1]s\r\nConnection: upgrade\r\n\r\n",
	"nothing":            "",
}

// parrot answers each request with all that it was asked with, in the given form, and
// returns its URL.
func parrot(t *testing.T, form string, also ...string) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(time.Minute))
				req, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				body, _ := io.ReadAll(req.Body)
				said := req.Header.Get("Authorization") + ";" + string(body) + ";" + strings.Join(also, ";")
				if form != "" {
					fmt.Fprintf(conn, form, said, len(said))
				}
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

// answerHostilely has everybody who asks somebody be answered with what it asked.
func answerHostilely(t *testing.T, w *witness) {
	t.Helper()
	key := tokentest.NewKey(t, "key-1", "ES256")
	for name, form := range echoes {
		at := parrot(t, form, w.secret("what an answer says"))
		for how, auth := range authenticators(w, key) {
			c, err := introspection.New(introspection.Config{
				URL: at + "/introspect", Issuer: at, Auth: auth, Client: &http.Client{Transport: tracer{w, "introspection"}},
				Logger: w.logger("the log of introspection"), Timeout: 20 * time.Second,
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Introspect(t.Context(), w.secret("an opaque token"), true)
			w.failed(t, how+", answered with "+name, err)
		}
		for how, cfg := range map[string]introspection.Config{
			"discovery":      {Issuer: at, Auth: introspection.Basic("api", w.secret("a client secret"))},
			"signed answers": {Issuer: at, URL: at, Keys: tokentest.Keys{key}, Auth: introspection.Basic("api", w.secret("a client secret"))},
		} {
			cfg.Logger = w.logger("the log of introspection")
			c, err := introspection.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Introspect(t.Context(), w.secret("an opaque token"), true)
			w.failed(t, how+", answered with "+name, err)
		}
		for how, cfg := range map[string]jwks.Config{"jwks": {URL: at + "/jwks?key=" + w.secret("a URL's query")}, "jwks, discovery": {Issuer: at}} {
			cfg.Logger = w.logger("the log of jwks")
			c, err := jwks.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Keys(t.Context(), w.secret("the kid of a token"), "ES256")
			if err != nil || name != "JSON" { // which is a set without a usable key
				w.failed(t, how+", answered with "+name, err)
			}
			w.print(how+", Ready, answered with "+name, c.Ready())
			w.print(how+", Close", c.Close())
		}
	}
}

// authenticators are all ways to show who asks.
func authenticators(w *witness, key *tokentest.Key) map[string]introspection.Authenticator {
	return map[string]introspection.Authenticator{
		"Basic":         introspection.Basic("api", w.secret("a client secret")+` %"\é`),
		"Post":          introspection.Post("api", w.secret("a client secret")+` %"\é`),
		"SecretJWT":     introspection.SecretJWT("api", w.secret("an HMAC secret")+"0123456789"),
		"PrivateKeyJWT": introspection.PrivateKeyJWT("api", introspection.SigningKey{Signer: key.Private}),
		"Bearer":        introspection.Bearer("api", func(context.Context) (string, error) { return w.secret("a client's bearer token"), nil }),
	}
}

// fetchKeys reads key sets that hold more than they should.
func fetchKeys(t *testing.T, w *witness) {
	t.Helper()
	secret := w.secret("a key's private part")
	long := strings.Repeat(secret, 12)
	for name, keys := range map[string][]any{
		"private EC":  {map[string]any{"kty": "EC", "crv": "P-256", "x": long, "y": long, "d": secret, "kid": "key-1"}},
		"private RSA": {map[string]any{"kty": "RSA", "n": long, "e": "AQAB", "d": secret, "p": secret, "q": secret, "kid": "key-2"}},
		"oct":         {map[string]any{"kty": "oct", "k": secret, "kid": "key-3"}},
		"odd":         {map[string]any{"kty": secret, "use": secret, "alg": secret, "x5c": []string{secret}}, secret, 314159265358979323, nil},
		"OKP":         {map[string]any{"kty": "OKP", "crv": secret, "x": secret, "key_ops": []string{secret}}},
	} {
		document, err := json.Marshal(map[string]any{"keys": keys, secret: secret})
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "application/json")
			_, _ = rw.Write(document)
		}))
		t.Cleanup(server.Close)
		cfg := jwks.Config{URL: server.URL, Logger: w.logger("the log of jwks"), Client: &http.Client{Transport: tracer{w, "jwks"}}}
		c, err := jwks.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Keys(t.Context(), w.secret("the kid of a token"), "ES256")
		w.print("Keys of "+name, err)
		w.print("a Cache with "+name, c)
		w.print("Refresh of "+name, c.Refresh(t.Context()))
		_ = c.Close()
		_, err = c.Keys(t.Context(), w.secret("the kid of a token"), "ES256")
		w.failed(t, "Keys of a closed Cache", err)
	}
}

// introspect asks an issuer that answers, with caches that fail or hold what is none.
func introspect(t *testing.T, w *witness) {
	t.Helper()
	key := tokentest.NewKey(t, "key-1", "ES256")
	answer := `{"active":true,"sub":"` + w.secret("an answer's sub") + `","email":"` + w.secret("an answer's email") + `"}`
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		if req.Header.Get("X-Fail") != "" {
			rw.WriteHeader(http.StatusForbidden)
		}
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, answer)
	}))
	t.Cleanup(server.Close)
	for how, auth := range authenticators(w, key) {
		for _, cache := range []introspection.Cache{nil, shelf{err: errDown}, shelf{value: []byte(answer)}} {
			c, err := introspection.New(introspection.Config{
				URL: server.URL, Auth: auth, Cache: cache, Logger: w.logger("the log of introspection"),
				Client: &http.Client{Transport: tracer{w, "introspection"}},
			})
			if err != nil {
				t.Fatal(err)
			}
			token := w.secret("an opaque token")
			for _, fresh := range []bool{false, true} {
				if _, err := c.Introspect(t.Context(), token, fresh); err != nil {
					t.Errorf("%s: %v", how, err)
				}
			}
			w.print("a Client with "+how, c)
			gone, cancel := context.WithCancel(t.Context())
			cancel()
			_, err = c.Introspect(gone, w.secret("an opaque token"), true)
			w.failed(t, "Introspect without a caller", err)
		}
	}
	failing := introspection.AuthFunc("api", func(req *http.Request, _ url.Values) error {
		req.Header.Set("Authorization", w.secret("a credential"))
		req.Header.Set("X-Fail", "yes")
		return nil
	})
	for name, auth := range map[string]introspection.Authenticator{
		"refused": failing,
		"failing": introspection.Bearer("api", func(context.Context) (string, error) { return w.secret("a bearer token"), errors.New("no token today") }),
	} {
		c, err := introspection.New(introspection.Config{URL: server.URL, Auth: auth, Logger: w.logger("the log of introspection")})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Introspect(t.Context(), w.secret("an opaque token"), false)
		w.failed(t, "authentication "+name, err)
	}
}

// A shelf is a shared cache.
type shelf struct {
	value []byte
	err   error
}

func (s shelf) Get(context.Context, string) ([]byte, error)              { return s.value, s.err }
func (s shelf) Set(context.Context, string, []byte, time.Duration) error { return s.err }
