package introspection

import (
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/countermark/countermark/internal/bounded"
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
		m.good = bounded.New[digest, *answer](config.CacheSize)
	}
	if config.NegativeTTL > 0 {
		m.bad = bounded.New[digest, *answer](config.CacheSize)
	}
	return m
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
