package authserver

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/countermark/countermark/internal/fetch"
)

// A Client is a registered client: an application that gets tokens, or a
// resource server that asks about them. The JSON names are those of the client
// metadata of RFC 7591 section 2; the secret's hash has none, so that no copy of
// the metadata takes it along.
//
// A resource server is a client without grant types. It may introspect the
// tokens that are meant for one of its Audience. A client that does get tokens
// may introspect its own.
type Client struct {
	// ClientID is one to 255 printable ASCII characters. Required.
	ClientID string `json:"client_id"`
	// ClientName is the client's name for people.
	ClientName string `json:"client_name,omitempty"`
	// SecretHash is [HashOf] the client's secret, which holds at least 128
	// random bits and which only the client keeps. Required: every client
	// authenticates.
	SecretHash Hash `json:"-"`
	// TokenEndpointAuthMethod is how the client authenticates, at every endpoint
	// and in no other way: client_secret_basic or client_secret_post. Empty
	// means client_secret_basic.
	TokenEndpointAuthMethod string `json:"token_endpoint_auth_method,omitempty"`
	// GrantTypes are the grants that the client may use: client_credentials.
	// Empty means none, unlike in RFC 7591.
	GrantTypes []string `json:"grant_types,omitempty"`
	// RedirectURIs are where the user of a redirecting grant may be sent back
	// to: https, http on a loopback host, or a private-use scheme with a dot
	// (RFC 8252 section 7.1). They are checked; no grant uses them yet.
	RedirectURIs []string `json:"redirect_uris,omitempty"`
	// Scope holds the scopes that the client may ask for, separated by spaces,
	// 256 at most. A request without scope gets them all. Empty means none.
	Scope string `json:"scope,omitempty"`
	// Audience are the resources that the client may get tokens for, compared
	// byte for byte. A request without resource gets one token for them all. A
	// name that is no absolute URI, as api is not, can be had in this way alone:
	// as resource it is refused (RFC 8707 section 2). Empty means none.
	Audience []string `json:"audience,omitempty"`
	// AccessTokenStrategy is jwt or opaque; empty means jwt (RFC 9068). An opaque
	// token says nothing to its bearer and is judged by introspection alone, so
	// that its revocation holds at once. The name is that of Ory Hydra's client
	// metadata.
	AccessTokenStrategy string `json:"access_token_strategy,omitempty"`
	// DPoPBoundAccessTokens demands that tokens are bound to a DPoP key: a token
	// request without a proof is refused (RFC 9449 section 5.2). Without it a
	// client gets bound tokens by sending a proof.
	DPoPBoundAccessTokens bool `json:"dpop_bound_access_tokens,omitempty"`
	// TLSClientCertificateBoundAccessTokens has tokens bound to the certificate
	// that the client shows in TLS, without which a token request is refused (RFC
	// 8705 section 3.4). A resource server asks for one proof of possession, so
	// that a client has its tokens bound in one way: with this, a DPoP proof is
	// refused, and DPoPBoundAccessTokens is an error.
	TLSClientCertificateBoundAccessTokens bool `json:"tls_client_certificate_bound_access_tokens,omitempty"`
}

const (
	secretBasic = "client_secret_basic"
	secretPost  = "client_secret_post"

	strategyJWT    = "jwt"
	strategyOpaque = "opaque"

	maxClientID = 255
)

var (
	authMethods = []string{secretBasic, secretPost}
	strategies  = []string{strategyJWT, strategyOpaque}
)

// client is a Client that was checked, its defaults filled in.
type client struct {
	Client
	scopes []string
}

// newClient checks c and copies it. An error begins with the metadata name of
// what is wrong, or the field's if it has none.
func newClient(c *Client) (*client, error) {
	n := &client{Client: *c.clone()}
	if n.TokenEndpointAuthMethod == "" {
		n.TokenEndpointAuthMethod = secretBasic
	}
	if n.AccessTokenStrategy == "" {
		n.AccessTokenStrategy = strategyJWT
	}
	var ok bool
	if n.scopes, ok = parseScope(c.Scope); !ok {
		return nil, errors.New("scope: must be scope tokens with single spaces between, 256 at most (RFC 6749 section 3.3)")
	}
	switch {
	case c.ClientID == "":
		return nil, errors.New("client_id: required")
	case !isClientID(c.ClientID):
		return nil, fmt.Errorf("client_id: must be 1 to %d printable ASCII characters", maxClientID)
	case c.SecretHash == Hash{}:
		return nil, errors.New("SecretHash: required, HashOf the client's secret")
	case c.SecretHash == HashOf(""):
		return nil, errors.New("SecretHash: is that of an empty secret")
	case !slices.Contains(authMethods, n.TokenEndpointAuthMethod):
		return nil, notSupported("token_endpoint_auth_method", n.TokenEndpointAuthMethod, authMethods)
	case !slices.Contains(strategies, n.AccessTokenStrategy):
		return nil, notSupported("access_token_strategy", n.AccessTokenStrategy, strategies)
	case c.DPoPBoundAccessTokens && c.TLSClientCertificateBoundAccessTokens:
		return nil, errors.New("dpop_bound_access_tokens, tls_client_certificate_bound_access_tokens: must not both be set")
	}
	for _, g := range c.GrantTypes {
		if _, known := grants[g]; !known {
			return nil, notSupported("grant_types", g, grantTypes())
		}
	}
	for i, u := range c.RedirectURIs {
		if err := checkRedirectURI(u); err != nil {
			return nil, fmt.Errorf("redirect_uris[%d]: %w", i, err)
		}
	}
	for i, a := range c.Audience {
		if err := checkAudience(a); err != nil {
			return nil, fmt.Errorf("audience[%d]: %w", i, err)
		}
		if slices.Contains(c.Audience[:i], a) {
			return nil, fmt.Errorf("audience[%d]: is there twice", i)
		}
	}
	if size := len(c.Scope) + len(strings.Join(c.Audience, `","`)); len(c.GrantTypes) > 0 && n.AccessTokenStrategy == strategyJWT &&
		base64.RawURLEncoding.EncodedLen(size) > maxToken {
		return nil, fmt.Errorf("scope: with audience it does not fit into a JWT of %d KiB", maxToken>>10)
	}
	return n, nil
}

// may reports whether the client is registered for a grant type.
func (c *client) may(grantType string) bool { return slices.Contains(c.GrantTypes, grantType) }

// isClientID reports whether there can be a client with that ID.
func isClientID(id string) bool { return id != "" && len(id) <= maxClientID && printable(id) }

func (c *Client) clone() *Client {
	n := *c
	n.GrantTypes = slices.Clone(c.GrantTypes)
	n.RedirectURIs = slices.Clone(c.RedirectURIs)
	n.Audience = slices.Clone(c.Audience)
	return &n
}

func notSupported(field, got string, supported []string) error {
	return fmt.Errorf("%s: %q is not supported (supported: %s)", field, got, strings.Join(supported, ", "))
}

// checkRedirectURI keeps out what would send a code to the wrong place in the
// clear (RFC 6749 section 3.1.2, RFC 9700 section 2.1).
func checkRedirectURI(raw string) error {
	u, err := url.Parse(raw)
	if err == nil && strings.Contains(u.Scheme, ".") && !strings.Contains(raw, "#") {
		return nil // RFC 8252 section 7.1
	}
	if err := fetch.CheckURL(raw); err != nil {
		return err
	}
	switch dots := strings.Split(u.Path, "/"); {
	case slices.Contains(dots, ".") || slices.Contains(dots, ".."):
		return errors.New("must not have dot segments, which a browser takes out")
	default:
		return checkHost(u)
	}
}

// checkAudience wants a StringOrURI (RFC 7519 section 2); a URI without a
// fragment (RFC 8707 section 2).
func checkAudience(a string) error {
	u, err := url.Parse(a)
	switch {
	case a == "" || !printable(a) || strings.Contains(a, " "):
		return errors.New("must be printable ASCII without spaces")
	case strings.Contains(a, ":") && (err != nil || !u.IsAbs()):
		return errors.New("has a colon, so it must be an absolute URI (RFC 7519 section 2)")
	case strings.Contains(a, "#"):
		return errors.New("must not have a fragment (RFC 8707 section 2)")
	default:
		return nil
	}
}

// printable reports whether s consists of the characters of RFC 6749 appendix A
// (VSCHAR).
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
