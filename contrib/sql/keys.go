package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/countermark/countermark/authserver"
)

// SigningKeys implements [authserver.KeyStore]. It is [errors.ErrUnsupported] if
// there is no [Options.KeyEncryptionKey], and another error if moreover other
// servers keep keys here: a server that signs with keys of its own beside them is
// one by mistake.
func (s *Store) SigningKeys(ctx context.Context, since int64) ([]authserver.SharedKey, int64, error) {
	// One statement, so that keys and version are of one moment.
	rows, err := s.read.QueryContext(ctx, `
		SELECT s.version, k.kid, k.algorithm, k.private_key, k.idle, k.starts, k.ends
		FROM countermark_keyset s
		LEFT JOIN countermark_keys k ON s.version <> $1
		ORDER BY k.place`, since)
	if err != nil {
		return nil, 0, failed("SigningKeys", err)
	}
	defer func() { _ = rows.Close() }() // Err says what went wrong
	var keys []authserver.SharedKey
	var version int64
	for rows.Next() {
		var kid, algorithm sql.Null[string]
		var sealed []byte
		var idle sql.Null[bool]
		var starts, ends sql.Null[int64]
		if err := rows.Scan(&version, &kid, &algorithm, &sealed, &idle, &starts, &ends); err != nil {
			return nil, 0, failed("SigningKeys", err)
		}
		switch {
		case s.seal == nil && version == 0:
			return nil, 0, fmt.Errorf("sqlstore: SigningKeys: no Options.KeyEncryptionKey: %w", errors.ErrUnsupported)
		case s.seal == nil:
			return nil, 0, errors.New("sqlstore: SigningKeys: other servers keep keys here: Options.KeyEncryptionKey must be theirs")
		case !kid.Valid:
			continue
		}
		k := authserver.SharedKey{Idle: idle.V, From: fromMillis(starts.V)}
		k.ID, k.Algorithm = kid.V, algorithm.V
		if ends.Valid {
			k.Until = fromMillis(ends.V)
		}
		if k.Signer, err = openKey(s.seal, k.ID, sealed); err != nil {
			return nil, 0, failed("SigningKeys", err)
		}
		keys = append(keys, k)
	}
	if err := rows.Err(); err != nil {
		return nil, 0, failed("SigningKeys", err)
	}
	return keys, version, nil
}

// ReplaceSigningKeys implements [authserver.KeyStore]. It is
// [errors.ErrUnsupported] if there is no [Options.KeyEncryptionKey], and an error
// if a key is one that cannot be kept here since it is in a KMS or HSM.
func (s *Store) ReplaceSigningKeys(ctx context.Context, keys []authserver.SharedKey, version int64) error {
	if s.seal == nil {
		return fmt.Errorf("sqlstore: ReplaceSigningKeys: no Options.KeyEncryptionKey: %w", errors.ErrUnsupported)
	}
	sealed := make([][]byte, len(keys))
	for i, k := range keys {
		var err error
		if k.ID == "" || k.Algorithm == "" {
			err = fmt.Errorf("keys[%d]: ID and Algorithm are required", i)
		} else {
			sealed[i], err = sealKey(s.seal, k.ID, k.Signer)
		}
		if err != nil {
			return failed("ReplaceSigningKeys", err)
		}
	}
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return failed("ReplaceSigningKeys", err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	// Who changes the version holds its row until the keys are there too.
	n, err := affected(tx.ExecContext(ctx, `UPDATE countermark_keyset SET version = version + 1 WHERE version = $1`, version))
	if err != nil {
		return failed("ReplaceSigningKeys", err)
	}
	if n == 0 {
		return authserver.ErrConflict
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM countermark_keys`); err != nil {
		return failed("ReplaceSigningKeys", err)
	}
	for i, k := range keys {
		ends := sql.Null[int64]{V: k.Until.UnixMilli(), Valid: !k.Until.IsZero()}
		n, err := affected(tx.ExecContext(ctx, `
			INSERT INTO countermark_keys (kid, place, algorithm, private_key, idle, starts, ends)
			VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT DO NOTHING`,
			k.ID, i, k.Algorithm, sealed[i], k.Idle, k.From.UnixMilli(), ends))
		if err != nil {
			return failed("ReplaceSigningKeys", err)
		}
		if n == 0 {
			return authserver.ErrExists
		}
	}
	if err := tx.Commit(); err != nil {
		return failed("ReplaceSigningKeys", err)
	}
	return nil
}
