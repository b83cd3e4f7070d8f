package flood_test

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A crowd is clients that come again and again, each on a line of its own.
type crowd struct {
	size  int
	pace  time.Duration // from one visit of a client to its next
	visit func(l line, n int64) (status int, err error)
	wants []int // the statuses that they may be answered with, 0 for none

	dial func() line // nil: as the regulars do
	// What happens when all are connected, before the regulars come, and when all are to
	// leave. Nil: nothing.
	begin, settle, end func()
}

// A tally is how often each status came back.
type tally map[int]int

func (t tally) sum() (sum int) {
	for _, n := range t {
		sum += n
	}
	return sum
}

func (t tally) add(other tally) {
	for status, n := range other {
		t[status] += n
	}
}

// others are the statuses in answered that c does not want.
func (c *crowd) others(answered tally) []int {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(answered)), func(status int) bool { return slices.Contains(c.wants, status) })
}

// gather lets the crowd come, each client on a line from dial, and returns when they
// are all connected. They leave when disperse is called, which says what they were
// answered.
func (c *crowd) gather(t *testing.T, dial func() line) (disperse func() tally) {
	t.Helper()
	var (
		all, connected sync.WaitGroup
		visits         atomic.Int64
		mu             sync.Mutex
		answered       = tally{}
		begin, stop    = make(chan struct{}), make(chan struct{})
	)
	connected.Add(c.size)
	for i := range c.size {
		all.Go(func() {
			l, own := dial(), tally{}
			defer l.close()
			err := l.open()
			connected.Done()
			<-begin
			due := time.Now().Add(c.pace * time.Duration(i) / time.Duration(c.size))
			for err == nil {
				select {
				case <-stop:
					mu.Lock()
					defer mu.Unlock()
					answered.add(own)
					return
				case <-time.After(time.Until(due)):
				}
				select {
				case <-stop: // also if it is time for the next visit
					continue
				default:
				}
				var status int
				status, err = c.visit(l, visits.Add(1))
				own[status]++
				if due = due.Add(c.pace); time.Until(due) < 0 {
					due = time.Now() // who is late does not catch up
				}
			}
			t.Errorf("one of the crowd was not answered: %v", err)
		})
	}
	connected.Wait()
	if c.begin != nil {
		c.begin()
	}
	close(begin)
	return func() tally {
		close(stop)
		if c.end != nil {
			c.end()
		}
		all.Wait()
		return answered
	}
}
