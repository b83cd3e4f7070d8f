package validator

import (
	"context"
	"testing"
	"time"
)

// Between finding a tenant and using it, or missing one and looking it up, the
// map may change. No black box can hold that moment still.

func TestTenant_OneThatWasClosedIsNotEntered(t *testing.T) {
	t.Parallel()
	tn := newTenant(new(Validator), time.Now())
	if !tn.enter() {
		t.Error("an open one is not entered")
	}
	for range 2 {
		if err := tn.release(); err != nil {
			t.Error(err)
		}
	}
	if tn.enter() {
		t.Error("entered, though it was released by all")
	}
}

func TestTenants_OneThatWasClosedIsNotUsed(t *testing.T) {
	t.Parallel()
	const issuer = "https://a.example"
	v := &Validator{cfg: Config{Issuer: issuer}}
	ts := newTenants(func(context.Context, string, *Validator) (*Validator, error) { return v, nil })
	closed := newTenant(new(Validator), time.Now())
	_ = closed.release()
	ts.known.Store(&map[string]*tenant{issuer: closed})
	if got, err := ts.acquire(t.Context(), issuer); err != nil || got.validator != v {
		t.Errorf("got %p (%v), want the next one", got, err)
	}
}

func TestTenants_WhoMissedTheLookupLooksAgain(t *testing.T) {
	t.Parallel()
	const issuer = "https://a.example"
	ts := newTenants(func(context.Context, string, *Validator) (*Validator, error) {
		t.Error("a lookup that nobody needs")
		return nil, nil
	})
	now := newTenant(new(Validator), time.Now())
	ts.known.Store(&map[string]*tenant{issuer: now})
	for name, seen := range map[string]*tenant{"none": nil, "one that has gone": newTenant(new(Validator), time.Now())} {
		l, err := ts.lookUp(t.Context(), issuer, seen)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		<-l.done
		if l.err != nil {
			t.Errorf("%s: %v", name, l.err)
		}
	}
	if got, err := ts.acquire(t.Context(), issuer); err != nil || got != now {
		t.Errorf("%v", err)
	}
}
