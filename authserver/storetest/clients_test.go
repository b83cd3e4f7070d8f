package storetest

import (
	"context"
	"strings"
	"testing"

	"github.com/countermark/countermark/authserver"
)

// brokenClients is a good store but for the clients that it overrides.
type brokenClients struct {
	*authserver.MemoryStore
	put    func(s *authserver.MemoryStore, c *authserver.Client) error
	remove func(s *authserver.MemoryStore, id string) error
}

func (b *brokenClients) PutClient(ctx context.Context, c *authserver.Client) error {
	if b.put != nil {
		return b.put(b.MemoryStore, c)
	}
	return b.MemoryStore.PutClient(ctx, c)
}

func (b *brokenClients) DeleteClient(ctx context.Context, id string) error {
	if b.remove != nil {
		return b.remove(b.MemoryStore, id)
	}
	return b.MemoryStore.DeleteClient(ctx, id)
}

func TestRun_FindsMistakesWithClients(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for name, row := range map[string]struct {
		run   func(testing.TB, authserver.Store)
		store brokenClients
	}{
		"PutClient loses the hash of the registration token": {testClient, brokenClients{put: func(s *authserver.MemoryStore, c *authserver.Client) error {
			less := *c
			less.RegistrationTokenHash = authserver.Hash{}
			return s.PutClient(ctx, &less)
		}}},
		"DeleteClient does nothing": {testDeleteClient, brokenClients{remove: func(*authserver.MemoryStore, string) error { return nil }}},
		"DeleteClient of nobody is fine": {testDeleteClient, brokenClients{remove: func(s *authserver.MemoryStore, id string) error {
			_ = s.DeleteClient(ctx, id)
			return nil
		}}},
		"DeleteClient does not tell cases apart": {testDeleteClient, brokenClients{remove: func(s *authserver.MemoryStore, id string) error {
			_ = s.DeleteClient(ctx, strings.ToUpper(id[:1])+id[1:])
			return s.DeleteClient(ctx, id)
		}}},
		"a client that was deleted stays away": {testDeleteClient, brokenClients{put: func(s *authserver.MemoryStore, c *authserver.Client) error {
			if _, err := s.Client(ctx, "Shop"); err == nil {
				return nil
			}
			_ = s.PutClient(ctx, &authserver.Client{ClientID: "shop", SecretHash: authserver.HashOf("secret")})
			return s.PutClient(ctx, c)
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row.store.MemoryStore = authserver.NewMemoryStore(nil)
			if !failing(t, func(t testing.TB) { row.run(t, &row.store) }) {
				t.Error("nothing is found")
			}
		})
	}
}
