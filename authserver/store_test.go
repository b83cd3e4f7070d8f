package authserver_test

import (
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
		if err := m.PutClient(ctx, &authserver.Client{ClientID: fmt.Sprint(n), SecretHash: authserver.HashOf("x")}); (err != nil) != (n >= 3) || err != nil && !errors.Is(err, authserver.ErrFull) {
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

// Whatever anybody can send without being known leaves room for the rest, and
// takes no more memory than it should.
func TestPoint41_AFloodOfOneKindLeavesRoomForOthers(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "", withStore(authserver.NewMemoryStore(&authserver.MemoryStoreOptions{MaxRecords: 32})))
	flood := func(size int) (taken int) {
		for taken < 100 && i.post("/par", web, authParams(web, "state", strings.Repeat("s", size))).status == 201 {
			taken++
		}
		return taken
	}
	if n := flood(1); n != 32 {
		t.Errorf("%d pushed requests", n)
	}
	if a := i.redeem(portal, i.code(portal), "redirect_uri", portalURI); a.status != 200 {
		t.Errorf("nobody can sign in: %d %s", a.status, a.body)
	}
	if !i.active(orders, i.token(kiosk)) {
		t.Error("no opaque token")
	}
	i.clock.Advance(12 * time.Minute)
	if n := flood(8 << 10); n != 4 { // each counts as 9
		t.Errorf("%d pushed requests of 8 KiB", n)
	}
	i.clock.Advance(12 * time.Minute)
	if n := flood(1); n != 32 {
		t.Errorf("%d pushed requests after large ones", n)
	}
}

func TestMemoryStore_TheZeroValueIsOneWithDefaults(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) authserver.Store { return &authserver.MemoryStore{} })
	i := start(t, "", withStore(&authserver.MemoryStore{}))
	if !i.active(orders, i.token(kiosk)) {
		t.Error("not active")
	}
}

func TestMemoryStore_PutClientRefusesWhatNoServerCouldUse(t *testing.T) {
	t.Parallel()
	m := authserver.NewMemoryStore(nil)
	if err := m.PutClient(t.Context(), nil); err == nil || err.Error() != "authserver: PutClient: the client is nil" {
		t.Error(err)
	}
	for want, edit := range map[string]func(*authserver.Client){
		`(""): client_id: required`:     func(c *authserver.Client) { c.ClientID = "" },
		`("shop"): SecretHash: requir`:  func(c *authserver.Client) { c.SecretHash = authserver.Hash{} },
		`("shop"): grant_types: "passw`: func(c *authserver.Client) { c.GrantTypes = []string{"password"} },
	} {
		c := clients()[0]
		edit(&c)
		if err := m.PutClient(t.Context(), &c); err == nil || !strings.HasPrefix(err.Error(), "authserver: PutClient "+want) {
			t.Errorf("want %s: %v", want, err)
		}
		if err := m.ReplaceClient(t.Context(), &c); err == nil || !strings.HasPrefix(err.Error(), "authserver: ReplaceClient "+want) {
			t.Errorf("want %s: %v", want, err)
		}
		if _, err := m.Client(t.Context(), c.ClientID); !errors.Is(err, authserver.ErrNotFound) {
			t.Errorf("%q is registered all the same: %v", c.ClientID, err)
		}
	}
}

// A call of Purge takes no more steps than it was told, nor with the lock held,
// however many grants by now expire later.
func TestMemoryStore_PurgeIsBoundedWithExtendedGrants(t *testing.T) {
	t.Parallel()
	ctx, now := t.Context(), newClock().now
	m := authserver.NewMemoryStore(nil)
	for n := range 10 {
		if err := errors.Join(m.RevokeGrant(ctx, fmt.Sprint(n), "", now, now.Add(time.Minute)),
			m.RevokeGrant(ctx, fmt.Sprint(n), "", now, now.Add(time.Hour))); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.RevokeGrant(ctx, "short", "", now, now.Add(2*time.Minute)); err != nil {
		t.Fatal(err)
	}
	for call, want := range []int{0, 0, 1} { // 4, 4, and 2 with the one that goes
		if n, err := m.Purge(ctx, now.Add(2*time.Minute), 4); err != nil || n != want {
			t.Errorf("call %d: %d purged, %v; want %d", call, n, err, want)
		}
	}
}

// A record that somebody damaged, or another server wrote, is never taken for a
// token.
func TestServer_RecordsThatAreNotItsOwn(t *testing.T) {
	t.Parallel()
	store := authserver.NewMemoryStore(nil)
	ours, theirs := start(t, "", withStore(store)), start(t, "", withStore(store))
	token := theirs.token(kiosk)
	if a := ours.introspect(orders, token); a.status != 200 || string(a.body) != `{"active":false}` {
		t.Errorf("another issuer's token: %d %s", a.status, a.body)
	}
	if a := ours.post("/revoke", kiosk, form("token", token)); a.status != 200 || !theirs.active(orders, token) {
		t.Errorf("another issuer's token was revoked: %d %s", a.status, a.body)
	}
	for name, r := range map[string]authserver.Record{
		"empty":  {Grant: "g", Data: []byte(`{}`)},
		"no exp": {Grant: "g", Data: []byte(`{"iss":"` + ours.url + `","jti":"g","client_id":"kiosk"}`)},
		"no jti": {Grant: "g", Data: []byte(`{"iss":"` + ours.url + `","exp":4070908800,"client_id":"kiosk"}`)},
	} {
		r.Expiry = ours.clock.Now().Add(time.Hour)
		if err := store.Put(t.Context(), authserver.AccessToken, authserver.HashOf(ours.url+"\x00"+name), r); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/introspect", "/revoke"} {
			if a := ours.post(path, kiosk, form("token", name)); a.status != 500 || a.member("error") != "server_error" {
				t.Errorf("%s at %s: %d %s", name, path, a.status, a.body)
			}
		}
	}
}

func TestServer_APurgeThatFailsIsLogged(t *testing.T) {
	t.Parallel()
	s := &faultyStore{Store: authserver.NewMemoryStore(nil), purge: true}
	i := start(t, "", withStore(s))
	for range 256 {
		i.token(kiosk) // all the same
	}
	if log := i.log.String(); strings.Count(log, `"level":"WARN","msg":"expired records could not be purged","cause":"the store is broken"`) != 1 {
		t.Errorf("the log: %.2000s", log)
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
	ctx := t.Context()
	stored := authserver.Client{
		ClientID: "stored", SecretHash: authserver.HashOf("0123456789"), GrantTypes: []string{"client_credentials"}, Audience: []string{ordersAPI},
	}
	shadow := stored
	shadow.ClientID = shop.id // the configuration's has precedence
	for _, c := range []authserver.Client{stored, shadow} {
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
