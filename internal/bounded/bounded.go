// Package bounded makes the caches of this module: each holds so many entries at
// most, keeps those that are asked for often (W-TinyLFU), and has no goroutine.
package bounded

import "github.com/maypok86/otter/v2"

// New returns a cache of size entries, nil for a negative size. Upkeep runs on the
// goroutine that causes it. Nothing expires by itself, for which the cache would
// need a goroutine: who reads checks.
func New[K comparable, V any](size int) *otter.Cache[K, V] {
	if size < 0 {
		return nil
	}
	return otter.Must(&otter.Options[K, V]{
		MaximumSize: size,
		Executor:    func(upkeep func()) { upkeep() },
	})
}
