package flood_test

import (
	"fmt"
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/issuertest"
	"github.com/countermark/countermark/internal/proctest"
)

const (
	rounds     = 5  // windows of each kind
	moreRounds = 60 // as many if it takes them to meet the bound: the machine is busy

	regulars = 8                    // clients whose wait is measured
	requests = 25                   // of each in a window
	pace     = 4 * time.Millisecond // between the requests of one
)

// rest is how long a crowd that came all at once lets the regulars rest: a scheduler
// has a program that took much wait for the others.
const rest = 100 * time.Millisecond

// slowly is d, and more under the race detector, where a request takes that much
// longer.
func slowly(d time.Duration) time.Duration {
	if proctest.UnderRace() {
		return 3 * d
	}
	return d
}

// A stage is an API, its issuer, and the regular clients of the API.
type stage struct {
	t      *testing.T
	issuer *issuer
	dial   func() line
	tokens []string // that are known: JWTs and opaque ones in turn
	lines  []line   // of the regulars
	// who gets the tokens that a regular shows for the first time, in turn
	newFor []*issuertest.App
}

func newStage(t *testing.T, i *issuer, dial func() line) *stage {
	t.Helper()
	s := &stage{t: t, issuer: i, dial: dial, newFor: []*issuertest.App{i.web, i.kiosk}}
	for range regulars {
		s.tokens = append(s.tokens, i.token(t, i.web), i.token(t, i.kiosk))
		s.lines = append(s.lines, dial())
	}
	t.Cleanup(func() {
		for _, l := range s.lines {
			l.close()
		}
	})
	return s
}

// harmless is a crowd that has no tokens, which the API refuses without a look at
// anything.
func harmless(size int, pace time.Duration) *crowd {
	return &crowd{size: size, pace: slowly(pace), wants: []int{401}, visit: func(l line, _ int64) (int, error) { return l.show("") }}
}

// A series is what came of windows of one kind.
type series struct {
	p99      []time.Duration // of what regulars waited with tokens that are known
	fresh    []time.Duration // what each waited with one that is not
	answered tally           // the crowd
	peak     uint64          // bytes of the heap
}

// window has the regulars make their requests amid a crowd.
func (s *series) window(st *stage, c *crowd) {
	st.t.Helper()
	fresh := make([]string, regulars)
	for n := range fresh {
		fresh[n] = st.issuer.token(st.t, st.newFor[n%len(st.newFor)])
	}
	dial := c.dial
	if dial == nil {
		dial = st.dial
	}
	disperse := c.gather(st.t, dial)
	if c.settle != nil {
		c.settle()
	}
	stopPeak := peak()
	var (
		all   sync.WaitGroup
		mu    sync.Mutex
		waits []time.Duration
	)
	for n, l := range st.lines {
		all.Go(func() {
			time.Sleep(slowly(pace) * time.Duration(n) / regulars)
			var own []time.Duration
			for k := range requests {
				own = append(own, st.visit(l, st.tokens[(n+k)%len(st.tokens)]))
				time.Sleep(slowly(pace))
			}
			took := st.visit(l, fresh[n])
			mu.Lock()
			defer mu.Unlock()
			waits = append(waits, own...)
			s.fresh = append(s.fresh, took)
		})
	}
	all.Wait()
	s.peak = max(s.peak, stopPeak())
	s.answered.add(disperse())
	slices.Sort(waits)
	s.p99 = append(s.p99, waits[(len(waits)*99+99)/100-1])
}

// visit is one of a regular, who is let in.
func (st *stage) visit(l line, token string) (took time.Duration) {
	begun := time.Now()
	status, err := l.show(token)
	took = time.Since(begun)
	if status != 200 {
		st.t.Errorf("a regular was answered %d after %v: %v", status, took, err)
	}
	return took
}

// quiet is the p99 of a quiet window: the lower quartile, since the quietest may be luck.
func (s *series) quiet() time.Duration {
	return slices.Sorted(slices.Values(s.p99))[len(s.p99)/4]
}

func median(values []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(values))[len(values)/2]
}

func (s *series) String() string {
	return fmt.Sprintf("p99 %v (median %v), with a new token %v in the median; answered %v, at most %d MiB of heap",
		s.quiet(), median(s.p99), median(s.fresh), s.answered, s.peak>>20)
}

// endure holds that the regulars wait as long in a flood as amid a crowd that does no
// harm, that all of the flood is answered as it should be, and that it leaves no
// goroutine behind, and of the heap no more than heap bytes.
func (st *stage) endure(harmless, flood *crowd, heap int64) {
	t := st.t
	t.Helper()
	base, evil := &series{answered: tally{}}, &series{answered: tally{}}
	(&series{answered: tally{}}).window(st, harmless) // by which all of st.tokens become known
	goroutines, before := st.left()
	bound := proctest.Bound(1.5, 10)
	begun, ratio := time.Now(), 0.0
	for n := 0; n < rounds || n < moreRounds && ratio > bound; n++ {
		base.window(st, harmless)
		evil.window(st, flood)
		if t.Failed() {
			return
		}
		ratio = float64(evil.quiet()) / float64(base.quiet())
	}
	took := time.Since(begun).Round(time.Millisecond)
	st.issuer.client.CloseIdleConnections()
	proctest.WaitForGoroutines(t, goroutines)
	_, after := st.left()
	t.Logf("harmless: %v", base)
	t.Logf("flood: %v", evil)
	t.Logf("%.2f times the wait, by %d windows of %d requests each; in %v the heap grew by %d KiB, for key sets came %d requests, about tokens %d",
		ratio, len(base.p99), regulars*requests, took, (after-before)>>10, st.issuer.keySets.Load(), st.issuer.questions.Load())

	if ratio > bound {
		t.Errorf("the regulars wait %.2f times as long, %.1f at most are wanted", ratio, bound)
	}
	const forNew = 3 << 10 // what API and issuer remember of a token that is shown for the first time
	heap += forNew * int64(len(base.fresh)+len(evil.fresh))
	if grown := after - before; grown > heap {
		t.Errorf("the heap grew by %d bytes, %d at most are wanted", grown, heap)
	}
	for _, status := range harmless.others(base.answered) {
		t.Errorf("%d of the harmless crowd were answered %d", base.answered[status], status)
	}
	for _, status := range flood.others(evil.answered) {
		t.Errorf("%d of the flood were answered %d, want %d", evil.answered[status], status, flood.wants)
	}
	if came := evil.answered.sum(); 2*came < base.answered.sum() {
		t.Errorf("%d came in the flood: it is none, or they are kept waiting", came)
	}
}

// left is what is there between two windows.
func (st *stage) left() (goroutines int, heap int64) {
	st.issuer.client.CloseIdleConnections()
	heap = proctest.Heap() // by when those connections have gone
	return runtime.NumGoroutine(), heap
}

// peak watches the heap until it is called, and says how many bytes there were at
// most, with what waits to be swept.
func peak() (stop func() uint64) {
	done, most := make(chan struct{}), make(chan uint64)
	go func() {
		var highest uint64
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		for {
			metrics.Read(sample)
			highest = max(highest, sample[0].Value.Uint64())
			select {
			case <-done:
				most <- highest
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return func() uint64 {
		close(done)
		return <-most
	}
}
