package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/countermark/countermark/authserver"
)

const (
	postgresConnections = 16
	postgresIdle        = 5 * time.Minute
	uniqueViolation     = "23505" // SQLSTATE
)

func (s *Store) openPostgres(ctx context.Context, dsn string) error {
	cfg, err := pgx.ParseConfig(dsn)
	_, parseErr := url.Parse(dsn)
	switch {
	case err != nil && parseErr != nil, // whose text would show what may be the password
		err == nil && strings.Contains(cfg.Database, "@"),      // and so is this, after a slash in it
		err == nil && strings.LastIndexByte(cfg.Host, '@') > 0: // or an @, with which an abstract socket begins
		return errors.New("sqlstore: Open: the database's URL cannot be parsed: is its password percent-encoded?")
	case err != nil:
		return failed("Open", err)
	}
	db := stdlib.OpenDB(*cfg)
	db.SetMaxOpenConns(postgresConnections)
	db.SetMaxIdleConns(postgresConnections)
	db.SetConnMaxIdleTime(postgresIdle)
	s.write, s.read = db, db
	s.engine = engine{
		migrations: "postgres",
		// Not to_regclass, which may answer with what was before the lock.
		migrated: `SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_tables
			WHERE tablename = 'countermark_schema' AND schemaname = ANY (current_schemas(false)))`,
		lock:     `SELECT pg_advisory_xact_lock(7161945273140125281)`, // any number, the same for all
		lockRows: `FOR UPDATE SKIP LOCKED`,
		rotate:   rotatePostgres,
	}
	if err := checkPostgres(ctx, db); err != nil {
		return errors.Join(err, s.Close())
	}
	return nil
}

// checkPostgres refuses settings under which what was acknowledged can be lost,
// or a race has no winner.
func checkPostgres(ctx context.Context, db *sql.DB) error {
	var commit, isolation string
	err := db.QueryRowContext(ctx, `
		SELECT current_setting('synchronous_commit'), current_setting('default_transaction_isolation')`).
		Scan(&commit, &isolation)
	switch {
	case err != nil:
		return failed("Open", err)
	case commit == "off":
		return errors.New("sqlstore: Open: synchronous_commit is off, which loses tokens: add synchronous_commit=on to the database's URL")
	case isolation != "read committed":
		return errors.New("sqlstore: Open: transactions are " + isolation +
			": add default_transaction_isolation=read%20committed to the database's URL")
	default:
		return nil
	}
}

// rotatePostgres is one statement, which does all or nothing. Of several at once
// on one old token, the others wait for its row, find it spent and insert
// nothing.
func rotatePostgres(ctx context.Context, db *sql.DB, old, next authserver.Hash, r authserver.Record, now time.Time) (bool, error) {
	n, err := affected(db.ExecContext(ctx, `
		WITH spent AS (
			UPDATE countermark_records SET spent = $3, next = $4
			WHERE kind = $1 AND key = $2 AND expiry > $3 AND spent IS NULL
			RETURNING kind
		)
		INSERT INTO countermark_records (kind, key, grant_id, data, expiry)
		SELECT kind, $4, CAST($5 AS text), CAST($6 AS bytea), CAST($7 AS bigint) FROM spent`,
		string(authserver.RefreshToken), old[:], now.UnixMilli(), next[:], r.Grant, blob(r.Data), r.Expiry.UnixMilli()))
	if refusal, ok := errors.AsType[*pgconn.PgError](err); ok && refusal.Code == uniqueViolation {
		return false, authserver.ErrExists
	}
	return n == 1, err
}
