package authserver

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
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
	// GrantTypes are the grants that the client may use: authorization_code and
	// client_credentials. Empty means none, unlike in RFC 7591.
	GrantTypes []string `json:"grant_types,omitempty"`
	// RedirectURIs are where a person may be sent back to: https, http on a
	// loopback host, or a private-use scheme with a dot (RFC 8252 section 7.1).
	// They are compared byte for byte, but for the port of http on 127.0.0.1 and
	// [::1]. Required for authorization_code.
	RedirectURIs []string `json:"redirect_uris,omitempty"`
	// Scope holds the scopes that the client may ask for, separated by spaces.
	// A request without scope gets them all. Empty means none.
	Scope string `json:"scope,omitempty"`
	// Audience are the resources that the client may get tokens for, named by
	// absolute URIs as a rule (RFC 8707) and compared byte for byte. A request
	// without resource gets one token for them all. Empty means none.
	Audience []string `json:"audience,omitempty"`
	// AccessTokenStrategy is jwt or opaque; empty means jwt (RFC 9068). An opaque
	// token says nothing to its bearer and is judged by introspection alone, so
	// that its revocation holds at once. The name is that of Ory Hydra's client
	// metadata.
	AccessTokenStrategy string `json:"access_token_strategy,omitempty"`
	// RequirePushedRequests has every authorization request of the client go
	// through the pushed authorization request endpoint (RFC 9126 section 6).
	RequirePushedRequests bool `json:"require_pushed_authorization_requests,omitempty"`
	// SkipConsent is for clients of one's own: who signs in is not asked whether
	// the client may have what it asks for. It has no effect where another
	// program could pass itself off as the client: with redirect URIs other than
	// https. The name is that of Ory Hydra's client metadata.
	SkipConsent bool `json:"skip_consent,omitempty"`
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
// what is wrong.
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
		return nil, errors.New("scope: must be scope tokens with single spaces between (RFC 6749 section 3.3)")
	}
	switch {
	case !isClientID(c.ClientID):
		return nil, fmt.Errorf("client_id: must be 1 to %d printable ASCII characters", maxClientID)
	case c.SecretHash == Hash{}:
		return nil, errors.New("client_secret: required")
	case c.SecretHash == HashOf(""):
		return nil, errors.New("client_secret: must not be empty")
	case !slices.Contains(authMethods, n.TokenEndpointAuthMethod):
		return nil, notSupported("token_endpoint_auth_method", n.TokenEndpointAuthMethod, authMethods)
	case !slices.Contains(strategies, n.AccessTokenStrategy):
		return nil, notSupported("access_token_strategy", n.AccessTokenStrategy, strategies)
	}
	for _, g := range c.GrantTypes {
		if _, known := grants[g]; !known {
			return nil, notSupported("grant_types", g, grantTypes())
		}
	}
	if n.may(authorizationCodeGrant) && len(c.RedirectURIs) == 0 {
		return nil, errors.New("redirect_uris: required for " + authorizationCodeGrant)
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
