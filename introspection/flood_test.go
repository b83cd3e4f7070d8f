package introspection_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/proctest"
	"github.com/countermark/countermark/introspection"
)

// A million invented tokens leave what is known of a thousand good ones in
// place, and little behind: of them all, 10,000 are remembered.
func TestFlood_InventedTokensAllocateNothingThatStays(t *testing.T) {
	const good, limit = 1000, 8 << 20
	flood := 1_000_000
	if testing.Short() || proctest.UnderRace() {
		flood = 20_000
	}
	base := proctest.Heap()
	var questions atomic.Int64
	c := newClient(t, introspection.Config{
		TTL: time.Hour,
		Client: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
			questions.Add(1)
			if body, err := io.ReadAll(r.Body); err != nil || !bytes.HasPrefix(body, []byte("token=good-")) {
				return jsonResponse(r, inactive), err
			}
			return jsonResponse(r, active), nil
		})},
	})
	askGood := func() {
		for i := range good {
			if got := ask(t, c, fmt.Sprintf("good-%036d", i), false); got != active {
				t.Fatalf("a good token is %s", got)
			}
		}
	}
	askGood()
	start := time.Now()
	var wg sync.WaitGroup
	const workers = 8
	for w := range workers {
		wg.Go(func() {
			for i := w; i < flood; i += workers {
				if answer, err := c.Introspect(t.Context(), fmt.Sprintf("evil-%036d", i), i%100 == 0); err != nil || string(answer) != inactive {
					t.Errorf("%s, %v", answer, err)
					return
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(start).Round(time.Millisecond)
	grown := proctest.Heap() - base
	before := questions.Load()
	askGood()
	again := questions.Load() - before
	t.Logf("%d invented tokens in %v: %d of %d good answers in place, the heap grew by %d KiB", flood, took, good-again, good, grown>>10)
	if again != 0 || before != int64(good+flood) {
		t.Errorf("%d questions, then %d about good tokens that were known", before, again)
	}
	if grown > limit {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	runtime.KeepAlive(c)
}

// However many good tokens there are, no more are remembered than CacheSize.
func TestFlood_OfGoodTokensIsBoundedByCacheSize(t *testing.T) {
	t.Parallel()
	const size, tokens = 100, 2000
	var questions atomic.Int64
	c := newClient(t, introspection.Config{
		CacheSize: size,
		Client: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
			questions.Add(1)
			return jsonResponse(r, active), nil
		})},
	})
	for range 2 {
		for i := range tokens {
			ask(t, c, fmt.Sprint("token ", i), false)
		}
	}
	if n := questions.Load(); n < 2*tokens-size {
		t.Errorf("%d questions: more than %d answers were remembered", n, size)
	}
}
