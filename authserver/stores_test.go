package authserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/countermark/countermark/authserver"
)

var errBroken = errors.New("the store is broken")

// A faultyStore fails while fail is set, and purges nothing if purge is.
type faultyStore struct {
	authserver.Store
	fail  atomic.Bool
	purge bool
}

func (s *faultyStore) err() error {
	if s.fail.Load() {
		return errBroken
	}
	return nil
}

func (s *faultyStore) Client(ctx context.Context, id string) (*authserver.Client, error) {
	if err := s.err(); err != nil {
		return nil, err
	}
	return s.Store.Client(ctx, id)
}

func (s *faultyStore) Put(ctx context.Context, kind authserver.Kind, key authserver.Hash, r authserver.Record) error {
	if err := s.err(); err != nil {
		return err
	}
	return s.Store.Put(ctx, kind, key, r)
}

func (s *faultyStore) Get(ctx context.Context, kind authserver.Kind, key authserver.Hash) (authserver.Record, error) {
	if err := s.err(); err != nil {
		return authserver.Record{}, err
	}
	return s.Store.Get(ctx, kind, key)
}

func (s *faultyStore) Grant(ctx context.Context, id string) (authserver.Grant, error) {
	if err := s.err(); err != nil {
		return authserver.Grant{}, err
	}
	return s.Store.Grant(ctx, id)
}

func (s *faultyStore) Purge(ctx context.Context, now time.Time, limit int) (int, error) {
	if s.purge {
		return 0, errBroken
	}
	return s.Store.Purge(ctx, now, limit)
}

func (s *faultyStore) RevokeGrant(ctx context.Context, id, reason string, now, until time.Time) error {
	if err := s.err(); err != nil {
		return err
	}
	return s.Store.RevokeGrant(ctx, id, reason, now, until)
}

// A meetingStore has those who look for a record of a kind wait for each other, if
// meet is set, after each of them has looked.
type meetingStore struct {
	authserver.Store
	kind authserver.Kind
	meet atomic.Pointer[sync.WaitGroup]
}

func (s *meetingStore) Get(ctx context.Context, kind authserver.Kind, key authserver.Hash) (authserver.Record, error) {
	r, err := s.Store.Get(ctx, kind, key)
	if meet := s.meet.Load(); meet != nil && kind == s.kind {
		meet.Done()
		meet.Wait()
	}
	return r, err
}

// A crowdedStore says of the first few user codes that they are taken.
type crowdedStore struct {
	authserver.Store
	taken atomic.Int64
}

func (s *crowdedStore) Put(ctx context.Context, kind authserver.Kind, key authserver.Hash, r authserver.Record) error {
	if kind == authserver.UserCode && s.taken.Add(-1) >= 0 {
		return authserver.ErrExists
	}
	return s.Store.Put(ctx, kind, key, r)
}

// A fixedStore has clients of its own, which it returns as they are.
type fixedStore struct {
	authserver.Store
	clients map[string]*authserver.Client
}

func (s fixedStore) Client(_ context.Context, id string) (*authserver.Client, error) {
	if c, ok := s.clients[id]; ok {
		return c, nil
	}
	return nil, authserver.ErrNotFound
}

// A dumpingStore writes down what it is given to keep.
type dumpingStore struct {
	authserver.Store
	mu   sync.Mutex
	seen []byte
}

func (s *dumpingStore) note(values ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range values {
		if r, ok := v.(authserver.Record); ok {
			s.seen = append(s.seen, r.Data...)
		}
		text, _ := json.Marshal(v)
		s.seen = append(append(s.seen, text...), fmt.Sprintf("%v\n", v)...)
	}
}

func (s *dumpingStore) Put(ctx context.Context, kind authserver.Kind, key authserver.Hash, r authserver.Record) error {
	s.note(kind, string(key[:]), r)
	return s.Store.Put(ctx, kind, key, r)
}

func (s *dumpingStore) Rotate(ctx context.Context, old, next authserver.Hash, r authserver.Record, grace time.Duration, now time.Time) (authserver.Outcome, authserver.Record, error) {
	s.note(string(old[:]), string(next[:]), r)
	return s.Store.Rotate(ctx, old, next, r, grace, now)
}

func (s *dumpingStore) CreateGrant(ctx context.Context, g authserver.Grant) error {
	s.note(g)
	return s.Store.CreateGrant(ctx, g)
}

func (s *dumpingStore) RevokeGrant(ctx context.Context, id, reason string, now, until time.Time) error {
	s.note(id, reason)
	return s.Store.RevokeGrant(ctx, id, reason, now, until)
}

// A countingStore counts the writes.
type countingStore struct {
	authserver.Store
	writes, purges atomic.Int64
}

func (s *countingStore) Put(ctx context.Context, kind authserver.Kind, key authserver.Hash, r authserver.Record) error {
	s.writes.Add(1)
	return s.Store.Put(ctx, kind, key, r)
}

func (s *countingStore) CreateGrant(ctx context.Context, g authserver.Grant) error {
	s.writes.Add(1)
	return s.Store.CreateGrant(ctx, g)
}

func (s *countingStore) RevokeGrant(ctx context.Context, id, reason string, now, until time.Time) error {
	s.writes.Add(1)
	return s.Store.RevokeGrant(ctx, id, reason, now, until)
}

func (s *countingStore) Purge(ctx context.Context, now time.Time, limit int) (int, error) {
	s.purges.Add(1)
	return s.Store.Purge(ctx, now, limit)
}

// A fullStore fails while fail is set, for clients too.
type fullStore struct {
	*authserver.MemoryStore
	fail atomic.Bool
}

func (s *fullStore) Client(ctx context.Context, id string) (*authserver.Client, error) {
	if s.fail.Load() {
		return nil, errBroken
	}
	return s.MemoryStore.Client(ctx, id)
}
