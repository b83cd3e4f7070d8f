package authserver

import (
	"context"
	"errors"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

// An introspection is the answer of RFC 7662 section 2.2. Of a token that is not
// active it says that alone.
type introspection struct {
	Active    bool             `json:"active"`
	TokenType string           `json:"token_type,omitempty"`
	Issuer    string           `json:"iss,omitempty"`
	Subject   string           `json:"sub,omitempty"`
	Audience  jwt.ClaimStrings `json:"aud,omitempty"`
	ClientID  string           `json:"client_id,omitempty"`
	Scope     string           `json:"scope,omitempty"`
	ID        string           `json:"jti,omitempty"`
	IssuedAt  *jwt.NumericDate `json:"iat,omitempty"`
	ExpiresAt *jwt.NumericDate `json:"exp,omitempty"`
	Actor     *actor           `json:"act,omitempty"` // RFC 8693 section 4.1

	Confirmation *confirmation `json:"cnf,omitempty"` // RFC 8705 section 3.2, RFC 9449 section 6.2
}

// introspect is the introspection endpoint (RFC 7662 section 2). A token that is
// none of the caller's business is not active: to say more would tell one API
// what another one's tokens can do (RFC 7662 section 4).
func (s *Server) introspect(ctx context.Context, r *request) (any, error) {
	token := r.form.Get("token")
	if r.client.public() { // RFC 7662 section 2.1: nobody is to try out tokens
		return nil, refuse(invalidClient, "a public client may not introspect")
	}
	if token == "" {
		return nil, refuse(invalidRequest, "token is required")
	}
	c, err := s.read(ctx, token)
	switch {
	case errors.Is(err, ErrNotFound):
		return s.introspectRefresh(ctx, r, token)
	case err != nil:
		return nil, err
	case !r.client.mayInspect(c):
		return introspection{}, nil
	default:
		return introspection{
			Active:    true,
			TokenType: c.Confirmation.tokenType(),
			Issuer:    c.Issuer,
			Subject:   c.Subject,
			Audience:  c.Audience,
			ClientID:  c.ClientID,
			Scope:     c.Scope,
			ID:        c.ID,
			IssuedAt:  c.IssuedAt,
			ExpiresAt: c.ExpiresAt,
			Actor:     c.Actor,

			Confirmation: c.Confirmation,
		}, nil
	}
}

// introspectRefresh is introspect for a refresh token, which is the business of
// its client alone. The answer has no aud and no token_type: no API is to take it
// for that of an access token.
func (s *Server) introspectRefresh(ctx context.Context, r *request, token string) (any, error) {
	t, err := s.readRefresh(ctx, token)
	switch {
	case errors.Is(err, ErrNotFound):
		return introspection{}, nil
	case err != nil:
		return nil, err
	}
	switch theirs, err := s.isFor(ctx, t, r.client); {
	case err != nil:
		return nil, err
	case t.spent || !theirs:
		return introspection{}, nil
	default:
		return introspection{
			Active:    true,
			Issuer:    s.issuer,
			Subject:   t.Authorization.Subject,
			ClientID:  t.Authorization.ClientID,
			Scope:     t.Authorization.Scope,
			ExpiresAt: jwt.NewNumericDate(t.expiry),

			Confirmation: t.Confirmation,
		}, nil
	}
}

// mayInspect reports whether a token is the client's business: its own, or, if
// the client is a resource server, one meant for it.
func (c *client) mayInspect(token *claims) bool {
	if len(c.GrantTypes) > 0 {
		return token.ClientID == c.ClientID || token.meantFor(c.TokenExchangeAudience)
	}
	return token.meantFor(c.Audience)
}

// meantFor reports whether a token is for one of the resources.
func (c *claims) meantFor(resources []string) bool {
	return slices.ContainsFunc(resources, func(r string) bool { return slices.Contains(c.Audience, r) })
}
