package authserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"time"
)

const (
	// syncEvery is how old a server's idea of the keys in a KeyStore may be, and so
	// how much later than the first the last server learns of a rotation.
	syncEvery   = 10 * time.Second
	syncRetry   = time.Second     // after a failure, or for a key that nobody knows
	syncTimeout = 5 * time.Second // of one look
	maxRotates  = 10              // tries, where other servers rotate too
)

// shared reports whether a KeyStore has the keys.
func (r *keyring) shared() bool { return r.store != nil && r.due.Load() != math.MaxInt64 }

// share has the ring follow the keys of a store, if that keeps any.
func (r *keyring) share(store Store) {
	r.store, _ = store.(KeyStore)
}

// syncKeys makes sure that the keys are those of the store, as of syncEvery ago or
// later. One caller looks, while the others go on with the keys that there are;
// before there are any, they wait. A failure then is an error, later it is not.
func (s *Server) syncKeys(ctx context.Context) error {
	r := s.keys
	due := r.due.Load()
	if r.store == nil || !isDue(s.now(), due) {
		return nil
	}
	if due == 0 {
		r.mu.Lock()
	} else if !r.mu.TryLock() {
		return nil
	}
	defer r.mu.Unlock()
	if r.due.Load() != due { // somebody was faster
		return nil
	}
	err := s.loadKeys(ctx)
	if err != nil && r.version >= 0 {
		s.log.LogAttrs(ctx, slog.LevelError, "the signing keys of the store are out of reach; those of before go on", slog.Any("cause", err))
		return nil
	}
	return err
}

// isDue reports whether due has come, or is further off than it can be: then the
// clock was set back.
func isDue(now time.Time, due int64) bool {
	wait := due - now.UnixNano()
	return wait <= 0 || wait > int64(syncEvery) && due != math.MaxInt64
}

// loadKeys takes over the keys of the store, and puts the server's own there if it
// has none. r.mu is held.
func (s *Server) loadKeys(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), syncTimeout)
	defer cancel()
	r, now := s.keys, s.now()
	r.checked.Store(now.UnixNano())
	if r.version >= 0 {
		r.due.Store(now.Add(syncRetry).UnixNano()) // unless it works
	}
	keys, version, err := r.store.SigningKeys(ctx, r.version)
	if err == nil && version == 0 {
		err = s.storeKeys(ctx, r.published(now), now)
		if errors.Is(err, ErrConflict) { // another server was first
			keys, version, err = r.store.SigningKeys(ctx, r.version)
		} else {
			version = r.version
		}
	}
	if errors.Is(err, errors.ErrUnsupported) {
		s.log.LogAttrs(ctx, slog.LevelWarn, "the store keeps no signing keys: no other server knows those of this one", slog.Any("cause", err))
		r.due.Store(math.MaxInt64)
		return nil
	}
	if err != nil {
		return storeFailed(err)
	}
	if version != r.version {
		ring, err := r.ringOf(keys)
		if err != nil {
			return storeFailed(err)
		}
		r.replace(ring, now)
		r.version, r.since = version, time.Time{}
	}
	r.due.Store(now.Add(syncEvery).UnixNano())
	return nil
}

// ringOf returns the keys of a store as a ring.
func (r *keyring) ringOf(keys []SharedKey) ([]ringKey, error) {
	ring := make([]ringKey, len(keys))
	signs := false
	for i, k := range keys {
		key, err := newSigningKey(fmt.Sprintf("KeyStore.SigningKeys[%d]", i), k.SigningKey)
		if err != nil {
			return nil, err
		}
		ring[i] = ringKey{signingKey: key, idle: k.Idle, from: k.From, until: k.Until}
		signs = signs || !k.Idle
	}
	if !signs {
		return nil, errors.New("authserver: KeyStore.SigningKeys: no key signs")
	}
	return ring, nil
}

// storeKeys makes ring the keys, of all servers on the store if there is one that
// keeps them: ErrConflict if another server changed them meanwhile. r.mu is held.
func (s *Server) storeKeys(ctx context.Context, ring []ringKey, now time.Time) error {
	r := s.keys
	if r.shared() {
		keys := make([]SharedKey, len(ring))
		for i, k := range ring {
			keys[i] = SharedKey{SigningKey: k.SigningKey, Idle: k.idle, From: k.from, Until: k.until}
			if k.from.IsZero() && !k.idle {
				keys[i].From = now // for whoever wants to know when it is due to be followed
				ring[i].from = now
			}
		}
		version := max(r.version, 0)
		if err := r.store.ReplaceSigningKeys(ctx, keys, version); err != nil {
			return err
		}
		r.version = version + 1
	}
	r.replace(ring, now)
	return nil
}

// verifier returns the key with an ID, or nil. An ID that is unknown may be that
// of a key with which another server began to sign a moment ago.
func (s *Server) verifier(ctx context.Context, kid string) (*ringKey, error) {
	if err := s.syncKeys(ctx); err != nil {
		return nil, err
	}
	r := s.keys
	if k := r.verifier(kid); k != nil || !r.shared() {
		return k, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if since := s.now().Sub(time.Unix(0, r.checked.Load())); since >= syncRetry || since < 0 {
		if err := s.loadKeys(ctx); err != nil {
			return nil, err // it may be a good key, for all that is known
		}
	}
	return r.verifier(kid), nil
}

// withKeys has a handler see the keys of all servers.
func (s *Server) withKeys(handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		if err := s.syncKeys(req.Context()); err != nil {
			s.writeError(w, req, nil, err)
			return
		}
		handle(w, req)
	}
}
