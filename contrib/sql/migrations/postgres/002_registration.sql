ALTER TABLE countermark_clients
	ADD COLUMN registration_hash bytea; -- of the registration access token (RFC 7592); null: none
