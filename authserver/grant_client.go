package authserver

import "context"

// clientCredentials is the grant by which a client gets a token for itself
// (RFC 6749 section 4.4). There is no refresh token: the client can ask again.
func (s *Server) clientCredentials(ctx context.Context, r *request) (*tokenResponse, error) {
	scope, err := r.unattendedScope()
	if err != nil {
		return nil, err
	}
	audience, err := r.audience()
	if err != nil {
		return nil, err
	}
	return s.issue(ctx, r, &authorization{
		Subject:  r.client.ClientID, // RFC 9068 section 2.2
		ClientID: r.client.ClientID,
		Scope:    scope,
		Audience: audience,
	})
}
