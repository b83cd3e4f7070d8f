package jwks_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermark/countermark/jwks"
)

func TestNew_RefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		cfg  jwks.Config
		want string
	}{
		"neither":             {jwks.Config{}, "Config.Issuer, Config.URL: exactly one"},
		"both":                {jwks.Config{Issuer: issuerURL, URL: setURL}, "Config.Issuer, Config.URL: exactly one"},
		"issuer without TLS":  {jwks.Config{Issuer: "http://issuer.example"}, "Config.Issuer: must use https"},
		"issuer with a query": {jwks.Config{Issuer: issuerURL + "?a"}, "Config.Issuer: must not have a query"},
		"URL without TLS":     {jwks.Config{URL: "http://issuer.example/keys"}, "Config.URL: must use https"},
		"URL with a password": {jwks.Config{URL: "https://user:hunter2@issuer.example/keys"}, "Config.URL: must not hold user information"},
		"no URL":              {jwks.Config{URL: "keys"}, "Config.URL: not an absolute URL"},
		"Interval too short":  {jwks.Config{URL: setURL, Interval: time.Minute - 1}, "Config.Interval: must be from"},
		"Interval too long":   {jwks.Config{URL: setURL, Interval: 24*time.Hour + 1}, "Config.Interval: must be from"},
		"Interval negative":   {jwks.Config{URL: setURL, Interval: -1}, "Config.Interval: must be from"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := jwks.New(row.cfg)
			if err == nil || c != nil || !strings.HasPrefix(err.Error(), "jwks: "+row.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v, want %q", err, row.want)
			}
		})
	}
	for _, cfg := range []jwks.Config{
		{Issuer: issuerURL},
		{Issuer: "http://127.0.0.1:9000"},
		{URL: "http://localhost/keys?tenant=1", Interval: time.Minute, MaxStale: -1},
		{URL: setURL, Interval: 24 * time.Hour, MaxStale: 1 << 62},
	} {
		if _, err := jwks.New(cfg); err != nil {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

func TestNew_LeavesNoGoroutineAndMakesNoRequest(t *testing.T) {
	i := newIssuer(t, ecJWK(t, "a"))
	server := httptest.NewServer(i)
	defer server.Close()
	before := runtime.NumGoroutine()
	for n := range 100 {
		c, err := jwks.New(jwks.Config{URL: server.URL + "/keys"})
		if err != nil {
			t.Fatal(err)
		}
		if n%2 == 0 {
			_ = c.Close() // the others are just dropped
		}
	}
	if after := runtime.NumGoroutine(); after > before || len(i.fetches()) != 0 {
		t.Errorf("%d goroutines before, %d after; %d requests", before, after, len(i.fetches()))
	}
}

func TestClose_AfterUseLeavesNoGoroutine(t *testing.T) {
	i := newIssuer(t, ecJWK(t, "a"))
	before := runtime.NumGoroutine()
	server := httptest.NewServer(i)
	for range 20 {
		c, err := jwks.New(jwks.Config{URL: server.URL + "/keys"}) // the default client, with its idle connections
		if err != nil {
			t.Fatal(err)
		}
		mustFind(t, c, "a", "ES256")
		_ = c.Close()
	}
	server.Close()
	waitForGoroutines(t, before)
}

func TestClose_EndsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, ecJWK(t, "a"))
		c, _ := newCache(t, i, jwks.Config{})
		mustFind(t, c, "a", "ES256")
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for _, kid := range []string{"a", "b", ""} {
			if err := mustFail(t, c, kid, "ES256"); !strings.Contains(err.Error(), "closed") {
				t.Error(err)
			}
		}
		if err := c.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "closed") {
			t.Error(err)
		}
		if err := c.Ready(); err == nil || !strings.Contains(err.Error(), "closed") {
			t.Error(err)
		}
		time.Sleep(24 * time.Hour)
		if n := len(i.fetches()); n != 1 {
			t.Errorf("%d fetches", n)
		}
	})
}

func TestClose_OfOneNeverUsed(t *testing.T) {
	t.Parallel()
	c, _ := newCache(t, newIssuer(t), jwks.Config{})
	_ = c.Close()
	mustFail(t, c, "a", "ES256")
}

// slowToEnd ends its requests a while after their context did.
type slowToEnd struct{ ended atomic.Bool }

func (s *slowToEnd) RoundTrip(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	time.Sleep(time.Second)
	s.ended.Store(true)
	return nil, req.Context().Err()
}

func TestClose_WaitsForItsOwnGoroutinesOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		transport := new(slowToEnd)
		c, err := jwks.New(jwks.Config{URL: setURL, Client: &http.Client{Transport: transport}})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		lookup := make(chan time.Duration, 1)
		go func() {
			mustFail(t, c, "a", "ES256")
			lookup <- time.Since(start)
		}()
		synctest.Wait()
		_ = c.Close()
		if !transport.ended.Load() {
			t.Error("Close returned before the request ended")
		}
		if d := <-lookup; d != 0 {
			t.Errorf("a lookup waited %v for the request to end", d)
		}
	})
}

func TestClose_EndsARefreshThatWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, server := newCache(t, newIssuer(t), jwks.Config{})
		server.SetDown(true)
		mustFail(t, c, "a", "ES256")
		failed := make(chan error)
		go func() { failed <- c.Refresh(t.Context()) }()
		synctest.Wait()
		start := time.Now()
		_ = c.Close()
		if err := <-failed; err == nil || time.Since(start) != 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestRefresh_FetchesAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, ecJWK(t, "a"))
		i.delay = time.Second
		c, _ := newCache(t, i, jwks.Config{})
		go func() { _ = c.Refresh(t.Context()) }()
		time.Sleep(time.Second / 2)
		i.publish(t, ecJWK(t, "b")) // after the fetch on its way was answered
		if err := c.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		mustFind(t, c, "b", "ES256")
		if n := len(i.fetches()); n != 2 {
			t.Errorf("%d fetches", n)
		}
	})
}

func TestRefresh_FailsWithTheFetchOrTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, ecJWK(t, "a"))
		i.status = http.StatusBadGateway
		c, _ := newCache(t, i, jwks.Config{})
		if err := c.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "answered 502") {
			t.Error(err)
		}
		i.change(func() { i.status, i.delay = 0, time.Minute })
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		if err := c.Refresh(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 100*time.Millisecond {
			t.Errorf("while it waits for its turn: %v after %v", err, time.Since(start))
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Refresh(ctx); !errors.Is(err, context.DeadlineExceeded) { // while it waits for the answer
			t.Error(err)
		}
		i.change(func() { i.delay = 0 })
		if err := c.Refresh(t.Context()); err == nil { // it joined the fetch that the one before left
			t.Error("a fetch that hangs succeeded")
		}
		if err := c.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestReady_StartsTheFirstFetch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, ecJWK(t, "a"))
		i.delay = time.Second
		c, _ := newCache(t, i, jwks.Config{})
		if err := c.Ready(); err == nil {
			t.Error("ready before the first fetch")
		}
		time.Sleep(2 * time.Second)
		if err := c.Ready(); err != nil {
			t.Error(err)
		}
		mustFind(t, c, "a", "ES256")
		if n := len(i.fetches()); n != 1 {
			t.Errorf("%d fetches", n)
		}
	})
}

func TestKeys_ColdStartFetchesOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, ecJWK(t, "a"))
		i.delay = time.Second
		c, _ := newCache(t, i, jwks.Config{Issuer: issuerURL})
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() { mustFind(t, c, "a", "ES256") })
		}
		all.Wait()
		time.Sleep(time.Minute)
		if n := len(i.fetches()); n != 1 {
			t.Errorf("%d fetches", n)
		}
	})
}

func TestFetch_FollowsRedirectsWithinTheHostOnly(t *testing.T) {
	t.Parallel()
	for target, good := range map[string]bool{"/moved": true, "https://other.example/moved": false, "http://issuer.example/moved": false} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t, ecJWK(t, "a"))
			i.jwksURI = issuerURL + "/moved"
			c, _ := newCache(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/keys" {
					http.Redirect(w, r, target, http.StatusFound)
					return
				}
				i.ServeHTTP(w, r)
			}), jwks.Config{})
			if good {
				mustFind(t, c, "a", "ES256")
			} else {
				mustFail(t, c, "a", "ES256")
			}
		})
	}
}
