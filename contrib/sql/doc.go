// Package sqlstore keeps what an authorization server must remember in a SQL
// database: SQLite, so that one server finds everything again after a restart,
// or PostgreSQL, so that several servers are one issuer.
//
// A [Store] is an [authserver.Store] and [authserver.ClientStore], and an [authserver.KeyStore] if it has a
// key to encrypt signing keys with:
//
//	store, err := sqlstore.Open(ctx, "sqlite:/var/lib/issuer/tokens.db", nil)
//	store, err := sqlstore.Open(ctx, "postgres://issuer@db.example/issuer", nil)
//
// The command devissuer in this module is the issuer for development with such a
// store.
//
// # What is kept
//
// Codes and tokens are kept as the SHA-256 digests that [authserver.HashOf]
// makes, a client's secret and its registration access token likewise, and signing
// keys encrypted. Times are
// milliseconds in UTC.
//
// Open creates the tables, and brings those of an earlier version up to date;
// servers may start at once. Their names begin with countermark_, in the first
// schema of the search_path in PostgreSQL. A role that may not create tables
// will do once they are there. PostgreSQL is of version 12 or later.
//
// # One winner
//
// A code, a token or an assertion is spent by one UPDATE of the row that is not
// yet spent, so that the database has one winner of any number of calls, from
// any number of servers. What replaces a refresh token is written by the same
// statement in PostgreSQL, and in the same transaction in SQLite.
//
// # Durability
//
// What was acknowledged is on disk. SQLite writes ahead (WAL) and waits for the
// disk at every commit (synchronous=FULL); keep its file on a local disk, and
// copy it with its -wal file or by VACUUM INTO. PostgreSQL must not have
// synchronous_commit off: Open refuses it. A call whose context ends, or whose
// connection breaks, may have been carried out nevertheless: at worst a token is
// spent that nobody got a successor for.
//
// # Expiry
//
// Nothing goes away by itself. [authserver.Server] calls [Store.Purge] every few
// hundred writes, which keeps the tables small: it needs no job of its own.
// Servers may purge at once. An idle server purges nothing; where rows must not
// outlive their use, call Purge from a timer:
//
//	for n := 1000; n == 1000 && err == nil; {
//		n, err = store.Purge(ctx, time.Now(), 1000)
//	}
//
// Servers on one database should agree on the time to within a second or so.
package sqlstore
