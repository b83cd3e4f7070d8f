package sqlstore_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/countermark/countermark/authserver"
	sqlstore "github.com/countermark/countermark/contrib/sql"
)

// What was spent before a restart is spent after it.
func Example() {
	dir, err := os.MkdirTemp("", "issuer")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	dsn := "sqlite:" + filepath.Join(dir, "tokens.db")

	store, err := sqlstore.Open(ctx, dsn, nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := store.PutClient(ctx, &authserver.Client{
		ClientID:   "shop",
		SecretHash: authserver.HashOf("FSF3OIaZ9fYsXHVGJCUx9A"),
		GrantTypes: []string{"client_credentials"},
		Scope:      "orders:read",
		Audience:   []string{"https://api.example.com"},
	}); err != nil {
		log.Fatal(err)
	}
	code := authserver.HashOf("SplxlOBeZQQYbYS6WxSbIA")
	now := time.Now()
	if err := store.Put(ctx, "code", code, authserver.Record{Grant: "1", Expiry: now.Add(time.Minute)}); err != nil {
		log.Fatal(err)
	}
	if _, outcome, err := store.Consume(ctx, "code", code, now); err == nil {
		fmt.Println(outcome)
	}
	if err := store.Close(); err != nil {
		log.Fatal(err)
	}

	store, err = sqlstore.Open(ctx, dsn, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	if _, outcome, err := store.Consume(ctx, "code", code, now); err == nil {
		fmt.Println(outcome)
	}
	srv, err := authserver.New(authserver.Config{Issuer: "https://issuer.example.com", Store: store})
	fmt.Println(srv != nil, err)
	// Output:
	// First
	// Replayed
	// true <nil>
}

// The encryption key comes from the environment of every replica.
func ExampleParseKeyEncryptionKey() {
	text := os.Getenv("COUNTERMARK_STORE_KEY")
	if text == "" {
		text = "c2l4dGVlbiBieXRlcyBhbmQgc2l4dGVlbiBtb3JlISE"
	}
	key, err := sqlstore.ParseKeyEncryptionKey(text)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(sqlstore.Options{KeyEncryptionKey: key})
	// Output:
	// sqlstore.Options{KeyEncryptionKey: [redacted]}
}
