package authserver_test

import (
	"testing"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/issuertest"
)

// Points 21, 24, 26, 27 and 30, and RFC 8628 section 3.4: what works once, works once.
func TestRaces_MemoryStore(t *testing.T) {
	t.Parallel()
	issuertest.Races(t, 50, func(*testing.T) []authserver.Store { return []authserver.Store{authserver.NewMemoryStore(nil)} })
}
