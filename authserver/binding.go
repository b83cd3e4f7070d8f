package authserver

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/countermark/countermark/internal/dpop"
	"github.com/countermark/countermark/internal/jose"
)

// proofLeeway is how far the clock of a client may be off that makes DPoP proofs.
const proofLeeway = 30 * time.Second

// tokenType is the token_type of a token with this confirmation, nil included.
func (c *confirmation) tokenType() string {
	if c != nil && c.JKT != "" {
		return "DPoP" // RFC 9449 section 5
	}
	return "Bearer" // RFC 8705 section 3 changes nothing here
}

// bind finds the key that the tokens of a token request are bound to: the one
// that the sender shows to hold. How tokens are bound is what the client is
// registered for; a client that is registered for neither way has them bound by
// sending a DPoP proof. A client certificate alone does not bind: browsers and
// proxies send those for reasons of their own.
func (s *Server) bind(ctx context.Context, r *request) error {
	if r.client.TLSClientCertificateBoundAccessTokens {
		return s.bindToCertificate(r)
	}
	proved, err := s.provedKey(ctx, r, tokenPath, "")
	if err != nil {
		return err
	}
	if proved == nil && r.client.DPoPBoundAccessTokens {
		return refuse(invalidDPoPProof, "the client has to send a DPoP proof (RFC 9449)")
	}
	r.confirmation = proved
	return nil
}

func (s *Server) bindToCertificate(r *request) error {
	if len(r.http.Header.Values("DPoP")) > 0 {
		return refuse(invalidRequest, "the client's tokens are bound to its certificate, not to a DPoP key")
	}
	if r.confirmation = s.shownCertificate(r.http); r.confirmation == nil {
		return refuse(invalidRequest, "a client certificate is required, to which the client's tokens are bound")
	}
	return nil
}

// shownCertificate returns the certificate that came with a request as what binds a
// token to it, nil if there is none.
func (s *Server) shownCertificate(r *http.Request) *confirmation {
	cert := s.certificate(r)
	if cert == nil {
		return nil
	}
	sum := sha256.Sum256(cert.Raw)
	return &confirmation{X5TS: jose.Encode(sum[:])}
}

// provedKey returns the key of the DPoP proof that came with a request to the
// endpoint at path, with an access token if that is not empty, nil if there is none
// (RFC 9449 section 5). The proof is used up by it, so it is looked at once, when
// the client is known and before anything else that can be used only once.
func (s *Server) provedKey(ctx context.Context, r *request, path, token string) (*confirmation, error) {
	headers := r.http.Header.Values("DPoP")
	switch len(headers) {
	case 0:
		return nil, nil //nolint:nilnil // no proof is no error: whether one is needed is the caller's to know
	case 1:
	default: // RFC 9449 section 4.3, check 1
		return nil, refuse(invalidDPoPProof, "more than one DPoP header")
	}
	now := s.now()
	proof, err := s.proofs.Check(&dpop.Request{
		Proof: headers[0], Method: r.http.Method, URL: s.base + path, Token: token,
	}, now)
	if s.proofs.Nonces != nil && (err == nil || errors.Is(err, dpop.ErrNonce)) {
		r.header.Set("DPoP-Nonce", s.proofs.Nonces.At(now)) // section 8.2: also with what succeeds, for the next request
	}
	switch {
	case errors.Is(err, dpop.ErrNonce):
		return nil, refuse(useDPoPNonce, "the DPoP proof needs the nonce of the DPoP-Nonce header")
	case err != nil:
		check, _, _ := strings.Cut(err.Error(), ":") // a constant; what follows may not be
		bad := refuse(invalidDPoPProof, "the DPoP proof is not good for this request: "+check)
		bad.cause = err
		return nil, bad
	}
	first, err := s.once(ctx, DPoPProof, proof.ID, proof.Until)
	switch {
	case err != nil:
		return nil, err
	case !first: // section 11.1
		return nil, refuse(invalidDPoPProof, "the DPoP proof was used before")
	}
	return &confirmation{JKT: jose.Encode(proof.Thumbprint[:])}, nil
}

// certificate returns the certificate of which the client has proved to hold the
// key, nil if there is none. Whether somebody vouches for it does not matter:
// tokens are bound to the certificate itself (RFC 8705 section 3).
func (s *Server) certificate(r *http.Request) *x509.Certificate {
	switch {
	case s.clientCertificate != nil:
		return s.clientCertificate(r)
	case r.TLS != nil && len(r.TLS.PeerCertificates) > 0:
		return r.TLS.PeerCertificates[0] // TLS verified a signature by its key
	default:
		return nil
	}
}

// holds returns the refusal of a token request whose sender does not show the key
// that a code or token is bound to (RFC 9449 sections 5 and 10, RFC 8705 section
// 4). What is bound to none, nil, anybody may show.
func (r *request) holds(bound *confirmation) error {
	if bound == nil || r.confirmation.same(bound) {
		return nil
	}
	return refuse(invalidGrant, "the code or token is bound to a key that the request does not prove, by DPoP or a client certificate")
}

func (c *confirmation) same(other *confirmation) bool {
	return c != nil && subtle.ConstantTimeCompare([]byte(c.JKT+" "+c.X5TS), []byte(other.JKT+" "+other.X5TS)) == 1
}

// codeKey returns the key that the code of an authorization request is bound to
// (RFC 9449 section 10), nil if to none: the one that the parameter dpop_jkt
// names, or the one that a pushed request proved, which must be the same.
func (c *client) codeKey(jkt string, proved *confirmation) (*confirmation, error) {
	switch thumbprint, err := jose.Decode(nil, jkt); {
	case c.TLSClientCertificateBoundAccessTokens && (jkt != "" || proved != nil):
		return nil, refuse(invalidRequest, "the client's tokens are bound to its certificate, not to a DPoP key")
	case jkt == "":
		return proved, nil
	case err != nil || len(thumbprint) != sha256.Size:
		return nil, refuse(invalidRequest, "dpop_jkt must be the SHA-256 thumbprint of a key")
	case proved != nil && !proved.same(&confirmation{JKT: jkt}):
		return nil, refuse(invalidRequest, "dpop_jkt names another key than the DPoP proof")
	default:
		return &confirmation{JKT: jkt}, nil
	}
}
