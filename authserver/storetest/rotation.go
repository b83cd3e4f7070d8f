package storetest

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

const grace = 10 * time.Second

func testRotate(t testing.TB, s authserver.Store) {
	ctx := t.Context()
	must(t, s.Put(ctx, authserver.RefreshToken, key("0"), record("0")))
	for n := range 3 { // a family of four
		next := strconv.Itoa(n + 1)
		o, got, err := s.Rotate(ctx, key(strconv.Itoa(n)), key(next), record(next), grace, now)
		is(t, "Rotate", got, record(next), o, authserver.Rotated, err)
		got, err = s.Get(ctx, authserver.RefreshToken, key(next))
		must(t, err)
		same(t, "Get of a successor", got, record(next))
		spent(t, "Get of a successor", got, false)
		got, err = s.Get(ctx, authserver.RefreshToken, key(strconv.Itoa(n)))
		must(t, err)
		spent(t, "Get of what was rotated", got, true)
	}
	got, o, err := s.Consume(ctx, authserver.RefreshToken, key("0"), now)
	is(t, "Consume of a refresh token that was rotated", got, record("0"), o, authserver.Replayed, err)
	got, o, err = s.Consume(ctx, authserver.RefreshToken, key("3"), now)
	is(t, "Consume of the last successor", got, record("3"), o, authserver.First, err)
}

func testRotateGrace(t testing.TB, s authserver.Store) {
	ctx := t.Context()
	rotate := func(old, next string, grace time.Duration, after time.Duration) (authserver.Outcome, authserver.Record, error) {
		return s.Rotate(ctx, key(old), key(next), record(next), grace, now.Add(after))
	}
	must(t, s.Put(ctx, authserver.RefreshToken, key("a"), record("a")))
	o, got, err := rotate("a", "b", grace, 0)
	is(t, "Rotate", got, record("b"), o, authserver.Rotated, err)
	for n := range 3 {
		o, got, err = rotate("a", fmt.Sprint("x", n), grace, grace-time.Millisecond)
		is(t, "Rotate again within the grace", got, record("b"), o, authserver.Retry, err)
		_, err = s.Get(ctx, authserver.RefreshToken, key(fmt.Sprint("x", n)))
		fails(t, "Get of what a retry would have put", err, authserver.ErrNotFound)
	}
	o, got, err = rotate("a", "x", grace, grace)
	is(t, "Rotate again at the end of the grace", got, record("a"), o, authserver.Reused, err)
	o, got, err = rotate("a", "x", 0, 0)
	is(t, "Rotate again without grace", got, record("a"), o, authserver.Reused, err)
	o, got, err = rotate("a", "x", 0, -time.Second)
	is(t, "Rotate again without grace, by a clock that is behind", got, record("a"), o, authserver.Reused, err)
	o, got, err = rotate("a", "x", grace, -time.Second)
	is(t, "Rotate again within the grace, by a clock that is behind", got, record("b"), o, authserver.Retry, err)
	o, got, err = rotate("b", "c", grace, 0)
	is(t, "Rotate of the successor after the reuse", got, record("c"), o, authserver.Rotated, err)
	o, got, err = rotate("a", "x", grace, 0)
	is(t, "Rotate again when the successor is spent", got, record("a"), o, authserver.Reused, err)
	_, err = s.Get(ctx, authserver.RefreshToken, key("x"))
	fails(t, "Get of what a reuse would have put", err, authserver.ErrNotFound)
}

func testRotateRefused(t testing.TB, s authserver.Store) {
	ctx := t.Context()
	expiry := record("").Expiry
	_, _, err := s.Rotate(ctx, key("a"), key("b"), record("b"), grace, now)
	fails(t, "Rotate of an unknown key", err, authserver.ErrNotFound)
	must(t, s.Put(ctx, kind, key("a"), record("a")))
	_, _, err = s.Rotate(ctx, key("a"), key("b"), record("b"), grace, now)
	fails(t, "Rotate of another kind's key", err, authserver.ErrNotFound)

	must(t, s.Put(ctx, authserver.RefreshToken, key("a"), record("a")))
	_, _, err = s.Rotate(ctx, key("a"), key("b"), record("b"), grace, expiry)
	fails(t, "Rotate at the moment of expiry", err, authserver.ErrNotFound)
	_, err = s.Get(ctx, authserver.RefreshToken, key("b"))
	fails(t, "Get of what was refused", err, authserver.ErrNotFound)

	must(t, s.Put(ctx, authserver.RefreshToken, key("taken"), record("taken")))
	_, _, err = s.Rotate(ctx, key("a"), key("taken"), record("b"), grace, now)
	fails(t, "Rotate to a key that is taken", err, authserver.ErrExists)
	got, err := s.Get(ctx, authserver.RefreshToken, key("taken"))
	must(t, err)
	same(t, "Get of the key that was taken", got, record("taken"))
	o, got, err := s.Rotate(ctx, key("a"), key("b"), record("b"), grace, now)
	is(t, "Rotate after one that was refused", got, record("b"), o, authserver.Rotated, err)

	must(t, s.Put(ctx, authserver.RefreshToken, key("c"), record("c")))
	_, _, err = s.Consume(ctx, authserver.RefreshToken, key("c"), now)
	must(t, err)
	o, got, err = s.Rotate(ctx, key("c"), key("d"), record("d"), grace, now)
	is(t, "Rotate of a record that was consumed", got, record("c"), o, authserver.Reused, err)
}

func testRotateRace(t testing.TB, s authserver.Store) {
	type result struct {
		outcome authserver.Outcome
		record  authserver.Record
		err     error
	}
	ctx := t.Context()
	for round := range rounds {
		grace, loser := grace, authserver.Retry
		if round%2 == 1 {
			grace, loser = 0, authserver.Reused
		}
		old := fmt.Sprint("refresh ", round)
		must(t, s.Put(ctx, authserver.RefreshToken, key(old), record(old)))
		next := func(n int) string { return fmt.Sprint(old, " next ", n) }
		results := race(func(n int) (r result) {
			r.outcome, r.record, r.err = s.Rotate(ctx, key(old), key(next(n)), record(next(n)), grace, now)
			return r
		})
		winner := -1
		for n, r := range results {
			if r.err == nil && r.outcome == authserver.Rotated {
				if winner >= 0 {
					t.Fatalf("round %d: one refresh token has two successors", round)
				}
				winner = n
			}
		}
		if winner < 0 {
			t.Fatalf("round %d: nobody rotated, %v, %v", round, results[0].outcome, results[0].err)
		}
		for n, r := range results {
			_, err := s.Get(ctx, authserver.RefreshToken, key(next(n)))
			switch {
			case n == winner:
				must(t, err)
			case loser == authserver.Retry:
				is(t, "Rotate in a race", r.record, record(next(winner)), r.outcome, loser, r.err)
				fails(t, "Get of a loser's successor", err, authserver.ErrNotFound)
			default:
				is(t, "Rotate in a race", r.record, record(old), r.outcome, loser, r.err)
				fails(t, "Get of a loser's successor", err, authserver.ErrNotFound)
			}
		}
	}
}

// One record is spent once, whichever way.
func testRotateConsumeRace(t testing.TB, s authserver.Store) {
	ctx := t.Context()
	for round := range rounds {
		old := fmt.Sprint("refresh ", round)
		must(t, s.Put(ctx, authserver.RefreshToken, key(old), record(old)))
		type result struct {
			operation string
			outcome   authserver.Outcome
			err       error
		}
		spent := 0
		for _, r := range race(func(n int) (r result) {
			if (n+round)%2 == 0 { // so that either comes first in some round
				r.operation = "Consume"
				_, r.outcome, r.err = s.Consume(ctx, authserver.RefreshToken, key(old), now)
			} else {
				r.operation = "Rotate"
				r.outcome, _, r.err = s.Rotate(ctx, key(old), key(fmt.Sprint(old, " next ", n)), record("next"), grace, now)
			}
			return r
		}) {
			if r.err != nil {
				t.Fatalf("round %d: %s of a record that another call spends at the same time: %v", round, r.operation, r.err)
			}
			if r.outcome == authserver.First || r.outcome == authserver.Rotated {
				spent++
			}
		}
		if spent != 1 {
			t.Fatalf("round %d: by Consume and Rotate at once, one record was spent %d times", round, spent)
		}
	}
}
