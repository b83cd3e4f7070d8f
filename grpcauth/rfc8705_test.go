package grpcauth_test

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/tokentest"
)

// A certificate signed itself: RFC 8705 section 2.2.
type certificate struct{ tls.Certificate }

func newCertificate(tb testing.TB) certificate {
	tb.Helper()
	key := tokentest.NewKey(tb, "", "ES256").Private
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return certificate{tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}}
}

// server has a server show c, and ask clients for theirs.
func (c certificate) server() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{c.Certificate}, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS13,
	}))}
}

// client has a client expect c of the server, and show its own, or none.
func (c certificate) client(own *certificate) []grpc.DialOption {
	cfg := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS13}
	cfg.RootCAs.AddCert(c.Leaf)
	if own != nil {
		cfg.Certificates = []tls.Certificate{own.Certificate}
	}
	return []grpc.DialOption{grpc.WithTransportCredentials(credentials.NewTLS(cfg))}
}

// thumbprint is the x5t#S256 of section 3.1.
func (c certificate) thumbprint() string {
	sum := sha256.Sum256(c.Certificate.Certificate[0])
	return jose.Encode(sum[:])
}

func TestRFC8705_Section3_ABoundTokenNeedsItsCertificate(t *testing.T) {
	t.Parallel()
	server, own, others := newCertificate(t), newCertificate(t), newCertificate(t)
	toOwn := map[string]any{"cnf": map[string]any{"x5t#S256": own.thumbprint()}}
	for name, row := range map[string]struct {
		rig    rig
		claims map[string]any
		ok     bool
	}{
		"its own":                {rig{server: server.server(), client: server.client(&own)}, toOwn, true},
		"another":                {rig{server: server.server(), client: server.client(&others)}, toOwn, false},
		"none":                   {rig{server: server.server(), client: server.client(nil)}, toOwn, false},
		"no TLS":                 {rig{}, toOwn, false},
		"not bound, with one":    {rig{server: server.server(), client: server.client(&own)}, nil, true},
		"not bound, without one": {rig{server: server.server(), client: server.client(nil)}, nil, true},
	} {
		for way, call := range doors {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				s := serve(t, newValidator(t, nil), everything, row.rig)
				a := call(t, s, bearer(t, row.claims)...)
				if row.ok {
					s.wantAccepted(t, a, "hello user-1")
					return
				}
				const notShown = "bound to a key that was not shown"
				s.wantRefused(t, a, codes.Unauthenticated, "INVALID_TOKEN", notShown,
					`Bearer realm="api", error="invalid_token", error_description="`+notShown+`"`)
			})
		}
	}
}
