package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"github.com/countermark/countermark/authserver"
)

// CreateGrant implements [authserver.Store].
func (s *Store) CreateGrant(ctx context.Context, g authserver.Grant) error {
	revoked := sql.Null[int64]{V: g.Revoked.UnixMilli(), Valid: !g.Revoked.IsZero()}
	return s.put(ctx, "CreateGrant", `
		INSERT INTO countermark_grants (id, data, expiry, revoked, reason)
		VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT DO NOTHING`,
		g.ID, blob(g.Data), g.Expiry.UnixMilli(), revoked, g.Reason)
}

// Grant implements [authserver.Store].
func (s *Store) Grant(ctx context.Context, id string) (authserver.Grant, error) {
	g := authserver.Grant{ID: id}
	var expiry int64
	var revoked sql.Null[int64]
	err := s.read.QueryRowContext(ctx, `
		SELECT data, expiry, revoked, reason FROM countermark_grants
		WHERE id = $1`, id).
		Scan(&g.Data, &expiry, &revoked, &g.Reason)
	if err != nil {
		return authserver.Grant{}, notFound("Grant", err)
	}
	g.Expiry = fromMillis(expiry)
	if revoked.Valid {
		g.Revoked = fromMillis(revoked.V)
	}
	return g, nil
}

// RevokeGrant implements [authserver.Store].
func (s *Store) RevokeGrant(ctx context.Context, id, reason string, now, until time.Time) error {
	_, err := s.write.ExecContext(ctx, `
		INSERT INTO countermark_grants AS g (id, data, expiry, revoked, reason)
		VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (id) DO UPDATE SET
			reason  = CASE WHEN g.revoked IS NULL THEN excluded.reason ELSE g.reason END,
			revoked = COALESCE(g.revoked, excluded.revoked),
			expiry  = CASE WHEN g.expiry < excluded.expiry THEN excluded.expiry ELSE g.expiry END
		WHERE g.revoked IS NULL OR g.expiry < excluded.expiry`, // else there is nothing to write
		id, []byte{}, until.UnixMilli(), now.UnixMilli(), reason)
	if err != nil {
		return failed("RevokeGrant", err)
	}
	return nil
}
