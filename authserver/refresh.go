package authserver

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/countermark/countermark/internal/strictjson"
)

const (
	defaultRefreshLifetime = 30 * 24 * time.Hour
	maxRefreshLifetime     = 365 * 24 * time.Hour
	defaultRefreshGrace    = 30 * time.Second
	maxRefreshGrace        = time.Minute
)

// A refreshRecord is what the store keeps of a refresh token besides its grant,
// which has the authorization. Its Expiry is that of the whole family.
type refreshRecord struct {
	// Confirmation is the key that whoever uses the token must show, nil if any
	// will do: it is that of a public client, while a confidential one shows with
	// its own credentials that the token is its own (RFC 9449 section 5, RFC 8705
	// section 4).
	Confirmation *confirmation `json:"cnf,omitempty"`
	// Sealed is the token itself, for whoever has the one before it: a retry gets
	// the same. Empty in the first of a family.
	Sealed []byte `json:"sealed,omitempty"`
}

// newRefreshToken makes the first refresh token of a grant that lasts until end.
func (s *Server) newRefreshToken(ctx context.Context, r *request, grant string, end time.Time) (string, error) {
	first := &refreshRecord{}
	if r.client.public() {
		first.Confirmation = r.confirmation
	}
	data, err := json.Marshal(first)
	if err != nil {
		return "", fmt.Errorf("refresh token: %w", err)
	}
	token := newSecret()
	record := Record{Grant: grant, Data: data, Expiry: end}
	err = s.write(ctx, func() error { return s.store.Put(ctx, RefreshToken, s.keyOf(token), record) })
	return token, err
}

// rotate spends a refresh token and returns what takes its place: a new one, or,
// if it was spent a moment ago, the one that took its place then, since the answer
// may have been lost. That it was spent before that is errReused; that it expired
// meanwhile, ErrNotFound.
func (s *Server) rotate(ctx context.Context, token string, was *refreshToken) (string, error) {
	next := newSecret()
	sealed, err := seal(token, next)
	if err != nil {
		return "", err
	}
	data, err := json.Marshal(&refreshRecord{Confirmation: was.Confirmation, Sealed: sealed})
	if err != nil {
		return "", fmt.Errorf("refresh token: %w", err)
	}
	record := Record{Grant: was.grant.ID, Data: data, Expiry: was.expiry}
	var outcome Outcome
	var kept Record
	err = s.write(ctx, func() (err error) {
		outcome, kept, err = s.store.Rotate(ctx, s.keyOf(token), s.keyOf(next), record, s.refreshGrace, s.now())
		if errors.Is(err, ErrNotFound) {
			return nil // and no outcome
		}
		return err
	})
	switch {
	case err != nil:
		return "", err
	case outcome == 0:
		return "", ErrNotFound
	case outcome == Rotated:
		return next, nil
	case outcome == Retry && s.refreshGrace > 0: // another server may have spent it, whose clock is ahead
		successor := &refreshRecord{}
		if err := strictjson.Unmarshal(kept.Data, successor); err != nil {
			return "", fmt.Errorf("record of a refresh token: %w", err)
		}
		return unseal(token, successor.Sealed)
	default:
		return "", errReused
	}
}

// errReused says that a refresh token comes again that was used up before.
var errReused = errors.New("the refresh token was used before")

// A refreshToken is one of this server whose grant is in force. It may be spent.
type refreshToken struct {
	refreshRecord
	granted
	grant  Grant
	expiry time.Time
	spent  bool
}

// granted is what the records of codes and of devices, which a grant is written
// down with, have in common.
type granted struct {
	Authorization authorization `json:"authorization"`
}

// readRefresh finds what a refresh token stands for. One that is unknown, expired
// or revoked is ErrNotFound.
func (s *Server) readRefresh(ctx context.Context, token string) (*refreshToken, error) {
	record, err := s.lookUp(ctx, RefreshToken, s.keyOf(token))
	if err != nil {
		return nil, err
	}
	t := &refreshToken{expiry: record.Expiry, spent: record.Spent}
	t.grant, err = s.store.Grant(ctx, record.Grant)
	switch {
	case errors.Is(err, ErrNotFound) || err == nil && !t.grant.Revoked.IsZero():
		return nil, ErrNotFound
	case err != nil:
		return nil, storeFailed(err)
	}
	if err := strictjson.Unmarshal(record.Data, &t.refreshRecord); err != nil {
		return nil, fmt.Errorf("record of a refresh token: %w", err)
	}
	if err := strictjson.Unmarshal(t.grant.Data, &t.granted); err != nil {
		return nil, fmt.Errorf("grant: %w", err)
	}
	return t, nil
}

// isFor reports whether a refresh token is c's, and of somebody who is there. Who is
// not may be known to another server, so that theirs can be revoked at each.
func (s *Server) isFor(ctx context.Context, t *refreshToken, c *client) (bool, error) {
	if t.Authorization.ClientID != c.ClientID {
		return false, nil
	}
	gone, err := s.isGone(ctx, t.Authorization.Subject)
	return !gone, err
}

// seal encrypts the successor of a refresh token so that only who has the token
// can read it.
func seal(token, successor string) ([]byte, error) {
	box, err := sealer(token)
	if err != nil {
		return nil, err
	}
	return box.Seal(nil, nil, []byte(successor), nil), nil //nolint:gosec // the nonce is random, and in the result
}

func unseal(token string, sealed []byte) (string, error) {
	box, err := sealer(token)
	if err != nil {
		return "", err
	}
	successor, err := box.Open(nil, nil, sealed, nil)
	if err != nil {
		return "", fmt.Errorf("successor of a refresh token: %w", err)
	}
	return string(successor), nil
}

func sealer(token string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(token), nil, "successor of a refresh token", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
