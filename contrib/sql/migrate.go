package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
)

// migrations holds, for each engine, the files that lead from one version of the
// schema to the next, in order. A file that was released never changes.
//
//go:embed migrations
var migrations embed.FS

// migrate brings the tables up to date, in one transaction. Several servers may
// do so at once: the lock lets one in at a time.
func (s *Store) migrate(ctx context.Context) error {
	files, err := fs.Glob(migrations, "migrations/"+s.engine.migrations+"/*.sql") // sorted
	if err != nil {
		return failed("Open", err)
	}
	version, err := s.schemaVersion(ctx, s.write)
	if err != nil {
		return failed("Open", err)
	}
	if version == len(files) { // so at most starts; it takes no right to create tables
		return nil
	}
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return failed("Open", err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	if s.engine.lock != "" {
		if _, err := tx.ExecContext(ctx, s.engine.lock); err != nil {
			return failed("Open", err)
		}
	}
	if version, err = s.schemaVersion(ctx, tx); err != nil {
		return failed("Open", err)
	}
	if version > len(files) {
		return fmt.Errorf("sqlstore: Open: the tables are of version %d and this program knows those up to %d: "+
			"a newer one has been here, run that", version, len(files))
	}
	for ; version < len(files); version++ {
		script, err := migrations.ReadFile(files[version])
		if err != nil {
			return failed("Open", err)
		}
		_, err = tx.ExecContext(ctx, string(script))
		if err == nil {
			_, err = tx.ExecContext(ctx, `UPDATE countermark_schema SET version = $1`, version+1)
		}
		if err != nil {
			return failed("Open: "+files[version], err)
		}
	}
	if err := tx.Commit(); err != nil {
		return failed("Open", err)
	}
	return nil
}

// schemaVersion returns how many migrations were applied.
func (s *Store) schemaVersion(ctx context.Context, db interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
},
) (int, error) {
	var migrated bool
	if err := db.QueryRowContext(ctx, s.engine.migrated).Scan(&migrated); err != nil || !migrated {
		return 0, err
	}
	var version int
	err := db.QueryRowContext(ctx, `SELECT version FROM countermark_schema`).Scan(&version)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, errors.New("the table countermark_schema is empty: it is not one of ours")
	}
	return version, err
}
