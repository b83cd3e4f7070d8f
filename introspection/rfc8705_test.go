package introspection_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermark/countermark/introspection"
)

func TestTLS_Section2_CertificateAndIdentifier(t *testing.T) {
	t.Parallel()
	var questions atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		questions.Add(1)
		if r.TLS == nil || len(r.TLS.PeerCertificates) != 1 || r.FormValue("client_id") != "orders-api" {
			t.Errorf("body %v", r.PostForm)
		}
		if _, sent := r.Header["Authorization"]; sent {
			t.Error("there is an Authorization header, too")
		}
		says(active)(w, r)
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS13}
	server.StartTLS()
	defer server.Close()
	client := server.Client()
	client.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{certificate(t)}
	c := newClient(t, introspection.Config{URL: server.URL, Auth: introspection.TLS("orders-api"), Client: client})
	if got := ask(t, c, token, false); got != active || questions.Load() != 1 {
		t.Errorf("%s after %d questions", got, questions.Load())
	}
}

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestTLS_Section5_AnEndpointOfItsOwn(t *testing.T) {
	t.Parallel()
	document := says(fmt.Sprintf(`{"issuer":%q,"introspection_endpoint":%q,"mtls_endpoint_aliases":{"introspection_endpoint":%q}}`,
		issuerURL, endpointURL, issuerURL+"/moved"))
	for name, row := range map[string]struct {
		document http.HandlerFunc
		auth     introspection.Authenticator
		want     string
	}{
		"TLS":                      {document, introspection.TLS("orders-api"), "/moved"},
		"TLS, no alias":            {endpointIs("/introspect"), introspection.TLS("orders-api"), "/introspect"},
		"not for whoever has none": {document, introspection.Basic("orders-api", secret), "/introspect"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				i := newIssuer()
				i.publish(row.document)
				i.set(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path != row.want {
						t.Errorf("asked at %s", r.URL.Path)
					}
					says(active)(w, r)
				})
				c, _ := inBubble(t, i, introspection.Config{Issuer: issuerURL, Auth: row.auth})
				expect(t, c, &i.endpoint, false, active, 1)
			})
		})
	}
}
