package authserver

import (
	"context"
	"errors"
	"time"
)

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

// assertionKey is the key of an assertion's jti, which only together with who
// wrote it is unique (RFC 7519 section 4.1.7).
func assertionKey(party, id string) Hash {
	return HashOf(party + "\x00" + id) // no party has a NUL in its name
}
