package storetest

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

// kind is one that the package authserver does not name: a store takes any.
const kind authserver.Kind = "storetest"

func testPut(t testing.TB, s authserver.Store) {
	ctx := t.Context()
	_, err := s.Get(ctx, kind, key("a"))
	fails(t, "Get of an unknown key", err, authserver.ErrNotFound)

	must(t, s.Put(ctx, kind, key("a"), record("a")))
	got, err := s.Get(ctx, kind, key("a"))
	must(t, err)
	same(t, "Get", got, record("a"))

	fails(t, "Put of a key that is taken", s.Put(ctx, kind, key("a"), record("b")), authserver.ErrExists)
	got, err = s.Get(ctx, kind, key("a"))
	must(t, err)
	same(t, "Get after a Put that was refused", got, record("a"))

	_, err = s.Get(ctx, kind+"2", key("a"))
	fails(t, "Get of another kind", err, authserver.ErrNotFound)
	must(t, s.Put(ctx, kind+"2", key("a"), record("c")))
	got, err = s.Get(ctx, kind, key("a"))
	must(t, err)
	same(t, "Get after a Put of another kind", got, record("a"))

	_, _, err = s.Consume(ctx, kind, key("a"), now)
	must(t, err)
	fails(t, "Put of a key that is spent", s.Put(ctx, kind, key("a"), record("b")), authserver.ErrExists)
	got, err = s.Get(ctx, kind, key("a"))
	must(t, err)
	same(t, "Get of a spent record", got, record("a"))
	spent(t, "Get of a spent record", got, true)
	got, err = s.Get(ctx, kind+"2", key("a"))
	must(t, err)
	spent(t, "Get of a record whose key is spent in another kind", got, false)

	old := authserver.Record{Expiry: now.Add(-time.Hour)}
	must(t, s.Put(ctx, kind, key("old"), old))
	fails(t, "Put of a key that is expired, but not purged", s.Put(ctx, kind, key("old"), record("b")), authserver.ErrExists)
}

// Whoever sees a jti first is one, whatever comes at once.
func testPutRace(t testing.TB, s authserver.Store) {
	ctx := t.Context()
	for round := range rounds {
		k := key(fmt.Sprint("jti ", round))
		winner := -1
		for n, err := range race(func(n int) error { return s.Put(ctx, kind, k, record(strconv.Itoa(n))) }) {
			switch {
			case err == nil && winner < 0:
				winner = n
			case err == nil:
				t.Fatalf("round %d: Put succeeded twice for one key", round)
			default:
				fails(t, "Put in a race", err, authserver.ErrExists)
			}
		}
		if winner < 0 {
			t.Fatalf("round %d: Put succeeded for nobody", round)
		}
		got, err := s.Get(ctx, kind, k)
		must(t, err)
		same(t, "Get after a race", got, record(strconv.Itoa(winner)))
	}
}

func testCopies(t testing.TB, s authserver.Store) {
	ctx := t.Context()
	spoil := func(r authserver.Record) {
		for i := range r.Data {
			r.Data[i] = 'x'
		}
	}
	check := func(what string, k authserver.Hash, want authserver.Record) {
		t.Helper()
		got, err := s.Get(ctx, authserver.RefreshToken, k)
		must(t, err)
		same(t, "Get after the caller wrote to what "+what, got, want)
	}
	a, b := record("a"), record("b")
	must(t, s.Put(ctx, authserver.RefreshToken, key("a"), a))
	spoil(a)
	check("Put was given", key("a"), record("a"))

	got, err := s.Get(ctx, authserver.RefreshToken, key("a"))
	must(t, err)
	spoil(got)
	check("Get returned", key("a"), record("a"))

	_, got, err = s.Rotate(ctx, key("a"), key("b"), b, time.Minute, now)
	must(t, err)
	spoil(b)
	check("Rotate was given", key("b"), record("b"))
	spoil(got)
	check("Rotate returned", key("b"), record("b"))
	_, got, err = s.Rotate(ctx, key("a"), key("c"), record("c"), time.Minute, now)
	must(t, err)
	spoil(got)
	check("Rotate returned for a retry", key("b"), record("b"))

	for range 2 {
		got, _, err = s.Consume(ctx, authserver.RefreshToken, key("b"), now)
		must(t, err)
		spoil(got)
		check("Consume returned", key("b"), record("b"))
	}
}

func testConsume(t testing.TB, s authserver.Store) {
	ctx := t.Context()
	_, _, err := s.Consume(ctx, kind, key("a"), now)
	fails(t, "Consume of an unknown key", err, authserver.ErrNotFound)

	must(t, s.Put(ctx, kind, key("a"), record("a")))
	must(t, s.Put(ctx, kind+"2", key("a"), record("a of another kind")))
	must(t, s.Put(ctx, kind, key("b"), record("b")))
	got, o, err := s.Consume(ctx, kind, key("a"), now)
	is(t, "Consume", got, record("a"), o, authserver.First, err)
	for range 3 {
		got, o, err = s.Consume(ctx, kind, key("a"), now.Add(time.Minute))
		is(t, "Consume again", got, record("a"), o, authserver.Replayed, err)
	}
	got, o, err = s.Consume(ctx, kind+"2", key("a"), now)
	is(t, "Consume of another kind", got, record("a of another kind"), o, authserver.First, err)
	got, o, err = s.Consume(ctx, kind, key("b"), now)
	is(t, "Consume of another key", got, record("b"), o, authserver.First, err)
}

func testConsumeExpiry(t testing.TB, s authserver.Store) {
	ctx := t.Context()
	expiry := record("").Expiry
	for _, k := range []string{"a", "b"} {
		must(t, s.Put(ctx, kind, key(k), record(k)))
	}
	_, _, err := s.Consume(ctx, kind, key("a"), expiry)
	fails(t, "Consume at the moment of expiry", err, authserver.ErrNotFound)
	got, o, err := s.Consume(ctx, kind, key("a"), expiry.Add(-time.Millisecond))
	is(t, "Consume a millisecond before the expiry", got, record("a"), o, authserver.First, err)
	_, _, err = s.Consume(ctx, kind, key("a"), expiry)
	fails(t, "Consume of a spent record at the moment of expiry", err, authserver.ErrNotFound)
	_, _, err = s.Consume(ctx, kind, key("b"), expiry.Add(time.Hour))
	fails(t, "Consume after the expiry", err, authserver.ErrNotFound)
}

func testConsumeRace(t testing.TB, s authserver.Store) {
	type result struct {
		record  authserver.Record
		outcome authserver.Outcome
		err     error
	}
	ctx := t.Context()
	for round := range rounds {
		name := fmt.Sprint("code ", round)
		must(t, s.Put(ctx, kind, key(name), record(name)))
		first := 0
		for _, r := range race(func(int) (r result) {
			r.record, r.outcome, r.err = s.Consume(ctx, kind, key(name), now)
			return r
		}) {
			if r.outcome == authserver.First && r.err == nil {
				first++
				same(t, "Consume in a race", r.record, record(name))
				continue
			}
			is(t, "Consume in a race", r.record, record(name), r.outcome, authserver.Replayed, r.err)
		}
		if first != 1 {
			t.Fatalf("round %d: %d of %d calls of Consume were the first", round, first, racers)
		}
	}
}
