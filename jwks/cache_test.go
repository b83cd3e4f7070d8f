package jwks_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
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
		mustLack(t, c, "a", "ES256")
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

func TestFetch_AsksForAFreshCopy(t *testing.T) {
	t.Parallel()
	header := make(chan http.Header, 1)
	c, _ := newCache(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header <- r.Header
		_, _ = io.WriteString(w, `{"keys":[]}`)
	}), jwks.Config{})
	if err := c.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if h := <-header; h.Get("Cache-Control") != "no-cache" || !strings.HasPrefix(h.Get("Accept"), "application/jwk-set+json") {
		t.Errorf("sent %v", h)
	}
}
