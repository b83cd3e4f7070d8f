package authserver_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/authserver/storetest"
)

func TestMemoryStore_IsAStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) authserver.Store { return authserver.NewMemoryStore(nil) })
}

// What is alive is never thrown out: what is new is refused instead. Records
// leave room for grants.
func TestMemoryStore_RefusesWhenFull(t *testing.T) {
	t.Parallel()
	ctx, now := t.Context(), newClock().now
	m := authserver.NewMemoryStore(&authserver.MemoryStoreOptions{MaxRecords: 3})
	put := func(n int) error {
		return m.Put(ctx, authserver.RefreshToken, authserver.HashOf(fmt.Sprint(n)), authserver.Record{Expiry: now.Add(time.Duration(n) * time.Minute)})
	}
	for n := range 5 {
		if err := put(n + 1); (err != nil) != (n >= 3) || err != nil && !errors.Is(err, authserver.ErrFull) {
			t.Errorf("record %d: %v", n, err)
		}
		if err := m.RevokeGrant(ctx, fmt.Sprint(n), "", now, now.Add(time.Hour)); (err != nil) != (n >= 3) || err != nil && !errors.Is(err, authserver.ErrFull) {
			t.Errorf("grant %d: %v", n, err)
		}
		if err := m.PutClient(ctx, &authserver.Client{ClientID: fmt.Sprint(n)}); (err != nil) != (n >= 3) || err != nil && !errors.Is(err, authserver.ErrFull) {
			t.Errorf("client %d: %v", n, err)
		}
	}
	if err := m.CreateGrant(ctx, authserver.Grant{ID: "x"}); !errors.Is(err, authserver.ErrFull) {
		t.Error(err)
	}
	if _, _, err := m.Rotate(ctx, authserver.HashOf("3"), authserver.HashOf("x"), authserver.Record{}, 0, now); !errors.Is(err, authserver.ErrFull) {
		t.Error(err)
	}
	if err := m.RevokeGrant(ctx, "0", "", now, now.Add(2*time.Hour)); err != nil {
		t.Errorf("a grant that is there cannot be revoked: %v", err)
	}
	for n := range 3 {
		if _, err := m.Get(ctx, authserver.RefreshToken, authserver.HashOf(fmt.Sprint(n+1))); err != nil {
			t.Errorf("record %d is gone: %v", n, err)
		}
	}
	if n, err := m.Purge(ctx, now.Add(time.Minute), 10); n != 1 || err != nil || put(9) != nil {
		t.Errorf("%d purged, %v: no room for more", n, err)
	}
}

func TestServer_AJWTCostsNoWrite(t *testing.T) {
	t.Parallel()
	s := &countingStore{Store: authserver.NewMemoryStore(nil)}
	i := start(t, "", withStore(s))
	token := i.token(shop)
	i.introspect(orders, token)
	if n := s.writes.Load(); n != 0 {
		t.Errorf("%d writes", n)
	}
	i.post("/revoke", shop, form("token", token))
	if n := s.writes.Load(); n != 1 {
		t.Errorf("%d writes of a revocation", n)
	}
	i.token(kiosk)
	if n := s.writes.Load(); n != 2 {
		t.Errorf("%d writes of an opaque token", n-1)
	}
}

func TestServer_AStoreThatFailsIs503(t *testing.T) {
	t.Parallel()
	s := &faultyStore{Store: authserver.NewMemoryStore(nil)}
	i := start(t, "", withStore(s))
	signed, opaque := i.token(shop), i.token(kiosk)
	s.fail.Store(true)
	for name, a := range map[string]answer{
		"an opaque token":            i.post("/token", kiosk, form("grant_type", "client_credentials")),
		"a client it may have":       i.post("/token", stranger, form("grant_type", "client_credentials")),
		"introspecting a JWT":        i.introspect(orders, signed),
		"introspecting an opaque":    i.introspect(orders, opaque),
		"introspecting an invention": i.introspect(orders, "x"),
		"revoking a JWT":             i.post("/revoke", shop, form("token", signed)),
		"revoking an opaque":         i.post("/revoke", kiosk, form("token", opaque)),
	} {
		if a.status != 503 || a.member("error") != "temporarily_unavailable" || a.header.Get("Retry-After") != "1" {
			t.Errorf("%s: %d %v %s", name, a.status, a.header, a.body)
		}
	}
	if a := i.post("/token", shop, form("grant_type", "client_credentials")); a.status != 200 {
		t.Errorf("a JWT for a configured client needs no store: %d %s", a.status, a.body)
	}
	s.fail.Store(false)
	if !i.active(orders, signed) || !i.active(orders, opaque) {
		t.Error("not as it was")
	}
}

func TestServer_AFullStoreIs503UntilSomethingExpires(t *testing.T) {
	t.Parallel()
	i := start(t, "", withStore(authserver.NewMemoryStore(&authserver.MemoryStoreOptions{MaxRecords: 2})))
	first := i.token(kiosk)
	i.clock.Advance(time.Minute)
	second := i.token(kiosk)
	if a := i.post("/token", kiosk, form("grant_type", "client_credentials")); a.status != 503 || a.member("error") != "temporarily_unavailable" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if !i.active(orders, first) || !i.active(orders, second) {
		t.Error("a live token was thrown out")
	}
	if a := i.post("/revoke", kiosk, form("token", second)); a.status != 200 || i.active(orders, second) {
		t.Errorf("a full store keeps a revocation out: %d %s", a.status, a.body)
	}
	i.clock.Advance(9 * time.Minute)
	if third := i.token(kiosk); !i.active(orders, third) { // room is made without waiting for anything
		t.Error("not active")
	}
}

func TestServer_ClearsAwayWhatExpired(t *testing.T) {
	t.Parallel()
	s := &countingStore{Store: authserver.NewMemoryStore(nil)}
	i := start(t, "", withStore(s), func(c *authserver.Config) { c.TokenLifetime = time.Second })
	for range 520 {
		i.token(kiosk)
		i.clock.Advance(time.Second)
	}
	if n := s.purges.Load(); n != 2 {
		t.Errorf("%d purges in 520 writes", n)
	}
	if left, err := s.Store.Purge(t.Context(), i.clock.Now(), 1000); err != nil || left != 9 { // those of the writes since the second purge
		t.Errorf("%d expired records were left, %v", left, err)
	}
}

func TestServer_ClientsOfTheStore(t *testing.T) {
	t.Parallel()
	s := authserver.NewMemoryStore(nil)
	i := start(t, "", withStore(s))
	ctx := context.Background()
	stored := authserver.Client{
		ClientID: "stored", SecretHash: authserver.HashOf("0123456789"), GrantTypes: []string{"client_credentials"}, Audience: []string{ordersAPI},
	}
	shadow := stored
	shadow.ClientID = shop.id // the configuration's has precedence
	broken := stored
	broken.ClientID, broken.GrantTypes = "broken", []string{"password"}
	for _, c := range []authserver.Client{stored, shadow, broken} {
		if err := s.PutClient(ctx, &c); err != nil {
			t.Fatal(err)
		}
	}
	grant := form("grant_type", "client_credentials")
	if a := i.post("/token", login{"stored", "0123456789"}, grant); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := i.post("/token", login{shop.id, "0123456789"}, grant); a.status != 401 {
		t.Errorf("the store's client took the place of the configured one: %d %s", a.status, a.body)
	}
	if a := i.post("/token", login{"broken", "0123456789"}, grant); a.status != 500 || a.member("error") != "server_error" {
		t.Errorf("a client that cannot be: %d %s", a.status, a.body)
	}
	if log := i.log.String(); !strings.Contains(log, `client \"broken\" in the store: grant_types: `) {
		t.Errorf("the log does not say why: %s", log)
	}
}

// What cannot be a client_id never gets to the store: a database may have no
// room for such a text, and its error would be a 503.
func TestServer_AsksTheStoreForNoImpossibleClient(t *testing.T) {
	t.Parallel()
	s := &faultyStore{Store: authserver.NewMemoryStore(nil)}
	s.fail.Store(true)
	i := start(t, "", withStore(s))
	for id, status := range map[string]int{
		"a\x00": 401, "\xff": 401, "\u00e9": 401, "a\n": 401, strings.Repeat("a", 256): 401, strings.Repeat("a", 255): 503, "a b~": 503,
	} {
		if a := i.post("/token", login{}, form("grant_type", "client_credentials", "client_id", id, "client_secret", "x")); a.status != status {
			t.Errorf("%.10q: %d %s", id, a.status, a.body)
		}
	}
}
