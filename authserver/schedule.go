package authserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// minRotation leaves each key a multiple of cacheTime in which it is known and
// signs.
const minRotation = time.Hour

func checkRotation(period time.Duration, keys int) (time.Duration, error) {
	switch {
	case period == 0:
		return 0, nil
	case period < minRotation:
		return 0, fmt.Errorf("authserver: Config.KeyRotation: must be at least %v", minRotation)
	case keys > 0:
		return 0, errors.New("authserver: Config.KeyRotation: not with Config.Keys: who keeps those calls RotateKeys")
	default:
		return period, nil
	}
}

// rotateWhenDue publishes the next key as long before its time as the key set may
// be cached. One caller at a time looks and makes it; the others go on with the key
// that there is, as do all if it cannot be made now.
func (s *Server) rotateWhenDue(ctx context.Context) {
	if s.rotation == 0 || !s.rotating.CompareAndSwap(false, true) {
		return
	}
	defer s.rotating.Store(false)
	now := s.now()
	algorithm, due := s.keys.successorDue(now, s.rotation)
	if since := now.Sub(s.stalled); !due || since >= 0 && since < syncRetry {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), syncTimeout) // it is for all
	defer cancel()
	next, err := GenerateKey(algorithm)
	if err == nil {
		err = s.rotateKeys(ctx, next, RotateScheduled, func() bool { // another server may have been faster
			_, due := s.keys.successorDue(s.now(), s.rotation)
			return due
		})
	}
	if err != nil {
		s.stalled = now
		s.log.LogAttrs(ctx, slog.LevelError, "the next signing key cannot be put in place; the one of before goes on", slog.Any("cause", err))
	}
}

// successorDue reports whether a successor is to be published to the key that signs last
// of all, now or later, and with what algorithm.
func (r *keyring) successorDue(now time.Time, period time.Duration) (algorithm string, due bool) {
	since := r.since
	for _, k := range *r.keys.Load() {
		if k.idle {
			continue
		}
		algorithm = k.Algorithm
		if k.from.After(since) {
			since = k.from
		}
	}
	return algorithm, !now.Before(since.Add(period - cacheTime))
}
