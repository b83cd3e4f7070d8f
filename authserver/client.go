package authserver

import (
	"encoding/base64"
	"encoding/json"
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
	// random bits and which only the client keeps. Required for
	// client_secret_basic and client_secret_post, and for no other.
	SecretHash Hash `json:"-"`
	// Secret is the secret itself, which the HMACs of client_secret_jwt need;
	// required for that, and for no other. It has at least as many bytes as the
	// hash of the algorithm: 32, 48 or 64. Only [Config.Clients] may have one:
	// whoever reads a store must not become a client.
	Secret Secret `json:"-"`
	// RegistrationTokenHash is [HashOf] the token with which a client that
	// registered itself sees to its registration (RFC 7592), zero for any other: it
	// says that the client is what [Registration.Policy] holds, and a stranger to
	// the people who are asked.
	RegistrationTokenHash Hash `json:"-"`
	// TokenEndpointAuthMethod is how the client authenticates, at every endpoint
	// and in no other way: client_secret_basic, client_secret_post,
	// client_secret_jwt, private_key_jwt (OpenID Connect Core section 9),
	// tls_client_auth, self_signed_tls_client_auth (RFC 8705 section 2), or none
	// for a public client, which cannot. Empty means client_secret_basic.
	TokenEndpointAuthMethod string `json:"token_endpoint_auth_method,omitempty"`
	// TokenEndpointAuthSigningAlg is the one JWS algorithm that client assertions
	// are signed with. Empty means all that the client's keys are for.
	TokenEndpointAuthSigningAlg string `json:"token_endpoint_auth_signing_alg,omitempty"`
	// JWKS is the client's JWK Set (RFC 7517), of public keys alone: it verifies
	// client assertions of private_key_jwt, and holds in x5c the certificates of
	// self_signed_tls_client_auth. Either it or JWKSURI is required for those.
	JWKS json.RawMessage `json:"jwks,omitempty"`
	// JWKSURI is where that JWK Set is. It is fetched over https from a public
	// address; only if the issuer is on loopback, http and private addresses will
	// do. A set is kept for 15 minutes, and asked for again, at most every 5
	// seconds, if a key is not in it.
	JWKSURI string `json:"jwks_uri,omitempty"`
	// Of a client of tls_client_auth exactly one of these is the name in its
	// certificate, which the TLS server has verified (RFC 8705 section 2.1.2).
	// The subject is as openssl x509 -nameopt RFC2253 writes it.
	TLSClientAuthSubjectDN string `json:"tls_client_auth_subject_dn,omitempty"`
	TLSClientAuthSANDNS    string `json:"tls_client_auth_san_dns,omitempty"`
	TLSClientAuthSANURI    string `json:"tls_client_auth_san_uri,omitempty"`
	TLSClientAuthSANIP     string `json:"tls_client_auth_san_ip,omitempty"`
	TLSClientAuthSANEmail  string `json:"tls_client_auth_san_email,omitempty"`
	// GrantTypes are the grants that the client may use: authorization_code,
	// refresh_token, client_credentials,
	// urn:ietf:params:oauth:grant-type:device_code (RFC 8628),
	// urn:ietf:params:oauth:grant-type:jwt-bearer (RFC 7523) and
	// urn:ietf:params:oauth:grant-type:token-exchange (RFC 8693). A public client
	// may not use client_credentials and token-exchange. With refresh_token, which
	// goes with authorization_code and device_code, a client gets refresh tokens.
	// Empty means none, unlike in RFC 7591.
	GrantTypes []string `json:"grant_types,omitempty"`
	// RedirectURIs are where a person may be sent back to: https, http on a
	// loopback host, or a private-use scheme with a dot (RFC 8252 section 7.1).
	// They are compared byte for byte, but for the port of http on 127.0.0.1 and
	// [::1]. Required for authorization_code.
	RedirectURIs []string `json:"redirect_uris,omitempty"`
	// PostLogoutRedirectURIs are where a person may be sent back to after the client
	// had them signed out (OpenID Connect RP-Initiated Logout section 3.1): what may
	// be among RedirectURIs, compared byte for byte without exception. Empty means
	// that they stay on a page of the server.
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty"`
	// Scope holds the scopes that the client may ask for, separated by spaces,
	// 256 at most. A request without scope gets them all. With openid the client
	// learns who signed in, and may ask the userinfo endpoint by the scopes profile,
	// email, address and phone (OpenID Connect Core section 5.4); where no person
	// signs in, openid is left out. Empty means none.
	Scope string `json:"scope,omitempty"`
	// Audience are the resources that the client may get tokens for, compared
	// byte for byte. A request without resource gets one token for them all. What
	// has openid is for the userinfo endpoint, too, which needs no place here. A
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
	// TokenExchangeAudience are the names by which the client is itself a
	// resource: it may exchange access tokens that are meant for one of them, and
	// no others. Empty means none. The name is not a registered one.
	TokenExchangeAudience []string `json:"token_exchange_audience,omitempty"`
	// TokenExchangeImpersonation lets an exchanged token say nothing of the
	// client, so that an API takes it for the subject itself (RFC 8693 section
	// 1.1). False means that the token names the client, or whose actor_token it
	// sends, as act. The name is not a registered one.
	TokenExchangeImpersonation bool `json:"token_exchange_impersonation,omitempty"`
	// RequirePushedRequests has every authorization request of the client go
	// through the pushed authorization request endpoint (RFC 9126 section 6).
	RequirePushedRequests bool `json:"require_pushed_authorization_requests,omitempty"`
	// SkipConsent is for clients of one's own: who signs in is not asked whether
	// the client may have what it asks for. It has no effect where another
	// program could pass itself off as the client, of a public client and with
	// redirect URIs other than https, and none on devices (RFC 8628). The name is
	// that of Ory Hydra's client metadata.
	SkipConsent bool `json:"skip_consent,omitempty"`
}

const (
	strategyJWT    = "jwt"
	strategyOpaque = "opaque"

	maxClientID = 255
)

var strategies = []string{strategyJWT, strategyOpaque}

// client is a Client that was checked, its defaults filled in.
type client struct {
	Client
	scopes []string
	keys   keyList // of JWKS
	// stranger: it says itself what it is, and nobody here looked at that; in a
	// document at its ClientID, or when it registered.
	stranger, ofDocument bool
}

// newClient checks c, whose JWKS parse reads, and copies it. An error begins with
// the metadata name of what is wrong, or the field's if it has none.
func newClient(c *Client, parse keyParser) (*client, error) {
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
	if err := n.checkAuth(parse); err != nil {
		return nil, err
	}
	if n.may(authorizationCodeGrant) && len(c.RedirectURIs) == 0 {
		return nil, errors.New("redirect_uris: required for " + authorizationCodeGrant)
	}
	if n.may(refreshTokenGrant) && !n.may(authorizationCodeGrant) && !n.may(deviceGrant) {
		return nil, errors.New("grant_types: " + refreshTokenGrant + " goes with " + authorizationCodeGrant + " or " + deviceGrant)
	}
	for i, u := range c.RedirectURIs {
		if err := checkRedirectURI(u); err != nil {
			return nil, fmt.Errorf("redirect_uris[%d]: %w", i, err)
		}
	}
	for i, u := range c.PostLogoutRedirectURIs {
		if err := checkRedirectURI(u); err != nil {
			return nil, fmt.Errorf("post_logout_redirect_uris[%d]: %w", i, err)
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
	if c.may(tokenExchange) != (len(c.TokenExchangeAudience) > 0) {
		return nil, errors.New("token_exchange_audience: goes with the grant type " + tokenExchange + ", and that with it")
	}
	return n, nil
}

// newStoredClient is newClient for a client of a store.
func newStoredClient(c *Client, parse keyParser) (*client, error) {
	if c.TokenEndpointAuthMethod == secretJWT {
		return nil, errors.New("token_endpoint_auth_method: " + secretJWT + " needs a secret in the clear, which no store keeps")
	}
	return newClient(c, parse)
}

// may reports whether the client is registered for a grant type.
func (c *Client) may(grantType string) bool { return slices.Contains(c.GrantTypes, grantType) }

// isClientID reports whether there can be a client with that ID.
func isClientID(id string) bool { return id != "" && len(id) <= maxClientID && printable(id) }

func (c *Client) clone() *Client {
	n := *c
	n.GrantTypes = slices.Clone(c.GrantTypes)
	n.RedirectURIs = slices.Clone(c.RedirectURIs)
	n.PostLogoutRedirectURIs = slices.Clone(c.PostLogoutRedirectURIs)
	n.Audience = slices.Clone(c.Audience)
	n.JWKS = slices.Clone(c.JWKS)
	n.TokenExchangeAudience = slices.Clone(c.TokenExchangeAudience)
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
