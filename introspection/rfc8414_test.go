package introspection_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermark/countermark/introspection"
)

// An issuer publishes metadata and answers at the endpoint that it names.
type issuer struct {
	metadata atomic.Int64 // how often it was read
	endpoint
	document atomic.Pointer[http.HandlerFunc]
}

func newIssuer() *issuer {
	i := new(issuer)
	i.set(says(active))
	i.publish(endpointIs("/introspect"))
	return i
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		i.metadata.Add(1)
		(*i.document.Load())(w, r)
	case "/introspect", "/moved":
		i.endpoint.ServeHTTP(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (i *issuer) publish(h http.HandlerFunc) { i.document.Store(&h) }

func endpointIs(path string) http.HandlerFunc {
	return says(fmt.Sprintf(`{"issuer":%q,"introspection_endpoint":%q}`, issuerURL, issuerURL+path))
}

func (i *issuer) want(t *testing.T, metadata, questions int64) {
	t.Helper()
	if m, q := i.metadata.Load(), i.asked.Load(); m != metadata || q != questions {
		t.Errorf("metadata read %d times, want %d; %d questions, want %d", m, metadata, q, questions)
	}
}

func TestDiscovery_Section3_AtTheFirstQuestionAndOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer()
		hold := make(chan struct{})
		i.publish(func(w http.ResponseWriter, r *http.Request) {
			<-hold
			endpointIs("/introspect")(w, r)
		})
		c, _ := inBubble(t, i, introspection.Config{Issuer: issuerURL})
		i.want(t, 0, 0)
		all := make([]chan reply, 0, 100)
		for n := range 100 {
			all = append(all, askers(t.Context(), 10, c, fmt.Sprint("token ", n), false))
		}
		synctest.Wait()
		i.want(t, 1, 0)
		close(hold)
		for _, replies := range all {
			wantReplies(t, replies, active)
		}
		i.want(t, 1, 100)
	})
}

func TestDiscovery_FailureIsAnErrorAndPasses(t *testing.T) {
	t.Parallel()
	for name, document := range map[string]http.HandlerFunc{
		"no metadata":          http.NotFound,
		"500":                  status(500, ""),
		"HTML":                 func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"no endpoint":          says(`{"issuer":"` + issuerURL + `"}`),
		"another issuer's":     says(`{"issuer":"https://evil.example","introspection_endpoint":"https://evil.example/i"}`),
		"endpoint on http":     says(`{"issuer":"` + issuerURL + `","introspection_endpoint":"http://issuer.example/introspect"}`),
		"endpoint is a number": says(`{"issuer":"` + issuerURL + `","introspection_endpoint":1}`),
		"hangs":                func(_ http.ResponseWriter, r *http.Request) { hang(r) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				i := newIssuer()
				i.publish(document)
				c, _ := inBubble(t, i, introspection.Config{Issuer: issuerURL})
				for n := range 50 { // not more than one attempt a second
					start := time.Now()
					_, err := c.Introspect(t.Context(), fmt.Sprint("token ", n), n%2 == 0)
					checkOutage(t, err, 0)
					if took := time.Since(start); n > 0 && took != 0 {
						t.Errorf("waited for %v", took)
					}
				}
				i.want(t, 1, 0)
				time.Sleep(time.Second)
				_, err := c.Introspect(t.Context(), token, false)
				checkOutage(t, err, 0)
				i.want(t, 2, 0)
				i.publish(endpointIs("/introspect"))
				time.Sleep(time.Second)
				expect(t, c, &i.endpoint, false, active, 1)
				i.want(t, 3, 1)
			})
		})
	}
}

func TestDiscovery_RetryAfterIsPassedOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer()
		i.publish(status(503, "9"))
		c, _ := inBubble(t, i, introspection.Config{Issuer: issuerURL})
		for range 2 {
			_, err := c.Introspect(t.Context(), token, false)
			checkOutage(t, err, 9*time.Second)
		}
	})
}

func TestDiscovery_FollowsAnEndpointThatMoves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer()
		c, _ := inBubble(t, i, introspection.Config{Issuer: issuerURL})
		var at atomic.Pointer[string]
		i.set(func(w http.ResponseWriter, r *http.Request) {
			at.Store(&r.URL.Path)
			says(active)(w, r)
		})
		look := func(path string, metadata int64) {
			t.Helper()
			ask(t, c, token, true)
			if got := *at.Load(); got != path || i.metadata.Load() != metadata {
				t.Errorf("asked at %s, want %s; metadata read %d times, want %d", got, path, i.metadata.Load(), metadata)
			}
		}
		look("/introspect", 1)
		i.publish(endpointIs("/moved"))
		time.Sleep(15*time.Minute - 1)
		look("/introspect", 1)
		time.Sleep(time.Nanosecond)
		look("/moved", 2)

		i.publish(status(500, "")) // what was found last outlives that
		time.Sleep(15 * time.Minute)
		look("/moved", 3)
		look("/moved", 3)
		time.Sleep(time.Second)
		look("/moved", 4)

		hold := make(chan struct{}) // others do not wait for a second discovery
		i.publish(func(w http.ResponseWriter, r *http.Request) { <-hold; endpointIs("/introspect")(w, r) })
		time.Sleep(time.Second)
		slow := askers(t.Context(), 1, c, "another", false)
		synctest.Wait()
		look("/moved", 5)
		close(hold)
		wantReplies(t, slow, active)
		look("/introspect", 5)
	})
}

func TestDiscovery_NotIfTheEndpointIsGiven(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer()
		c, _ := inBubble(t, i, introspection.Config{Issuer: issuerURL, URL: issuerURL + "/moved"})
		ask(t, c, token, false)
		i.want(t, 0, 1)
	})
}

// The caller that happened to come first may leave while the metadata is read.
func TestDiscovery_DetachedFromTheFirstCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer()
		hold := make(chan struct{})
		i.publish(func(w http.ResponseWriter, r *http.Request) { <-hold; endpointIs("/introspect")(w, r) })
		c, _ := inBubble(t, i, introspection.Config{Issuer: issuerURL})
		first := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			_, err := c.Introspect(ctx, token, false)
			first <- err
		}()
		synctest.Wait()
		others := askers(t.Context(), 5, c, "another", false)
		synctest.Wait()
		cancel()
		if err := <-first; err == nil || !strings.Contains(err.Error(), "canceled") {
			t.Errorf("the first caller got %v", err)
		}
		close(hold)
		wantReplies(t, others, active)
		i.want(t, 1, 2)
	})
}
