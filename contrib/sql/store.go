package sqlstore

import (
	"context"
	"crypto/cipher"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/countermark/countermark/authserver"
)

// Options are what a [Store] may do without.
type Options struct {
	// KeyEncryptionKey is what the signing keys are encrypted with (AES-256-GCM)
	// that servers share through the database: 32 random bytes, the same for all
	// servers, kept apart from the database and its copies. See
	// [ParseKeyEncryptionKey]. Nil means that no signing keys are kept.
	KeyEncryptionKey []byte `json:"-"`
}

// String says whether there is a key, without it.
func (o Options) String() string {
	if o.KeyEncryptionKey == nil {
		return "sqlstore.Options{}"
	}
	return "sqlstore.Options{KeyEncryptionKey: [redacted]}"
}

// GoString is String, for the verb %#v.
func (o Options) GoString() string { return o.String() }

// LogValue is String, for log/slog.
func (o Options) LogValue() slog.Value { return slog.StringValue(o.String()) }

// A Store is an [authserver.Store] in a SQL database. It is safe for concurrent
// use. Its errors hold no key, data or password.
type Store struct {
	engine engine
	// write has the one connection that writes to SQLite, and read those that
	// only read. For PostgreSQL they are the same.
	write, read *sql.DB
	seal        cipher.AEAD // of signing keys; nil: none are kept
}

var (
	_ authserver.Store       = (*Store)(nil)
	_ authserver.ClientStore = (*Store)(nil)
	_ authserver.KeyStore    = (*Store)(nil)
)

// An engine is what tells the databases apart.
type engine struct {
	migrations string // the folder
	migrated   string // a query: is there a countermark_schema?
	lock       string // begins a migration; empty: the transaction is the lock
	lockRows   string // ends a SELECT of rows that are to be deleted
	// rotate spends the refresh token old and puts r under next, or does neither:
	// false if old is spent, expired or not there, ErrExists if next is taken.
	rotate func(ctx context.Context, db *sql.DB, old, next authserver.Hash, r authserver.Record, now time.Time) (bool, error)
}

// Open connects to a database and brings its tables up to date; opts may be nil.
// The database is named by
//
//	sqlite:FILE                    a file, which is created, readable by its owner alone, if there is none
//	postgres://USER@HOST/DATABASE  a URL as for libpq, with its parameters
//
// In FILE nothing is escaped and there are no parameters. A PostgreSQL URL may
// say which schema to use, as in postgres://…/issuer?search_path=auth. Each
// Store keeps up to 16 connections to PostgreSQL.
//
// It is an error if the tables are those of a newer version of this package, or
// if signing keys are kept there under another KeyEncryptionKey.
func Open(ctx context.Context, dsn string, opts *Options) (*Store, error) {
	if opts == nil {
		opts = &Options{}
	}
	s := &Store{}
	var err error
	if s.seal, err = newSeal(opts.KeyEncryptionKey); err != nil {
		return nil, err
	}
	scheme, rest, _ := strings.Cut(dsn, ":")
	switch scheme {
	case "sqlite":
		err = s.openSQLite(ctx, rest)
	case "postgres", "postgresql":
		err = s.openPostgres(ctx, dsn)
	default:
		err = errors.New("sqlstore: Open: the database must be sqlite:FILE or postgres://USER@HOST/DATABASE")
	}
	if err != nil {
		return nil, err
	}
	err = s.migrate(ctx)
	if err == nil && s.seal != nil {
		_, _, err = s.SigningKeys(ctx, 0)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close ends all connections. Calls that are under way are waited for.
func (s *Store) Close() error {
	err := s.write.Close()
	if s.read != s.write {
		err = errors.Join(err, s.read.Close())
	}
	if err != nil {
		return failed("Close", err)
	}
	return nil
}

// failed returns the failure of an operation, without what PostgreSQL says of
// values: the details of an error, and the text of a data exception (class 22).
func failed(operation string, err error) error {
	refusal, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case !ok:
		return fmt.Errorf("sqlstore: %s: %w", operation, err)
	case strings.HasPrefix(refusal.Code, "22"):
		return fmt.Errorf("sqlstore: %s: PostgreSQL: a value does not fit (SQLSTATE %s)", operation, refusal.Code)
	default:
		return fmt.Errorf("sqlstore: %s: PostgreSQL: %s (SQLSTATE %s)", operation, refusal.Message, refusal.Code)
	}
}

// put runs an INSERT … ON CONFLICT DO NOTHING.
func (s *Store) put(ctx context.Context, operation, query string, args ...any) error {
	n, err := affected(s.write.ExecContext(ctx, query, args...))
	if err != nil {
		return failed(operation, err)
	}
	if n == 0 {
		return authserver.ErrExists
	}
	return nil
}

func affected(r sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// blob is for columns that are never null.
func blob(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}

// fromMillis is the reverse of [time.Time.UnixMilli].
func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
