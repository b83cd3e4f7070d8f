package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"modernc.org/sqlite"

	"github.com/countermark/countermark/authserver"
)

const (
	// sqliteBusy is how long to wait for another process that writes to the file.
	sqliteBusy = 10 * time.Second

	sqliteBusyCode = 5 // SQLITE_BUSY
)

// openSQLite opens a file. One connection writes, in transactions that take the
// lock when they begin and not half-way, where they would have to fail. The
// others read what was committed last, and wait for nobody.
func (s *Store) openSQLite(ctx context.Context, file string) error {
	switch {
	case strings.HasPrefix(file, "//"):
		return errors.New("sqlstore: Open: sqlite:FILE takes no slashes before the file's name: sqlite:tokens.db, sqlite:/var/lib/tokens.db")
	case file == "" || strings.HasPrefix(file, ":"):
		return errors.New("sqlstore: Open: sqlite: needs the name of a file (for a store in memory there is authserver.NewMemoryStore)")
	case strings.Contains(file, "?"):
		return errors.New("sqlstore: Open: sqlite:FILE takes no parameters, and no file whose name has a question mark")
	}
	path, err := filepath.Abs(file)
	if err != nil {
		return failed("Open", err)
	}
	// SQLite gives the files that it puts beside this one the same permissions.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the caller names the file
	if err != nil {
		return failed("Open", err)
	}
	if err := f.Close(); err != nil {
		return failed("Open", err)
	}
	if s.write, err = sqlitePool(path, 1, "journal_mode(wal)", "synchronous(full)", "fullfsync(1)"); err != nil {
		return err
	}
	if s.read, err = sqlitePool(path, max(4, runtime.GOMAXPROCS(0)), "query_only(1)"); err != nil {
		return errors.Join(err, s.write.Close())
	}
	s.engine = engine{
		migrations: "sqlite",
		migrated:   `SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'countermark_schema')`,
		rotate:     rotateSQLite,
	}
	if err := s.firstConnection(ctx); err != nil {
		return errors.Join(failed("Open", err), s.Close())
	}
	return nil
}

// firstConnection makes a new file one with WAL, which readers cannot. Of several
// processes that do so at once SQLite has some fail instead of waiting.
func (s *Store) firstConnection(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, sqliteBusy)
	defer cancel()
	for {
		err := s.write.PingContext(ctx)
		busy, ok := errors.AsType[*sqlite.Error](err)
		if !ok || busy.Code()&0xff != sqliteBusyCode {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func sqlitePool(path string, connections int, pragmas ...string) (*sql.DB, error) {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/…
	}
	query := url.Values{
		"_pragma": append(pragmas, fmt.Sprintf("busy_timeout(%d)", sqliteBusy.Milliseconds()), "trusted_schema(0)"),
		"_txlock": {"immediate"},
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: query.Encode()}).String())
	if err != nil {
		return nil, failed("Open", err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

func rotateSQLite(ctx context.Context, db *sql.DB, old, next authserver.Hash, r authserver.Record, now time.Time) (bool, error) {
	tx, err := db.BeginTx(ctx, nil) // BEGIN IMMEDIATE
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	kind := string(authserver.RefreshToken)
	n, err := affected(tx.ExecContext(ctx, `
		UPDATE countermark_records SET spent = $3, next = $4
		WHERE kind = $1 AND key = $2 AND expiry > $3 AND spent IS NULL`,
		kind, old[:], now.UnixMilli(), next[:]))
	if err != nil || n == 0 {
		return false, err
	}
	n, err = affected(tx.ExecContext(ctx, `
		INSERT INTO countermark_records (kind, key, grant_id, data, expiry)
		VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT DO NOTHING`,
		kind, next[:], r.Grant, blob(r.Data), r.Expiry.UnixMilli()))
	if err != nil {
		return false, err
	}
	if n == 0 {
		return false, authserver.ErrExists
	}
	return true, tx.Commit()
}
