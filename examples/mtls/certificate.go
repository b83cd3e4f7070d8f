package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"time"
)

// A cast is everybody in the example, by certificate.
type cast struct{ app, thief, issuer, api tls.Certificate }

func newCast() (*cast, error) {
	c := &cast{}
	for name, certificate := range map[string]*tls.Certificate{"app": &c.app, "thief": &c.thief, "issuer": &c.issuer, "bank": &c.api} {
		var err error
		if *certificate, err = newCertificate(name); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// client trusts the issuer and the API, and shows a certificate of its own, if it
// has one.
func (c *cast) client(own ...tls.Certificate) *http.Client {
	trusted := x509.NewCertPool()
	trusted.AddCert(c.issuer.Leaf)
	trusted.AddCert(c.api.Leaf)
	return &http.Client{
		Timeout: 5 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{
			Certificates: own,
			RootCAs:      trusted,
			MinVersion:   tls.VersionTLS12,
		}},
	}
}

// newCertificate makes a certificate that signed itself, for an hour on loopback.
func newCertificate(name string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: name},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().Add(time.Hour),
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}
