package authserver_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

// A keyStore is a store in memory that keeps signing keys too, as one in a
// database does, and fails on demand.
type keyStore struct {
	*authserver.MemoryStore

	mu      sync.Mutex
	keys    []authserver.SharedKey
	version int64
	err     error
	asked   int
}

func newKeyStore() *keyStore { return &keyStore{MemoryStore: authserver.NewMemoryStore(nil)} }

func (k *keyStore) SigningKeys(_ context.Context, since int64) ([]authserver.SharedKey, int64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	switch {
	case k.err != nil:
		return nil, 0, k.err
	case since == k.version:
		return nil, since, nil
	default:
		return append([]authserver.SharedKey(nil), k.keys...), k.version, nil
	}
}

func (k *keyStore) ReplaceSigningKeys(_ context.Context, keys []authserver.SharedKey, version int64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.err != nil:
		return k.err
	case version != k.version:
		return authserver.ErrConflict
	}
	k.keys, k.version = append([]authserver.SharedKey(nil), keys...), version+1
	return nil
}

func (k *keyStore) fail(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err = err
}

// replicas are n servers of one issuer on one store, by one clock.
func replicas(t *testing.T, n int, store authserver.Store, edits ...func(*authserver.Config)) []*issuer {
	t.Helper()
	first := start(t, "", append(edits, withStore(store))...)
	all := []*issuer{first}
	for range n - 1 {
		all = append(all, start(t, "", append(edits, withStore(store), func(c *authserver.Config) {
			c.Issuer, c.Now = first.url, first.clock.Now
		})...))
	}
	return all
}

// kidOf is the key that signed a token.
func kidOf(t *testing.T, token string) string {
	t.Helper()
	header, _ := parts(t, token)
	return header["kid"].(string)
}

func TestKeyStore_ServersOnOneStoreHaveOneKeySet(t *testing.T) {
	t.Parallel()
	store := newKeyStore()
	r := replicas(t, 3, store)
	for i, from := range r {
		token := from.token(shop)
		for j, at := range r {
			if !at.active(orders, token) || at.kids() != r[0].kids() {
				t.Errorf("the token of %d at %d: active %v, keys %s", i, j, at.active(orders, token), at.kids())
			}
		}
	}
	later := start(t, "", withStore(store), func(c *authserver.Config) { c.Issuer, c.Now = r[0].url, r[0].clock.Now })
	if later.kids() != r[0].kids() || !later.active(orders, r[1].token(shop)) {
		t.Error("a server that starts later has other keys")
	}
}

func TestKeyStore_ARotationReachesTheOthers(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		how    authserver.Rotation
		signs  time.Duration // until the new key signs, everywhere
		listed int           // keys, afterwards
		good   bool          // the token of before
	}{
		"scheduled":    {authserver.RotateScheduled, 15*time.Minute + 10*time.Second, 2, false},
		"now":          {authserver.RotateNow, 10 * time.Second, 2, true},
		"and withdraw": {authserver.RotateAndWithdraw, 10 * time.Second, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := replicas(t, 2, newKeyStore(), func(c *authserver.Config) { c.TokenLifetime = 10 * time.Minute })
			before := r[1].token(shop)
			next := key(t, "EdDSA", "next")
			if err := r[0].RotateKeys(t.Context(), next, row.how); err != nil {
				t.Fatal(err)
			}
			if row.how != authserver.RotateScheduled {
				r[0].clock.Advance(time.Second)
				if token := r[0].token(shop); kidOf(t, token) != "next" || !r[1].active(orders, token) {
					t.Error("a token by the new key is unknown elsewhere")
				}
			}
			r[0].clock.Advance(row.signs)
			for i, s := range r {
				token := s.token(shop)
				if kid := kidOf(t, token); kid != "next" || !r[1-i].active(orders, token) {
					t.Errorf("%d signs with %s", i, kid)
				}
				if n := len(strings.Split(s.kids(), " ")); n != row.listed {
					t.Errorf("%d lists %s", i, s.kids())
				}
				if s.active(orders, before) != row.good {
					t.Errorf("the token of before is active at %d: %v", i, !row.good)
				}
			}
			if row.how == authserver.RotateAndWithdraw {
				r[0].clock.Advance(time.Hour)
				if err := r[1].RotateKeys(t.Context(), next, authserver.RotateNow); err == nil {
					t.Error("a key that signs is taken for a new one")
				}
			}
		})
	}
}

// Of many servers whose clock says that a rotation is due, one makes it.
func TestKeyStore_OneServerRotatesOnSchedule(t *testing.T) {
	t.Parallel()
	store := newKeyStore()
	r := replicas(t, 8, store, func(c *authserver.Config) { c.KeyRotation = 24 * time.Hour })
	for _, s := range r {
		s.token(shop)
	}
	for day := range 3 {
		r[0].clock.Advance(24 * time.Hour)
		var wg sync.WaitGroup
		for _, s := range r {
			wg.Go(func() { s.token(shop) })
		}
		wg.Wait()
		store.mu.Lock()
		if want := int64(2 + day); store.version != want {
			t.Errorf("day %d: version %d, want %d", day, store.version, want)
		}
		store.mu.Unlock()
		r[0].clock.Advance(16 * time.Minute)
		kids := map[string]bool{}
		for _, s := range r {
			kids[kidOf(t, s.token(shop))] = true
		}
		if len(kids) != 1 {
			t.Errorf("day %d: signed with %v", day, kids)
		}
	}
}

// Out of reach at the start, the store is waited for; later its keys are known.
func TestKeyStore_OutOfReach(t *testing.T) {
	t.Parallel()
	store := newKeyStore()
	store.fail(errors.New("no route to host"))
	i := start(t, "", withStore(store))
	form := form("grant_type", "client_credentials")
	if a := i.post("/token", shop, form); a.status != 503 || a.member("error") != "temporarily_unavailable" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := i.get(i.url + "/jwks"); a.status != 503 {
		t.Errorf("%d %s", a.status, a.body)
	}
	store.fail(nil)
	kids, token := i.kids(), i.token(shop)
	store.fail(errors.New("no route to host"))
	for range 3 {
		i.clock.Advance(time.Minute)
		if i.kids() != kids || !i.active(orders, i.token(shop)) || !i.active(orders, token) {
			t.Error("the keys of before are forgotten")
		}
	}
	if err := i.RotateKeys(t.Context(), key(t, "ES256", "next"), authserver.RotateNow); err == nil || i.kids() != kids {
		t.Errorf("rotated alone: %v", err)
	}
	if n := strings.Count(i.log.String(), "out of reach; those of before go on"); n != 3 {
		t.Errorf("logged %d times", n)
	}
}

// A clock that was set back keeps no server from learning of a rotation.
func TestKeyStore_TheClockIsSetBack(t *testing.T) {
	t.Parallel()
	r := replicas(t, 2, newKeyStore())
	r[0].token(shop)
	r[1].token(shop)
	r[0].clock.Advance(-time.Hour)
	if err := r[0].RotateKeys(t.Context(), key(t, "ES256", "next"), authserver.RotateNow); err != nil {
		t.Fatal(err)
	}
	if token := r[0].token(shop); kidOf(t, token) != "next" || !r[1].active(orders, token) {
		t.Error("the token of one server is unknown to the other")
	}
	r[0].clock.Advance(-time.Hour)
	if kids := r[1].kids(); kids != r[0].kids() {
		t.Errorf("%s are published", kids)
	}
}

// A store may keep no keys for want of an encryption key, and those of the
// configuration are nobody else's.
func TestKeyStore_NotUsed(t *testing.T) {
	t.Parallel()
	store := newKeyStore()
	store.fail(fmt.Errorf("no key to encrypt with: %w", errors.ErrUnsupported))
	i := start(t, "", withStore(store))
	i.token(shop)
	i.clock.Advance(time.Hour)
	i.token(shop)
	if err := i.RotateKeys(t.Context(), key(t, "ES256", "next"), authserver.RotateNow); err != nil || kidOf(t, i.token(shop)) != "next" {
		t.Errorf("no rotation: %v", err)
	}
	if n := strings.Count(i.log.String(), "the store keeps no signing keys"); n != 1 || store.asked != 1 {
		t.Errorf("logged %d times, asked %d times", n, store.asked)
	}
	own := newKeyStore()
	i = start(t, "", withStore(own), withKeys(key(t, "ES256", "own")))
	if kid := kidOf(t, i.token(shop)); kid != "own" || own.asked != 0 {
		t.Errorf("signed with %s, asked %d times", kid, own.asked)
	}
}

// Invented key IDs make one look at the store a second, and no more.
func TestKeyStore_InventedKeys(t *testing.T) {
	t.Parallel()
	store := newKeyStore()
	i := start(t, "", withStore(store))
	other := start(t, "", withKeys(key(t, "ES256", "invented")))
	token := other.token(shop)
	i.token(shop)
	i.clock.Advance(2 * time.Second)
	asked := store.asked
	for range 50 {
		if i.active(orders, token) {
			t.Fatal("active")
		}
	}
	if n := store.asked - asked; n != 1 {
		t.Errorf("asked %d times", n)
	}
}
