package authserver

import (
	"context"
	"errors"
	"time"
)

const refreshTokenGrant = "refresh_token"

// refreshAccess is the grant by which a client gets a new access token for what
// was authorized before (RFC 6749 section 6). Each refresh token works once and
// brings the next one. One that comes again, and not just to ask for an answer
// that was lost, has been stolen from one of the two who have it: nobody knows
// from whom, and all that came of the grant is revoked (RFC 9700 section 4.14.2).
//
// Whoever has no right to a refresh token neither uses it up nor revokes it.
func (s *Server) refreshAccess(ctx context.Context, r *request) (*tokenResponse, error) {
	token := r.form.Get("refresh_token")
	if token == "" {
		return nil, refuse(invalidRequest, "refresh_token is required")
	}
	t, err := s.readRefresh(ctx, token)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, errBadRefresh()
	case err != nil:
		return nil, err
	}
	switch theirs, err := s.isFor(ctx, t, r.client); {
	case err != nil:
		return nil, err
	case !theirs,
		t.expiry.Sub(s.now()) < time.Second: // an expires_in of 0 is to some clients one that was left out
		return nil, errBadRefresh()
	}
	if err := r.holds(t.Confirmation); err != nil {
		return nil, err
	}
	a, err := r.refreshed(&t.Authorization, s.userinfo())
	if err != nil {
		return nil, err
	}
	a.grant, a.until = t.grant.ID, t.expiry

	// First, so that nothing is used up if it fails: whoever comes again later than
	// the grace would be taken for a thief.
	answer, issued, err := s.mint(ctx, r, a)
	if err != nil {
		return nil, err
	}
	next, err := s.rotate(ctx, token, t)
	switch {
	case errors.Is(err, errReused):
		return nil, s.refreshReused(ctx, r, t)
	case errors.Is(err, ErrNotFound):
		return nil, errBadRefresh()
	case err != nil:
		return nil, err
	}
	s.emit(ctx, issued)
	answer.RefreshToken = next
	return answer, nil
}

func errBadRefresh() error {
	return refuse(invalidGrant, "the refresh token is unknown, expired, used, revoked, or another client's")
}

// refreshed returns the authorization of the access token to issue: of what was
// granted, and of what the client is still registered for, what the request asks
// for. The refresh token keeps all that was granted (RFC 6749 section 6).
func (r *request) refreshed(granted *authorization, userinfo string) (*authorization, error) {
	a, err := granted.within(r.client, userinfo)
	if err != nil {
		return nil, err
	}
	held, _ := parseScope(a.Scope)
	if a.Scope, err = narrow(r.form.Get("scope"), held, "scope goes beyond what was granted"); err != nil {
		return nil, err
	}
	if a, err = a.within(r.client, userinfo); err != nil { // without openid, perhaps
		return nil, err
	}
	if a.Audience, err = r.narrowed(a.Audience); err != nil {
		return nil, err
	}
	// The code's: the key of the refresh token counts, and the nonce came with the
	// first ID token (OpenID Connect Core section 12.2).
	a.Confirmation, a.Nonce = nil, ""
	return &a, nil
}

// refreshReused revokes the grant of a refresh token that came a second time, and
// has the person be told.
func (s *Server) refreshReused(ctx context.Context, r *request, t *refreshToken) error {
	const reason = "refresh token reused"
	now := s.now()
	// Once the grant is revoked nobody gets here again: so the notice comes before,
	// and the alert even if it is not known whether the store revoked it.
	noticeErr := s.leaveNotice(ctx, t.grant.ID, t.Authorization.Subject, &notice{Client: r.client.displayName(), Time: now.Unix()})
	err := s.write(ctx, func() error {
		return s.store.RevokeGrant(ctx, t.grant.ID, reason, now, t.grant.Expiry)
	})
	told := Event{
		Type: EventRefreshReuse, ClientID: r.client.ClientID, Subject: t.Authorization.Subject, Grant: t.grant.ID,
		Error: invalidGrant, Reason: reason,
	}
	if err = errors.Join(err, noticeErr); err != nil {
		told.Error, told.Cause = temporarilyUnavailable, err
	}
	s.emit(ctx, told)
	if err != nil {
		return err
	}
	return errBadRefresh()
}

// grantEnd is when the last token of a grant that begins now expires.
func (s *Server) grantEnd(c *client) time.Time {
	if c.may(refreshTokenGrant) {
		return s.now().Add(s.refreshLifetime)
	}
	return s.now().Add(s.lifetime)
}
