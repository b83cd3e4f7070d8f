package authserver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// cacheTime is how long others may keep the key set and the metadata.
	cacheTime = 15 * time.Minute
	// clockSkew is how far behind a resource server's clock may be: so much
	// longer than its last token an old key stays published, and a revocation
	// remembered.
	clockSkew = 5 * time.Minute
)

// A Rotation is how a new signing key takes over.
type Rotation int

const (
	// RotateScheduled publishes the new key at once and signs with it from 15
	// minutes later, the time for which the key set may be cached, so that every
	// resource server knows it by then. The key before it stays published until
	// its last token has expired. This is the rotation for production.
	RotateScheduled Rotation = iota
	// RotateNow signs with the new key at once, for development and tests. A
	// resource server that cached the key set has to ask again when it meets an
	// unknown kid.
	RotateNow
	// RotateAndWithdraw signs with the new key at once and unpublishes every
	// other, for a key that got out. All tokens signed so far are void, as soon
	// as resource servers refresh their key set.
	RotateAndWithdraw
)

// rotations are the ways as events tell them.
var rotations = [...]string{
	RotateScheduled:   "published, to sign later",
	RotateNow:         "signs at once",
	RotateAndWithdraw: "signs at once, all others are withdrawn",
}

// RotateKeys has next take over as the signing key in the way that how says. A
// key that is waiting to take over still does before it if the rotation is
// scheduled, otherwise it is dropped. It is an error, and changes nothing, if
// next is unusable, if its ID is taken by another key or one that signs, or if it
// or its ID was withdrawn. A key of [Config.Keys] that is only published may take
// over, under the ID and for the algorithm that it has there.
//
// With a [KeyStore], every server on it learns of the rotation within ten seconds.
// Without one, what it does is not written down: every process that signs for the
// issuer has to be told, and the next start begins with [Config.Keys] again.
func (s *Server) RotateKeys(ctx context.Context, next SigningKey, how Rotation) error {
	return s.rotateKeys(ctx, next, how, func() bool { return true })
}

// rotateKeys is RotateKeys as long as wanted says so, of the keys as they are then.
func (s *Server) rotateKeys(ctx context.Context, next SigningKey, how Rotation, wanted func() bool) error {
	key, err := newSigningKey("RotateKeys: SigningKey", next)
	if err != nil {
		return err
	}
	done, err := s.putInPlace(ctx, key, how, wanted)
	if done { // told of without the lock, for who is told may do as it likes
		s.emit(ctx, Event{Type: EventKeyRotation, KeyID: key.ID, Algorithm: key.Algorithm, Reason: rotations[how]})
	}
	return err
}

// putInPlace reports whether it rotated the keys: not if they are not wanted to be.
func (s *Server) putInPlace(ctx context.Context, key signingKey, how Rotation, wanted func() bool) (done bool, err error) {
	s.keys.mu.Lock()
	defer s.keys.mu.Unlock()
	err = ErrConflict
	for try := 0; errors.Is(err, ErrConflict) && try < maxRotates; try++ { // with other servers that rotate
		if s.keys.shared() {
			if err := s.loadKeys(ctx); err != nil {
				return false, err
			}
		}
		if !wanted() {
			return false, nil
		}
		now, lag := s.now(), time.Duration(0)
		if s.keys.shared() {
			lag = syncEvery
		}
		var ring []ringKey
		if ring, err = s.keys.rotated(key, how, now, lag, s.lifetime); err == nil {
			err = s.storeKeys(ctx, ring, now)
		}
	}
	return err == nil, err
}

// A keyring holds the keys that are published and knows which one signs. What is
// due changes by reading the clock: nothing runs in the background.
type keyring struct {
	keys atomic.Pointer[[]ringKey]

	mu        sync.Mutex          // held while the keys change
	withdrawn map[string]struct{} // IDs and thumbprints that never come back
	since     time.Time           // when the first key began to sign, if it does not say so

	store   KeyStore     // nil: nobody shares the keys
	version int64        // of the store's set that the keys are; -1 before the first
	checked atomic.Int64 // when that was looked at last, in Unix nanoseconds
	due     atomic.Int64 // when to look again, likewise
}

type ringKey struct {
	signingKey
	idle  bool      // published, but never signs
	from  time.Time // when it begins to sign; in order within a ring
	until time.Time // when it is no longer published; zero: not yet known
}

// newKeyring returns a ring of keys whose first signs, since now.
func newKeyring(keys []SigningKey, now time.Time) (*keyring, error) {
	ring := make([]ringKey, 0, len(keys))
	for i, k := range keys {
		name := fmt.Sprintf("Config.Keys[%d]", i)
		key, err := newSigningKey(name, k)
		if err != nil {
			return nil, err
		}
		if find(ring, key.ID) != nil {
			return nil, fmt.Errorf("authserver: %s.ID: another key has it too", name)
		}
		ring = append(ring, ringKey{signingKey: key, idle: i > 0})
	}
	r := &keyring{since: now, version: -1}
	r.keys.Store(&ring)
	return r, nil
}

// replace puts ring in the place of the keys that there are. Those of them that
// are gone, though they had begun to sign and may not have ended, were withdrawn
// and never come back. r.mu is held.
func (r *keyring) replace(ring []ringKey, now time.Time) {
	for _, k := range r.published(now) {
		if find(ring, k.ID) == nil && !k.from.After(now) {
			r.withdraw(k)
		}
	}
	r.keys.Store(&ring)
}

func (r *keyring) withdraw(k ringKey) {
	if r.withdrawn == nil {
		r.withdrawn = make(map[string]struct{})
	}
	r.withdrawn[k.ID] = struct{}{}
	r.withdrawn[k.published.thumbprint()] = struct{}{}
}

// rotated returns the keys after a rotation, of which others learn after lag. r.mu
// is held.
func (r *keyring) rotated(next signingKey, how Rotation, now time.Time, lag, lifetime time.Duration) ([]ringKey, error) {
	ring := r.published(now)
	if r.isWithdrawn(next) {
		return nil, errors.New("authserver: RotateKeys: SigningKey: this key, or one with its ID, was withdrawn")
	}
	if known := find(ring, next.ID); known != nil && (!known.idle || known.published != next.published) {
		return nil, errors.New("authserver: RotateKeys: SigningKey.ID: a published key has it")
	}
	from := now
	switch how {
	case RotateScheduled:
		from = now.Add(cacheTime + lag)
	case RotateNow:
		ring = slices.DeleteFunc(ring, func(k ringKey) bool { return k.from.After(now) })
	case RotateAndWithdraw:
		for _, k := range ring {
			if k.ID != next.ID && k.from.After(now) { // replace withdraws the others
				r.withdraw(k)
			}
		}
		ring = nil
	default:
		return nil, errors.New("authserver: RotateKeys: unknown Rotation")
	}
	ring = slices.DeleteFunc(ring, func(k ringKey) bool { return k.ID == next.ID }) // idle so far
	if last := signerAt(ring, from); last != nil {
		last.until = from.Add(lag + lifetime + clockSkew)
	}
	return append(ring, ringKey{signingKey: next, from: from}), nil
}

func (r *keyring) isWithdrawn(k signingKey) bool {
	_, byID := r.withdrawn[k.ID]
	_, byKey := r.withdrawn[k.published.thumbprint()]
	return byID || byKey
}

// published returns a copy of the keys that are published at now.
func (r *keyring) published(now time.Time) []ringKey {
	return slices.DeleteFunc(slices.Clone(*r.keys.Load()), func(k ringKey) bool {
		return !k.until.IsZero() && !now.Before(k.until)
	})
}

// algorithms returns those of the keys that sign at now, or will.
func (r *keyring) algorithms(now time.Time) []string {
	signer := r.signer(now)
	var algs []string
	for _, k := range *r.keys.Load() {
		if k.ID == signer.ID || !k.idle && k.from.After(now) {
			algs = append(algs, k.Algorithm)
		}
	}
	slices.Sort(algs)
	return slices.Compact(algs)
}

// signer returns the key that signs at now.
func (r *keyring) signer(now time.Time) *ringKey { return signerAt(*r.keys.Load(), now) }

// verifier returns the key with an ID, or nil. It may be one that is published
// no longer because its last token has expired.
func (r *keyring) verifier(kid string) *ringKey { return find(*r.keys.Load(), kid) }

// signerAt returns the last key that has begun to sign by t. Should the clock
// have been set back, that is the first one that ever will.
func signerAt(ring []ringKey, t time.Time) *ringKey {
	var signer *ringKey
	for i := range ring {
		if k := &ring[i]; !k.idle && (signer == nil || !k.from.After(t)) {
			signer = k
		}
	}
	return signer
}

func find(ring []ringKey, kid string) *ringKey {
	i := slices.IndexFunc(ring, func(k ringKey) bool { return k.ID == kid })
	if i < 0 {
		return nil
	}
	return &ring[i]
}
