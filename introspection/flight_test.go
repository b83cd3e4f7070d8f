package introspection_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermark/countermark/introspection"
)

// held answers with what it is told, when it is told.
func held() (answer func(http.HandlerFunc), h http.HandlerFunc) {
	next := make(chan http.HandlerFunc)
	return func(h http.HandlerFunc) { next <- h }, func(w http.ResponseWriter, r *http.Request) {
		select {
		case h := <-next:
			h(w, r)
		case <-r.Context().Done():
		}
	}
}

// A reply is how one of many callers fared.
type reply struct {
	answer string
	err    error
}

// askers starts n callers and returns where their replies arrive.
func askers(ctx context.Context, n int, c *introspection.Client, token string, fresh bool) chan reply {
	replies := make(chan reply, n)
	for range n {
		go func() {
			answer, err := c.Introspect(ctx, token, fresh)
			replies <- reply{string(answer), err}
		}()
	}
	return replies
}

func wantReplies(t *testing.T, replies chan reply, want string) {
	t.Helper()
	for range cap(replies) {
		if r := <-replies; r.err != nil || r.answer != want {
			t.Errorf("%s, %v, want %s", r.answer, r.err, want)
		}
	}
}

const many = 10_000

// Over sockets and with real scheduling: who comes after the answer finds it in
// the memory, so that it stays one request.
func TestFlights_TenThousandCallersOneRequest(t *testing.T) {
	t.Parallel()
	answer, h := held()
	e := newEndpoint(h)
	c := onLoopback(t, e, introspection.Config{})
	var started sync.WaitGroup
	started.Add(many)
	replies := make(chan reply, many)
	for range many {
		go func() {
			started.Done()
			answer, err := c.Introspect(t.Context(), token, false)
			replies <- reply{string(answer), err}
		}()
	}
	started.Wait()
	answer(says(active))
	wantReplies(t, replies, active)
	if n := e.asked.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// Nothing is remembered here: the one request is the doing of the flight.
func TestFlights_OneRequestWithoutAMemory(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"good": active, "bad": inactive} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				answer, h := held()
				e := newEndpoint(h)
				c, _ := inBubble(t, e, introspection.Config{CacheSize: -1})
				replies := askers(t.Context(), many, c, token, false)
				synctest.Wait()
				answer(says(body))
				wantReplies(t, replies, body)
				if n := e.asked.Load(); n != 1 {
					t.Errorf("%d requests", n)
				}
			})
		})
	}
}

// A latecomer is a context that lets the test act between a caller's glance at
// the memory and its question: Err is asked for there.
type latecomer struct {
	context.Context

	meanwhile func()
}

func (l latecomer) Err() error {
	l.meanwhile()
	return l.Context.Err()
}

// What is learned after a caller looked into the memory, and before its own
// request, is not asked for again.
func TestFlights_WhoComesJustTooLateAsksNothing(t *testing.T) {
	t.Parallel()
	e := newEndpoint(says(active))
	c := onLoopback(t, e, introspection.Config{})
	ctx := latecomer{t.Context(), func() { expect(t, c, e, false, active, 1) }}
	if answer, err := c.Introspect(ctx, token, false); err != nil || string(answer) != active || e.asked.Load() != 1 {
		t.Errorf("%s, %v after %d requests", answer, err, e.asked.Load())
	}
}

func TestFlights_AnErrorIsSharedToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answer, h := held()
		e := newEndpoint(h)
		c, _ := inBubble(t, e, introspection.Config{})
		replies := askers(t.Context(), 100, c, token, false)
		synctest.Wait()
		answer(status(503, "7"))
		for range cap(replies) {
			checkOutage(t, (<-replies).err, 7*time.Second)
		}
		if n := e.asked.Load(); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestFlights_TokensDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stuck, h := held()
		c, _ := inBubble(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("token") == "stuck" {
				h(w, r)
				return
			}
			says(active)(w, r)
		}), introspection.Config{})
		replies := askers(t.Context(), 1, c, "stuck", false)
		synctest.Wait()
		start := time.Now()
		if ask(t, c, token, false); time.Since(start) != 0 {
			t.Error("it waited")
		}
		stuck(says(inactive))
		wantReplies(t, replies, inactive)
	})
}

func TestFlights_DetachedFromTheFirstCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answer, h := held()
		e := newEndpoint(h)
		c, _ := inBubble(t, e, introspection.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		first := askers(ctx, 1, c, token, false)
		synctest.Wait()
		others := askers(t.Context(), 10, c, token, false)
		synctest.Wait()
		cancel()
		if r := <-first; !errors.Is(r.err, context.Canceled) {
			t.Errorf("the first caller got %v", r.err)
		}
		answer(says(active))
		wantReplies(t, others, active)
		expect(t, c, e, false, active, 1)
	})
}

// The last caller may leave too: the answer is kept for the next.
func TestFlights_AnAnswerNobodyWaitsForIsRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answer, h := held()
		e := newEndpoint(h)
		c, _ := inBubble(t, e, introspection.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		alone := askers(ctx, 1, c, token, false)
		synctest.Wait()
		cancel()
		<-alone
		answer(says(active))
		synctest.Wait()
		expect(t, c, e, false, active, 1)
	})
}

func TestFlights_EachCallerWaitsAsLongAsItsOwnContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, h := held()
		c, _ := inBubble(t, newEndpoint(h), introspection.Config{})
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 4 {
			limit := time.Duration(i+1) * time.Second
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				_, err := c.Introspect(ctx, token, false)
				if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != limit {
					t.Errorf("%v after %v, want %v", err, time.Since(start), limit)
				}
			})
		}
		wg.Wait()
	})
}

func TestFlights_ADeadCallerStartsNothing(t *testing.T) {
	t.Parallel()
	e := newEndpoint(says(active))
	c := onLoopback(t, e, introspection.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Introspect(ctx, token, false); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "not asked") || e.asked.Load() != 0 {
		t.Errorf("%v after %d requests", err, e.asked.Load())
	}
	expect(t, c, e, false, active, 1)
	if _, err := c.Introspect(ctx, token, false); err != nil {
		t.Errorf("what is known costs no waiting: %v", err)
	}
}

// A function of the caller's that panics, or ends its goroutine, takes nobody else
// with it.
func TestFlights_AnAbortedRequestLeavesNobodyWaiting(t *testing.T) {
	t.Parallel()
	for name, abort := range map[string]func(){"Goexit": runtime.Goexit, "panic": func() { panic("on purpose") }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEndpoint(says(active))
			calls := 0
			c := onLoopback(t, e, introspection.Config{Auth: introspection.AuthFunc("orders-api", func(*http.Request, url.Values) error {
				if calls++; calls == 1 {
					abort()
				}
				return nil
			})})
			_, err := c.Introspect(t.Context(), token, false)
			checkOutage(t, err, 0)
			if strings.Contains(err.Error(), "on purpose") {
				t.Errorf("%v: the value may be anything", err)
			}
			expect(t, c, e, false, active, 1)
		})
	}
}
