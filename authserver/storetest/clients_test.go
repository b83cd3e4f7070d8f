package storetest

import (
	"context"
	"runtime"
	"strings"
	"testing"

	"github.com/countermark/countermark/authserver"
)

// brokenClients is a good store but for the clients that it overrides.
type brokenClients struct {
	*authserver.MemoryStore
	put     func(s *authserver.MemoryStore, c *authserver.Client) error
	replace func(s *authserver.MemoryStore, c *authserver.Client) error
	remove  func(s *authserver.MemoryStore, id string) error
}

func (b *brokenClients) PutClient(ctx context.Context, c *authserver.Client) error {
	if b.put != nil {
		return b.put(b.MemoryStore, c)
	}
	return b.MemoryStore.PutClient(ctx, c)
}

func (b *brokenClients) ReplaceClient(ctx context.Context, c *authserver.Client) error {
	if b.replace != nil {
		return b.replace(b.MemoryStore, c)
	}
	return b.MemoryStore.ReplaceClient(ctx, c)
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
		"ReplaceClient is PutClient": {testReplaceClient, brokenClients{replace: func(s *authserver.MemoryStore, c *authserver.Client) error {
			return s.PutClient(ctx, c)
		}}},
		"ReplaceClient looks whether there is a client, and no further": {testReplaceClient, brokenClients{replace: func(s *authserver.MemoryStore, c *authserver.Client) error {
			if _, err := s.Client(ctx, c.ClientID); err != nil {
				return err
			}
			return s.PutClient(ctx, c)
		}}},
		"ReplaceClient takes no token for the same as no token": {testReplaceClient, brokenClients{replace: func(s *authserver.MemoryStore, c *authserver.Client) error {
			if was, err := s.Client(ctx, c.ClientID); err != nil || was.RegistrationTokenHash != c.RegistrationTokenHash {
				return authserver.ErrNotFound
			}
			return s.PutClient(ctx, c)
		}}},
		"ReplaceClient does nothing": {testReplaceClient, brokenClients{replace: func(s *authserver.MemoryStore, c *authserver.Client) error {
			same, err := s.Client(ctx, c.ClientID)
			if err != nil || same.RegistrationTokenHash != c.RegistrationTokenHash {
				return authserver.ErrNotFound
			}
			return s.ReplaceClient(ctx, same)
		}}},
		"ReplaceClient is two steps": {testReplaceClientRace, brokenClients{replace: func(s *authserver.MemoryStore, c *authserver.Client) error {
			was, err := s.Client(ctx, c.ClientID)
			if err != nil || was.RegistrationTokenHash != c.RegistrationTokenHash {
				return authserver.ErrNotFound
			}
			for range 1000 { // until it is deleted, or another has done the same
				if _, err := s.Client(ctx, c.ClientID); err != nil {
					break
				}
				runtime.Gosched()
			}
			return s.PutClient(ctx, c)
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
