package jwks

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lestrrat-go/httprc/v3"

	"github.com/countermark/countermark/internal/discovery"
	"github.com/countermark/countermark/internal/fetch"
	"github.com/countermark/countermark/internal/jwkset"
)

const (
	defaultInterval = 15 * time.Minute
	minInterval     = time.Minute
	maxInterval     = 24 * time.Hour
	defaultMaxStale = time.Hour
)

// Config says where a key set is and how long it may be used. Exactly one of
// Issuer and URL is required.
type Config struct {
	// Issuer is the issuer's identifier. The address of its key set is read from
	// its metadata (OpenID Connect Discovery 1.0, RFC 8414), whose issuer must be
	// this one byte for byte. They are read again with the first fetch after ten
	// minutes, and with the one after a fetch that failed.
	Issuer string

	// URL is the address of the key set itself, for an issuer without metadata.
	// It uses https, as Issuer does; http will do for a loopback host.
	URL string

	// Client makes the requests; nil means http.DefaultClient. A copy of it
	// follows redirects within one host only and keeps no cookie and no idle
	// connection. A request ends after 5 s in any case.
	Client *http.Client

	// Interval is how long a set is fresh if its answer has no Cache-Control: from
	// a minute to 24 hours, 0 means 15 minutes. A max-age is honoured within the
	// same bounds. The refresh comes at about 80 % of that time.
	Interval time.Duration

	// MaxStale is how long the last good set is used after it was due, while the
	// issuer cannot be reached. 0 means an hour, a negative value means not at all.
	MaxStale time.Duration

	// Logger hears of keys that were skipped, once for each change of the set, and
	// of refreshes that began to fail or to succeed again. It is given kids and
	// URLs, never key material. Nil means slog.Default.
	Logger *slog.Logger
}

// A Cache is an issuer's key set. It is safe for concurrent use.
type Cache struct {
	interval time.Duration
	maxStale time.Duration
	log      *slog.Logger
	client   *httprc.Client
	refresh  *refresh

	current atomic.Pointer[snapshot] // nil: none yet, or closed
	begun   atomic.Uint64            // how many flights began
	closing chan struct{}
	running sync.WaitGroup // the flight

	mu         sync.Mutex // guards the rest; who asks for a known key does not take it
	closed     bool
	background httprc.Controller // nil until first use
	flight     *flight           // nil: none
	allowance  allowance
	lastErr    error // of the last flight

	// The flight's own: one at a time uses them.
	source   source
	reported []jwkset.Problem
}

// New returns a cache that has not done anything yet: no request, no goroutine.
// Both begin with the first use.
func New(cfg Config) (*Cache, error) {
	switch {
	case (cfg.Issuer == "") == (cfg.URL == ""):
		return nil, errors.New("jwks: Config.Issuer, Config.URL: exactly one is required")
	case cfg.Interval != 0 && (cfg.Interval < minInterval || cfg.Interval > maxInterval):
		return nil, fmt.Errorf("jwks: Config.Interval: must be from %v to %v (0 means %v)", minInterval, maxInterval, defaultInterval)
	}
	if cfg.Issuer != "" {
		if err := discovery.CheckIssuer(cfg.Issuer); err != nil {
			return nil, fmt.Errorf("jwks: Config.Issuer: %w", err)
		}
	} else if err := fetch.CheckURL(cfg.URL); err != nil {
		return nil, fmt.Errorf("jwks: Config.URL: %w", err)
	}
	c := &Cache{
		interval: cfg.Interval,
		maxStale: max(cfg.MaxStale, 0),
		log:      cfg.Logger,
		client:   httprc.NewClient(httprc.WithWorkers(1)),
		closing:  make(chan struct{}),
		source:   newSource(cfg),
	}
	if c.interval == 0 {
		c.interval = defaultInterval
	}
	if cfg.MaxStale == 0 {
		c.maxStale = defaultMaxStale
	}
	if c.log == nil {
		c.log = slog.Default()
	}
	name, _, _ := strings.Cut(cfg.Issuer+cfg.URL, "?")
	c.log = c.log.With("source", name)
	var err error
	if c.refresh, err = newRefresh(c, name); err != nil {
		return nil, fmt.Errorf("jwks: %w", err)
	}
	return c, nil
}

// Keys returns the issuer's public keys for a token's kid and alg: one if the
// kid is known and its key may be used with alg, and if kid is empty, those that
// may be used with alg, the first 8 of them in the set's order. A key is a
// *[crypto/rsa.PublicKey], a *[crypto/ecdsa.PublicKey] or a
// [crypto/ed25519.PublicKey].
//
// No key and no error means that the issuer has none. An error means that the
// keys are out of reach, and its method RetryAfter() time.Duration how long a
// fetch has to wait; or that ctx ended, which it wraps; or that c was closed. A
// known kid is answered at once, also while the set is being fetched. An unknown
// one waits for a fetch, whose requests take 5 s at most, and no longer than ctx
// lets it. The fetch goes on for others when ctx ends.
//
// The slice and the keys are shared: they must not be changed. A key that a
// refresh does not change stays the same one, in the same slice.
func (c *Cache) Keys(ctx context.Context, kid, alg string) ([]crypto.PublicKey, error) {
	if s := c.current.Load(); s.live() {
		if keys, known := s.set.lookup(kid, alg); known {
			return keys, nil
		}
	}
	return c.await(ctx, kid, alg)
}

// Refresh fetches the key set and returns when that is done, for a program that
// would rather not start without keys. It takes its turn with all other fetches,
// so it may wait some seconds for it. If it fails the last good set stays.
func (c *Cache) Refresh(ctx context.Context) error {
	arrived := c.begun.Load()
	for {
		f, err := c.board()
		if notYet, ok := errors.AsType[*unavailableError](err); ok {
			if err = c.sleep(ctx, notYet.after); err == nil {
				continue
			}
		}
		if err == nil {
			err = c.ride(ctx, f)
		}
		if err != nil || f.number > arrived {
			return err
		}
	}
}

// Ready returns nil if Keys can answer, and why not otherwise: for a probe such
// as /readyz. It does not wait. To ask is to use the cache: the first fetch
// begins in the background, so that a process which gets no request before it is
// ready becomes so.
func (c *Cache) Ready() error {
	s := c.current.Load()
	switch {
	case !s.live():
		c.mu.Lock()
		defer c.mu.Unlock()
		if err := c.start(); err != nil {
			return err
		}
		return c.unavailable(time.Now())
	case len(s.set.keys) == 0:
		return errors.New("jwks: the issuer's key set has no usable key")
	default:
		return nil
	}
}

// Close ends the background refresh, the fetch in flight and the wait of every
// lookup for it, and returns when no goroutine of the cache is left. The cache
// answers with errors from then on. The error is always nil.
func (c *Cache) Close() error {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.closing)
		c.current.Store(nil)
		if c.flight != nil {
			c.flight.cancel()
		}
	}
	background := c.background
	c.mu.Unlock()
	if background != nil {
		_ = background.ShutdownContext(context.Background()) // waits for its goroutines
	}
	c.running.Wait()
	return nil
}
