package storetest_test

import (
	"testing"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/authserver/storetest"
)

// A store of one's own is held to the contract by a test of its own package. An
// example cannot run the suite: only go test makes a *testing.T.
func Example() {
	TestStore := func(t *testing.T) {
		t.Helper()
		storetest.Run(t, func(t *testing.T) authserver.Store {
			t.Helper()
			return newStore(t)
		})
	}
	_ = TestStore
	// Output:
}

// newStore opens a store with nothing in it, and cleans up when t ends.
func newStore(testing.TB) authserver.Store { return authserver.NewMemoryStore(nil) }
