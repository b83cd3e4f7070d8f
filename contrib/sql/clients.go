package sqlstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"

	"github.com/countermark/countermark/authserver"
)

// Client implements [authserver.Store].
func (s *Store) Client(ctx context.Context, id string) (*authserver.Client, error) {
	var metadata, secretHash, registrationHash []byte
	err := s.read.QueryRowContext(ctx, `
		SELECT metadata, secret_hash, registration_hash FROM countermark_clients
		WHERE id = $1`, id).
		Scan(&metadata, &secretHash, &registrationHash)
	if err != nil {
		return nil, notFound("Client", err)
	}
	c := &authserver.Client{}
	d := json.NewDecoder(bytes.NewReader(metadata)) //nolint:forbidigo // what PutClient wrote
	d.DisallowUnknownFields()                       // what this version does not know may be a restriction
	if d.Decode(c) != nil || c.ClientID != id {
		return nil, errors.New("sqlstore: Client: the row's metadata is not what this version's PutClient writes")
	}
	copy(c.SecretHash[:], secretHash)
	copy(c.RegistrationTokenHash[:], registrationHash)
	return c, nil
}

// PutClient implements [authserver.ClientStore], for all servers on the database at
// once. What is wrong with c shows when it is used; a Secret, which would lie in the
// database as it is, is refused at once.
func (s *Store) PutClient(ctx context.Context, c *authserver.Client) error {
	metadata, err := metadataOf("PutClient", c)
	if err != nil {
		return err
	}
	_, err = s.write.ExecContext(ctx, `
		INSERT INTO countermark_clients (id, metadata, secret_hash, registration_hash)
		VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO UPDATE SET
			metadata = excluded.metadata, secret_hash = excluded.secret_hash, registration_hash = excluded.registration_hash`,
		c.ClientID, metadata, orNull(c.SecretHash), orNull(c.RegistrationTokenHash))
	if err != nil {
		return failed("PutClient", err)
	}
	return nil
}

// ReplaceClient implements [authserver.ClientStore], as PutClient does.
func (s *Store) ReplaceClient(ctx context.Context, c *authserver.Client) error {
	metadata, err := metadataOf("ReplaceClient", c)
	if err != nil {
		return err
	}
	n, err := affected(s.write.ExecContext(ctx, `
		UPDATE countermark_clients SET metadata = $2, secret_hash = $3
		WHERE id = $1 AND registration_hash = $4`, // which NULL never does
		c.ClientID, metadata, orNull(c.SecretHash), orNull(c.RegistrationTokenHash)))
	switch {
	case err != nil:
		return failed("ReplaceClient", err)
	case n == 0:
		return authserver.ErrNotFound
	default:
		return nil
	}
}

// DeleteClient implements [authserver.ClientStore], for all servers on the database
// at once.
func (s *Store) DeleteClient(ctx context.Context, id string) error {
	n, err := affected(s.write.ExecContext(ctx, `DELETE FROM countermark_clients WHERE id = $1`, id))
	switch {
	case err != nil:
		return failed("DeleteClient", err)
	case n == 0:
		return authserver.ErrNotFound
	default:
		return nil
	}
}

// metadataOf returns c as its row has it, but for the hashes.
func metadataOf(method string, c *authserver.Client) (string, error) {
	switch {
	case c == nil:
		return "", errors.New("sqlstore: " + method + ": the client is nil")
	case c.Secret != "":
		return "", errors.New("sqlstore: " + method + ": Secret: no store keeps one; client_secret_jwt is for the clients of the configuration")
	}
	metadata, err := json.Marshal(c)
	if err != nil {
		return "", failed(method, err)
	}
	return string(metadata), nil
}

// orNull is for the column of a hash that may be missing.
func orNull(h authserver.Hash) []byte {
	if h == (authserver.Hash{}) {
		return nil
	}
	return h[:]
}
