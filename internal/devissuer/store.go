package devissuer

import (
	"context"
	"fmt"
	"strings"

	"github.com/countermark/countermark/authserver"
)

// Stores are what the flag -store can name.
type Stores struct {
	// Usage is what help says about the flag.
	Usage string
	// Open opens the store with a name. Its error shows no password.
	Open func(ctx context.Context, name string) (Store, error)
}

// A Store is one that keeps the signing keys too, being an
// [authserver.KeyStore], and has to be closed.
type Store interface {
	authserver.Store
	authserver.KeyStore

	Close() error
}

// keeping is what an issuer keeps things in.
type keeping struct {
	store authserver.Store        // nil: in memory
	keys  []authserver.SigningKey // nil: in the store
	where string                  // the keys are, for people
	close func() error
}

// open opens the store, or finds the keys of an issuer without one.
func (o options) open(ctx context.Context, stores *Stores, warn func(format string, args ...any)) (*keeping, error) {
	if o.store != "" {
		s, err := stores.Open(ctx, o.store)
		if err != nil {
			return nil, fmt.Errorf("-store: %w", err)
		}
		return &keeping{store: s, where: "in the store, encrypted", close: s.Close}, nil
	}
	keys, err := signingKeys(o.keys, warn)
	if err != nil {
		return nil, err
	}
	where := "new, and gone when this process ends; -keys FILE keeps it"
	if o.keys != "" {
		where = "in " + o.keys
	}
	return &keeping{keys: keys, where: where, close: func() error { return nil }}, nil
}

// withoutPassword returns of a URL the scheme alone, any other text as it is.
func withoutPassword(text string) string {
	if scheme, _, isURL := strings.Cut(text, "://"); isURL {
		return scheme + "://…"
	}
	return text
}
