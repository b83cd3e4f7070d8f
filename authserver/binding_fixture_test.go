package authserver_test

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"log"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/tokentest"
)

// edits change claims; nil removes one.
type edits = map[string]any

func newDPoPKey(t testing.TB) *tokentest.Key {
	t.Helper()
	return tokentest.NewKey(t, "", "ES256")
}

// proof makes a good DPoP proof for the token endpoint, edited. It goes with no
// token, so that it has no ath.
func (i *issuer) proof(k *tokentest.Key, claims edits) string {
	i.t.Helper()
	all := edits{"ath": nil}
	maps.Copy(all, claims)
	return k.Proof(i.t, nil, tokentest.ProofClaims(i.clock.Now(), http.MethodPost, strings.TrimSuffix(i.url, "/")+"/token", "", all))
}

// ask asks for a token and shows DPoP proofs, one a header field.
func (i *issuer) ask(as login, proofs ...string) answer {
	i.t.Helper()
	req := i.request("/token", form("grant_type", "client_credentials").Encode())
	req.SetBasicAuth(as.id, as.secret)
	req.Header["Dpop"] = proofs
	return i.do(req)
}

// bound reads the cnf of an access token: from a JWT itself, of an opaque token
// by introspection.
func (i *issuer) bound(token string) any {
	i.t.Helper()
	if strings.Contains(token, ".") {
		_, payload := parts(i.t, token)
		return payload["cnf"]
	}
	return i.introspect(orders, token).object()["cnf"]
}

func withClient(edit func(*authserver.Client)) func(*authserver.Config) {
	return func(c *authserver.Config) { edit(&c.Clients[0]) }
}

// wantError demands an error response.
func wantError(t *testing.T, a answer, status int, code string) {
	t.Helper()
	if a.status != status || a.member("error") != code || a.member("access_token") != "" {
		t.Errorf("%d %s, want %d %s", a.status, a.body, status, code)
	}
	if code == "invalid_dpop_proof" && a.header.Get("Cache-Control") != "no-store" {
		t.Error("the error may be cached")
	}
}

// startTLS starts an issuer that asks for client certificates and verifies none,
// and whose shop has its tokens bound to one.
func startTLS(t *testing.T, edits ...func(*authserver.Config)) (*issuer, *httptest.Server) {
	t.Helper()
	ts := httptest.NewUnstartedServer(nil)
	ts.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	ts.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that fail
	i := &issuer{t: t, host: "https://" + ts.Listener.Addr().String(), clock: newClock(), log: &logBuffer{}}
	i.url = i.host
	cfg := authserver.Config{Issuer: i.url, Clients: clients(), Now: i.clock.Now, Logger: i.logger()}
	for _, edit := range append([]func(*authserver.Config){withClient(bindToCertificate)}, edits...) {
		edit(&cfg)
	}
	var err error
	if i.Server, err = authserver.New(cfg); err != nil {
		t.Fatal(err)
	}
	ts.Config.Handler = i
	ts.StartTLS()
	t.Cleanup(ts.Close)
	return i, ts
}

func bindToCertificate(c *authserver.Client) { c.TLSClientCertificateBoundAccessTokens = true }

// newCertificate makes a client's certificate, signed by itself, and its key.
func newCertificate(t testing.TB) *tls.Certificate {
	t.Helper()
	key := newDPoPKey(t).Private
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: crypto.PrivateKey(key), Leaf: leaf}
}

// clientOf returns a client that trusts ts and shows its own certificate, or none.
func clientOf(t testing.TB, ts *httptest.Server, own *tls.Certificate) *http.Client {
	t.Helper()
	cfg := &tls.Config{RootCAs: x509.NewCertPool()}
	cfg.RootCAs.AddCert(ts.Certificate())
	if own != nil {
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own, nil }
	}
	transport := &http.Transport{TLSClientConfig: cfg}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// x5t is the x5t#S256 of a certificate.
func x5t(c *tls.Certificate) string {
	sum := sha256.Sum256(c.Certificate[0])
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
