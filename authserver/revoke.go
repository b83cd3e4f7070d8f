package authserver

import (
	"context"
	"errors"
)

// revoke is the revocation endpoint (RFC 7009 section 2). A token that is unknown
// or dead already needs no more (section 2.2); one of another client is refused
// (section 2.1).
//
// What is written is that the token's grant was revoked, which is the same for a
// JWT and an opaque token, and which is kept until the token has expired.
func (s *Server) revoke(ctx context.Context, r *request) (any, error) {
	token := r.form.Get("token")
	if token == "" {
		return nil, refuse(invalidRequest, "token is required")
	}
	done := struct{}{}
	c, err := s.read(ctx, token)
	switch {
	case errors.Is(err, ErrNotFound):
		return done, nil
	case err != nil:
		return nil, err
	case c.ClientID != r.client.ClientID:
		return nil, refuse(invalidGrant, "the token was issued to another client")
	}
	const reason = "revoked by the client"
	err = s.write(ctx, func() error {
		return s.store.RevokeGrant(ctx, c.grant(), reason, s.now(), c.ExpiresAt.Add(clockSkew))
	})
	if err != nil {
		return nil, err
	}
	s.emit(ctx, Event{
		Type: EventRevocation, ClientID: c.ClientID, Subject: c.Subject, Grant: c.grant(), TokenID: c.ID, Reason: reason,
	})
	return done, nil
}
