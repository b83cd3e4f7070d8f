package introspection_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermark/countermark/introspection"
)

// A request that was sent before a fresh look was asked for may have missed the
// revocation: it must not answer.
func TestFresh_IsNotAnsweredByAnEarlierRequest(t *testing.T) {
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
func TestFresh_ThatNobodyWaitsForIsNotSent(t *testing.T) {
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
func TestFresh_AnOlderAnswerDoesNotReplaceANewerOne(t *testing.T) {
	t.Parallel()
	var revoked atomic.Bool
	e := newEndpoint(func(w http.ResponseWriter, r *http.Request) {
		body := active
		if revoked.Load() {
			body = inactive
		}
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

// A usual look that still queues becomes a fresh one, rather than a second one:
// what other processes know is not asked for.
func TestFresh_JoinsALookThatQueues(t *testing.T) {
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
func TestFresh_AfterOneThatWasCalledOff(t *testing.T) {
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
