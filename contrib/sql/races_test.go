package sqlstore_test

import (
	"testing"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/issuertest"
)

// Of many requests at once one has what works once: at one server with SQLite, at
// two with PostgreSQL.
func TestIssuer_Races(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, create func(testing.TB) database) {
		t.Helper()
		rounds := 50
		if raceDetector && create(t).isSQLite() { // ten times as slow, being written in Go
			rounds = 10
		}
		issuertest.Races(t, rounds, func(t *testing.T) []authserver.Store {
			t.Helper()
			db := create(t)
			stores := []authserver.Store{db.open(t, withKey)}
			if !db.isSQLite() {
				stores = append(stores, db.open(t, withKey))
			}
			return stores
		})
	})
}
