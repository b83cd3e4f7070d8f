package jwks

import (
	"hash/maphash"
	"sync"
	"time"
)

const (
	maxMisses  = 1024
	missMemory = 5 * time.Second
)

// misses remembers for a while what a key set was asked for in vain, so that a
// client that keeps coming with one bad kid has it fetched once and no more. It
// belongs to a set: a new set begins a new memory.
//
// A kid is the client's choice and may be long, so only a hash of it is kept.
type misses struct {
	seed maphash.Seed

	mu    sync.Mutex
	until map[uint64]time.Time
}

func newMisses() *misses {
	return &misses{seed: maphash.MakeSeed(), until: make(map[uint64]time.Time)}
}

func (m *misses) has(kid, alg string) bool {
	q := m.hash(kid, alg)
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Until(m.until[q]) > 0
}

// add remembers a question. A memory that is full of invented kids is no use to
// anybody, so it starts anew.
func (m *misses) add(kid, alg string) {
	q := m.hash(kid, alg)
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.until) >= maxMisses {
		clear(m.until)
	}
	m.until[q] = time.Now().Add(missMemory)
}

func (m *misses) hash(kid, alg string) uint64 {
	return maphash.Comparable(m.seed, [2]string{kid, alg})
}
