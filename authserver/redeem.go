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

	used, expired error // how the client is told
}

// grantOf returns the ID of the grant that a ticket begins. It comes of the key, so
// that a ticket whose record is gone is known for as long as its grant.
func grantOf(ticket Hash) string {
	sum := sha256.Sum256(append([]byte("grant of "), ticket[:]...))
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16])
}

// ticketData returns what was written down of a ticket, or ErrNotFound: a ticket
// that nobody redeems is soon forgotten, another one when its grant is.
func (s *Server) ticketData(ctx context.Context, kind Kind, key Hash) ([]byte, error) {
	record, err := s.lookUp(ctx, kind, key)
	if !errors.Is(err, ErrNotFound) {
		return record.Data, err
	}
	grant, err := s.store.Grant(ctx, grantOf(key))
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, ErrNotFound
	case err != nil:
		return nil, storeFailed(err)
	default:
		return grant.Data, nil
	}
}

// redeem returns tokens for t. A second time it is refused, and what the first
// time brought is revoked (RFC 6749 section 10.5), since one of the two is a thief.
func (s *Server) redeem(ctx context.Context, r *request, t *ticket) (*tokenResponse, error) {
	a := *t.allowed
	a.grant, a.until = grantOf(t.key), s.grantEnd(r.client)
	var err error
	if a.Audience, err = r.narrowed(a.Audience); err != nil {
		return nil, err
	}
	if s.now().UnixMilli() >= t.until {
		return nil, s.late(ctx, t)
	}

	// The grant comes first, so that whoever finds the ticket spent has something
	// to revoke, and it is the same for all who get here.
	if err := s.createGrant(ctx, a.grant, t.data, a.until); err != nil {
		return nil, err
	}
	switch outcome, err := s.consume(ctx, t.kind, t.key); {
	case err != nil:
		return nil, err
	case outcome == First:
		return s.begin(ctx, r, &a)
	default:
		return nil, s.replayed(ctx, t)
	}
}

// begin issues the first tokens of a grant that is written down.
func (s *Server) begin(ctx context.Context, r *request, a *authorization) (*tokenResponse, error) {
	var refreshToken string
	if r.client.may(refreshTokenGrant) {
		var err error
		if refreshToken, err = s.newRefreshToken(ctx, r, a.grant, a.until); err != nil {
			return nil, err
		}
	}
	answer, err := s.issue(ctx, r, a)
	if err != nil {
		return nil, err
	}
	answer.RefreshToken = refreshToken
	return answer, nil
}

// late answers who comes with a ticket of their own too late: it may have been in
// time the first time.
func (s *Server) late(ctx context.Context, t *ticket) error {
	_, err := s.store.Grant(ctx, grantOf(t.key))
	switch {
	case errors.Is(err, ErrNotFound):
		return t.expired
	case err != nil:
		return storeFailed(err)
	default:
		return s.replayed(ctx, t)
	}
}

func (s *Server) replayed(ctx context.Context, t *ticket) error {
	grant, reason, now := grantOf(t.key), t.name+" replayed", s.now()
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
