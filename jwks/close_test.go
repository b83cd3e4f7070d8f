package jwks_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermark/countermark/internal/proctest"
	"github.com/countermark/countermark/jwks"
)

func TestClose_AfterUseLeavesNoGoroutine(t *testing.T) {
	i := newIssuer(t, ecJWK(t, "a"))
	server := httptest.NewServer(i)
	defer server.Close()
	before := runtime.NumGoroutine()
	for range 20 {
		c, err := jwks.New(jwks.Config{URL: server.URL + "/keys"}) // with the default client, which keeps connections
		if err != nil {
			t.Fatal(err)
		}
		mustFind(t, c, "a", "ES256")
		_ = c.Close()
	}
	proctest.WaitForGoroutines(t, before)
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

// A connection that an issuer never finishes, for which the client's transport has no
// time limit, ends with the fetch.
func TestClose_EndsAConnectionThatIsBeingMade(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	c, err := jwks.New(jwks.Config{URL: "https://" + listener.Addr().String(), Client: &http.Client{Transport: &http.Transport{}}})
	if err != nil {
		t.Fatal(err)
	}
	go c.Keys(t.Context(), "a", "ES256")
	conn, err := listener.Accept() // and say nothing
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = c.Close()
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Errorf("the connection is open: %v", err)
	}
}
