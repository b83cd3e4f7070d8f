package countermark_test

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/introspection"
	"github.com/countermark/countermark/jwks"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

// A fort is an issuer and an API that trusts it, both behind TLS and both asking
// for client certificates and DPoP nonces.
type fort struct {
	issuer, api *httptest.Server
	roots       *x509.CertPool
}

func newFort(t *testing.T) *fort {
	t.Helper()
	f := &fort{issuer: httptest.NewUnstartedServer(nil), api: httptest.NewUnstartedServer(nil), roots: x509.NewCertPool()}
	client := func(id, strategy string) authserver.Client {
		return authserver.Client{
			ClientID: id, SecretHash: authserver.HashOf(e2eSecret), GrantTypes: []string{"client_credentials"}, Scope: "orders:read",
			Audience: []string{e2eAPI}, AccessTokenStrategy: strategy, TLSClientCertificateBoundAccessTokens: strings.HasPrefix(id, "tls"),
			DPoPBoundAccessTokens: strings.HasPrefix(id, "dpop"),
		}
	}
	clients := []authserver.Client{
		client("dpop-jwt", "jwt"), client("dpop-opaque", "opaque"), client("tls-jwt", "jwt"), client("tls-opaque", "opaque"),
		{ClientID: "api", SecretHash: authserver.HashOf(e2eSecret), Audience: []string{e2eAPI}},
	}
	issuer := "https://" + f.issuer.Listener.Addr().String()
	srv, err := authserver.New(authserver.Config{
		Issuer: issuer, Clients: clients, DPoPNonceKey: bytes.Repeat([]byte("i"), 32), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	f.serve(t, f.issuer, srv)

	own := f.client(t, nil)
	keys, err := jwks.New(jwks.Config{Issuer: issuer, Client: own, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	asking, err := introspection.New(introspection.Config{Issuer: issuer, Auth: introspection.Basic("api", e2eSecret), Client: own})
	if err != nil {
		t.Fatal(err)
	}
	v, err := validator.New(validator.Config{
		Issuer: issuer, Audiences: []string{e2eAPI}, Keys: keys, Introspector: asking, RequireBinding: true, NonceKey: bytes.Repeat([]byte("a"), 32),
	})
	if err != nil {
		t.Fatal(err)
	}
	guard := middleware.New(v, nil)
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	mux := http.NewServeMux()
	mux.Handle("GET /orders", guard.Require("orders:read")(ok))
	mux.Handle("POST /payments", guard.RequireWith(validator.Requirement{Fresh: true})(ok))
	f.serve(t, f.api, mux)
	return f
}

func (f *fort) serve(t *testing.T, ts *httptest.Server, h http.Handler) {
	t.Helper()
	ts.Config.Handler = h
	ts.Config.ErrorLog = log.New(io.Discard, "", 0)
	ts.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	ts.StartTLS()
	t.Cleanup(ts.Close)
	f.roots.AddCert(ts.Certificate())
}

// client returns a client with a certificate, or none.
func (f *fort) client(t *testing.T, own *tls.Certificate) *http.Client {
	t.Helper()
	cfg := &tls.Config{RootCAs: f.roots}
	if own != nil {
		cfg.Certificates = []tls.Certificate{*own}
	}
	transport := &http.Transport{TLSClientConfig: cfg}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// A caller is a client of the issuer and the API. With a key, it shows proofs.
type caller struct {
	fort *fort
	http *http.Client
	key  *tokentest.Key
}

// send sends a request with a proof for it, and once more if it is asked for a
// nonce.
func (c *caller) send(t *testing.T, method, target, authorization, token string, form url.Values) (status int, answer map[string]any) {
	t.Helper()
	for nonce := any(nil); ; {
		req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Authorization", authorization)
		if c.key != nil {
			claims := map[string]any{"nonce": nonce}
			if token == "" {
				claims["ath"] = nil
			}
			req.Header.Set("DPoP", c.key.Proof(t, nil, tokentest.ProofClaims(time.Now(), method, target, token, claims)))
		}
		resp, err := c.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		answer = nil
		_ = json.NewDecoder(resp.Body).Decode(&answer)
		_ = resp.Body.Close()
		if asked := resp.Header.Get("DPoP-Nonce"); resp.StatusCode < 400 || asked == "" || nonce != nil {
			return resp.StatusCode, answer
		}
		nonce = resp.Header.Get("DPoP-Nonce")
	}
}

func (c *caller) token(t *testing.T, id string) (token, scheme string) {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}}
	status, answer := c.send(t, http.MethodPost, c.fort.issuer.URL+"/token", basic(id), "", form)
	token, _ = answer["access_token"].(string)
	if scheme, _ = answer["token_type"].(string); status != http.StatusOK || token == "" {
		t.Fatalf("no token: %d %v", status, answer)
	}
	return token, scheme
}

func (c *caller) revoke(t *testing.T, id, token string) {
	t.Helper()
	plain := &caller{fort: c.fort, http: c.http}
	if status, answer := plain.send(t, http.MethodPost, c.fort.issuer.URL+"/revoke", basic(id), "", url.Values{"token": {token}}); status != http.StatusOK {
		t.Fatalf("not revoked: %d %v", status, answer)
	}
}

func (c *caller) call(t *testing.T, method, path, scheme, token string) int {
	t.Helper()
	status, _ := c.send(t, method, c.fort.api.URL+path, scheme+" "+token, token, nil)
	return status
}

func basic(id string) string {
	req := &http.Request{Header: http.Header{}}
	req.SetBasicAuth(id, e2eSecret)
	return req.Header.Get("Authorization")
}

func TestE2E_ATokenBoundToADPoPKey(t *testing.T) {
	t.Parallel()
	f := newFort(t)
	for _, id := range []string{"dpop-jwt", "dpop-opaque"} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			holder := &caller{f, f.client(t, nil), tokentest.NewKey(t, "", "ES256")}
			thief := &caller{f, holder.http, tokentest.NewKey(t, "", "ES256")}
			careless := &caller{f, holder.http, nil}
			token, scheme := holder.token(t, id)
			if scheme != "DPoP" {
				t.Errorf("token_type %s", scheme)
			}
			for name, row := range map[string]struct {
				by     *caller
				scheme string
				want   int
			}{
				"with a proof":                {holder, "DPoP", 200},
				"as Bearer":                   {careless, "Bearer", 401},
				"as Bearer, with a proof":     {holder, "Bearer", 401},
				"without a proof":             {careless, "DPoP", 401},
				"with a proof of the thief":   {thief, "DPoP", 401},
				"once more, by another proof": {holder, "DPoP", 200},
			} {
				if got := row.by.call(t, http.MethodGet, "/orders", row.scheme, token); got != row.want {
					t.Errorf("%s: %d, want %d", name, got, row.want)
				}
			}
			if got := holder.call(t, http.MethodPost, "/payments", scheme, token); got != http.StatusOK {
				t.Errorf("%d before the revocation", got)
			}
			holder.revoke(t, id, token)
			if got := holder.call(t, http.MethodPost, "/payments", scheme, token); got != http.StatusUnauthorized {
				t.Errorf("%d after the revocation", got)
			}
		})
	}
}

func TestE2E_ATokenBoundToAClientCertificate(t *testing.T) {
	t.Parallel()
	f := newFort(t)
	for _, id := range []string{"tls-jwt", "tls-opaque"} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			holder := &caller{f, f.client(t, certificate(t)), nil}
			thief := &caller{f, f.client(t, certificate(t)), nil}
			careless := &caller{f, f.client(t, nil), nil}
			token, scheme := holder.token(t, id)
			if scheme != "Bearer" {
				t.Errorf("token_type %s", scheme)
			}
			for name, row := range map[string]struct {
				by   *caller
				want int
			}{"its certificate": {holder, 200}, "another": {thief, 401}, "none": {careless, 401}} {
				if got := row.by.call(t, http.MethodGet, "/orders", "Bearer", token); got != row.want {
					t.Errorf("%s: %d, want %d", name, got, row.want)
				}
			}
			prover := &caller{f, holder.http, tokentest.NewKey(t, "", "ES256")}
			if got := prover.call(t, http.MethodGet, "/orders", "DPoP", token); got != http.StatusUnauthorized {
				t.Errorf("as DPoP: %d", got)
			}
			holder.revoke(t, id, token)
			if got := holder.call(t, http.MethodPost, "/payments", "Bearer", token); got != http.StatusUnauthorized {
				t.Errorf("%d after the revocation", got)
			}
		})
	}
}

// certificate makes a client's certificate, signed by itself.
func certificate(t *testing.T) *tls.Certificate {
	t.Helper()
	key := tokentest.NewKey(t, "", "ES256").Private
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
