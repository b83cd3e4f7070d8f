package storetest

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

// A broken store is a good one but for what it overrides.
type broken struct {
	authserver.Store
	put      func(s authserver.Store, k authserver.Kind, key authserver.Hash, r authserver.Record) error
	get      func(authserver.Record) authserver.Record
	consume  func(s authserver.Store, k authserver.Kind, key authserver.Hash, now time.Time) (authserver.Record, authserver.Outcome, error)
	rotate   func(s authserver.Store, old, next authserver.Hash, r authserver.Record, grace time.Duration, now time.Time) (authserver.Outcome, authserver.Record, error)
	create   func(s authserver.Store, g authserver.Grant) error
	revoke   func(s authserver.Store, id, reason string, now, until time.Time) error
	purge    func(s authserver.Store, now time.Time, limit int) (int, error)
	client   func(s authserver.Store, id string) (*authserver.Client, error)
	oneKind  bool
	anyGrant bool
}

func (b *broken) kind(k authserver.Kind) authserver.Kind {
	if b.oneKind {
		return authserver.RefreshToken
	}
	return k
}

func (b *broken) Put(ctx context.Context, k authserver.Kind, key authserver.Hash, r authserver.Record) error {
	if b.put != nil {
		return b.put(b.Store, k, key, r)
	}
	return b.Store.Put(ctx, b.kind(k), key, r)
}

func (b *broken) Get(ctx context.Context, k authserver.Kind, key authserver.Hash) (authserver.Record, error) {
	r, err := b.Store.Get(ctx, b.kind(k), key)
	if b.get != nil && err == nil {
		r = b.get(r)
	}
	return r, err
}

func (b *broken) Consume(ctx context.Context, k authserver.Kind, key authserver.Hash, now time.Time) (authserver.Record, authserver.Outcome, error) {
	if b.consume != nil {
		return b.consume(b.Store, k, key, now)
	}
	return b.Store.Consume(ctx, b.kind(k), key, now)
}

func (b *broken) Rotate(ctx context.Context, old, next authserver.Hash, r authserver.Record, grace time.Duration, now time.Time) (authserver.Outcome, authserver.Record, error) {
	if b.rotate != nil {
		return b.rotate(b.Store, old, next, r, grace, now)
	}
	return b.Store.Rotate(ctx, old, next, r, grace, now)
}

func (b *broken) CreateGrant(ctx context.Context, g authserver.Grant) error {
	if b.create != nil {
		return b.create(b.Store, g)
	}
	return b.Store.CreateGrant(ctx, g)
}

func (b *broken) Grant(ctx context.Context, id string) (authserver.Grant, error) {
	if b.anyGrant {
		id = strings.ToLower(id)
	}
	return b.Store.Grant(ctx, id)
}

func (b *broken) RevokeGrant(ctx context.Context, id, reason string, now, until time.Time) error {
	if b.revoke != nil {
		return b.revoke(b.Store, id, reason, now, until)
	}
	return b.Store.RevokeGrant(ctx, id, reason, now, until)
}

func (b *broken) Purge(ctx context.Context, now time.Time, limit int) (int, error) {
	if b.purge != nil {
		return b.purge(b.Store, now, limit)
	}
	return b.Store.Purge(ctx, now, limit)
}

func (b *broken) Client(ctx context.Context, id string) (*authserver.Client, error) {
	if b.client != nil {
		return b.client(b.Store, id)
	}
	return b.Store.Client(ctx, id)
}

// Each mistake that a store can make is found by the case that is for it.
func TestRun_FindsMistakes(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for name, m := range map[string]struct {
		found string
		store broken
	}{
		"an unknown client is empty, without an error": {"Client", broken{client: func(authserver.Store, string) (*authserver.Client, error) { return &authserver.Client{}, nil }}},
		"Put overwrites": {"Put", broken{put: func(s authserver.Store, k authserver.Kind, key authserver.Hash, r authserver.Record) error {
			_ = s.Put(ctx, k, key, r)
			return nil
		}}},
		"Put takes the place of an expired record": {"Put", broken{put: func(s authserver.Store, k authserver.Kind, key authserver.Hash, r authserver.Record) error {
			_, _ = s.Purge(ctx, now, 1000)
			return s.Put(ctx, k, key, r)
		}}},
		"Put looks before it writes": {"PutRace", broken{put: func(s authserver.Store, k authserver.Kind, key authserver.Hash, r authserver.Record) error {
			if _, err := s.Get(ctx, k, key); err == nil {
				return authserver.ErrExists
			}
			runtime.Gosched()
			_ = s.Put(ctx, k, key, r)
			return nil
		}}},
		"kinds are one": {"Put", broken{oneKind: true}},
		"text is all it has": {"Put", broken{get: func(r authserver.Record) authserver.Record {
			r.Data = []byte(strings.ToValidUTF8(string(r.Data), ""))
			return r
		}}},
		"times are in whole seconds": {"Put", broken{get: func(r authserver.Record) authserver.Record {
			r.Expiry = r.Expiry.Truncate(time.Second)
			return r
		}}},
		"what is spent seems unspent": {"Put", broken{get: func(r authserver.Record) authserver.Record { r.Spent = false; return r }}},
		"what is unspent seems spent": {"Put", broken{get: func(r authserver.Record) authserver.Record { r.Spent = true; return r }}},
		"the grant is lost":           {"Put", broken{get: func(r authserver.Record) authserver.Record { r.Grant = ""; return r }}},
		"Consume ignores expiry": {"ConsumeExpiry", broken{consume: func(s authserver.Store, k authserver.Kind, key authserver.Hash, _ time.Time) (authserver.Record, authserver.Outcome, error) {
			return s.Consume(ctx, k, key, now)
		}}},
		"Consume expires too early": {"ConsumeExpiry", broken{consume: func(s authserver.Store, k authserver.Kind, key authserver.Hash, at time.Time) (authserver.Record, authserver.Outcome, error) {
			return s.Consume(ctx, k, key, at.Add(time.Millisecond))
		}}},
		"Consume forgets": {"Consume", broken{consume: func(s authserver.Store, k authserver.Kind, key authserver.Hash, at time.Time) (authserver.Record, authserver.Outcome, error) {
			r, o, err := s.Consume(ctx, k, key, at)
			if o == authserver.Replayed {
				return authserver.Record{}, 0, authserver.ErrNotFound
			}
			return r, o, err
		}}},
		"Consume keeps the record of a replay to itself": {"Consume", broken{consume: func(s authserver.Store, k authserver.Kind, key authserver.Hash, at time.Time) (authserver.Record, authserver.Outcome, error) {
			r, o, err := s.Consume(ctx, k, key, at)
			if o == authserver.Replayed {
				r = authserver.Record{}
			}
			return r, o, err
		}}},
		"Consume looks before it writes": {"ConsumeRace", racyConsume(ctx)},
		"Rotate knows no grace": {"RotateGrace", broken{rotate: func(s authserver.Store, old, next authserver.Hash, r authserver.Record, _ time.Duration, at time.Time) (authserver.Outcome, authserver.Record, error) {
			return s.Rotate(ctx, old, next, r, 0, at)
		}}},
		"Rotate has grace a little too long": {"RotateGrace", broken{rotate: func(s authserver.Store, old, next authserver.Hash, r authserver.Record, grace time.Duration, at time.Time) (authserver.Outcome, authserver.Record, error) {
			return s.Rotate(ctx, old, next, r, grace+min(grace, time.Millisecond), at)
		}}},
		"Rotate has a grace of 0 for a clock that is behind": {"RotateGrace", broken{rotate: func(s authserver.Store, old, next authserver.Hash, r authserver.Record, grace time.Duration, at time.Time) (authserver.Outcome, authserver.Record, error) {
			if grace == 0 {
				grace, at = 1, at.Add(1)
			}
			return s.Rotate(ctx, old, next, r, grace, at)
		}}},
		"Rotate answers a retry with the new record": {"RotateGrace", broken{rotate: func(s authserver.Store, old, next authserver.Hash, r authserver.Record, grace time.Duration, at time.Time) (authserver.Outcome, authserver.Record, error) {
			o, got, err := s.Rotate(ctx, old, next, r, grace, at)
			if o == authserver.Retry {
				got = r
			}
			return o, got, err
		}}},
		"Rotate keeps what a reuse brings": {"RotateGrace", broken{rotate: func(s authserver.Store, old, next authserver.Hash, r authserver.Record, grace time.Duration, at time.Time) (authserver.Outcome, authserver.Record, error) {
			o, got, err := s.Rotate(ctx, old, next, r, grace, at)
			if o == authserver.Reused {
				_ = s.Put(ctx, authserver.RefreshToken, next, r)
			}
			return o, got, err
		}}},
		"Rotate spends before it finds the place taken": {"RotateRefused", broken{rotate: func(s authserver.Store, old, next authserver.Hash, r authserver.Record, grace time.Duration, at time.Time) (authserver.Outcome, authserver.Record, error) {
			o, got, err := s.Rotate(ctx, old, next, r, grace, at)
			if errors.Is(err, authserver.ErrExists) {
				_, _, _ = s.Consume(ctx, authserver.RefreshToken, old, at)
			}
			return o, got, err
		}}},
		"Rotate is in two steps": {"RotateRace", broken{rotate: func(s authserver.Store, old, next authserver.Hash, r authserver.Record, _ time.Duration, at time.Time) (authserver.Outcome, authserver.Record, error) {
			if err := s.Put(ctx, authserver.RefreshToken, next, r); err != nil {
				return 0, authserver.Record{}, err
			}
			was, o, err := s.Consume(ctx, authserver.RefreshToken, old, at)
			if o == authserver.Replayed {
				return authserver.Reused, was, nil
			}
			return authserver.Rotated, r, err
		}}},
		"Rotate gives each a successor": {"RotateRace", broken{rotate: func(s authserver.Store, old, next authserver.Hash, r authserver.Record, grace time.Duration, at time.Time) (authserver.Outcome, authserver.Record, error) {
			o, got, err := s.Rotate(ctx, old, next, r, grace, at)
			if o == authserver.Retry {
				return authserver.Rotated, r, s.Put(ctx, authserver.RefreshToken, next, r)
			}
			return o, got, err
		}}},
		"Rotate does not see Consume": {"RotateConsumeRace", broken{rotate: func(s authserver.Store, old, next authserver.Hash, r authserver.Record, grace time.Duration, at time.Time) (authserver.Outcome, authserver.Record, error) {
			o, got, err := s.Rotate(ctx, old, next, r, grace, at)
			if o == authserver.Reused {
				return authserver.Rotated, r, nil
			}
			return o, got, err
		}}},
		"CreateGrant overwrites": {"Grant", broken{create: func(s authserver.Store, g authserver.Grant) error {
			_ = s.CreateGrant(ctx, g)
			return nil
		}}},
		"IDs of grants are case-insensitive": {"Grant", broken{anyGrant: true, create: func(s authserver.Store, g authserver.Grant) error {
			g.ID = strings.ToLower(g.ID)
			return s.CreateGrant(ctx, g)
		}}},
		"RevokeGrant overwrites the first revocation": {"RevokeGrant", broken{revoke: func(s authserver.Store, id, reason string, at, until time.Time) error {
			g, err := s.Grant(ctx, id)
			if err == nil && !g.Revoked.IsZero() {
				return errors.New("revoked already")
			}
			return s.RevokeGrant(ctx, id, reason, at, until)
		}}},
		"RevokeGrant needs a grant": {"RevokeGrant", broken{revoke: func(s authserver.Store, id, reason string, at, until time.Time) error {
			if _, err := s.Grant(ctx, id); err != nil {
				return err
			}
			return s.RevokeGrant(ctx, id, reason, at, until)
		}}},
		"RevokeGrant keeps the tombstone too short": {"PurgeGrants", broken{revoke: func(s authserver.Store, id, reason string, at, until time.Time) error {
			return s.RevokeGrant(ctx, id, reason, at, until.Add(-time.Second))
		}}},
		"RevokeGrant does nothing": {"RevokeGrantRace", broken{revoke: func(authserver.Store, string, string, time.Time, time.Time) error { return nil }}},
		"Purge does nothing":       {"Purge", broken{purge: func(authserver.Store, time.Time, int) (int, error) { return 0, nil }}},
		"Purge has no limit": {"Purge", broken{purge: func(s authserver.Store, at time.Time, _ int) (int, error) {
			return s.Purge(ctx, at, 1000)
		}}},
		"Purge takes what is alive": {"Purge", broken{purge: func(s authserver.Store, at time.Time, limit int) (int, error) {
			return s.Purge(ctx, at.Add(time.Millisecond), limit)
		}}},
		"Purge leaves grants": {"PurgeGrants", broken{purge: func(authserver.Store, time.Time, int) (int, error) { return 0, nil }}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := slices.IndexFunc(cases, func(c struct {
				name string
				run  func(testing.TB, authserver.Store)
			}) bool {
				return c.name == m.found
			})
			m.store.Store = authserver.NewMemoryStore(nil)
			if !failing(t, func(t testing.TB) { cases[at].run(t, &m.store) }) {
				t.Errorf("%s finds nothing", m.found)
			}
		})
	}
}

func racyConsume(ctx context.Context) broken {
	var mu sync.Mutex
	spent := map[authserver.Hash]bool{}
	is := func(key authserver.Hash) bool {
		mu.Lock()
		defer mu.Unlock()
		return spent[key]
	}
	return broken{consume: func(s authserver.Store, k authserver.Kind, key authserver.Hash, _ time.Time) (authserver.Record, authserver.Outcome, error) {
		r, err := s.Get(ctx, k, key)
		if is(key) {
			return r, authserver.Replayed, err
		}
		runtime.Gosched()
		mu.Lock()
		defer mu.Unlock()
		spent[key] = true
		return r, authserver.First, err
	}}
}

// failing reports whether f fails.
func failing(t testing.TB, f func(testing.TB)) bool {
	r := &recorder{TB: t}
	var wg sync.WaitGroup
	wg.Go(func() { f(r) })
	wg.Wait()
	return r.failed
}

// A recorder is a test that may fail.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Errorf(string, ...any) { r.failed = true }

func (r *recorder) Fatal(...any) {
	r.failed = true
	runtime.Goexit()
}

func (r *recorder) Fatalf(string, ...any) { r.Fatal() }
