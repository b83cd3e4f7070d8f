package jwks_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermark/countermark/internal/proctest"
	"github.com/countermark/countermark/jwks"
)

// mostInAMinute returns how many of the times lie in one minute at most.
func mostInAMinute(times []time.Time) int {
	most := 0
	for from, start := range times {
		n := 0
		for _, at := range times[from:] {
			if at.Sub(start) <= time.Minute {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

func TestFlood_RotationIsSeenAndTheIssuerSpared(t *testing.T) {
	t.Parallel()
	for name, maxAge := range map[string]string{"refreshed every 15 min": "max-age=900", "refreshed every minute": "max-age=60"} {
		for _, latency := range []time.Duration{0, 200 * time.Millisecond, 2 * time.Second} {
			t.Run(fmt.Sprint(name, ", latency ", latency), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					i := newIssuer(t, ecJWK(t, "a"))
					i.delay = latency
					i.header = map[string][]string{"Cache-Control": {maxAge}}
					c, _ := newCache(t, i, jwks.Config{Issuer: issuerURL})
					start := time.Now()
					stop := make(chan struct{})
					var flood sync.WaitGroup
					flood.Go(func() {
						for n := 0; ; n++ { // ten kids a second that no issuer ever had
							select {
							case <-stop:
								return
							case <-time.After(100 * time.Millisecond):
							}
							flood.Go(func() {
								if keys, err := c.Keys(t.Context(), fmt.Sprint("invented-", n), "ES256"); err != nil || len(keys) != 0 {
									t.Errorf("after %v: %d keys, %v", time.Since(start), len(keys), err)
								}
							})
						}
					})
					for rotation := range 5 {
						time.Sleep(time.Minute + 700*time.Millisecond)
						kid := fmt.Sprint("real-", rotation)
						i.publish(t, ecJWK(t, kid))
						rotated := time.Now()
						for {
							if keys, err := c.Keys(t.Context(), kid, "ES256"); err == nil && len(keys) == 1 {
								break
							}
							time.Sleep(10 * time.Millisecond)
						}
						if d := time.Since(rotated); d > 5*time.Second+latency {
							t.Errorf("seen after %v", d)
						}
					}
					close(stop)
					flood.Wait()
					time.Sleep(10 * time.Minute) // the refreshes that follow count as well
					if most := mostInAMinute(i.fetches()); most > 16 {
						t.Errorf("%d fetches in a minute", most)
					}
				})
			})
		}
	}
}

func TestFlood_ForcedRefreshesCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, ecJWK(t, "a"))
		i.header = map[string][]string{"Cache-Control": {"no-store"}}
		c, _ := newCache(t, i, jwks.Config{})
		for range 100 {
			if err := c.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			mustLack(t, c, "unknown", "ES256")
		}
		if n := len(i.fetches()); n < 100 {
			t.Errorf("%d fetches for 100 calls of Refresh", n)
		}
		if most := mostInAMinute(i.fetches()); most > 16 {
			t.Errorf("%d fetches in a minute", most)
		}
	})
}

// One client with an old token must not use up what a real rotation needs.
func TestFlood_OneBadKidIsAskedForOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, ecJWK(t, "a"))
		c, _ := newCache(t, i, jwks.Config{})
		mustFind(t, c, "a", "ES256")
		time.Sleep(time.Minute)
		before := len(i.fetches())
		for range 49 {
			mustLack(t, c, "old", "ES256")
			time.Sleep(100 * time.Millisecond)
		}
		if n := len(i.fetches()) - before; n != 1 {
			t.Errorf("%d fetches for one bad kid in 5 s", n)
		}
		i.publish(t, ecJWK(t, "a"), ecJWK(t, "b"))
		mustFind(t, c, "b", "ES256") // a token of the bucket is left
	})
}

// What no newer set could change is not worth a fetch.
func TestFlood_AlgorithmThatDoesNotFitIsNotAskedFor(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, ecJWK(t, "a"))
	c, _ := newCache(t, i, jwks.Config{})
	mustFind(t, c, "a", "ES256")
	mustLack(t, c, "a", "RS256")
	mustLack(t, c, "a", "none")
	mustLack(t, c, "", "none")
	mustLack(t, c, "", "HS256")
	if n := len(i.fetches()); n != 1 {
		t.Errorf("%d fetches", n)
	}
	mustLack(t, c, "", "RS256") // a newer set might have one
	if n := len(i.fetches()); n != 2 {
		t.Errorf("%d fetches", n)
	}
}

func TestFlood_BadKidIsForgottenWhenTheSetChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, ecJWK(t, "a"))
		c, _ := newCache(t, i, jwks.Config{})
		mustFind(t, c, "a", "ES256")
		time.Sleep(time.Minute)
		mustLack(t, c, "b", "ES256")
		i.publish(t, ecJWK(t, "a"), ecJWK(t, "b"))
		mustLack(t, c, "b", "ES256") // remembered
		i.publish(t, ecJWK(t, "a"), ecJWK(t, "c"))
		mustFind(t, c, "c", "ES256")
		time.Sleep(4500 * time.Millisecond)
		n := len(i.fetches())
		mustLack(t, c, "b", "ES256")
		if len(i.fetches()) != n+1 {
			t.Error("a kid that another set did not have is still held against it")
		}
	})
}

func TestFlood_ThousandUnknownKidsThenARotation(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, ecJWK(t, "a"))
	server := httptest.NewServer(i)
	defer server.Close()
	c, err := jwks.New(jwks.Config{URL: server.URL + "/keys"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for round := range 3 {
		var all sync.WaitGroup
		for n := range 1000 {
			all.Go(func() {
				if keys, err := c.Keys(t.Context(), fmt.Sprint(round, "-", n), "ES256"); err != nil || len(keys) != 0 {
					t.Errorf("%d keys, %v", len(keys), err)
				}
			})
		}
		all.Wait()
	}
	i.publish(t, ecJWK(t, "b"))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		keys, err := c.Keys(ctx, "b", "ES256")
		if err != nil {
			t.Fatal(err)
		}
		if len(keys) == 1 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if n := len(i.fetches()); n > 4 {
		t.Errorf("%d fetches", n)
	}
}

func TestClose_AmidAThousandLookupsLeavesNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	for name, known := range map[string]bool{"before the first set": false, "with a set": true} {
		i := newIssuer(t, ecJWK(t, "a"))
		server := httptest.NewServer(i)
		c, err := jwks.New(jwks.Config{URL: server.URL + "/keys"})
		if err != nil {
			t.Fatal(err)
		}
		if known {
			mustFind(t, c, "a", "ES256")
		}
		i.change(func() { i.gate = make(chan struct{}) })
		results := make(chan error, 1000)
		for n := range cap(results) {
			go func() {
				_, err := c.Keys(t.Context(), fmt.Sprint(n), "ES256")
				results <- err
			}()
		}
		<-i.entered // the fetch is on its way and does not come back
		start := time.Now()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d > time.Second {
			t.Errorf("%s: Close took %v", name, d)
		}
		for range cap(results) {
			if err := <-results; err == nil || !strings.Contains(err.Error(), "closed") {
				t.Fatalf("%s: a lookup amid Close: %v", name, err)
			}
		}
		server.Close()
	}
	proctest.WaitForGoroutines(t, before)
}
