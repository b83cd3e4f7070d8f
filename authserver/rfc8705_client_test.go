package authserver_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/countermark/countermark/authserver"
)

// An authority issues certificates; nil as a parent means a self-signed one.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func (a *authority) issue(t testing.TB, edit func(*x509.Certificate)) (*authority, tls.Certificate) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: "client", Organization: []string{"Example, Inc."}, Country: []string{"DE"}},
		NotBefore:    time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if edit != nil {
		edit(template)
	}
	parent, by := template, crypto.Signer(k)
	if a != nil {
		parent, by = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, k.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{c, k}, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k}
}

func isCA(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
}

// certified is a key set with a certificate in x5c.
func certified(t testing.TB, c tls.Certificate) json.RawMessage {
	t.Helper()
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	k, err := jwk.Import(leaf.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	x5c := base64.StdEncoding.EncodeToString(c.Certificate[0])
	return json.RawMessage(`{"keys":[` + strings.TrimSuffix(string(text), "}") + `,"x5c":["` + x5c + `"]}]}`)
}

// startMutual starts an issuer over TLS that asks for certificates in one way.
func startMutual(t testing.TB, how tls.ClientAuthType, ca *authority, registered ...authserver.Client) func(id string, c *tls.Certificate) answer {
	t.Helper()
	ts := httptest.NewUnstartedServer(nil)
	base := "https://" + ts.Listener.Addr().String()
	s, err := authserver.New(authserver.Config{Issuer: base, Clients: append(clients(), registered...), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ts.Config.Handler = s
	ts.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	ts.TLS = &tls.Config{ClientAuth: how, ClientCAs: x509.NewCertPool()}
	if ca != nil {
		ts.TLS.ClientCAs.AddCert(ca.cert)
	}
	ts.StartTLS()
	t.Cleanup(ts.Close)
	return func(id string, c *tls.Certificate) answer {
		config := ts.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		if c != nil {
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c, nil } // even if the server would not have it
		}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
		resp, err := client.Post(base+"/token", "application/x-www-form-urlencoded", strings.NewReader(form("client_id", id, "grant_type", grantCC).Encode()))
		if err != nil {
			return answer{status: 0, body: []byte(err.Error())}
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer{resp.StatusCode, resp.Header, body}
	}
}

func byCertificate(id, method string, edit func(*authserver.Client)) authserver.Client {
	c := authserver.Client{ClientID: id, TokenEndpointAuthMethod: method, GrantTypes: []string{grantCC}, Audience: []string{ordersAPI}}
	edit(&c)
	return c
}

func TestRFC8705_Section2_1_PKI(t *testing.T) {
	t.Parallel()
	root, _ := (*authority)(nil).issue(t, isCA)
	_, right := root.issue(t, func(c *x509.Certificate) {
		c.DNSNames = []string{"other.example", "App.example"}
		c.URIs = []*url.URL{{Scheme: "spiffe", Host: "example", Path: "/app"}}
		c.IPAddresses = []net.IP{net.ParseIP("192.0.2.1").To4(), net.ParseIP("2001:db8::1")}
		c.EmailAddresses = []string{"app@example.com"}
	})
	_, wrong := root.issue(t, func(c *x509.Certificate) { c.Subject.CommonName = "client,O=Example\\, Inc." })
	_, forServers := root.issue(t, func(c *x509.Certificate) {
		c.ExtKeyUsage, c.DNSNames = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, []string{"app.example"}
	})
	foreign, _ := (*authority)(nil).issue(t, isCA)
	_, forged := foreign.issue(t, func(c *x509.Certificate) { c.DNSNames = []string{"app.example"} })

	names := map[string]func(*authserver.Client){
		"dn":     func(c *authserver.Client) { c.TLSClientAuthSubjectDN = `CN=client,O=Example\, Inc.,C=DE` },
		"dns":    func(c *authserver.Client) { c.TLSClientAuthSANDNS = "app.example" },
		"uri":    func(c *authserver.Client) { c.TLSClientAuthSANURI = "spiffe://example/app" },
		"ip":     func(c *authserver.Client) { c.TLSClientAuthSANIP = "192.0.2.1" },
		"ip6":    func(c *authserver.Client) { c.TLSClientAuthSANIP = "2001:DB8:0::1" },
		"email":  func(c *authserver.Client) { c.TLSClientAuthSANEmail = "app@example.com" },
		"dn2":    func(c *authserver.Client) { c.TLSClientAuthSubjectDN = `C=DE,O=Example\, Inc.,CN=client` }, // in another order
		"dn3":    func(c *authserver.Client) { c.TLSClientAuthSubjectDN = "CN=client" },
		"dns2":   func(c *authserver.Client) { c.TLSClientAuthSANDNS = "example" },
		"uri2":   func(c *authserver.Client) { c.TLSClientAuthSANURI = "spiffe://example/app/" },
		"ip2":    func(c *authserver.Client) { c.TLSClientAuthSANIP = "192.0.2.2" },
		"email2": func(c *authserver.Client) { c.TLSClientAuthSANEmail = "APP@example.com" },
	}
	var registered []authserver.Client
	for id, edit := range names {
		registered = append(registered, byCertificate(id, "tls_client_auth", edit))
	}
	ask := startMutual(t, tls.VerifyClientCertIfGiven, root, registered...)
	for id := range names {
		want := 200
		if strings.HasSuffix(id, "2") || strings.HasSuffix(id, "3") {
			want = 401
		}
		if a := ask(id, &right); a.status != want {
			t.Errorf("%s: %d %s", id, a.status, a.body)
		}
		if a := ask(id, &wrong); a.outcome() != "401 invalid_client" {
			t.Errorf("%s with another's certificate: %d %s", id, a.status, a.body)
		}
		if a := ask(id, nil); a.outcome() != "401 invalid_client" {
			t.Errorf("%s without a certificate: %d %s", id, a.status, a.body)
		}
	}
	for name, c := range map[string]tls.Certificate{"of another authority": forged, "for servers": forServers} {
		if a := ask("dns", &c); a.status == 200 {
			t.Errorf("a certificate %s: %d %s", name, a.status, a.body)
		}
	}
	if a := ask(shop.id, &right); a.outcome() != "401 invalid_client" {
		t.Errorf("a client of another method: %d %s", a.status, a.body)
	}

	// A TLS server that asks for certificates and verifies none proves nothing.
	lax := startMutual(t, tls.RequestClientCert, root, registered...)
	for name, c := range map[string]tls.Certificate{"right": right, "forged": forged} {
		if a := lax("dns", &c); a.outcome() != "401 invalid_client" {
			t.Errorf("%s, not verified: %d %s", name, a.status, a.body)
		}
	}
}

func TestRFC8705_Section2_2_SelfSigned(t *testing.T) {
	t.Parallel()
	var none *authority
	_, right := none.issue(t, nil)
	_, other := none.issue(t, nil)
	_, expired := none.issue(t, func(c *x509.Certificate) { c.NotAfter = time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC) })
	host := startKeyHost(t, certified(t, right))
	selfSigned := func(id string, set json.RawMessage, uri string) authserver.Client {
		return byCertificate(id, "self_signed_tls_client_auth", func(c *authserver.Client) { c.JWKS, c.JWKSURI = set, uri })
	}
	ask := startMutual(t, tls.RequestClientCert, nil,
		selfSigned("app", certified(t, right), ""), selfSigned("old", certified(t, expired), ""), selfSigned("remote", nil, host.URL),
		byCertificate("pki", "tls_client_auth", func(c *authserver.Client) { c.TLSClientAuthSubjectDN = `CN=client,O=Example\, Inc.,C=DE` }),
	)
	for _, c := range []struct {
		id     string
		cert   *tls.Certificate
		status int
	}{
		{"app", &right, 200}, {"app", &other, 401}, {"app", nil, 401}, {"app", &expired, 401},
		{"old", &expired, 401}, {"old", &right, 401},
		{"remote", &right, 200}, {"remote", &other, 401},
		{"pki", &right, 401}, // whoever writes the name on a certificate
	} {
		if a := ask(c.id, c.cert); a.status != c.status {
			t.Errorf("%s: %d %s, want %d", c.id, a.status, a.body, c.status)
		}
	}
}

func TestRFC8705_Section4_WhatIsAdvertised(t *testing.T) {
	t.Parallel()
	var none *authority
	_, c := none.issue(t, nil)
	for _, method := range []string{"tls_client_auth", "self_signed_tls_client_auth"} {
		i := start(t, "", func(cfg *authserver.Config) {
			cfg.Clients = append(cfg.Clients, byCertificate("app", method, func(client *authserver.Client) {
				client.JWKS = certified(t, c)
				if method == "tls_client_auth" {
					client.TLSClientAuthSANDNS = "app.example"
				}
			}))
		})
		about := i.get(i.url + "/.well-known/oauth-authorization-server").object()
		for _, member := range []string{"token", "introspection", "revocation"} {
			list := about[member+"_endpoint_auth_methods_supported"].([]any)
			for _, m := range []string{"tls_client_auth", "self_signed_tls_client_auth"} {
				if slices.Contains(list, any(m)) != (m == method) {
					t.Errorf("%s: %v with a client of %s", member, list, method)
				}
			}
		}
	}
}

// Over plain HTTP no certificate can be shown, whatever a header says.
func TestRFC8705_Section2_OverTLSAlone(t *testing.T) {
	t.Parallel()
	var none *authority
	_, c := none.issue(t, nil)
	i := start(t, "", func(cfg *authserver.Config) {
		cfg.Clients = append(cfg.Clients, byCertificate("app", "self_signed_tls_client_auth", func(client *authserver.Client) { client.JWKS = certified(t, c) }))
	})
	req := i.request("/token", form("client_id", "app", "grant_type", grantCC).Encode())
	for _, name := range []string{"X-Forwarded-Client-Cert", "X-SSL-Client-Cert", "Client-Cert", "SSL-Client-Cert"} {
		req.Header.Set(name, ":"+base64.StdEncoding.EncodeToString(c.Certificate[0])+":")
	}
	if a := i.do(req); a.outcome() != "401 invalid_client" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// Of a certificate that a proxy passes on nobody here knows who signed it: it
// tells a client by the certificate itself, and by no name that is in it, however
// well the proxy's own was verified.
func TestRFC8705_Section2_BehindAProxy(t *testing.T) {
	t.Parallel()
	leaf := func(c tls.Certificate) *x509.Certificate {
		parsed, err := x509.ParseCertificate(c.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	var none *authority
	named := func(c *x509.Certificate) { c.DNSNames = []string{"app.example"} }
	_, right := none.issue(t, named)
	_, other := none.issue(t, named)
	_, own := none.issue(t, nil)
	proxy := leaf(own)
	shown := leaf(right)
	s, err := authserver.New(authserver.Config{
		Issuer: "https://issuer.example", Logger: slog.New(slog.DiscardHandler),
		ClientCertificate: func(*http.Request) *x509.Certificate { return shown },
		Clients: []authserver.Client{
			byCertificate("self", "self_signed_tls_client_auth", func(c *authserver.Client) { c.JWKS = certified(t, right) }),
			byCertificate("pki", "tls_client_auth", func(c *authserver.Client) { c.TLSClientAuthSANDNS = "app.example" }),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		id     string
		shown  *x509.Certificate
		status int
	}{{"self", leaf(right), 200}, {"self", leaf(other), 401}, {"self", nil, 401}, {"pki", leaf(right), 401}, {"pki", nil, 401}} {
		shown = c.shown
		req := httptest.NewRequest(http.MethodPost, "https://issuer.example/token", strings.NewReader(form("client_id", c.id, "grant_type", grantCC).Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{proxy}, VerifiedChains: [][]*x509.Certificate{{proxy}}}
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, req); w.Code != c.status {
			t.Errorf("%s: %d %s, want %d", c.id, w.Code, w.Body, c.status)
		}
	}
}
