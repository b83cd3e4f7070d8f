package jwks

import (
	"testing"
	"time"
)

func TestAllowance_AtMost15SuccessfulFetchesInAnyMinute(t *testing.T) {
	t.Parallel()
	var a allowance
	start := time.Now()
	var taken []time.Time
	for now := start; now.Sub(start) < 10*time.Minute; now = now.Add(10 * time.Millisecond) {
		if now.Sub(start) > 4*time.Minute && now.Sub(start) < 6*time.Minute {
			continue // a pause, in which the bucket fills and no more
		}
		if a.wait(now) == 0 {
			a.take(now)
			a.succeeded()
			taken = append(taken, now)
		}
	}
	for from := range taken {
		n := 0
		for _, at := range taken[from:] {
			if at.Sub(taken[from]) <= time.Minute {
				n++
			}
		}
		if n > 15 {
			t.Fatalf("%d in the minute from %v on", n, taken[from].Sub(start))
		}
	}
	if len(taken) < 100 {
		t.Errorf("only %d in 8 minutes", len(taken))
	}
}

func TestAllowance_FailureGivesItsTokenBack(t *testing.T) {
	t.Parallel()
	var a allowance
	now := time.Now()
	for _, delay := range []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 2 * time.Second} {
		a.take(now)
		a.failed(now)
		if got := a.wait(now); got != delay {
			t.Fatalf("waits %v, want %v", got, delay)
		}
		now = now.Add(delay)
		if got := a.wait(now); got != 0 {
			t.Fatalf("waits %v after the back-off", got)
		}
	}
	a.take(now)
	a.succeeded()
	a.take(now)
	if got := a.wait(now); got != 4500*time.Millisecond {
		t.Errorf("waits %v: a success must end the back-off, and the failures must have cost no token", got)
	}
	a.failed(now)
	if got := a.wait(now); got != 250*time.Millisecond {
		t.Errorf("waits %v: the back-off must begin anew", got)
	}
}
