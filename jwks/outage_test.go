package jwks_test

import (
	"errors"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermark/countermark/internal/memhttp"
	"github.com/countermark/countermark/jwks"
)

func TestOutage_DownAtStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, ecJWK(t, "a"))
		c, server := newCache(t, i, jwks.Config{Issuer: issuerURL})
		server.SetDown(true)
		start := time.Now()
		mustFail(t, c, "a", "ES256")
		if time.Since(start) != 0 {
			t.Errorf("a refused connection took %v to report", time.Since(start))
		}
		for time.Since(start) < time.Hour {
			if err := mustFail(t, c, "a", "ES256"); !strings.Contains(err.Error(), "connection refused") {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		server.SetDown(false)
		up := time.Now()
		for {
			if keys, err := c.Keys(t.Context(), "a", "ES256"); err == nil && len(keys) == 1 {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if d := time.Since(up); d > 2*time.Second {
			t.Errorf("recovered after %v", d)
		}
	})
}

func TestOutage_DownAtStartRecoversWithoutTraffic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, ecJWK(t, "a"))
		c, server := newCache(t, i, jwks.Config{})
		server.SetDown(true)
		if c.Ready() == nil {
			t.Fatal("ready without keys")
		}
		time.Sleep(time.Hour)
		server.SetDown(false)
		time.Sleep(4 * time.Second)
		if len(i.fetches()) != 1 {
			t.Fatalf("%d fetches", len(i.fetches()))
		}
		if err := c.Ready(); err != nil {
			t.Error(err)
		}
	})
}

func TestOutage_LastGoodSetForABoundedTime(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		maxStale time.Duration
		lasts    time.Duration // after the last good fetch
	}{
		"an hour by default": {0, 75 * time.Minute},
		"as configured":      {5 * time.Minute, 20 * time.Minute},
		"none":               {-time.Hour, 15 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for what, fail := range map[string]func(*issuer){
				"500":         func(i *issuer) { i.status = 500 },
				"404":         func(i *issuer) { i.status = 404 },
				"not JSON":    func(i *issuer) { i.body = "gone" },
				"no keys":     func(i *issuer) { i.body = "{}" },
				"no JWK":      func(i *issuer) { i.body = `{"keys":[null,1,"x",[],{},{"kid":"a"}]}` },
				"hangs":       func(i *issuer) { i.delay = time.Hour },
				"a huge body": func(i *issuer) { i.body = strings.Repeat(" ", 512<<10+1) },
			} {
				synctest.Test(t, func(t *testing.T) {
					i := newIssuer(t, ecJWK(t, "a"))
					c, _ := newCache(t, i, jwks.Config{MaxStale: row.maxStale})
					start := time.Now()
					mustFind(t, c, "a", "ES256")
					i.change(func() { fail(i) })
					for time.Since(start) < row.lasts {
						now := time.Now()
						mustFind(t, c, "a", "ES256")
						if err := c.Ready(); err != nil || time.Since(now) != 0 {
							t.Fatalf("%s: after %v: %v; waited %v", what, now.Sub(start), err, time.Since(now))
						}
						time.Sleep(30 * time.Second)
					}
					mustFail(t, c, "a", "ES256")
					mustFail(t, c, "b", "ES256")
					mustFail(t, c, "", "ES256")
					if c.Ready() == nil {
						t.Errorf("%s: ready without keys", what)
					}
					i.publish(t, ecJWK(t, "a"))
					i.change(func() { i.status, i.delay = 0, 0 })
					time.Sleep(10 * time.Second)
					mustFind(t, c, "a", "ES256")
				})
			}
		})
	}
}

// With a set that is still good an unknown kid is a 503, not a 401, as soon as
// the issuer can no longer be asked.
func TestOutage_UnknownKidIsNotRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, ecJWK(t, "a"))
		c, server := newCache(t, i, jwks.Config{})
		mustFind(t, c, "a", "ES256")
		server.SetDown(true)
		mustFail(t, c, "b", "ES256") // it may have come with a rotation since
		mustFail(t, c, "b", "ES256") // and may not be asked for yet
		time.Sleep(time.Minute)
		mustFail(t, c, "b", "ES256")
		mustFind(t, c, "a", "ES256")
	})
}

func TestOutage_RetryAfterIsTheBackOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t)
		i.status = 503
		c, _ := newCache(t, i, jwks.Config{})
		for _, want := range []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 2 * time.Second} {
			var told interface{ RetryAfter() time.Duration }
			if err := mustFail(t, c, "a", "ES256"); !errors.As(err, &told) || told.RetryAfter() != want {
				t.Fatalf("%v; want %v", err, want)
			}
			n := len(i.fetches())
			time.Sleep(want - time.Millisecond)
			if err := mustFail(t, c, "a", "ES256"); !errors.As(err, &told) || told.RetryAfter() != time.Millisecond {
				t.Errorf("%v: %v", err, told.RetryAfter())
			}
			if len(i.fetches()) != n {
				t.Errorf("a fetch within the back-off of %v", want)
			}
			time.Sleep(time.Millisecond)
		}
		i.publish(t, ecJWK(t, "a"))
		i.change(func() { i.status = 0 })
		mustFind(t, c, "a", "ES256")
		i.change(func() { i.status = 503 })
		time.Sleep(time.Minute)
		var told interface{ RetryAfter() time.Duration }
		if err := mustFail(t, c, "b", "ES256"); !errors.As(err, &told) || told.RetryAfter() != 250*time.Millisecond {
			t.Errorf("after a success: %v", err)
		}
	})
}

func TestOutage_RetriesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t)
		i.status = 500
		c, _ := newCache(t, i, jwks.Config{})
		for range 5 * 60 * 100 { // a hundred lookups a second
			mustFail(t, c, "a", "ES256")
			time.Sleep(10 * time.Millisecond)
		}
		if most := mostInAMinute(i.fetches()); most > 34 { // one per 2 s, and the first few closer together
			t.Errorf("%d fetches in a minute", most)
		}
	})
}

func TestOutage_IdleCacheWithAGoodSetIsGentle(t *testing.T) {
	t.Parallel()
	for range 4 { // with other jitter each
		synctest.Test(t, func(t *testing.T) {
			i := newIssuer(t, ecJWK(t, "a"))
			c, _ := newCache(t, i, jwks.Config{})
			mustFind(t, c, "a", "ES256")
			i.change(func() { i.status = 500 })
			time.Sleep(75*time.Minute - time.Millisecond)
			if most := mostInAMinute(i.fetches()); most > 3 {
				t.Errorf("%d fetches in a minute", most)
			}
			i.change(func() { i.status = 0 })
			n := len(i.fetches())
			time.Sleep(2 * time.Second)
			if len(i.fetches()) != n+1 {
				t.Errorf("%d fetches when the set's time ends", len(i.fetches())-n)
			}
			mustFind(t, c, "a", "ES256")
		})
	}
}

func TestOutage_HangingFetchEndsAfterFiveSeconds(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]jwks.Config{"discovered": {Issuer: issuerURL}, "address": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				i := newIssuer(t, ecJWK(t, "a"))
				i.delay = time.Hour
				c, _ := newCache(t, i, cfg)
				start := time.Now()
				mustFail(t, c, "a", "ES256")
				if d := time.Since(start); d != 5*time.Second {
					t.Errorf("ended after %v", d)
				}
			})
		})
	}
}

func TestOutage_IsLoggedWhenItBeginsAndEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log record
		i := newIssuer(t, ecJWK(t, "a"))
		c, _ := newCache(t, i, jwks.Config{Logger: log.logger()})
		mustFind(t, c, "a", "ES256")
		if log.String() != "" {
			t.Error(log.String())
		}
		i.change(func() { i.status = http.StatusBadGateway })
		time.Sleep(time.Hour)
		if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "answered 502") {
			t.Errorf("%d lines: %s", n, log.String())
		}
		i.change(func() { i.status = 0 })
		time.Sleep(time.Hour)
		if n := strings.Count(log.String(), "\n"); n != 2 {
			t.Errorf("%d lines: %s", n, log.String())
		}
	})
}

// A transport of the caller's that panics, or ends its goroutine, is an outage like
// any other.
func TestOutage_ATransportThatGoesDown(t *testing.T) {
	t.Parallel()
	for name, down := range map[string]func(){"Goexit": runtime.Goexit, "panic": func() { panic("on purpose") }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				i := newIssuer(t, ecJWK(t, "a"))
				server := memhttp.New(i)
				defer server.Close()
				calls := 0
				transport := roundTripper(func(r *http.Request) (*http.Response, error) {
					if calls++; calls == 1 {
						down()
					}
					return server.Client().Transport.RoundTrip(r)
				})
				c, err := jwks.New(jwks.Config{Issuer: issuerURL, Client: &http.Client{Transport: transport}})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if err := mustFail(t, c, "a", "ES256"); strings.Contains(err.Error(), "on purpose") {
					t.Errorf("%v: the value may be anything", err)
				}
				time.Sleep(2 * time.Second)
				mustFind(t, c, "a", "ES256")
			})
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
