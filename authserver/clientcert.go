package authserver

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/countermark/countermark/internal/jwkset"
)

var (
	errCertificate = errors.New("no client certificate, or not that of the client")
	errUnverified  = errors.New("the TLS server did not verify the client certificate")
)

// certificateNames are the metadata of RFC 8705 section 2.1.2: the one name by
// which a certificate is known as the client's.
func (c *Client) certificateNames() map[string]string {
	return map[string]string{
		"tls_client_auth_subject_dn": c.TLSClientAuthSubjectDN,
		"tls_client_auth_san_dns":    c.TLSClientAuthSANDNS,
		"tls_client_auth_san_uri":    c.TLSClientAuthSANURI,
		"tls_client_auth_san_ip":     c.TLSClientAuthSANIP,
		"tls_client_auth_san_email":  c.TLSClientAuthSANEmail,
	}
}

// checkCertificate wants exactly one name of a client of tls_client_auth, and
// none of any other.
func (c *client) checkCertificate() error {
	var given []string
	for field, name := range c.certificateNames() {
		if name != "" {
			given = append(given, field)
		}
	}
	switch {
	case c.TokenEndpointAuthMethod != tlsPKI && len(given) > 0:
		return fmt.Errorf("%s: is for clients of %s", given[0], tlsPKI)
	case c.TokenEndpointAuthMethod == tlsPKI && len(given) != 1:
		return errors.New("tls_client_auth_subject_dn: it or one tls_client_auth_san member is required, and no more (RFC 8705 section 2.1.2)")
	}
	if c.TLSClientAuthSANIP != "" && net.ParseIP(c.TLSClientAuthSANIP) == nil {
		return errors.New("tls_client_auth_san_ip: not an IP address")
	}
	return nil
}

// byCertificate returns nil if the certificate that came with a request proves
// that c sent it (RFC 8705 section 2).
func (s *Server) byCertificate(r *http.Request, c *Client) error {
	refused := failed(invalidClient, authRequired, errCertificate)
	leaf := s.certificate(r)
	if leaf == nil {
		return refused
	}
	if c.TokenEndpointAuthMethod == tlsPKI {
		switch {
		case !verified(r, leaf):
			return failed(invalidClient, authRequired, errUnverified)
		case !c.named(leaf):
			return refused
		default:
			return nil
		}
	}
	now := s.now()
	if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		return refused
	}
	registered := func(l keyList) bool {
		return slices.ContainsFunc(l, func(k *jwkset.Key) bool { return bytes.Equal(k.Certificate, leaf.Raw) })
	}
	keys, err := s.clientKeys(r.Context(), c, authRequired, registered)
	if err != nil {
		return err
	}
	if !registered(keys) { // section 2.2
		return refused
	}
	return nil
}

// verified reports whether the TLS connection of a request vouches for leaf (RFC
// 8705 section 2.1): otherwise anybody could write a name into a certificate. Of
// one that a proxy passed on nothing here can tell, and the connection's own is
// then the proxy's.
func verified(r *http.Request, leaf *x509.Certificate) bool {
	return r.TLS != nil && len(r.TLS.VerifiedChains) > 0 && r.TLS.VerifiedChains[0][0].Equal(leaf)
}

// named reports whether a certificate has the name that the client registered.
func (c *Client) named(leaf *x509.Certificate) bool {
	switch {
	case c.TLSClientAuthSubjectDN != "":
		// The names in the order and of the types that the certificate has, which
		// pkix.Name does not keep.
		var subject pkix.RDNSequence
		rest, err := asn1.Unmarshal(leaf.RawSubject, &subject)
		return err == nil && len(rest) == 0 && subject.String() == c.TLSClientAuthSubjectDN
	case c.TLSClientAuthSANDNS != "":
		return slices.ContainsFunc(leaf.DNSNames, func(name string) bool { return strings.EqualFold(name, c.TLSClientAuthSANDNS) })
	case c.TLSClientAuthSANURI != "":
		return slices.ContainsFunc(leaf.URIs, func(u *url.URL) bool { return u.String() == c.TLSClientAuthSANURI })
	case c.TLSClientAuthSANIP != "":
		want := net.ParseIP(c.TLSClientAuthSANIP)
		return slices.ContainsFunc(leaf.IPAddresses, want.Equal)
	case c.TLSClientAuthSANEmail != "":
		return slices.Contains(leaf.EmailAddresses, c.TLSClientAuthSANEmail)
	default:
		return false
	}
}
