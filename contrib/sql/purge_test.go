package sqlstore_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
	sqlstore "github.com/countermark/countermark/contrib/sql"
)

// Servers that purge at once remove each row once, and never more than asked.
func TestPurge_ByManyAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, create func(testing.TB) database) {
		t.Helper()
		const rows, limit = 200, 7
		db, ctx, now := create(t), t.Context(), time.Now()
		stores := []*sqlstore.Store{db.open(t, nil), db.open(t, nil)}
		for n := range rows {
			err := stores[0].Put(ctx, "code", authserver.HashOf(fmt.Sprint(n)), authserver.Record{Expiry: now.Add(-time.Minute)})
			if n%2 == 0 {
				err = stores[0].CreateGrant(ctx, authserver.Grant{ID: fmt.Sprint(n), Expiry: now.Add(-time.Minute)})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		counts := make([]int, 8)
		var wg sync.WaitGroup
		for i := range counts {
			wg.Go(func() {
				for range rows { // more than enough, and bounded: some find only what others hold
					n, err := stores[i%2].Purge(ctx, now, limit)
					if err != nil || n > limit {
						t.Errorf("Purge with a limit of %d: %d, %v", limit, n, err)
						return
					}
					counts[i] += n
				}
			})
		}
		wg.Wait()
		total := 0
		for _, n := range counts {
			total += n
		}
		var left int
		if err := raw(t, db).QueryRow(`SELECT (SELECT count(*) FROM countermark_records) + (SELECT count(*) FROM countermark_grants)`).Scan(&left); err != nil {
			t.Fatal(err)
		}
		if total != rows+rows/2 || left != 0 {
			t.Errorf("purged %d rows and left %d, of %d", total, left, rows+rows/2)
		}
	})
}

// Without an index on the expiry every purge would read whole tables.
func TestPurge_FindsByIndex(t *testing.T) {
	t.Parallel()
	db := newSQLite(t)
	db.open(t, nil)
	for _, table := range []string{"records", "grants"} {
		var id, parent, unused int
		var plan string
		row := raw(t, db).QueryRow(`EXPLAIN QUERY PLAN SELECT 1 FROM countermark_` + table + ` WHERE expiry <= 1 ORDER BY expiry LIMIT 1`)
		if err := row.Scan(&id, &parent, &unused, &plan); err != nil || !strings.Contains(plan, "INDEX countermark_"+table+"_expiry") {
			t.Errorf("%s: the plan is %q, %v", table, plan, err)
		}
	}
}

// A grant whose revocation is being prolonged is not taken for one that expired.
func TestPurge_LeavesWhatIsBeingChanged(t *testing.T) {
	t.Parallel()
	needPostgres(t)
	db, now := newSchema(t), time.Now()
	s := db.open(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.RevokeGrant(ctx, "g", "reason", now.Add(-time.Hour), now.Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	tx, err := raw(t, db).Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(`UPDATE countermark_grants SET expiry = $1`, now.Add(time.Hour).UnixMilli()); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Purge(ctx, now, 10); n != 0 || err != nil {
		t.Errorf("Purge while another server prolongs a revocation: %d, %v; want 0", n, err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if g, err := s.Grant(ctx, "g"); err != nil || g.Revoked.IsZero() {
		t.Errorf("Grant: %+v, %v; want it revoked", g, err)
	}
}
