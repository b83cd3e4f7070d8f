package storetest

import (
	"bytes"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

func testGrant(t testing.TB, s authserver.Store) {
	ctx := t.Context()
	_, err := s.Grant(ctx, "a")
	fails(t, "Grant of an unknown ID", err, authserver.ErrNotFound)

	data := []byte("data\x00\xff")
	must(t, s.CreateGrant(ctx, authserver.Grant{ID: "a", Data: data, Expiry: now.Add(time.Hour)}))
	data[0] = 'x'
	fails(t, "CreateGrant of an ID that is taken", s.CreateGrant(ctx, authserver.Grant{ID: "a"}), authserver.ErrExists)
	for range 2 {
		g := grant(t, s, "a")
		kept := string(g.Data) == "data\x00\xff" && g.Expiry.Truncate(time.Millisecond).Equal(now.Add(time.Hour))
		if !kept || !g.Revoked.IsZero() || g.Reason != "" {
			t.Fatalf("Grant: %+v is not what was created", g)
		}
		g.Data[0] = 'x'
	}
	must(t, s.CreateGrant(ctx, authserver.Grant{ID: "A", Expiry: now.Add(time.Hour)})) // IDs are case-sensitive
}

func testRevokeGrant(t testing.TB, s authserver.Store) {
	ctx := t.Context()
	must(t, s.CreateGrant(ctx, authserver.Grant{ID: "a", Data: []byte("data"), Expiry: now.Add(time.Hour)}))
	must(t, s.CreateGrant(ctx, authserver.Grant{ID: "b", Expiry: now.Add(time.Hour)}))
	revoked := func(id, reason string, at, expiry time.Time) {
		t.Helper()
		g := grant(t, s, id)
		if g.Reason != reason || !g.Revoked.Truncate(time.Millisecond).Equal(at) || !g.Expiry.Truncate(time.Millisecond).Equal(expiry) {
			t.Fatalf("Grant: %+v, want revoked at %v for %q, kept until %v", g, at, reason, expiry)
		}
	}
	must(t, s.RevokeGrant(ctx, "a", "first", now, now.Add(time.Minute))) // shorter than its own expiry
	revoked("a", "first", now, now.Add(time.Hour))
	if g := grant(t, s, "a"); !bytes.Equal(g.Data, []byte("data")) {
		t.Fatalf("RevokeGrant changed the grant's data to %q", g.Data)
	}
	must(t, s.RevokeGrant(ctx, "a", "second", now.Add(time.Second), now.Add(2*time.Hour)))
	revoked("a", "first", now, now.Add(2*time.Hour))
	if g := grant(t, s, "b"); !g.Revoked.IsZero() {
		t.Fatal("RevokeGrant revoked another grant")
	}

	must(t, s.RevokeGrant(ctx, "unknown", "why", now, now.Add(time.Hour)))
	revoked("unknown", "why", now, now.Add(time.Hour))
	fails(t, "CreateGrant of an ID that was revoked", s.CreateGrant(ctx, authserver.Grant{ID: "unknown"}), authserver.ErrExists)
}

// Whatever comes at once, a grant that was revoked is revoked, and for one reason.
func testRevokeGrantRace(t testing.TB, s authserver.Store) {
	ctx := t.Context()
	for round := range rounds {
		id := fmt.Sprint("grant ", round)
		for n, err := range race(func(n int) error {
			if n%2 == 0 {
				return s.CreateGrant(ctx, authserver.Grant{ID: id, Expiry: now.Add(time.Hour)})
			}
			return s.RevokeGrant(ctx, id, fmt.Sprint("reason ", n), now.Add(time.Duration(n)*time.Second), now.Add(time.Hour))
		}) {
			if n%2 == 1 {
				must(t, err)
			} else if err != nil {
				fails(t, "CreateGrant in a race", err, authserver.ErrExists)
			}
		}
		g := grant(t, s, id)
		if seconds := int(g.Revoked.Sub(now) / time.Second); g.Revoked.IsZero() || g.Reason != fmt.Sprint("reason ", seconds) {
			t.Fatalf("round %d: revoked at %v for %q: not from one revocation", round, g.Revoked, g.Reason)
		}
	}
}

func testPurge(t testing.TB, s authserver.Store) {
	ctx := t.Context()
	for n := range 10 { // two expire each minute
		r := record(strconv.Itoa(n))
		r.Expiry = now.Add(time.Duration(n/2) * time.Minute)
		must(t, s.Put(ctx, kind, key(strconv.Itoa(n)), r))
	}
	_, _, err := s.Consume(ctx, kind, key("9"), now)
	must(t, err)
	for _, step := range []struct {
		at    time.Duration
		limit int
		want  int
	}{
		{-time.Millisecond, 100, 0},
		{0, 100, 2},
		{0, 100, 0},
		{2 * time.Minute, 0, 0},
		{2 * time.Minute, 3, 3},
		{2 * time.Minute, 3, 1},
		{2 * time.Minute, 3, 0},
	} {
		n, err := s.Purge(ctx, now.Add(step.at), step.limit)
		if err != nil || n != step.want {
			t.Fatalf("Purge %v later with a limit of %d: %d, %v; want %d", step.at, step.limit, n, err, step.want)
		}
	}
	for n := range 10 {
		_, err := s.Get(ctx, kind, key(strconv.Itoa(n)))
		if n < 6 {
			fails(t, "Get of a record that was purged", err, authserver.ErrNotFound)
		} else {
			must(t, err)
		}
	}
	_, o, err := s.Consume(ctx, kind, key("9"), now.Add(2*time.Minute))
	if err != nil || o != authserver.Replayed {
		t.Fatalf("Purge forgot that a record was spent: %v, %v", o, err)
	}
	must(t, s.Put(ctx, kind, key("0"), record("again")))
}

func testPurgeGrants(t testing.TB, s authserver.Store) {
	ctx := t.Context()
	must(t, s.CreateGrant(ctx, authserver.Grant{ID: "short", Expiry: now.Add(time.Minute)}))
	must(t, s.CreateGrant(ctx, authserver.Grant{ID: "extended", Expiry: now.Add(time.Minute)}))
	must(t, s.RevokeGrant(ctx, "extended", "", now, now.Add(time.Hour)))
	must(t, s.RevokeGrant(ctx, "tombstone", "", now, now.Add(time.Hour)))
	for _, step := range []struct {
		at   time.Duration
		want int
	}{{time.Minute - time.Millisecond, 0}, {time.Minute, 1}, {time.Hour - time.Millisecond, 0}, {time.Hour, 2}} {
		for _, id := range []string{"extended", "tombstone"} {
			if g := grant(t, s, id); g.Revoked.IsZero() {
				t.Fatalf("%s is no longer revoked", id)
			}
		}
		if n, err := s.Purge(ctx, now.Add(step.at), 100); err != nil || n != step.want {
			t.Fatalf("Purge %v later: %d, %v; want %d", step.at, n, err, step.want)
		}
	}
	for _, id := range []string{"short", "extended", "tombstone"} {
		_, err := s.Grant(ctx, id)
		fails(t, "Grant of one that was purged", err, authserver.ErrNotFound)
	}
}

func grant(t testing.TB, s authserver.Store, id string) authserver.Grant {
	t.Helper()
	g, err := s.Grant(t.Context(), id)
	must(t, err)
	if g.ID != id {
		t.Fatalf("Grant(%q) returns the grant %q", id, g.ID)
	}
	return g
}
