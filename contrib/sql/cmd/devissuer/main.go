// Command devissuer is the OAuth 2.0 issuer for local development of
// github.com/countermark/countermark/authserver/cmd/devissuer, with its flags, its
// files and its exit codes, and one flag more:
//
//	-store sqlite:FILE                    keep everything in a file, made if it is not there
//	-store postgres://USER@HOST/DATABASE  keep everything in a PostgreSQL database
//
// After a restart with the same -store the signing keys are the same, who was
// signed in still is, and codes and tokens are good if they were, and spent or
// revoked if they were. Several issuers with one -issuer and one PostgreSQL
// database are one issuer. Without -store everything is in memory, as it is with
// the other command. Clients and users are those of the configuration, always.
//
// The signing keys are encrypted in the store, by a key that the environment
// holds as COUNTERMARK_STORE_KEY: 32 random bytes in hexadecimal or in base64url
// without padding. From the root of the checkout:
//
//	export COUNTERMARK_STORE_KEY=$(openssl rand -hex 32)
//	go run -C contrib/sql ./cmd/devissuer -store "sqlite:$PWD/issuer.db"
//
// Whoever loses that key has lost the signing keys. It is then time for another
// store.
//
// Where others can list the processes of the machine they see the URL too: have
// the password in PGPASSWORD or in ~/.pgpass, which are read as by psql.
package main

import (
	"context"
	"errors"
	"os"
	"strings"

	sqlstore "github.com/countermark/countermark/contrib/sql"
	"github.com/countermark/countermark/internal/devissuer"
)

// keyVariable is the environment's name for the key that encrypts signing keys.
const keyVariable = "COUNTERMARK_STORE_KEY"

func main() {
	os.Exit(devissuer.Main(os.Args[1:], &devissuer.Stores{
		Usage: "keep everything in this `store`, sqlite:FILE or postgres://USER@HOST/DATABASE, the signing keys encrypted\n" +
			"by the key that the environment holds as " + keyVariable + " (openssl rand -hex 32 makes one)",
		Open: open,
	}))
}

// open opens a store with the key of the environment.
func open(ctx context.Context, name string) (devissuer.Store, error) { //nolint:ireturn // the type of Stores.Open
	text := os.Getenv(keyVariable)
	if text == "" {
		return nil, errors.New("the environment has no " + keyVariable + ", which encrypts the signing keys in the store; " +
			"make one, and keep it: export " + keyVariable + "=$(openssl rand -hex 32)")
	}
	key, err := sqlstore.ParseKeyEncryptionKey(text)
	if err != nil {
		return nil, errors.New(keyVariable + ": must be 32 random bytes in hexadecimal, as openssl rand -hex 32 makes them, " +
			"or in base64url without padding")
	}
	store, err := sqlstore.Open(ctx, name, &sqlstore.Options{KeyEncryptionKey: key})
	if err != nil {
		return nil, errors.New(terms.Replace(err.Error()))
	}
	return store, nil
}

// terms are those of the package as the command has them.
var terms = strings.NewReplacer("sqlstore: Open: ", "", "sqlstore: SigningKeys: ", "", "Options.KeyEncryptionKey", keyVariable)
