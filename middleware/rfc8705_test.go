package middleware_test

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/middleware"
)

const certificateBinding = `Bearer realm="api", error="invalid_token", error_description="bound to a key that was not shown"`

// newCertificate makes a client's certificate and its key. It is signed by issuer;
// with nil, by itself, and may then sign others.
func newCertificate(tb testing.TB, issuer *tls.Certificate) *tls.Certificate {
	tb.Helper()
	key := tokentest.NewKey(tb, "", "ES256").Private
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true, IsCA: issuer == nil,
	}
	parent, signer := template, crypto.PrivateKey(key)
	if issuer != nil {
		parent, signer = issuer.Leaf, issuer.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		tb.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// boundTo mints a token that is good with this certificate alone (section 3.1).
func boundTo(tb testing.TB, c *tls.Certificate) string {
	tb.Helper()
	sum := sha256.Sum256(c.Certificate[0])
	return token(tb, map[string]any{"cnf": map[string]any{"x5t#S256": jose.Encode(sum[:])}})
}

// serveTLS starts an api that treats the certificates of clients as auth says;
// those that authority signed are verified, if any are.
func serveTLS(tb testing.TB, auth tls.ClientAuthType, authority *tls.Certificate) *api {
	tb.Helper()
	s := new(api)
	g := middleware.New(newValidator(tb, nil), nil)
	s.Server = httptest.NewUnstartedServer(g.Require("orders:read")(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		s.handled.Add(1)
		_, _ = io.WriteString(w, greeting(req.Context()))
	})))
	s.TLS = &tls.Config{ClientAuth: auth, ClientCAs: x509.NewCertPool()}
	if authority != nil {
		s.TLS.ClientCAs.AddCert(authority.Leaf)
	}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes fail on purpose
	s.StartTLS()
	tb.Cleanup(s.Close)
	return s
}

// clientOf returns a client that trusts s and shows its own certificate, or none.
func clientOf(tb testing.TB, s *api, own *tls.Certificate) *http.Client {
	tb.Helper()
	cfg := &tls.Config{RootCAs: x509.NewCertPool()}
	cfg.RootCAs.AddCert(s.Certificate())
	if own != nil {
		// Whatever authorities the server names: an attacker would not care either.
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own, nil }
	}
	transport := &http.Transport{TLSClientConfig: cfg}
	tb.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

// get sends a request with a bearer token, and with more header fields.
func get(tb testing.TB, c *http.Client, s *api, token string, fields map[string]string) (answer, error) {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, s.URL+"/orders", http.NoBody)
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	for name, value := range fields {
		req.Header.Set(name, value)
	}
	resp, err := c.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{status: resp.StatusCode, header: resp.Header, body: string(body)}, err
}

func TestRFC8705_Section3_ABoundTokenNeedsItsCertificate(t *testing.T) {
	t.Parallel()
	authority := newCertificate(t, nil)
	own, others := newCertificate(t, authority), newCertificate(t, authority)
	borrowed := &tls.Certificate{Certificate: [][]byte{others.Certificate[0], own.Certificate[0]}, PrivateKey: others.PrivateKey}
	chain := &tls.Certificate{Certificate: [][]byte{own.Certificate[0], authority.Certificate[0]}, PrivateKey: own.PrivateKey}
	for name, row := range map[string]struct {
		token string
		shown *tls.Certificate
		ok    bool
	}{
		"its own":                       {boundTo(t, own), own, true},
		"its own, and the authority's":  {boundTo(t, own), chain, true},
		"another of the same authority": {boundTo(t, own), others, false},
		"none":                          {boundTo(t, own), nil, false},
		"bound to the authority's":      {boundTo(t, authority), chain, false},
		"its own, behind another":       {boundTo(t, own), borrowed, false},
		"a plain token, with one":       {token(t, nil), own, true},
		"a plain token, without one":    {token(t, nil), nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serveTLS(t, tls.VerifyClientCertIfGiven, authority)
			a, err := get(t, clientOf(t, s, row.shown), s, row.token, nil)
			switch {
			case err != nil:
				t.Fatal(err)
			case row.ok:
				s.wantAccepted(t, a)
			default:
				s.wantRefused(t, a, 401, certificateBinding)
			}
		})
	}
}

// Section 6.2: it is the token that says which certificate is right, so nobody else
// has to vouch for it. All that TLS must do is to see the key.
func TestRFC8705_Section6_2_ACertificateThatNobodySigned(t *testing.T) {
	t.Parallel()
	own, others := newCertificate(t, nil), newCertificate(t, nil)
	for _, auth := range []tls.ClientAuthType{tls.RequestClientCert, tls.RequireAnyClientCert} {
		t.Run(auth.String(), func(t *testing.T) {
			t.Parallel()
			s := serveTLS(t, auth, nil)
			a, err := get(t, clientOf(t, s, others), s, boundTo(t, own), nil)
			if err != nil {
				t.Fatal(err)
			}
			s.wantRefused(t, a, 401, certificateBinding)
			if a, err = get(t, clientOf(t, s, own), s, boundTo(t, own), nil); err != nil {
				t.Fatal(err)
			}
			s.wantAccepted(t, a)
		})
	}
}

// Section 3: what counts is the key. Certificates are no secret, and whoever has
// the token may well have the certificate.
func TestRFC8705_Section3_ACertificateWithoutItsKey(t *testing.T) {
	t.Parallel()
	own := newCertificate(t, nil)
	copied := &tls.Certificate{Certificate: own.Certificate, PrivateKey: newCertificate(t, nil).PrivateKey}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		s := serveTLS(t, tls.RequestClientCert, nil)
		c := clientOf(t, s, copied)
		c.Transport.(*http.Transport).TLSClientConfig.MaxVersion = version
		if a, err := get(t, c, s, boundTo(t, own), nil); err == nil {
			t.Errorf("%s: the handshake went well, and the answer was %d", tls.VersionName(version), a.status)
		}
		if n := s.handled.Load(); n != 0 {
			t.Errorf("%s: the handler was called %d times", tls.VersionName(version), n)
		}
	}
}

// A session that is taken up again keeps the certificate of its first handshake.
func TestRFC8705_Section3_AResumedSession(t *testing.T) {
	t.Parallel()
	own, others := newCertificate(t, nil), newCertificate(t, nil)
	s := serveTLS(t, tls.RequestClientCert, nil)
	c := clientOf(t, s, own)
	transport := c.Transport.(*http.Transport)
	transport.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	transport.DisableKeepAlives = true
	var resumed bool
	transport.TLSClientConfig.VerifyConnection = func(state tls.ConnectionState) error {
		resumed = state.DidResume
		return nil
	}
	for _, again := range []bool{false, true} {
		s.handled.Store(0)
		a, err := get(t, c, s, boundTo(t, own), nil)
		if err != nil {
			t.Fatal(err)
		}
		s.wantAccepted(t, a)
		if resumed != again {
			t.Fatalf("resumed: %t, want %t", resumed, again)
		}
	}
	s.handled.Store(0)
	a, err := get(t, c, s, boundTo(t, others), nil)
	if err != nil {
		t.Fatal(err)
	}
	s.wantRefused(t, a, 401, certificateBinding)
}

func TestRFC8705_Section3_ABoundTokenWithoutTLS(t *testing.T) {
	t.Parallel()
	s := serve(t, newValidator(t, nil), require("orders:read"))
	s.wantRefused(t, s.send(t, "GET /orders", "Authorization: Bearer "+boundTo(t, newCertificate(t, nil))), 401, certificateBinding)
}

// Section 6.5: what a proxy would say of a certificate, anybody can say.
func TestRFC8705_Section6_5_NoHeaderIsACertificate(t *testing.T) {
	t.Parallel()
	own, others := newCertificate(t, nil), newCertificate(t, nil)
	bound := boundTo(t, own)
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: own.Certificate[0]}))
	escaped, list := url.QueryEscape(text), ":"+base64.StdEncoding.EncodeToString(own.Certificate[0])+":"
	fields := map[string]string{
		"X-Forwarded-Client-Cert":     fmt.Sprintf(`Hash=%x;Cert="%s"`, sha256.Sum256(own.Certificate[0]), escaped), // Envoy
		"Client-Cert":                 list,                                                                         // RFC 9440
		"Client-Cert-Chain":           list,
		"X-Client-Cert":               escaped,
		"X-Forwarded-Tls-Client-Cert": list[1 : len(list)-1],
		"X-SSL-Client-Cert":           escaped,
		"SSL-Client-Cert":             escaped,
		"SSL_CLIENT_CERT":             escaped,
		"X-SSL-Client-Verify":         "SUCCESS",
	}
	for name, shown := range map[string]*tls.Certificate{"none": nil, "another": others} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serveTLS(t, tls.RequestClientCert, nil)
			a, err := get(t, clientOf(t, s, shown), s, bound, fields)
			if err != nil {
				t.Fatal(err)
			}
			s.wantRefused(t, a, 401, certificateBinding)
		})
	}
	t.Run("without TLS", func(t *testing.T) {
		t.Parallel()
		s := serve(t, newValidator(t, nil), require("orders:read"))
		lines := []string{"GET /orders", "Authorization: Bearer " + bound}
		for name, value := range fields {
			lines = append(lines, name+": "+value)
		}
		s.wantRefused(t, s.send(t, lines...), 401, certificateBinding)
	})
}
