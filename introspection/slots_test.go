package introspection_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermark/countermark/introspection"
)

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

// Callers that leave take their place in the queue with them.
func TestSlots_TheQueueHoldsNoGoroutinesOfThoseWhoLeft(t *testing.T) {
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
func TestSlots_RequestsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
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
		first := start(t.Context(), 0, slots)
		ctx, cancel := context.WithCancel(t.Context())
		impatient := start(ctx, 1000, 500)
		patient := start(t.Context(), 2000, 100)
		if n := e.asked.Load(); n != slots {
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
		for range slots {
			answer(says(inactive))
		}
		wantReplies(t, first, inactive)
		for range cap(patient) + cap(late) {
			answer(says(inactive))
		}
		wantReplies(t, patient, inactive)
		wantReplies(t, late, inactive)
		if n := e.asked.Load(); n != slots+100+10 {
			t.Errorf("%d requests: those called off were sent", n)
		}

		first = start(t.Context(), 4000, slots)
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

func TestSlots_TooManyIsAnErrorInTime(t *testing.T) {
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
