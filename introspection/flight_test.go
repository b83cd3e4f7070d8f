package introspection_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
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
	context.Context //nolint:containedctx // it is one

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

// A request that was sent before a fresh look was asked for may have missed the
// revocation: it must not answer.
func TestFlights_FreshIsNotAnsweredByAnEarlierRequest(t *testing.T) {
	t.Parallel()
	for name, earlier := range map[string]bool{"a usual look": false, "a fresh look": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				answer, h := held()
				e := newEndpoint(h)
				c, _ := inBubble(t, e, introspection.Config{Cache: new(sharedCache)})
				before := askers(t.Context(), 1, c, token, earlier)
				synctest.Wait() // its request is at the issuer, which looks it up; now the token is revoked
				after := askers(t.Context(), 1000, c, token, true)
				synctest.Wait()
				usual := askers(t.Context(), 10, c, token, false) // may be as old as the one on its way
				synctest.Wait()
				if n := e.asked.Load(); n != 1 {
					t.Errorf("%d requests at once", n)
				}
				answer(says(active))
				wantReplies(t, before, active)
				wantReplies(t, usual, active)
				synctest.Wait()
				if len(after) != 0 {
					t.Fatalf("%d fresh looks were answered by the earlier request", len(after))
				}
				expect(t, c, e, false, active, 2) // remembered, and the next is on its way
				answer(says(inactive))
				wantReplies(t, after, inactive)
				expect(t, c, e, false, inactive, 2) // the thousand shared it, and it is the last word
			})
		})
	}
}

// A fresh look that queues is called off when its callers leave.
func TestFlights_FreshThatNobodyWaitsForIsNotSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answer, h := held()
		e := newEndpoint(h)
		c, _ := inBubble(t, e, introspection.Config{})
		before := askers(t.Context(), 1, c, token, false)
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		after := askers(ctx, 5, c, token, true)
		synctest.Wait()
		cancel()
		for range cap(after) {
			<-after
		}
		answer(says(active))
		wantReplies(t, before, active)
		synctest.Wait()
		expect(t, c, e, false, active, 1)
	})
}

// However slow an answer is, it does not overwrite a newer one: the looks at one
// token come one after the other.
func TestFlights_AnOlderAnswerDoesNotReplaceANewerOne(t *testing.T) {
	t.Parallel()
	var revoked atomic.Bool
	e := newEndpoint(func(w http.ResponseWriter, r *http.Request) {
		body := active
		if revoked.Load() {
			body = inactive
		}
		time.Sleep(time.Duration(len(r.Header.Get("Authorization"))) * time.Microsecond) // some network
		says(body)(w, r)
	})
	c := onLoopback(t, e, introspection.Config{NegativeTTL: time.Hour, TTL: time.Hour})
	for range 20 {
		revoked.Store(false)
		ask(t, c, token, true)
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				if i == 25 {
					revoked.Store(true)
					if got := ask(t, c, token, true); got != inactive {
						t.Errorf("a fresh look after the revocation: %s", got)
					}
				} else {
					ask(t, c, token, i%2 == 0)
				}
			})
		}
		wg.Wait()
		if got := ask(t, c, token, false); got != inactive {
			t.Fatalf("an older answer is the last word: %s", got)
		}
	}
}

const slots = 256 // requests that may be under way

// crowd takes every slot; what it returns gives them back.
func crowd(t *testing.T, c *introspection.Client, answer func(http.HandlerFunc)) (release func()) {
	t.Helper()
	replies := make(chan reply, slots)
	for i := range slots {
		go func() {
			answer, err := c.Introspect(t.Context(), fmt.Sprint("crowd ", i), false)
			replies <- reply{string(answer), err}
		}()
	}
	synctest.Wait()
	return func() {
		t.Helper()
		for range slots {
			answer(says(inactive))
		}
		wantReplies(t, replies, inactive)
	}
}

// A usual look that still queues becomes a fresh one, rather than a second one:
// what other processes know is not asked for.
func TestFlights_FreshJoinsALookThatQueues(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answer, h := held()
		e := newEndpoint(says(active))
		config := introspection.Config{Cache: new(sharedCache)}
		another, _ := inBubble(t, e, config)
		expect(t, another, e, false, active, 1)

		e.set(h)
		c, _ := inBubble(t, e, config)
		release := crowd(t, c, answer)
		usual := askers(t.Context(), 10, c, token, false)
		synctest.Wait()
		fresh := askers(t.Context(), 10, c, token, true)
		synctest.Wait()
		release()
		answer(says(inactive))
		wantReplies(t, usual, inactive)
		wantReplies(t, fresh, inactive)
		if n := e.asked.Load(); n != 1+slots+1 {
			t.Errorf("%d requests", n)
		}
	})
}

// Whoever comes after a fresh look was called off has one of its own, however
// long it has to queue.
func TestFlights_FreshAfterOneThatWasCalledOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answer, h := held()
		answerCrowd, g := held()
		c, _ := inBubble(t, newEndpoint(func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("token") == token {
				h(w, r)
				return
			}
			g(w, r)
		}), introspection.Config{})
		before := askers(t.Context(), 1, c, token, false)
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		gone := askers(ctx, 1, c, token, true)
		synctest.Wait()
		cancel()
		<-gone
		after := askers(t.Context(), 1, c, token, true)
		release := crowd(t, c, answerCrowd) // the last of it queues for the slot of the first look
		answer(says(active))
		wantReplies(t, before, active)
		synctest.Wait()
		if len(after) > 0 {
			t.Errorf("answered while it should queue: %v", <-after)
		}
		release()
		answer(says(inactive))
		wantReplies(t, after, inactive)
	})
}

// Callers that leave take their place in the queue with them.
func TestFlights_TheQueueHoldsNoGoroutinesOfThoseWhoLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer, h := held()
		c, _ := inBubble(t, newEndpoint(h), introspection.Config{})
		release := crowd(t, c, answer)
		before := runtime.NumGoroutine()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range 2000 {
			wg.Go(func() { _, _ = c.Introspect(ctx, fmt.Sprint("impatient ", i), i%2 == 0) })
		}
		synctest.Wait()
		cancel()
		wg.Wait()
		synctest.Wait()
		if after := runtime.NumGoroutine(); after > before+100 {
			t.Errorf("%d goroutines, %d before", after, before)
		}
		release()
	})
}

// A flood that the endpoint cannot take: 256 requests, and the rest wait their
// turn, or leave, or are told in time.
func TestFlights_RequestsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const limit = slots
		answer, h := held()
		e := newEndpoint(h)
		c, _ := inBubble(t, e, introspection.Config{Timeout: 10 * time.Second})
		start := func(ctx context.Context, from, n int) chan reply {
			replies := make(chan reply, n)
			for i := range n {
				go func() {
					answer, err := c.Introspect(ctx, fmt.Sprint("invented ", from+i), i%2 == 0)
					replies <- reply{string(answer), err}
				}()
			}
			synctest.Wait()
			return replies
		}
		first := start(t.Context(), 0, limit)
		ctx, cancel := context.WithCancel(t.Context())
		impatient := start(ctx, 1000, 500)
		patient := start(t.Context(), 2000, 100)
		if n := e.asked.Load(); n != limit {
			t.Fatalf("%d requests at once", n)
		}
		cancel()
		for range cap(impatient) {
			if r := <-impatient; !errors.Is(r.err, context.Canceled) {
				t.Errorf("an impatient caller got %v", r.err)
			}
		}
		time.Sleep(9 * time.Second)
		late := start(t.Context(), 3000, 10)
		for range limit {
			answer(says(inactive))
		}
		wantReplies(t, first, inactive)
		for range cap(patient) + cap(late) {
			answer(says(inactive))
		}
		wantReplies(t, patient, inactive)
		wantReplies(t, late, inactive)
		if n := e.asked.Load(); n != limit+100+10 {
			t.Errorf("%d requests: those called off were sent", n)
		}

		first = start(t.Context(), 4000, limit)
		time.Sleep(time.Second)
		begin := time.Now()
		told := start(t.Context(), 5000, 10)
		for range cap(first) { // they end by their own timeout, 1 s before
			checkOutage(t, (<-first).err, 0)
		}
		synctest.Wait()
		for range cap(told) {
			answer(says(inactive))
		}
		wantReplies(t, told, inactive)
		if took := time.Since(begin); took != 9*time.Second {
			t.Errorf("a slot was free after %v", took)
		}
	})
}

func TestFlights_TooManyIsAnErrorInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// Retries make a request outlast the time that others wait for it.
		c, _ := inBubble(t, newEndpoint(send("", hang)), introspection.Config{Timeout: time.Second, Retries: 5})
		for i := range 256 {
			askers(t.Context(), 1, c, fmt.Sprint("invented ", i), false)
		}
		synctest.Wait()
		start := time.Now()
		_, err := c.Introspect(t.Context(), token, false)
		checkOutage(t, err, 0)
		if took := time.Since(start); took != time.Second || !strings.Contains(err.Error(), "too many requests are under way") {
			t.Errorf("%v after %v", err, took)
		}
		time.Sleep(time.Minute)
	})
}

// A function of the caller's that ends its goroutine takes nobody else with it.
func TestFlights_AnAbortedRequestLeavesNobodyWaiting(t *testing.T) {
	t.Parallel()
	e := newEndpoint(says(active))
	calls := 0
	c := onLoopback(t, e, introspection.Config{Auth: introspection.AuthFunc("orders-api", func(*http.Request, url.Values) error {
		if calls++; calls == 1 {
			runtime.Goexit()
		}
		return nil
	})})
	_, err := c.Introspect(t.Context(), token, false)
	checkOutage(t, err, 0)
	expect(t, c, e, false, active, 1)
}
