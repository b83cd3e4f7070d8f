package validator

import (
	"errors"
	"io"
	"reflect"
	"slices"
	"sync/atomic"
	"time"
)

// A tenant is one resolved issuer. It is closed when it has left the map and the
// last judgement has released it.
type tenant struct {
	validator  *Validator
	closers    []io.Closer  // what to close; changed only while it is in the map
	uses       atomic.Int64 // judgements in progress, and one for being in the map
	used       atomic.Int64 // when last entered, Unix nanoseconds
	due        atomic.Int64 // when to look it up again, likewise
	lastResort atomic.Int64 // when not to trust it any longer unless looked up, likewise
}

func newTenant(v *Validator, now time.Time) *tenant {
	t := &tenant{validator: v, closers: closers(v)}
	t.uses.Store(1)
	t.used.Store(now.UnixNano())
	t.renew(now)
	return t
}

func (t *tenant) renew(now time.Time) {
	t.lastResort.Store(now.Add(tenantLife + tenantStale).UnixNano())
	t.due.Store(now.Add(tenantLife).UnixNano())
}

// trusted reports whether the last lookup that found the tenant was recent
// enough to go by, be it that later ones failed or that nobody asked.
func (t *tenant) trusted(now time.Time) bool { return now.UnixNano() < t.lastResort.Load() }

// enter reports whether the tenant is still open, and then keeps it so until it
// is released.
func (t *tenant) enter() bool {
	for {
		n := t.uses.Load()
		if n == 0 {
			return false
		}
		if t.uses.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// wantsLookup reports, once for each time it is due, whether the tenant is due,
// and notes that it was used.
func (t *tenant) wantsLookup(now time.Time) bool {
	t.used.Store(now.UnixNano())
	due := t.due.Load()
	return now.UnixNano() >= due && t.due.CompareAndSwap(due, now.Add(lookupBackoff).UnixNano())
}

// release undoes enter, or being in the map; the last one out closes.
func (t *tenant) release() error {
	if t.uses.Add(-1) > 0 {
		return nil
	}
	var errs []error
	for _, c := range t.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// has reports whether t closes c.
func (t *tenant) has(c io.Closer) bool {
	return slices.ContainsFunc(t.closers, func(own io.Closer) bool { return reflect.TypeOf(own).Comparable() && own == c })
}

func longestUnused(known map[string]*tenant) (issuer string) {
	var since int64
	for name, t := range known {
		if used := t.used.Load(); issuer == "" || used < since {
			issuer, since = name, used
		}
	}
	return issuer
}

// closers are the parts of v that can be closed.
func closers(v *Validator) (found []io.Closer) {
	if v == nil {
		return nil
	}
	for _, part := range []any{v.cfg.Keys, v.cfg.Introspector} {
		if c, ok := part.(io.Closer); ok {
			found = append(found, c)
		}
	}
	return found
}
