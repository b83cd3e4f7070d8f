package authserver

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/countermark/countermark/internal/jose"
)

const clientAssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523 section 2.2

// byAssertion returns the client that signed the request's client assertion
// (RFC 7523 sections 2.2 and 3), by the method that it is registered for.
//
// As aud it takes the issuer identifier. So that clients of RFC 7523 and OpenID
// Connect Core section 9 as published get in, it takes the URL of the token
// endpoint and of the endpoint asked as well, unless the typ says that the
// client knows better (draft-ietf-oauth-rfc7523bis). There must be one aud
// alone, for a list would let one server use at another what it was sent.
func (s *Server) byAssertion(r *http.Request, form url.Values) (*client, error) {
	ctx := r.Context()
	if form.Get("client_assertion_type") != clientAssertionType {
		return nil, refuse(invalidClient, "client_assertion_type must be "+clientAssertionType)
	}
	a, err := parseAssertion(form.Get("client_assertion"))
	if err != nil {
		return nil, failed(invalidClient, authFailed, err)
	}
	found, err := s.assertedClient(ctx, a)
	if err != nil {
		return nil, err
	}
	if err := s.verifyClientAssertion(ctx, found.Client, a); err != nil {
		return nil, err
	}
	c, err := s.checked(found)
	if err != nil {
		return nil, err
	}

	// Told to the client alone: the signature is its own.
	var accepted []string
	switch a.typ {
	case "client-authentication+jwt":
		accepted = []string{s.issuer}
	case "", "jwt":
		accepted = []string{s.issuer, s.base + tokenPath, s.origin + r.URL.EscapedPath()}
	default:
		return nil, failed(invalidClient, authFailed, errAssertionType)
	}
	if len(a.audience) != 1 || !slices.Contains(accepted, a.audience[0]) {
		return nil, refuse(invalidClient, "the aud of the assertion must be the issuer alone")
	}
	if err := a.checkTimes(invalidClient, s.now(), defaultAssertionLifetime); err != nil {
		return nil, err
	}
	if a.id == "" {
		return nil, refuse(invalidClient, "the assertion lacks jti")
	}
	fresh, err := s.once(ctx, ClientAssertionID, assertionKey(c.ClientID, a.id), a.remembered())
	switch {
	case err != nil:
		return nil, err
	case !fresh:
		return nil, refuse(invalidClient, "the assertion was used before")
	default:
		return c, nil
	}
}

// assertedClient returns the client that an assertion says it is of, if there is
// one that asserts.
func (s *Server) assertedClient(ctx context.Context, a *assertion) (foundClient, error) {
	if a.issuer != a.subject {
		return foundClient{}, failed(invalidClient, authFailed, errAssertionParty)
	}
	c, err := s.findClient(ctx, a.subject)
	switch {
	case errors.Is(err, ErrNotFound):
		if _, ok := errors.AsType[*documentError](err); ok {
			return foundClient{}, unknownClient(err, invalidClient, authFailed)
		}
		return foundClient{}, failed(invalidClient, authFailed, errAssertionClient)
	case err != nil:
		return foundClient{}, err
	case c.TokenEndpointAuthMethod != privateKeyJWT && c.TokenEndpointAuthMethod != secretJWT:
		return foundClient{}, failed(invalidClient, authFailed, errAssertionClient)
	case c.TokenEndpointAuthSigningAlg != "" && !jose.Same(a.alg, c.TokenEndpointAuthSigningAlg):
		return foundClient{}, failed(invalidClient, authFailed, errAssertionAlg)
	default:
		return c, nil
	}
}

// verifyClientAssertion checks the signature. What the client is registered for
// says which kind of key there is, and never the assertion (RFC 8725 section 3.1).
func (s *Server) verifyClientAssertion(ctx context.Context, c *Client, a *assertion) error {
	if c.TokenEndpointAuthMethod == secretJWT {
		if !verifyHMAC(a.alg, a.input, a.signature, c.Secret) {
			return failed(invalidClient, authFailed, errAssertionSig)
		}
		return nil
	}
	keys, err := s.clientKeys(ctx, c, authFailed, func(l keyList) bool { return len(l.find(a.kid, a.alg)) > 0 })
	if err != nil {
		return err
	}
	if err := a.verify(keys.find(a.kid, a.alg)); err != nil {
		return failed(invalidClient, authFailed, err)
	}
	return nil
}
