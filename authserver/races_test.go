package authserver_test

import (
	"testing"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/issuertest"
)

func TestRaces_MemoryStore(t *testing.T) {
	t.Parallel()
	issuertest.Races(t, 50, func(*testing.T) []authserver.Store { return []authserver.Store{authserver.NewMemoryStore(nil)} })
}
