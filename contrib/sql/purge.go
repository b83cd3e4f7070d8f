package sqlstore

import (
	"context"
	"time"
)

// Purge implements [authserver.Store]. What expired first goes first, records
// before grants. Several servers may purge at once: each removes other rows, and
// rows that are in use are left for the next time.
func (s *Store) Purge(ctx context.Context, now time.Time, limit int) (int, error) {
	removed := 0
	for _, query := range []string{
		`WITH expired AS MATERIALIZED (
			SELECT kind, key FROM countermark_records
			WHERE expiry <= $1 ORDER BY expiry LIMIT $2 ` + s.engine.lockRows + `)
		DELETE FROM countermark_records WHERE (kind, key) IN (SELECT kind, key FROM expired)`,

		`WITH expired AS MATERIALIZED (
			SELECT id FROM countermark_grants
			WHERE expiry <= $1 ORDER BY expiry LIMIT $2 ` + s.engine.lockRows + `)
		DELETE FROM countermark_grants WHERE id IN (SELECT id FROM expired)`,
	} {
		if removed >= limit {
			break
		}
		n, err := affected(s.write.ExecContext(ctx, query, now.UnixMilli(), limit-removed))
		if err != nil {
			return removed, failed("Purge", err)
		}
		removed += int(n)
	}
	return removed, nil
}
