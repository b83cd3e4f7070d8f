package validator

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

const (
	maxTenants    = 1000
	tenantLife    = 5 * time.Minute  // then looked up again
	tenantStale   = time.Hour        // how much longer one lives while lookups fail
	lookupTimeout = 10 * time.Second // of one lookup
	lookupBurst   = 32
	lookupRate    = 16 // a second
	lookupBackoff = 2 * time.Second
	unknownLife   = 5 * time.Second
)

// tenants holds the issuers that a Resolve brought. Finding one takes no lock:
// the map is replaced, never changed.
type tenants struct {
	resolve func(context.Context, string) (*Validator, error)
	known   atomic.Pointer[map[string]*tenant]

	mu      sync.Mutex // guards what follows, and the replacing of known
	lookups map[string]*lookup
	unknown map[[sha256.Size]byte]time.Time // until when; few, as lookups are limited
	limit   *rate.Limiter
	closed  bool
}

// A lookup is one call of Resolve in progress, whoever waits for it.
type lookup struct {
	done   chan struct{}
	cancel context.CancelFunc
	err    error // once done
}

func newTenants(resolve func(context.Context, string) (*Validator, error)) *tenants {
	ts := &tenants{
		resolve: resolve,
		lookups: make(map[string]*lookup),
		unknown: make(map[[sha256.Size]byte]time.Time),
		limit:   rate.NewLimiter(lookupRate, lookupBurst),
	}
	ts.known.Store(&map[string]*tenant{})
	return ts
}

// acquire returns the tenant of issuer, to be released.
func (ts *tenants) acquire(ctx context.Context, issuer string) (*tenant, error) {
	for {
		t := (*ts.known.Load())[issuer]
		if t != nil && t.enter() {
			if t.wantsLookup(time.Now()) {
				_, _ = ts.lookUp(ctx, issuer) // the old one goes on meanwhile
			}
			return t, nil
		}
		l, err := ts.lookUp(ctx, issuer)
		if err != nil {
			return nil, err
		}
		select {
		case <-l.done:
		case <-ctx.Done():
			return nil, unavailable(ctx, "IssuersConfig.Resolve", ctx.Err())
		}
		if e, ok := errors.AsType[*Error](l.err); ok {
			return nil, e
		}
		if l.err != nil {
			return nil, unavailable(ctx, "IssuersConfig.Resolve", l.err)
		}
	}
}

// lookUp joins the lookup of issuer that is in progress, or starts one. It
// refuses if the issuer was unknown a moment ago, and if there are too many.
func (ts *tenants) lookUp(ctx context.Context, issuer string) (*lookup, error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.closed {
		return nil, NewError(ErrUnavailable, "Issuers is closed")
	}
	if l := ts.lookups[issuer]; l != nil {
		return l, nil
	}
	if until, ok := ts.unknown[sha256.Sum256([]byte(issuer))]; ok && time.Now().Before(until) {
		return nil, NewError(ErrIssuer, "")
	}
	if !ts.limit.Allow() {
		e := NewError(ErrUnavailable, "too many lookups of issuers")
		e.RetryAfter = time.Second
		return nil, e
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupTimeout)
	l := &lookup{done: make(chan struct{}), cancel: cancel}
	ts.lookups[issuer] = l
	go func() {
		defer cancel()
		v, err := ts.call(ctx, issuer)
		ts.learn(issuer, v, err, l)
	}()
	return l, nil
}

// call calls Resolve and distrusts what it does.
func (ts *tenants) call(ctx context.Context, issuer string) (v *Validator, err error) {
	defer func() {
		if recover() != nil { // this goroutine is ours: nobody above would catch it
			v, err = nil, errors.New("panicked")
		}
	}()
	v, err = ts.resolve(ctx, issuer)
	if err == nil && v != nil && (!v.ready() || v.cfg.Issuer != issuer) {
		v.close()
		return nil, errors.New("returned a Validator of another issuer")
	}
	return v, err
}

// learn puts what a lookup found in the place of what was known.
func (ts *tenants) learn(issuer string, v *Validator, err error, l *lookup) {
	ts.mu.Lock()
	now := time.Now()
	old := (*ts.known.Load())[issuer]
	var gone []*tenant
	switch {
	case ts.closed:
		if err == nil && v != nil {
			gone = append(gone, newTenant(v, now))
		}
		err = NewError(ErrUnavailable, "Issuers is closed")
	case err != nil && (old == nil || now.Before(old.lastResort)):
		// An old one goes on; without one, the callers are told.
	case err != nil:
		gone = ts.replace(issuer, nil)
	case v == nil:
		gone = ts.replace(issuer, nil)
		maps.DeleteFunc(ts.unknown, func(_ [sha256.Size]byte, until time.Time) bool { return !now.Before(until) })
		ts.unknown[sha256.Sum256([]byte(issuer))] = now.Add(unknownLife)
		err = NewError(ErrIssuer, "")
	case old != nil && old.validator == v:
		old.renew(now)
	default:
		gone = ts.replace(issuer, newTenant(v, now))
	}
	l.err = err
	delete(ts.lookups, issuer)
	ts.mu.Unlock()
	for _, t := range gone { // closing may take its time
		t.release()
	}
	close(l.done)
}

// replace puts t, or nobody if nil, in the place of issuer's tenant and returns
// those that had to go. The caller holds the lock.
func (ts *tenants) replace(issuer string, t *tenant) (gone []*tenant) {
	known := maps.Clone(*ts.known.Load())
	if old := known[issuer]; old != nil {
		gone = append(gone, old)
	} else if t != nil && len(known) >= maxTenants {
		name := longestUnused(known)
		gone = append(gone, known[name])
		delete(known, name)
	}
	if t != nil {
		known[issuer] = t
	} else {
		delete(known, issuer)
	}
	ts.known.Store(&known)
	return gone
}

// close ends the lookups in progress and lets every tenant go.
func (ts *tenants) close() error {
	ts.mu.Lock()
	known := *ts.known.Load()
	ts.known.Store(&map[string]*tenant{})
	ts.closed = true
	for _, l := range ts.lookups {
		l.cancel()
	}
	ts.mu.Unlock()
	var errs []error
	for issuer, t := range known {
		if err := t.release(); err != nil {
			errs = append(errs, fmt.Errorf("validator: closing issuer %q: %w", issuer, err))
		}
	}
	return errors.Join(errs...)
}

// A tenant is one resolved issuer. It is closed when it has left the map and the
// last judgement has released it.
type tenant struct {
	validator  *Validator
	uses       atomic.Int64 // judgements in progress, and one for being in the map
	used       atomic.Int64 // when last entered, Unix nanoseconds
	due        atomic.Int64 // when to look it up again, likewise
	lastResort time.Time    // until when it may live while lookups fail; under the lock of tenants
}

func newTenant(v *Validator, now time.Time) *tenant {
	t := &tenant{validator: v}
	t.uses.Store(1)
	t.used.Store(now.UnixNano())
	t.renew(now)
	return t
}

func (t *tenant) renew(now time.Time) {
	t.lastResort = now.Add(tenantLife + tenantStale)
	t.due.Store(now.Add(tenantLife).UnixNano())
}

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
	return t.validator.close()
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

// close closes what v was made of, where that can be closed.
func (v *Validator) close() error {
	if v == nil {
		return nil
	}
	var errs []error
	for _, part := range []any{v.cfg.Keys, v.cfg.Introspector} {
		if c, ok := part.(io.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}
