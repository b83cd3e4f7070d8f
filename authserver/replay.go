package authserver

import (
	"context"
	"errors"
	"time"
)

// once reports whether party uses id for the first time, and notes it until
// expiry. Of any number of calls at once, one is told so.
func (s *Server) once(ctx context.Context, kind Kind, party, id string, expiry time.Time) (bool, error) {
	fresh := true
	err := s.write(ctx, func() error {
		key := HashOf(party + "\x00" + id) // no party has a NUL in its name
		err := s.store.Put(ctx, kind, key, Record{Expiry: expiry})
		if errors.Is(err, ErrExists) {
			fresh = false
			return nil
		}
		return err
	})
	return fresh, err
}
