package authserver

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/countermark/countermark/internal/fetch"
	"github.com/countermark/countermark/internal/jose"
)

// How a client authenticates (RFC 7591 section 2, OpenID Connect Core section 9,
// RFC 8705 section 2).
const (
	secretBasic   = "client_secret_basic"
	secretPost    = "client_secret_post"
	secretJWT     = "client_secret_jwt"
	privateKeyJWT = "private_key_jwt"
	tlsPKI        = "tls_client_auth"
	tlsSelfSigned = "self_signed_tls_client_auth"
	authNone      = "none" // a public client
)

var (
	authMethods = []string{secretBasic, secretPost, privateKeyJWT, secretJWT, tlsPKI, tlsSelfSigned, authNone}

	// confidentialGrants are those whose tokens stand on the client's own
	// authentication (RFC 6749 section 4.4).
	confidentialGrants = []string{"client_credentials", tokenExchange}
)

// A Secret is a client secret in the clear. It prints as nothing but its name.
type Secret string

// String hides the secret.
func (Secret) String() string { return "authserver.Secret(hidden)" }

// GoString is String, for the verb %#v.
func (s Secret) GoString() string { return s.String() }

// Format is String, for every other verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// LogValue is String, for log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is String, for encoding/json and so for a log that has it in a struct.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// checkAuth checks how the client authenticates: what the method needs is there,
// and what only another one uses is not, since somebody would rely on it.
func (c *client) checkAuth(parse keyParser) error {
	method := c.TokenEndpointAuthMethod
	hashed := method == secretBasic || method == secretPost
	switch {
	case !slices.Contains(authMethods, method):
		return notSupported("token_endpoint_auth_method", method, authMethods)
	case hashed && c.SecretHash == Hash{}:
		return fmt.Errorf("SecretHash: required for %s: HashOf the client's secret; a public client has token_endpoint_auth_method none", method)
	case hashed && c.SecretHash == HashOf(""):
		return errors.New("SecretHash: is that of an empty secret")
	case !hashed && c.SecretHash != Hash{}:
		return fmt.Errorf("SecretHash: a client of %s has none", method)
	case method != secretJWT && c.Secret != "":
		return fmt.Errorf("Secret: a client of %s has none in the clear", method)
	}
	if method == authNone {
		for _, g := range c.GrantTypes {
			if slices.Contains(confidentialGrants, g) {
				return fmt.Errorf("grant_types: a public client (token_endpoint_auth_method none) may not have %s", g)
			}
		}
	}
	if err := c.checkKeys(parse); err != nil {
		return err
	}
	if err := c.checkSigningAlg(); err != nil {
		return err
	}
	return c.checkCertificate()
}

// checkKeys checks jwks and jwks_uri (RFC 7591 section 2), which a client of any
// method may have, and reads the former.
func (c *client) checkKeys(parse keyParser) error {
	needed := c.TokenEndpointAuthMethod == privateKeyJWT || c.TokenEndpointAuthMethod == tlsSelfSigned
	switch {
	case c.JWKS != nil && c.JWKSURI != "":
		return errors.New("jwks_uri: must not be there beside jwks (RFC 7591 section 2)")
	case c.JWKS != nil:
		keys, err := parse(c.JWKS)
		if err != nil {
			return fmt.Errorf("jwks: %w", err)
		}
		if needed && len(keys) == 0 {
			return errors.New("jwks: no key in it verifies signatures")
		}
		c.keys = keys
	case c.JWKSURI != "":
		if err := fetch.CheckURL(c.JWKSURI); err != nil {
			return fmt.Errorf("jwks_uri: %w", err)
		}
	case needed:
		return fmt.Errorf("jwks: required for %s, or jwks_uri", c.TokenEndpointAuthMethod)
	}
	if c.TokenEndpointAuthMethod == tlsSelfSigned && c.JWKS != nil && !slices.ContainsFunc(c.keys, hasCertificate) {
		return fmt.Errorf("jwks: no key has an x5c, which is the certificate of %s (RFC 8705 section 2.2.2)", tlsSelfSigned)
	}
	return nil
}

// checkSigningAlg checks token_endpoint_auth_signing_alg and, for
// client_secret_jwt, that the secret is long enough for it.
func (c *client) checkSigningAlg() error {
	alg := c.TokenEndpointAuthSigningAlg
	var known []string
	switch c.TokenEndpointAuthMethod {
	case privateKeyJWT:
		known = jose.Algorithms()
	case secretJWT:
		known = hmacAlgorithms()
	default:
		if alg != "" {
			return fmt.Errorf("token_endpoint_auth_signing_alg: a client of %s signs nothing", c.TokenEndpointAuthMethod)
		}
		return nil
	}
	if alg != "" && !slices.Contains(known, alg) {
		return notSupported("token_endpoint_auth_signing_alg", alg, known)
	}
	if c.TokenEndpointAuthMethod != secretJWT {
		return nil
	}
	if alg == "" {
		alg = known[0]
	}
	if least := hmacs[alg].Size(); len(c.Secret) < least {
		return fmt.Errorf("Secret: must have at least %d bytes for %s with %s (RFC 7518 section 3.2)", least, secretJWT, alg)
	}
	return nil
}

// public reports whether the client cannot keep a secret, so that nothing proves
// who sent its requests (RFC 6749 section 2.1).
func (c *client) public() bool { return c.TokenEndpointAuthMethod == authNone }
