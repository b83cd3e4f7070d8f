package authserver

import (
	"context"
	"errors"
	"time"
)

// revoke is the revocation endpoint (RFC 7009 section 2). A token that is unknown
// or dead already needs no more (section 2.2); one of another client is refused
// (section 2.1).
//
// What is written is that the token's grant was revoked, which is the same for a
// JWT and an opaque token, and which is kept until the token has expired. So with
// a refresh token go the access tokens of its grant, and the other way round; one
// that was used up already stands for the grant as well.
func (s *Server) revoke(ctx context.Context, r *request) (any, error) {
	token := r.form.Get("token")
	if token == "" {
		return nil, refuse(invalidRequest, "token is required")
	}
	told, until, err := s.revocable(ctx, token)
	switch {
	case errors.Is(err, ErrNotFound):
		return struct{}{}, nil
	case err != nil:
		return nil, err
	case told.ClientID != r.client.ClientID:
		return nil, refuse(invalidGrant, "the token was issued to another client")
	}
	told.Reason = "revoked by the client"
	err = s.write(ctx, func() error {
		return s.store.RevokeGrant(ctx, told.Grant, told.Reason, s.now(), until)
	})
	if err != nil {
		return nil, err
	}
	s.emit(ctx, *told)
	return struct{}{}, nil
}

// revocable returns what there is to tell of the revocation of a live token, and
// until when it has to be remembered.
func (s *Server) revocable(ctx context.Context, token string) (*Event, time.Time, error) {
	c, err := s.read(ctx, token)
	if err == nil {
		return &Event{
			Type: EventRevocation, ClientID: c.ClientID, Subject: c.Subject, Grant: c.grant(), TokenID: c.ID,
		}, c.ExpiresAt.Add(clockSkew), nil
	}
	if !errors.Is(err, ErrNotFound) {
		return nil, time.Time{}, err
	}
	t, err := s.readRefresh(ctx, token)
	if err != nil {
		return nil, time.Time{}, err
	}
	return &Event{
		Type: EventRevocation, ClientID: t.Authorization.ClientID, Subject: t.Authorization.Subject, Grant: t.grant.ID,
	}, t.grant.Expiry, nil
}
