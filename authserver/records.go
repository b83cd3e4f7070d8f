package authserver

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"time"

	"github.com/countermark/countermark/internal/jose"
)

// newSecret returns 256 random bits, for what is kept by its hash alone.
func newSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return jose.Encode(b[:])
}

// keyOf is the key of the record that a secret stands for, or anything else that is
// of this issuer alone: another one may share the store, and have users and clients
// of the same names.
func (s *Server) keyOf(secret string) Hash { return HashOf(s.issuer + "\x00" + secret) }

// period returns which of the lifetimes since 1970 t is in: with it in its key a
// record is not in the way of the next one that expired and is still there.
func period(t time.Time, lifetime time.Duration) int64 { return t.Unix() / int64(lifetime/time.Second) }

// lookUp returns a record that counts, spent or not, or ErrNotFound.
func (s *Server) lookUp(ctx context.Context, kind Kind, key Hash) (Record, error) {
	r, err := s.store.Get(ctx, kind, key)
	switch {
	case errors.Is(err, ErrNotFound) || err == nil && !s.now().Before(r.Expiry):
		return Record{}, ErrNotFound
	case err != nil:
		return Record{}, storeFailed(err)
	default:
		return r, nil
	}
}

// once reports whether it is the first call for a key of a kind: of any number of
// calls before until, on any number of servers with one store, one is.
func (s *Server) once(ctx context.Context, kind Kind, key Hash, until time.Time) (first bool, err error) {
	return s.putOnce(ctx, kind, key, Record{Expiry: until})
}

// putOnce is once for a record that says more: the first one is kept.
func (s *Server) putOnce(ctx context.Context, kind Kind, key Hash, r Record) (first bool, err error) {
	err = s.write(ctx, func() error {
		err := s.store.Put(ctx, kind, key, r)
		first = err == nil
		if errors.Is(err, ErrExists) {
			return nil
		}
		return err
	})
	return first, err
}

// consume spends a record. One that is not there any more counts as spent.
func (s *Server) consume(ctx context.Context, kind Kind, key Hash) (Outcome, error) {
	_, outcome, err := s.store.Consume(ctx, kind, key, s.now())
	switch {
	case errors.Is(err, ErrNotFound):
		return Replayed, nil
	case err != nil:
		return 0, storeFailed(err)
	default:
		return outcome, nil
	}
}

const (
	purgeEvery = 256 // writes
	purgeLimit = 512 // records: more than come in meanwhile
)

// write runs an operation that adds something to the store, and every so often
// clears away what has expired, so that nothing has to do it in the background.
func (s *Server) write(ctx context.Context, add func() error) error {
	err := add()
	full := errors.Is(err, ErrFull)
	if full || s.writes.Add(1)%purgeEvery == 0 {
		_, purgeErr := s.store.Purge(ctx, s.now(), purgeLimit)
		switch {
		case purgeErr != nil: // what was asked for is done or not, all the same
			s.log.LogAttrs(ctx, slog.LevelWarn, "expired records could not be purged", slog.Any("cause", purgeErr))
		case full:
			err = add()
		}
	}
	if err != nil {
		return storeFailed(err)
	}
	return nil
}
