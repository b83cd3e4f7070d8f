package authserver

import (
	"cmp"
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"
)

const defaultMaxRecords = 250_000

// MemoryStoreOptions are the bounds of a [MemoryStore].
type MemoryStoreOptions struct {
	// MaxRecords is how many records there may be of each [Kind], and how many
	// grants, and how many clients: they have the same bound, each for itself, so
	// that no flood of opaque tokens keeps a revocation out, and none of pushed
	// requests a sign-in. 0 or less means 250,000; a record takes about half a
	// kilobyte, and one with more data counts as one more for each kilobyte.
	// Beyond it there is ErrFull.
	//
	// All clients share it. One of them can fill it by itself, with opaque tokens
	// or by revoking its own tokens, and then nobody has room for more of that
	// until it expires; anybody can fill it with DPoP proofs, and with pushed
	// requests and those of devices, who knows a public client. Where clients do
	// not trust each other, limit the rate of each in front of the server. Refresh
	// tokens that were used stay until their grant ends, to be known when they come
	// again.
	MaxRecords int
}

// A MemoryStore is a [Store] that lasts as long as its process: with it,
// revocations are forgotten at a restart. The zero value is an empty one with the
// default bounds. It is safe for concurrent use.
type MemoryStore struct {
	limit int // 0: the default

	mu      sync.Mutex
	clients map[string]*Client
	grants  map[string]*Grant
	records map[recordKey]*memoryRecord
	used    map[Kind]int // how many there are, by their weight
	expiry  expiryHeap   // of grants and records, each once
}

var (
	_ Store       = (*MemoryStore)(nil)
	_ ClientStore = (*MemoryStore)(nil)
)

type recordKey struct {
	kind Kind
	hash Hash
}

type memoryRecord struct {
	Record
	key     recordKey
	spent   bool
	spentAt time.Time
	next    Hash // what took its place, once rotated
}

// NewMemoryStore returns an empty store; opts may be nil.
func NewMemoryStore(opts *MemoryStoreOptions) *MemoryStore {
	m := &MemoryStore{}
	if opts != nil {
		m.limit = max(opts.MaxRecords, 0)
	}
	return m
}

// CreateGrant implements [Store].
func (m *MemoryStore) CreateGrant(_ context.Context, g Grant) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, taken := m.grants[g.ID]; taken {
		return ErrExists
	}
	return m.addGrant(g)
}

// Put implements [Store].
func (m *MemoryStore) Put(_ context.Context, kind Kind, key Hash, r Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.addRecord(recordKey{kind, key}, r)
}

// Get implements [Store].
func (m *MemoryStore) Get(_ context.Context, kind Kind, key Hash) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.records[recordKey{kind, key}]
	if !ok {
		return Record{}, ErrNotFound
	}
	got := r.clone()
	got.Spent = r.spent
	return got, nil
}

// Consume implements [Store].
func (m *MemoryStore) Consume(_ context.Context, kind Kind, key Hash, now time.Time) (Record, Outcome, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.records[recordKey{kind, key}]
	switch {
	case !ok || !now.Before(r.Expiry):
		return Record{}, 0, ErrNotFound
	case r.spent:
		return r.clone(), Replayed, nil
	default:
		r.spent, r.spentAt = true, now
		return r.clone(), First, nil
	}
}

// Rotate implements [Store].
func (m *MemoryStore) Rotate(_ context.Context, old, next Hash, r Record, grace time.Duration, now time.Time) (Outcome, Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	was, ok := m.records[recordKey{RefreshToken, old}]
	if !ok || !now.Before(was.Expiry) {
		return 0, Record{}, ErrNotFound
	}
	if was.spent {
		successor, ok := m.records[recordKey{RefreshToken, was.next}]
		if ok && !successor.spent && grace > 0 && now.Before(was.spentAt.Add(grace)) {
			return Retry, successor.clone(), nil
		}
		return Reused, was.clone(), nil
	}
	if err := m.addRecord(recordKey{RefreshToken, next}, r); err != nil {
		return 0, Record{}, err
	}
	was.spent, was.spentAt, was.next = true, now, next
	return Rotated, r.clone(), nil
}

// Grant implements [Store].
func (m *MemoryStore) Grant(_ context.Context, id string) (Grant, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	g, ok := m.grants[id]
	if !ok {
		return Grant{}, ErrNotFound
	}
	return g.clone(), nil
}

// RevokeGrant implements [Store].
func (m *MemoryStore) RevokeGrant(_ context.Context, id, reason string, now, until time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	g, ok := m.grants[id]
	if !ok {
		return m.addGrant(Grant{ID: id, Expiry: until, Revoked: now, Reason: reason})
	}
	if g.Revoked.IsZero() {
		g.Revoked, g.Reason = now, reason
	}
	if until.After(g.Expiry) {
		g.Expiry = until // its place in the heap is mended by Purge
	}
	return nil
}

// Purge implements [Store].
func (m *MemoryStore) Purge(_ context.Context, now time.Time, limit int) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for range limit { // steps, which those grants take too that by now expire later
		if len(m.expiry) == 0 || now.Before(m.expiry[0].at) {
			break
		}
		first := &m.expiry[0]
		if g := first.grant; g != nil && now.Before(g.Expiry) {
			first.at = g.Expiry
			heap.Fix(&m.expiry, 0)
			continue
		}
		if first.grant != nil {
			delete(m.grants, first.grant.ID)
		} else {
			delete(m.records, first.record.key)
			m.used[first.record.key.kind] -= first.record.weight()
		}
		heap.Pop(&m.expiry)
		n++
	}
	return n, nil
}

func (m *MemoryStore) addGrant(g Grant) error {
	if m.full(len(m.grants)) {
		return ErrFull
	}
	g = g.clone()
	put(&m.grants, g.ID, &g)
	heap.Push(&m.expiry, expiring{at: g.Expiry, grant: &g})
	return nil
}

func (m *MemoryStore) addRecord(key recordKey, r Record) error {
	if _, taken := m.records[key]; taken {
		return ErrExists
	}
	if m.full(m.used[key.kind]) {
		return ErrFull
	}
	kept := &memoryRecord{Record: r.clone(), key: key}
	put(&m.records, key, kept)
	put(&m.used, key.kind, m.used[key.kind]+kept.weight())
	heap.Push(&m.expiry, expiring{at: r.Expiry, record: kept})
	return nil
}

// full reports whether there may be no more than n of a thing.
func (m *MemoryStore) full(n int) bool { return n >= cmp.Or(m.limit, defaultMaxRecords) }

// put is an assignment to a map that may not be there yet.
func put[K comparable, V any](m *map[K]V, key K, value V) {
	if *m == nil {
		*m = make(map[K]V)
	}
	(*m)[key] = value
}

// weight is how many records a record counts as.
func (r *memoryRecord) weight() int { return 1 + len(r.Data)>>10 }

func (r Record) clone() Record {
	r.Data = slices.Clone(r.Data)
	return r
}

func (g Grant) clone() Grant {
	g.Data = slices.Clone(g.Data)
	return g
}

// expiring is a grant or a record. A grant may by now expire later than at.
type expiring struct {
	at     time.Time
	grant  *Grant
	record *memoryRecord
}

// expiryHeap has what expires first on top.
type expiryHeap []expiring

func (h *expiryHeap) Len() int           { return len(*h) }
func (h *expiryHeap) Less(i, j int) bool { return (*h)[i].at.Before((*h)[j].at) }
func (h *expiryHeap) Swap(i, j int)      { (*h)[i], (*h)[j] = (*h)[j], (*h)[i] }

func (h *expiryHeap) Push(x any) {
	*h = append(*h, x.(expiring)) //nolint:forcetypeassert // nothing else is pushed
}

func (h *expiryHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = expiring{} // lets go of what it points to
	*h = (*h)[:last]
	return e
}
