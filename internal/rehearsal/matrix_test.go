package rehearsal_test

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/proctest"
	"github.com/countermark/countermark/internal/rehearsal"
	"github.com/countermark/countermark/introspection"
	"github.com/countermark/countermark/jwks"
)

const (
	lasts    = 2 * time.Second        // a fault, at least
	recovers = 10 * time.Second       // an api, at most, after what hangs has been given up: 2 s of back-off, for a busy machine
	patience = 20 * time.Second       // with what must work, and may be slow
	often    = 250 * time.Millisecond // between two visits
	heapMost = 16 << 20               // bytes of an endless answer, with all that sockets hold; and of growth
)

// A column is a way to depend on an issuer, of which something breaks.
type column struct {
	name    string
	breaks  []rehearsal.Endpoint
	keys    func(*rehearsal.Issuer) jwks.Config          // nil: the tokens are opaque
	answers func(*rehearsal.Issuer) introspection.Config // nil: they are JWTs
	starts  func(rehearsal.Fault) bool                   // whether an api that knows nothing yet works all the same
	learns  func(rehearsal.Fault) bool                   // whether one that knew something learns of what is new
}

func never(rehearsal.Fault) bool  { return false }
func always(rehearsal.Fault) bool { return true }

// ofType: static hosting serves key sets as anything, and only the page of a proxy is
// refused.
func ofType(f rehearsal.Fault) bool { return f == rehearsal.WrongType }

var columns = []column{
	{
		name: "jwks", breaks: []rehearsal.Endpoint{rehearsal.KeySet}, starts: ofType, learns: ofType,
		keys: func(i *rehearsal.Issuer) jwks.Config { return jwks.Config{URL: i.KeysURL} },
	},
	{ // metadata are good for ten minutes
		name: "discovery", breaks: []rehearsal.Endpoint{rehearsal.Discovery}, starts: never, learns: always,
		keys: func(i *rehearsal.Issuer) jwks.Config { return jwks.Config{Issuer: i.URL} },
	},
	{
		name: "discovery and jwks", breaks: []rehearsal.Endpoint{rehearsal.Discovery, rehearsal.KeySet}, starts: never, learns: ofType,
		keys: func(i *rehearsal.Issuer) jwks.Config { return jwks.Config{Issuer: i.URL} },
	},
	{
		name: "introspection", breaks: []rehearsal.Endpoint{rehearsal.Introspection}, starts: never, learns: never,
		answers: func(i *rehearsal.Issuer) introspection.Config { return introspection.Config{URL: i.IntrospectionURL} },
	},
	{ // an endpoint that is known outlives a failure
		name: "introspection by discovery", breaks: []rehearsal.Endpoint{rehearsal.Discovery}, starts: never, learns: always,
		answers: func(i *rehearsal.Issuer) introspection.Config { return introspection.Config{Issuer: i.URL} },
	},
}

// Every fault of every endpoint, at the door: what is known stays so, what cannot be
// known is a 503 and never a 401, and all is well again by itself. Nothing is left of
// it, and nothing grows. It looks at all goroutines, so it is by itself.
func TestMatrix_LeavesNoGoroutine(t *testing.T) {
	var (
		mu      sync.Mutex
		slowest time.Duration
		where   string
	)
	goroutines, heap := runtime.NumGoroutine(), proctest.Heap()
	t.Run("rows", func(t *testing.T) {
		for _, fault := range rehearsal.Faults() {
			for _, c := range columns {
				t.Run(fault.String()+"/"+c.name, func(t *testing.T) {
					t.Parallel()
					took := (&row{t: t, column: c, fault: fault}).run()
					mu.Lock()
					defer mu.Unlock()
					if took > slowest {
						slowest, where = took, t.Name()
					}
				})
			}
		}
	})
	t.Logf("the slowest recovery took %v: %s", slowest.Round(time.Millisecond), where)
	proctest.WaitForGoroutines(t, goroutines)
	grown := proctest.Heap() - heap
	t.Logf("the heap grew by %d KiB", grown>>10)
	if grown > heapMost {
		t.Errorf("the heap grew by %d bytes", grown)
	}
}

// A row is one fault in one column.
type row struct {
	column

	t     *testing.T
	fault rehearsal.Fault

	issuer    *rehearsal.Issuer
	questions atomic.Int64 // that only the issuer could answer
}

// run returns how long recovery took.
func (r *row) run() time.Duration {
	setUp.Lock()
	i := start(r.t)
	defer i.Close()
	r.issuer = i
	warm, cold := r.open(), r.open()
	known, bad := r.token(), r.badTokens()
	r.warmUp(warm, known, bad)
	setUp.Unlock()

	var before []int64
	for _, e := range r.breaks {
		before = append(before, i.Asked(e))
	}
	began := time.Now()
	r.set(r.fault)
	if !r.opaque() {
		i.Rotate(1)
	}
	fresh := r.token()
	r.steady(warm, known, bad, func() {
		var both sync.WaitGroup
		both.Go(func() { r.during(cold, "cold start", fresh, began, r.starts(r.fault)) })
		both.Go(func() { r.during(warm, "rotation", fresh, began, r.learns(r.fault)) })
		both.Wait()
	})
	lasted := time.Since(began)
	for n, e := range r.breaks {
		r.checkAsked(i.Asked(e)-before[n], lasted)
	}

	r.set(rehearsal.None)
	took := r.recovery(map[string]*api{"cold": cold, "warm": warm}, known, fresh)
	warm.want("invented, after", r.invented(), 401)
	warm.close()
	cold.close()
	if !eventually(5*time.Second, func() bool { return i.Connections() == 0 }) {
		r.t.Errorf("%d connections are left", i.Connections())
	}
	if most := i.MostRead(); most > heapMost {
		r.t.Errorf("%d bytes of an endless answer were read", most)
	}
	return took
}

// setUp is for one row after another: all at once, with a handshake each, they would
// run into the time limits that they are about.
var setUp sync.Mutex

func (r *row) warmUp(a *api, known string, bad map[string]string) {
	if !eventually(patience, func() bool {
		status, _ := a.visit(known)
		return status == 200
	}) {
		r.t.Error("not well before the fault")
	}
	for what, token := range bad {
		a.want(what+", before", token, 401)
	}
}

func (r *row) opaque() bool { return r.answers != nil }

func (r *row) open() *api {
	r.t.Helper()
	if r.opaque() {
		return byAnswers(r.t, r.issuer, r.answers(r.issuer))
	}
	return byKeys(r.t, r.issuer, r.keys(r.issuer), 0)
}

func (r *row) set(f rehearsal.Fault) {
	r.t.Helper()
	for _, e := range r.breaks {
		if err := r.issuer.Break(r.t.Context(), e, f); err != nil {
			r.t.Fatal(err)
		}
	}
}

// token is a good one that nobody has seen.
func (r *row) token() string {
	if r.opaque() {
		return r.issuer.Opaque()
	}
	return r.issuer.Token(nil, nil)
}

// invented is a token that the issuer has to be asked about, and knows nothing of.
func (r *row) invented() string {
	if r.opaque() {
		return "invented"
	}
	return r.issuer.Token(map[string]any{"kid": "invented"}, nil)
}

// badTokens are known to be bad, once they were seen.
func (r *row) badTokens() map[string]string {
	if r.opaque() {
		revoked := r.issuer.Opaque()
		r.issuer.Revoke(revoked)
		return map[string]string{"revoked": revoked}
	}
	return map[string]string{
		"forged":      r.issuer.Forged(),
		"expired":     r.issuer.Token(nil, map[string]any{"exp": 1}),
		"for another": r.issuer.Token(nil, map[string]any{"aud": "https://another.example"}),
	}
}

// steady visits a with what it knows for as long as meanwhile takes.
func (r *row) steady(a *api, known string, bad map[string]string, meanwhile func()) {
	var visits sync.WaitGroup
	done := make(chan struct{})
	visits.Go(func() {
		for {
			a.want("known, during", known, 200)
			for what, token := range bad {
				a.want(what+", during", token, 401)
			}
			select {
			case <-done:
				return
			case <-time.After(often):
			}
		}
	})
	meanwhile()
	close(done)
	visits.Wait()
}

// during visits a with what it does not know, until the fault has lasted, and with
// one that comes and goes until that is known.
func (r *row) during(a *api, what, fresh string, began time.Time, works bool) {
	may := []int{503}
	switch {
	case works:
		may = []int{200}
	case r.fault == rehearsal.Flapping:
		may = []int{200, 503}
	}
	for status := 0; time.Since(began) < lasts || r.fault == rehearsal.Flapping && status != 200; time.Sleep(often) {
		var after time.Duration
		r.questions.Add(2)
		if status, after = a.visit(fresh); !slices.Contains(may, status) {
			r.t.Errorf("%s: %d, want one of %v", what, status, may)
		}
		r.checkRetryAfter(status, after)
		if got, _ := a.visit(r.invented()); status == 503 && got != 503 && r.fault != rehearsal.Flapping {
			r.t.Errorf("%s, invented: %d, want 503", what, got)
		}
		if time.Since(began) > patience {
			r.t.Errorf("%s: nothing learned from an issuer that answers now and then", what)
			return
		}
	}
}

// checkRetryAfter: an issuer that is asked about each token says itself when to come
// again, the fetch of a key set has a back-off of 2 s at most.
func (r *row) checkRetryAfter(status int, got time.Duration) {
	want := time.Second
	if r.opaque() && r.fault == rehearsal.TooManyRequests {
		want = rehearsal.RetryAfter
	}
	if status == 503 && got != want && (r.opaque() || got != 2*time.Second) {
		r.t.Errorf("Retry-After %v", got)
	}
}

// checkAsked: what is asked for in vain is asked for again after a back-off, by each
// api; what is a question about one token is asked once.
func (r *row) checkAsked(asked int64, lasted time.Duration) {
	most := 2 * (6 + int64(lasted/(2*time.Second)))
	if r.opaque() && !slices.Contains(r.breaks, rehearsal.Discovery) {
		most = r.questions.Load()
	}
	if r.fault == rehearsal.RedirectLoop {
		most *= 4 // a redirect is followed three times
	}
	if asked > most {
		r.t.Errorf("asked %d times in %v, %d at most", asked, lasted, most)
	}
}

// recovery waits until all is well, and returns how long that took.
func (r *row) recovery(apis map[string]*api, known, fresh string) time.Duration {
	began := time.Now()
	limit := recovers
	if r.fault == rehearsal.Silent || r.fault == rehearsal.Hang || r.fault == rehearsal.SlowBody {
		limit += keysTimeout // what hangs was asked for before
	}
	for what, a := range apis {
		if !eventually(limit-time.Since(began), func() bool {
			return r.recovered(what, a, known) && r.recovered(what, a, fresh)
		}) {
			r.t.Errorf("%s: not well %v after the fault", what, limit)
		}
	}
	return time.Since(began)
}

func (r *row) recovered(what string, a *api, token string) bool {
	status, _ := a.visit(token)
	if status != 200 && status != 503 {
		r.t.Errorf("%s, after: %d", what, status)
		return true // there is nothing to wait for
	}
	return status == 200
}
