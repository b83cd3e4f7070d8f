package jwks_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermark/countermark/jwks"
)

func TestKeys_EachCallerObeysItsOwnContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, ecJWK(t, "a"))
		i.delay = 3 * time.Second
		c, _ := newCache(t, i, jwks.Config{})

		first, cancel := context.WithCancel(t.Context())
		failed := make(chan error)
		go func() {
			_, err := c.Keys(first, "a", "ES256")
			failed <- err
		}()
		second, cancelSecond := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancelSecond()
		go func() {
			_, err := c.Keys(second, "a", "ES256")
			failed <- err
		}()
		go func() {
			time.Sleep(time.Second)
			cancel()
		}()
		go func() {
			if err := <-failed; !errors.Is(err, context.Canceled) {
				t.Errorf("the first caller: %v", err)
			}
			if err := <-failed; !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the second caller: %v", err)
			}
		}()
		start := time.Now()
		mustFind(t, c, "a", "ES256")
		if d := time.Since(start); d != 3*time.Second || len(i.fetches()) != 1 {
			t.Errorf("the third caller waited %v for %d fetches", d, len(i.fetches()))
		}
	})
}

func TestKeys_KnownKeyNeverWaitsForAFetch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, ecJWK(t, "a"))
		c, _ := newCache(t, i, jwks.Config{})
		mustFind(t, c, "a", "ES256")
		i.change(func() { i.delay = time.Hour })
		waiting := make(chan error)
		go func() {
			_, err := c.Keys(t.Context(), "unknown", "ES256")
			waiting <- err
		}()
		synctest.Wait()
		start := time.Now()
		for range 100 {
			mustFind(t, c, "a", "ES256")
			mustFind(t, c, "", "ES256")
			mustLack(t, c, "a", "RS256") // a kid that is known, and no key for that
		}
		if time.Since(start) != 0 {
			t.Errorf("waited %v", time.Since(start))
		}
		<-waiting
		time.Sleep(time.Hour) // the background's fetch hangs now and then
		start = time.Now()
		mustFind(t, c, "a", "ES256")
		if time.Since(start) != 0 {
			t.Errorf("waited %v", time.Since(start))
		}
	})
}
