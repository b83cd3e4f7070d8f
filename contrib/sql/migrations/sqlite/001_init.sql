-- Times are milliseconds since 1970 in UTC. Keys are SHA-256 digests of secrets.

CREATE TABLE countermark_schema (
	version INTEGER NOT NULL
) STRICT;
INSERT INTO countermark_schema VALUES (0);

CREATE TABLE countermark_clients (
	id          TEXT PRIMARY KEY,
	metadata    TEXT NOT NULL, -- JSON, RFC 7591 section 2
	secret_hash BLOB           -- null: the client has no secret
) STRICT, WITHOUT ROWID;

CREATE TABLE countermark_grants (
	id      TEXT PRIMARY KEY,
	data    BLOB NOT NULL,
	expiry  INTEGER NOT NULL,
	revoked INTEGER,           -- null: in force
	reason  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX countermark_grants_expiry ON countermark_grants (expiry);

CREATE TABLE countermark_records (
	kind     TEXT NOT NULL,
	key      BLOB NOT NULL,
	grant_id TEXT NOT NULL,
	data     BLOB NOT NULL,
	expiry   INTEGER NOT NULL,
	spent    INTEGER,          -- when; null: unspent
	next     BLOB,             -- the key of what a rotation put in its place
	PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX countermark_records_expiry ON countermark_records (expiry);

CREATE TABLE countermark_keyset (
	version INTEGER NOT NULL   -- of what countermark_keys holds; 0: never written
) STRICT;
INSERT INTO countermark_keyset VALUES (0);

CREATE TABLE countermark_keys (
	kid         TEXT PRIMARY KEY,
	place       INTEGER NOT NULL UNIQUE,
	algorithm   TEXT NOT NULL,
	private_key BLOB NOT NULL, -- PKCS#8, sealed with AES-256-GCM: nonce, ciphertext, tag
	idle        INTEGER NOT NULL,
	starts      INTEGER NOT NULL,
	ends        INTEGER        -- null: not yet known
) STRICT, WITHOUT ROWID;
