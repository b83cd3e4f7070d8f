package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/countermark/countermark/authserver"
)

// Put implements [authserver.Store].
func (s *Store) Put(ctx context.Context, kind authserver.Kind, key authserver.Hash, r authserver.Record) error {
	return s.put(ctx, "Put", `
		INSERT INTO countermark_records (kind, key, grant_id, data, expiry)
		VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT DO NOTHING`,
		string(kind), key[:], r.Grant, blob(r.Data), r.Expiry.UnixMilli())
}

// Get implements [authserver.Store].
func (s *Store) Get(ctx context.Context, kind authserver.Kind, key authserver.Hash) (authserver.Record, error) {
	r, err := scanRecord(s.read.QueryRowContext(ctx, `
		SELECT grant_id, data, expiry, spent IS NOT NULL FROM countermark_records
		WHERE kind = $1 AND key = $2`,
		string(kind), key[:]))
	if err != nil {
		return authserver.Record{}, notFound("Get", err)
	}
	return r, nil
}

// Consume implements [authserver.Store].
func (s *Store) Consume(ctx context.Context, kind authserver.Kind, key authserver.Hash, now time.Time,
) (authserver.Record, authserver.Outcome, error) {
	at := now.UnixMilli()
	// Of several at once, the others wait until the first has committed, and
	// then find the row spent.
	r, err := scanRecord(s.write.QueryRowContext(ctx, `
		UPDATE countermark_records SET spent = $3
		WHERE kind = $1 AND key = $2 AND expiry > $3 AND spent IS NULL
		RETURNING grant_id, data, expiry, TRUE`,
		string(kind), key[:], at))
	if err == nil {
		return r, authserver.First, nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return authserver.Record{}, 0, failed("Consume", err)
	}
	// A statement of its own, to see what was committed meanwhile. What is
	// unspent came after the UPDATE: to this call it was not there.
	r, err = scanRecord(s.read.QueryRowContext(ctx, `
		SELECT grant_id, data, expiry, TRUE FROM countermark_records
		WHERE kind = $1 AND key = $2 AND expiry > $3 AND spent IS NOT NULL`,
		string(kind), key[:], at))
	if err != nil {
		return authserver.Record{}, 0, notFound("Consume", err)
	}
	return r, authserver.Replayed, nil
}

// Rotate implements [authserver.Store].
func (s *Store) Rotate(ctx context.Context, old, next authserver.Hash, r authserver.Record, grace time.Duration, now time.Time,
) (authserver.Outcome, authserver.Record, error) {
	rotated, err := s.engine.rotate(ctx, s.write, old, next, r, now)
	switch {
	case errors.Is(err, authserver.ErrExists):
		return 0, authserver.Record{}, err
	case err != nil:
		return 0, authserver.Record{}, failed("Rotate", err)
	case rotated:
		r.Data = append([]byte(nil), r.Data...)
		r.Expiry = fromMillis(r.Expiry.UnixMilli())
		return authserver.Rotated, r, nil
	}
	// As in Consume. Both rows are of one moment.
	var retry bool
	var was authserver.Record
	var expiry int64
	err = s.read.QueryRowContext(ctx, `
		SELECT n.key IS NOT NULL, COALESCE(n.grant_id, o.grant_id), COALESCE(n.data, o.data), COALESCE(n.expiry, o.expiry)
		FROM countermark_records o
		LEFT JOIN countermark_records n ON n.kind = o.kind AND n.key = o.next AND n.spent IS NULL AND $4 > 0 AND o.spent + $4 > $3
		WHERE o.kind = $1 AND o.key = $2 AND o.expiry > $3 AND o.spent IS NOT NULL`,
		string(authserver.RefreshToken), old[:], now.UnixMilli(), grace.Milliseconds()).
		Scan(&retry, &was.Grant, &was.Data, &expiry)
	if err != nil {
		return 0, authserver.Record{}, notFound("Rotate", err)
	}
	was.Expiry = fromMillis(expiry)
	if retry {
		return authserver.Retry, was, nil
	}
	return authserver.Reused, was, nil
}

func scanRecord(row *sql.Row) (authserver.Record, error) {
	var r authserver.Record
	var expiry int64
	if err := row.Scan(&r.Grant, &r.Data, &expiry, &r.Spent); err != nil {
		return authserver.Record{}, err
	}
	r.Expiry = fromMillis(expiry)
	return r, nil
}

// notFound is failed, but for a row that is not there.
func notFound(operation string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return authserver.ErrNotFound
	}
	return failed(operation, err)
}
