// Package proctest measures the process that a test runs in, for tests of what is
// left behind. Such a test needs the process for itself: it must not be parallel.
package proctest

import (
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"time"
)

// Bound returns how many times as long something may take as something else. The strict
// bound is for a machine that runs nothing but this test, which COUNTERMARK_MEASURE says
// of it. Amid other tests the busy one shows who waits for a lock or for an issuer.
func Bound(strict, busy float64) float64 {
	if os.Getenv("COUNTERMARK_MEASURE") != "" {
		return strict
	}
	return busy
}

// Heap returns how many bytes of the heap are in use, now that it was swept.
func Heap() int64 {
	runtime.GC()
	runtime.GC() // what a sync.Pool held goes with the second
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc) //nolint:gosec // no machine has more
}

// WaitForGoroutines waits until no more than want are left: net/http ends its own
// a moment after the connection.
func WaitForGoroutines(tb testing.TB, want int) {
	tb.Helper()
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > want; runtime.Gosched() {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			tb.Fatalf("%d goroutines, want %d:\n%s", runtime.NumGoroutine(), want, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// UnderRace reports whether the race detector is on, under which all is slow.
func UnderRace() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
