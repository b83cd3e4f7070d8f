package validator

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"time"
)

// A ReplayCache remembers DPoP proofs, so that each passes once (RFC 9449
// section 11.1). Replicas of an API that share one catch replays across them. It
// is safe for concurrent use.
type ReplayCache interface {
	// Add remembers hash until expiry, and reports whether it was not remembered
	// already: one atomic step. It never forgets a hash before its expiry; if it
	// has no room, or cannot find out, it returns an error.
	Add(ctx context.Context, hash [32]byte, expiry time.Time) (fresh bool, err error)
}

const (
	replayShards      = 16
	replayGenerations = 5
	replaysAShard     = 1 << 16 // some 40 bytes each; only proofs that verified get here
)

// memoryReplay is the ReplayCache of one process. It goes by how long a hash may
// live and not by its expiry, so that no clock matters but its own: each shard has
// generations of a quarter of that, and drops one whole when all of it is older.
type memoryReplay struct {
	generation time.Duration
	seed       maphash.Seed // nobody else knows which shard a hash falls to
	shards     [replayShards]replayShard
}

type replayShard struct {
	mu    sync.Mutex
	seen  [replayGenerations]map[[32]byte]struct{} // the newest first
	since time.Time                                // when the newest began
}

// newMemoryReplay returns a cache that remembers each hash for life, at least.
func newMemoryReplay(life time.Duration) *memoryReplay {
	return &memoryReplay{generation: life/(replayGenerations-1) + 1, seed: maphash.MakeSeed()}
}

func (m *memoryReplay) Add(_ context.Context, hash [32]byte, _ time.Time) (bool, error) {
	s := m.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.age(time.Now(), m.generation)
	size := 0
	for _, generation := range s.seen {
		if _, seen := generation[hash]; seen {
			return false, nil
		}
		size += len(generation)
	}
	if size >= replaysAShard {
		return false, errors.New("no room for another proof")
	}
	s.seen[0][hash] = struct{}{}
	return true, nil
}

func (m *memoryReplay) shard(hash [32]byte) *replayShard {
	return &m.shards[maphash.Bytes(m.seed, hash[:])%replayShards]
}

// age begins a new generation if the newest is old enough, and drops those that
// are older than a hash may live.
func (s *replayShard) age(now time.Time, generation time.Duration) {
	passed := int(now.Sub(s.since) / generation)
	switch {
	case s.seen[0] == nil || passed >= replayGenerations:
		clear(s.seen[:])
		s.since = now
	case passed > 0:
		copy(s.seen[passed:], s.seen[:])
		clear(s.seen[:passed])
		s.since = s.since.Add(time.Duration(passed) * generation)
	default:
		return
	}
	s.seen[0] = make(map[[32]byte]struct{})
}
