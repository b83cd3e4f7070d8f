package authserver_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/countermark/countermark/authserver"
)

// askBy asks for a token through a client, with DPoP proofs if there are any.
func (i *issuer) askBy(c *http.Client, as login, proofs ...string) answer {
	i.t.Helper()
	req := i.request("/token", "grant_type=client_credentials")
	req.SetBasicAuth(as.id, as.secret)
	req.Header["Dpop"] = proofs
	return i.doBy(c, req)
}

func TestRFC8705_3_ATokenIsBoundToTheClientCertificate(t *testing.T) {
	t.Parallel()
	for _, strategy := range []string{"jwt", "opaque"} {
		i, ts := startTLS(t, withClient(func(c *authserver.Client) { c.AccessTokenStrategy = strategy }))
		own, others := newCertificate(t), newCertificate(t)
		a := i.askBy(clientOf(t, ts, own), shop)
		if a.status != 200 || a.member("token_type") != "Bearer" {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if strategy == "jwt" { // section 3.1
			_, payload := parts(t, a.member("access_token"))
			if cnf, _ := payload["cnf"].(edits); len(cnf) != 1 || cnf["x5t#S256"] != x5t(own) {
				t.Errorf("bound to %v, want %s", payload["cnf"], x5t(own))
			}
		}
		req := i.request("/introspect", form("token", a.member("access_token")).Encode()) // section 3.2
		req.SetBasicAuth(orders.id, orders.secret)
		about := i.doBy(clientOf(t, ts, others), req).object()
		if cnf, _ := about["cnf"].(edits); about["active"] != true || about["token_type"] != "Bearer" || len(cnf) != 1 || cnf["x5t#S256"] != x5t(own) {
			t.Errorf("introspection: %v", about)
		}
		if again := i.askBy(clientOf(t, ts, others), shop); again.status != 200 {
			t.Errorf("another certificate: %d %s", again.status, again.body)
		}
	}
}

func TestRFC8705_3_4_WithoutItsCertificateTheClientGetsNoToken(t *testing.T) {
	t.Parallel()
	i, ts := startTLS(t)
	wantError(t, i.askBy(clientOf(t, ts, nil), shop), 400, "invalid_request")
	plain := start(t, "", withClient(bindToCertificate)) // without TLS
	wantError(t, plain.ask(shop), 400, "invalid_request")
}

// Who shows a certificate without its key is sent away by TLS itself, which is
// what the binding rests on.
func TestRFC8705_3_ACertificateWithoutItsKeyIsNone(t *testing.T) {
	t.Parallel()
	i, ts := startTLS(t)
	own, thief := newCertificate(t), newCertificate(t)
	stolen := &tls.Certificate{Certificate: own.Certificate, PrivateKey: thief.PrivateKey}
	req := i.request("/token", "grant_type=client_credentials")
	req.SetBasicAuth(shop.id, shop.secret)
	if resp, err := clientOf(t, ts, stolen).Do(req); err == nil {
		_ = resp.Body.Close()
		t.Errorf("%d with somebody else's certificate", resp.StatusCode)
	}
	// One's own in front, another's behind it: only the first one counts.
	chain := &tls.Certificate{Certificate: [][]byte{thief.Certificate[0], own.Certificate[0]}, PrivateKey: thief.PrivateKey}
	_, payload := parts(t, i.askBy(clientOf(t, ts, chain), shop).member("access_token"))
	if cnf, _ := payload["cnf"].(edits); cnf["x5t#S256"] != x5t(thief) {
		t.Errorf("bound to %v", payload["cnf"])
	}
}

// A client that did not register for it does not have its tokens bound by some
// certificate that its browser or proxy shows.
func TestRFC8705_3_4_OtherClientsAreNotBound(t *testing.T) {
	t.Parallel()
	i, ts := startTLS(t)
	c := clientOf(t, ts, newCertificate(t))
	req := i.request("/token", "grant_type=client_credentials")
	req.SetBasicAuth(kiosk.id, kiosk.secret)
	if a := i.doBy(c, req); a.status != 200 || a.member("token_type") != "Bearer" {
		t.Errorf("%d %s", a.status, a.body)
	}
	k := newDPoPKey(t)
	if a := i.askBy(c, kiosk, i.proof(k, nil)); a.status != 200 || a.member("token_type") != "DPoP" {
		t.Errorf("with a proof: %d %s", a.status, a.body)
	}
}

// A token is bound in one way, and the registration says in which.
func TestRFC8705_3_AndNotToADPoPKeyAsWell(t *testing.T) {
	t.Parallel()
	i, ts := startTLS(t)
	wantError(t, i.askBy(clientOf(t, ts, newCertificate(t)), shop, i.proof(newDPoPKey(t), nil)), 400, "invalid_request")
	wantError(t, i.askBy(clientOf(t, ts, nil), shop, i.proof(newDPoPKey(t), nil)), 400, "invalid_request")
	_, err := authserver.New(authserver.Config{Issuer: "https://issuer.example", Clients: []authserver.Client{{
		ClientID: "both", SecretHash: authserver.HashOf("x"), DPoPBoundAccessTokens: true, TLSClientCertificateBoundAccessTokens: true,
	}}})
	want := `authserver: Config.Clients[0] ("both"): dpop_bound_access_tokens, tls_client_certificate_bound_access_tokens: must not both be set`
	if err == nil || err.Error() != want {
		t.Error(err)
	}
}

// Behind a proxy that ends TLS, the certificate comes from where it puts it.
func TestClientCertificate_OfAProxy(t *testing.T) {
	t.Parallel()
	fromProxy := func(r *http.Request) *x509.Certificate {
		der, err := base64.StdEncoding.DecodeString(r.Header.Get("Client-Cert"))
		if err != nil {
			return nil
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil
		}
		return cert
	}
	i := start(t, "", withClient(bindToCertificate), func(c *authserver.Config) { c.ClientCertificate = fromProxy })
	own := newCertificate(t)
	req := i.request("/token", "grant_type=client_credentials")
	req.SetBasicAuth(shop.id, shop.secret)
	req.Header.Set("Client-Cert", base64.StdEncoding.EncodeToString(own.Certificate[0]))
	_, payload := parts(t, i.do(req).member("access_token"))
	if cnf, _ := payload["cnf"].(edits); cnf["x5t#S256"] != x5t(own) {
		t.Errorf("bound to %v", payload["cnf"])
	}
	wantError(t, i.ask(shop), 400, "invalid_request")

	// The hook alone counts then: the connection is the proxy's own.
	direct, ts := startTLS(t, func(c *authserver.Config) { c.ClientCertificate = fromProxy })
	wantError(t, direct.askBy(clientOf(t, ts, newCertificate(t)), shop), 400, "invalid_request")
}

func TestRFC8705_3_3_Metadata(t *testing.T) {
	t.Parallel()
	const member = "tls_client_certificate_bound_access_tokens"
	about := func(i *issuer, c *http.Client) map[string]any {
		req := httptest.NewRequest(http.MethodGet, i.url+"/.well-known/oauth-authorization-server", http.NoBody)
		req.RequestURI = ""
		return i.doBy(c, req).object()
	}
	i, ts := startTLS(t)
	if got := about(i, clientOf(t, ts, nil)); got[member] != true {
		t.Error(got)
	}
	hook := func(c *authserver.Config) { c.ClientCertificate = func(*http.Request) *x509.Certificate { return nil } }
	if got := about(start(t, "", hook), http.DefaultClient); got[member] != true {
		t.Error(got)
	}
	if got := about(start(t, ""), http.DefaultClient); got[member] != nil {
		t.Errorf("without TLS: %v", got)
	}
}
