package jwks

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/lestrrat-go/httprc/v3"
)

// calm is how often a refresh that fails is tried again while the last good set
// is in use and nobody asks for more.
const calm = 30 * time.Second

// A refresh is the key set as httprc sees it: a resource that is due at times.
// httprc keeps the time and has one worker call Sync, which boards a flight as
// any lookup does. Its own fetching is not used: it bounds neither the size of
// an answer nor the age of the last good one, and its Controller.Refresh can
// block for ever when called from several goroutines at once.
type refresh struct {
	*httprc.ResourceBase[[]byte]
	cache *Cache
}

func newRefresh(c *Cache, address string) (*refresh, error) {
	base, err := httprc.NewResource(address, httprc.BytesTransformer())
	if err != nil {
		return nil, err
	}
	return &refresh{ResourceBase: base, cache: c}, nil
}

// Sync has the set fetched if that is still due, and waits for it.
func (r *refresh) Sync(ctx context.Context) error {
	f, err := r.cache.boardWhenDue()
	if f == nil {
		return err
	}
	return r.cache.ride(ctx, f)
}

// boardWhenDue is board for the background: it returns nil if a lookup had the
// set fetched before, or if no fetch may begin yet.
func (c *Cache) boardWhenDue() (*flight, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.refresh.Next().After(now) {
		return nil, nil //nolint:nilnil // nothing to do is a good answer here
	}
	f, err := c.boardLocked(now)
	if f == nil {
		c.refresh.SetNext(c.retry(now))
	}
	return f, err
}

// start begins the background refresh if it has not begun. c.mu is held.
func (c *Cache) start() error {
	if c.closed {
		return errClosed
	}
	if c.background != nil {
		return nil
	}
	ctx := context.Background() // Close ends what starts here
	background, err := c.client.Start(ctx)
	if err != nil {
		return err
	}
	c.background = background
	return background.Add(ctx, c.refresh, httprc.WithWaitReady(false))
}

// early returns when to refresh a set that is fresh for lifetime: at 80 % of it,
// give or take a tenth, so that processes which started together drift apart.
func early(asked time.Time, lifetime time.Duration) time.Time {
	return asked.Add(lifetime*72/100 + rand.N(lifetime*16/100)) //nolint:gosec // no secret
}

// retry returns when the background tries again after a failure: as soon as it
// may if there is no set to use, in its own time otherwise. c.mu is held.
func (c *Cache) retry(now time.Time) time.Time {
	wait := c.allowance.wait(now)
	if s := c.current.Load(); s.live() {
		wait = min(calm, s.until.Sub(now))
	}
	return now.Add(wait)
}
