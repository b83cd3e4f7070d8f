package authserver

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"time"
)

// A ticket is what a client redeems at the token endpoint, once, for what a person
// allowed: an authorization code or a device code. Whoever brings it has shown
// that it is theirs.
type ticket struct {
	name    string // for people
	kind    Kind   // of its record
	key     Hash
	data    []byte // of the record; the grant that it begins has it too
	allowed *authorization
	until   int64 // when it expires, in Unix milliseconds
	spent   bool

	used, expired error // how the client is told; used is of whatever else is wrong, too
}

// grantOf returns the ID of the grant that a ticket begins. It comes of the key, so
// that a ticket whose record is gone is known for as long as its grant, and of the
// kind, so that none is taken for one of another, which is checked in another way.
func grantOf(kind Kind, key Hash) string {
	sum := sha256.Sum256(append([]byte("grant of "+kind+" "), key[:]...))
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16])
}

// ticketData returns what was written down of a ticket, and whether it was spent,
// or ErrNotFound: a ticket that nobody redeems is soon forgotten, another one when
// its grant is.
func (s *Server) ticketData(ctx context.Context, kind Kind, key Hash) (data []byte, spent bool, err error) {
	record, err := s.lookUp(ctx, kind, key)
	if !errors.Is(err, ErrNotFound) {
		return record.Data, record.Spent, err
	}
	grant, err := s.store.Grant(ctx, grantOf(kind, key))
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, false, ErrNotFound
	case err != nil:
		return nil, false, storeFailed(err)
	default:
		return grant.Data, true, nil
	}
}

// redeem returns tokens for t. A second time it is refused, and what the first
// time brought is revoked (RFC 6749 section 10.5), since one of the two is a thief.
func (s *Server) redeem(ctx context.Context, r *request, t *ticket) (*tokenResponse, error) {
	if t.spent { // so that replays make no tokens, which would take room
		return nil, s.replayed(ctx, t)
	}
	a, err := t.allowed.within(r.client, s.userinfo())
	if err != nil {
		return nil, err
	}
	a.grant, a.until = grantOf(t.kind, t.key), s.grantEnd(r.client)
	if a.Audience, err = r.narrowed(a.Audience); err != nil {
		return nil, err
	}
	gone, err := s.isGone(ctx, a.Subject)
	switch {
	case s.now().UnixMilli() >= t.until:
		return nil, t.expired
	case err != nil:
		return nil, err
	case gone:
		return nil, t.used
	}

	// The grant comes first, so that whoever finds the ticket spent has something
	// to revoke, and it is the same for all who get here. The tokens come next, so
	// that what fails uses nothing up: whoever comes again would be taken for a
	// thief.
	if err := s.createGrant(ctx, a.grant, t.data, a.until); err != nil {
		return nil, err
	}
	answer, issued, err := s.begin(ctx, r, &a)
	if err != nil {
		return nil, err
	}
	switch outcome, err := s.consume(ctx, t.kind, t.key); {
	case err != nil:
		return nil, err
	case outcome == First:
		s.emit(ctx, issued)
		return answer, nil
	default:
		return nil, s.replayed(ctx, t)
	}
}

// begin makes the first tokens of a grant that is written down, and what there is
// to tell once they are handed out.
func (s *Server) begin(ctx context.Context, r *request, a *authorization) (*tokenResponse, Event, error) {
	answer, issued, err := s.mint(ctx, r, a)
	if err != nil || !r.client.may(refreshTokenGrant) {
		return answer, issued, err
	}
	answer.RefreshToken, err = s.newRefreshToken(ctx, r, a.grant, a.until)
	return answer, issued, err
}

func (s *Server) replayed(ctx context.Context, t *ticket) error {
	grant, reason, now := grantOf(t.kind, t.key), t.name+" replayed", s.now()
	err := s.write(ctx, func() error {
		return s.store.RevokeGrant(ctx, grant, reason, now, now.Add(s.lifetime+clockSkew)) // or the grant's own expiry
	})
	if err != nil {
		return err
	}
	s.emit(ctx, Event{
		Type: EventRevocation, ClientID: t.allowed.ClientID, Subject: t.allowed.Subject, Grant: grant,
		Error: invalidGrant, Reason: reason,
	})
	return t.used
}

// createGrant writes down what a ticket allows, and until when. That it is there
// already is fine: a retry, or one of several at once.
func (s *Server) createGrant(ctx context.Context, id string, data []byte, end time.Time) error {
	return s.write(ctx, func() error {
		err := s.store.CreateGrant(ctx, Grant{ID: id, Data: data, Expiry: end.Add(clockSkew)})
		if errors.Is(err, ErrExists) {
			return nil
		}
		return err
	})
}
