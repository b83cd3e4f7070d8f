package validator

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

const (
	maxTenants    = 1000
	tenantLife    = 5 * time.Minute  // then looked up again
	tenantStale   = time.Hour        // how much longer one is trusted without
	lookupTimeout = 10 * time.Second // of one lookup
	maxStrangers  = 32               // lookups at once of issuers that are not kept
	missBurst     = 100              // of those that find nobody
	missRate      = 100              // a second
	lookupBackoff = 15 * time.Second // before a known issuer is looked up again, after a failure
	unknownLife   = 5 * time.Second
)

// tenants holds the issuers that a Resolve brought. Finding one takes no lock:
// the map is replaced, never changed.
type tenants struct {
	resolve func(context.Context, string, *Validator) (*Validator, error)
	known   atomic.Pointer[map[string]*tenant]

	mu        sync.Mutex // guards what follows, and the replacing of known
	lookups   map[string]*lookup
	strangers int                             // lookups of issuers that are not kept
	misses    *rate.Limiter                   // of strangers: who exists pays nothing
	unknown   map[[sha256.Size]byte]time.Time // until when; few, thanks to misses
	closed    bool
}

// A lookup is one call of Resolve in progress, whoever waits for it.
type lookup struct {
	done   chan struct{}
	cancel context.CancelFunc
	err    error // once done

	stranger bool // nobody was kept when it began
}

func newTenants(resolve func(context.Context, string, *Validator) (*Validator, error)) *tenants {
	ts := &tenants{
		resolve: resolve,
		lookups: make(map[string]*lookup),
		unknown: make(map[[sha256.Size]byte]time.Time),
		misses:  rate.NewLimiter(missRate, missBurst),
	}
	ts.known.Store(&map[string]*tenant{})
	return ts
}

// acquire returns the tenant of issuer, to be released.
func (ts *tenants) acquire(ctx context.Context, issuer string) (*tenant, error) {
	for {
		t, now := (*ts.known.Load())[issuer], time.Now()
		if t != nil && t.trusted(now) && t.enter() {
			if t.wantsLookup(now) {
				_, _ = ts.lookUp(ctx, issuer, t) // the old one goes on meanwhile
			}
			return t, nil
		}
		l, err := ts.lookUp(ctx, issuer, t)
		if err != nil {
			return nil, err
		}
		select {
		case <-l.done:
		case <-ctx.Done():
			return nil, unavailable(ctx, "IssuersConfig.Resolve", ctx.Err())
		}
		if l.err != nil {
			return nil, unavailable(ctx, "IssuersConfig.Resolve", l.err)
		}
	}
}

// lookUp joins the lookup of issuer that is in progress, or starts one; if the
// issuer's tenant is no longer the one that the caller saw (nil: none), there is
// nothing to wait for. It refuses an issuer that was unknown a moment ago, and
// one too many that is not known: a known one is looked up whatever strangers do.
func (ts *tenants) lookUp(ctx context.Context, issuer string, seen *tenant) (*lookup, error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.closed {
		return nil, NewError(ErrUnavailable, "Issuers is closed")
	}
	if l := ts.lookups[issuer]; l != nil {
		return l, nil
	}
	l := &lookup{done: make(chan struct{})}
	if (*ts.known.Load())[issuer] != seen { // somebody was faster
		close(l.done)
		return l, nil
	}
	if until, ok := ts.unknown[sha256.Sum256([]byte(issuer))]; ok && time.Now().Before(until) {
		return nil, NewError(ErrIssuer, "")
	}
	if seen == nil {
		if ts.strangers >= maxStrangers || ts.misses.Tokens() < 1 {
			e := NewError(ErrUnavailable, "too many lookups of issuers")
			e.RetryAfter = time.Second
			return nil, e
		}
		ts.strangers++
		l.stranger = true
	}
	ctx, l.cancel = context.WithTimeout(context.WithoutCancel(ctx), lookupTimeout)
	ts.lookups[issuer] = l
	var current *Validator
	if seen != nil {
		current = seen.validator
	}
	go func() {
		var v *Validator
		err := errors.New("ended its goroutine") // unless it returns
		defer func() {
			if p := recover(); p != nil { // this goroutine is ours: nobody above would catch it
				err = fmt.Errorf("panicked with a %T\n%s", p, debug.Stack())
			}
			l.cancel()
			ts.learn(issuer, v, err, l)
		}()
		if v, err = ts.resolve(ctx, issuer, current); errors.Is(err, ErrIssuer) {
			v, err = nil, nil
		}
	}()
	return l, nil
}

// learn puts what a lookup found in the place of what was known.
func (ts *tenants) learn(issuer string, v *Validator, err error, l *lookup) {
	ts.mu.Lock()
	now := time.Now()
	old := (*ts.known.Load())[issuer]
	switch {
	case err != nil || v == nil:
	case v.cfg.Issuer != issuer: // not closed: it may serve elsewhere
		err = errors.New("returned a Validator of another issuer")
	case v.left.Load():
		err = errors.New("returned a Validator that it returned before and that has been closed")
	case ts.shared(issuer, v):
		err = errors.New("returned a Validator whose Keys or Introspector is that of another issuer's")
	}
	if l.stranger {
		ts.strangers--
		if v == nil || err != nil {
			ts.misses.Reserve() // a debt, if there is nothing left
		}
	}
	var gone []*tenant
	switch {
	case err != nil && (old == nil || old.trusted(now)):
		// An old one goes on; without one, the callers are told.
	case err != nil:
		gone = ts.replace(issuer, nil)
	case v == nil:
		gone = ts.replace(issuer, nil)
		maps.DeleteFunc(ts.unknown, func(_ [sha256.Size]byte, until time.Time) bool { return !now.Before(until) })
		ts.unknown[sha256.Sum256([]byte(issuer))] = now.Add(unknownLife)
	case ts.closed:
		gone = []*tenant{newTenant(v, now)}
	case old != nil && old.validator == v:
		old.renew(now)
	default:
		t := newTenant(v, now)
		if old != nil {
			old.closers = slices.DeleteFunc(old.closers, t.has)
		}
		gone = ts.replace(issuer, t)
	}
	for _, t := range gone {
		t.validator.left.Store(true)
	}
	l.err = err
	delete(ts.lookups, issuer)
	ts.mu.Unlock()
	close(l.done)
	for _, t := range gone {
		_ = t.release() // nobody here could mend a failed Close
	}
}

// shared reports whether closing v would close what another issuer's tenant needs.
// The caller holds the lock.
func (ts *tenants) shared(issuer string, v *Validator) bool {
	for name, t := range *ts.known.Load() {
		if name != issuer && slices.ContainsFunc(closers(v), t.has) {
			return true
		}
	}
	return false
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
	for _, t := range known {
		t.validator.left.Store(true)
	}
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
