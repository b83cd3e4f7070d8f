package introspection

import (
	"time"

	"github.com/maypok86/otter/v2"
)

// memory holds the answers of this process. Bad ones have a cache of their
// own, so that invented tokens compete with each other alone.
type memory struct {
	good, bad        *otter.Cache[digest, *answer] // nil: none
	ttl, negativeTTL time.Duration
}

func newMemory(config Config) *memory {
	m := &memory{ttl: config.TTL, negativeTTL: config.NegativeTTL}
	if config.TTL > 0 {
		m.good = newCache(config.CacheSize)
	}
	if config.NegativeTTL > 0 {
		m.bad = newCache(config.CacheSize)
	}
	return m
}

// newCache returns nil for a negative size. Expiry is checked on a hit instead
// of by the cache, which would need a goroutine for it; its other upkeep runs
// on the goroutine that causes it.
func newCache(size int) *otter.Cache[digest, *answer] {
	if size < 0 {
		return nil
	}
	return otter.Must(&otter.Options[digest, *answer]{
		MaximumSize: size,
		Executor:    func(upkeep func()) { upkeep() },
	})
}

// get returns nil if nothing usable is known.
func (m *memory) get(key digest, now time.Time) *answer {
	if m.good != nil {
		if a, ok := m.good.GetIfPresent(key); ok && a.usable(now, m.ttl) {
			return a
		}
	}
	if m.bad != nil {
		if a, ok := m.bad.GetIfPresent(key); ok && a.usable(now, m.negativeTTL) {
			return a
		}
	}
	return nil
}

// put replaces what is known. An inactive token leaves the good answers also
// where bad ones are not remembered.
func (m *memory) put(key digest, a *answer) {
	into, other := m.bad, m.good
	if a.active {
		into, other = m.good, m.bad
	}
	if into != nil {
		into.Set(key, a)
	}
	if other != nil {
		other.Invalidate(key)
	}
}
