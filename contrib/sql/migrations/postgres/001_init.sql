-- Times are milliseconds since 1970 in UTC. Keys are SHA-256 digests of secrets.
-- Names are compared byte by byte, whatever the collation of the database.

CREATE TABLE countermark_schema (
	version bigint NOT NULL
);
INSERT INTO countermark_schema VALUES (0);

CREATE TABLE countermark_clients (
	id          text COLLATE "C" PRIMARY KEY,
	metadata    text NOT NULL, -- JSON, RFC 7591 section 2
	secret_hash bytea          -- null: the client has no secret
);

CREATE TABLE countermark_grants (
	id      text COLLATE "C" PRIMARY KEY,
	data    bytea NOT NULL,
	expiry  bigint NOT NULL,
	revoked bigint,            -- null: in force
	reason  text NOT NULL
);
CREATE INDEX countermark_grants_expiry ON countermark_grants (expiry);

CREATE TABLE countermark_records (
	kind     text COLLATE "C" NOT NULL,
	key      bytea NOT NULL,
	grant_id text NOT NULL,
	data     bytea NOT NULL,
	expiry   bigint NOT NULL,
	spent    bigint,           -- when; null: unspent
	next     bytea,            -- the key of what a rotation put in its place
	PRIMARY KEY (kind, key)
);
CREATE INDEX countermark_records_expiry ON countermark_records (expiry);

CREATE TABLE countermark_keyset (
	version bigint NOT NULL    -- of what countermark_keys holds; 0: never written
);
INSERT INTO countermark_keyset VALUES (0);

CREATE TABLE countermark_keys (
	kid         text COLLATE "C" PRIMARY KEY,
	place       bigint NOT NULL UNIQUE,
	algorithm   text NOT NULL,
	private_key bytea NOT NULL, -- PKCS#8, sealed with AES-256-GCM: nonce, ciphertext, tag
	idle        boolean NOT NULL,
	starts      bigint NOT NULL,
	ends        bigint          -- null: not yet known
);
