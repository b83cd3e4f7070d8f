package jwks

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// confirmed is for how long a set that was fetched tells, by itself, that the
// issuer has no other key.
const confirmed = 5 * time.Second

// A snapshot is a key set and what its fetch said of it. It is immutable.
type snapshot struct {
	set    *keySet
	number uint64    // of the flight that fetched it
	asked  time.Time // when that began
	until  time.Time // no longer used from here on
}

// live reports whether lookups may be answered from s, which may be nil.
func (s *snapshot) live() bool { return s != nil && time.Until(s.until) > 0 }

// A flight is one fetch of the key set, which many may wait for. It belongs to
// none of them, so none of them ends it.
type flight struct {
	number uint64 // the first is 1
	cancel context.CancelFunc
	done   chan struct{} // closed when it has landed
	err    error         // why it failed; read it after done
}

var (
	errClosed  = errors.New("jwks: the cache is closed")
	errAborted = errors.New("the fetch was aborted")
)

// An unavailableError says that the keys are out of reach. It does not unwrap:
// that a fetch timed out must not look as if the caller's context had.
type unavailableError struct {
	cause error // nil: nothing failed, it is only too early
	after time.Duration
}

func (e *unavailableError) Error() string {
	if e.cause == nil {
		return "jwks: keys out of reach: waiting for a fetch"
	}
	return "jwks: keys out of reach: " + e.cause.Error()
}

// RetryAfter returns how long it takes until a fetch may begin.
func (e *unavailableError) RetryAfter() time.Duration { return e.after }

// await answers what the current set does not. It waits for a fetch, if one may
// be made, until it can answer from a set that was asked for after the question
// was. Where none may be made yet, a set confirmed a moment ago has to do, unless
// the issuer went out of reach since: it may have rotated before.
func (c *Cache) await(ctx context.Context, kid, alg string) ([]crypto.PublicKey, error) {
	arrived := c.begun.Load()
	for {
		if s := c.current.Load(); s.live() {
			keys, known := s.set.lookup(kid, alg)
			switch {
			case known || s.set.misses.has(kid, alg):
				return keys, nil
			case s.number > arrived:
				s.set.misses.add(kid, alg)
				return nil, nil
			}
		}
		f, err := c.board()
		if err == nil {
			err = c.ride(ctx, f)
		}
		if err == nil {
			continue
		}
		if e, ok := errors.AsType[*unavailableError](err); ok && e.cause == nil {
			if s := c.current.Load(); s.live() && time.Since(s.asked) <= confirmed {
				return nil, nil
			}
		}
		return nil, err
	}
}

// board returns the flight in progress, or a new one. An *unavailableError says
// that none may begin yet.
func (c *Cache) board() (*flight, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.boardLocked(time.Now())
}

func (c *Cache) boardLocked(now time.Time) (*flight, error) {
	if err := c.start(); err != nil {
		return nil, err
	}
	if c.flight != nil {
		return c.flight, nil
	}
	if c.allowance.wait(now) > 0 {
		return nil, c.unavailable(now)
	}
	c.allowance.take(now)
	ctx, cancel := context.WithCancel(context.Background()) // nobody's but the flight's
	f := &flight{number: c.begun.Add(1), cancel: cancel, done: make(chan struct{})}
	c.flight = f
	c.running.Go(func() {
		defer cancel()
		c.fly(ctx, f)
	})
	return f, nil
}

// ride waits for f to land and returns its error.
func (c *Cache) ride(ctx context.Context, f *flight) error {
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return fmt.Errorf("jwks: waiting for the key set: %w", ctx.Err())
	case <-c.closing:
		return errClosed
	}
}

func (c *Cache) sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("jwks: waiting to fetch the key set: %w", ctx.Err())
	case <-c.closing:
		return errClosed
	}
}

// fly makes the fetch.
func (c *Cache) fly(ctx context.Context, f *flight) {
	var (
		set      *keySet
		asked    = time.Now()
		lifetime time.Duration
		err      = errAborted // unless fetch returns
	)
	defer func() {
		if p := recover(); p != nil { // this goroutine is ours: nobody above would catch it
			err = fmt.Errorf("panicked with a %T\n%s", p, debug.Stack())
		}
		c.land(f, asked, set, lifetime, err)
	}()
	set, lifetime, err = c.fetch(ctx)
}

// land takes over what a flight found and, last of all, wakes who waits for it.
func (c *Cache) land(f *flight, asked time.Time, set *keySet, lifetime time.Duration, err error) {
	defer close(f.done)
	c.mu.Lock()
	c.flight = nil
	if c.closed {
		c.mu.Unlock()
		f.err = errClosed
		return
	}
	before := c.lastErr
	c.lastErr = err
	now := time.Now()
	if err == nil {
		c.allowance.succeeded()
		due := asked.Add(lifetime)
		c.current.Store(&snapshot{set: set, number: f.number, asked: asked, until: due.Add(c.maxStale)})
		c.refresh.SetNext(early(asked, lifetime))
	} else {
		c.allowance.failed(now)
		f.err = c.unavailable(now)
		c.refresh.SetNext(c.retry(now))
	}
	c.mu.Unlock()

	switch {
	case err != nil && before == nil:
		c.log.Warn("jwks: fetching the key set fails", "error", err)
	case err == nil && before != nil:
		c.log.Info("jwks: fetching the key set succeeds again")
	}
}

// unavailable is the error for keys that are out of reach. c.mu is held.
func (c *Cache) unavailable(now time.Time) error {
	return &unavailableError{cause: c.lastErr, after: c.allowance.wait(now)}
}
