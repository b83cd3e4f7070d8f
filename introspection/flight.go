package introspection

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

var (
	errBusy    = errors.New("too many requests are under way")
	errAborted = errors.New("the request was aborted")
)

// flights lets any number of callers share one look at a token. For one key at
// most one look is under way, and one more is due for callers that came too
// late to be answered by it.
type flights struct {
	slots    chan struct{} // holds an item for each look under way
	patience time.Duration // how long a look waits for a slot

	mu      sync.Mutex
	current map[digest]*flight
	next    map[digest]*flight // begins when the current one has landed
}

type flight struct {
	look     func(fresh bool) (*answer, error)
	unwanted chan struct{} // closed if the last waiter leaves before it began
	done     chan struct{} // closed when answer and err are there
	answer   *answer
	err      error

	// Guarded by flights.mu:
	waiters int
	fresh   bool // never changes once it began
	begun   bool
}

func newFlights(slots int, patience time.Duration) *flights {
	return &flights{
		slots:    make(chan struct{}, slots),
		patience: patience,
		current:  make(map[digest]*flight),
		next:     make(map[digest]*flight),
	}
}

// do returns the answer of a look for key: for a fresh caller one that begins
// after the call, for others any. It waits no longer than ctx allows, while the
// look goes on without it.
func (fs *flights) do(ctx context.Context, key digest, fresh bool, look func(fresh bool) (*answer, error)) (*answer, error) {
	f := fs.join(key, fresh, look)
	select {
	case <-f.done:
		return f.answer, f.err
	case <-ctx.Done():
		fs.leave(key, f)
		return nil, fmt.Errorf("no answer yet: %w", ctx.Err())
	}
}

func (fs *flights) join(key digest, fresh bool, look func(bool) (*answer, error)) *flight {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f := fs.current[key]
	switch {
	case f == nil:
		f = newFlight(look)
		fs.current[key] = f
		go fs.fly(key, f)
	case fresh && f.begun:
		if f = fs.next[key]; f == nil {
			f = newFlight(look)
			fs.next[key] = f
		}
	}
	f.waiters++
	if fresh {
		f.fresh = true
	}
	return f
}

func newFlight(look func(bool) (*answer, error)) *flight {
	return &flight{look: look, unwanted: make(chan struct{}), done: make(chan struct{})}
}

// leave takes one waiter off f. A flight that nobody waits for is called off if
// it has not begun, so that what queues for a slot is bounded by the callers.
func (fs *flights) leave(key digest, f *flight) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f.waiters--
	if f.waiters > 0 || f.begun {
		return
	}
	close(f.unwanted)
	if fs.current[key] == f {
		delete(fs.current, key)
	}
	if fs.next[key] == f {
		delete(fs.next, key)
	}
}

func (fs *flights) fly(key digest, f *flight) {
	defer fs.land(key, f)
	if f.err = fs.begin(f); f.err != nil {
		return
	}
	defer func() {
		<-fs.slots
		if p := recover(); p != nil { // this goroutine is ours: nobody above would catch it
			f.err = fmt.Errorf("panicked with a %T\n%s", p, debug.Stack())
		}
	}()
	f.err = errAborted // unless look returns
	f.answer, f.err = f.look(f.fresh)
}

// begin waits for a slot and takes it.
func (fs *flights) begin(f *flight) error {
	select {
	case fs.slots <- struct{}{}:
	default:
		timer := time.NewTimer(fs.patience)
		defer timer.Stop()
		select {
		case fs.slots <- struct{}{}:
		case <-f.unwanted:
			return errAborted
		case <-timer.C:
			return errBusy
		}
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f.waiters == 0 { // called off at the same moment
		<-fs.slots
		return errAborted
	}
	f.begun = true
	return nil
}

// land answers the waiters and lets the next flight begin.
func (fs *flights) land(key digest, f *flight) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.current[key] == f {
		delete(fs.current, key)
		if next := fs.next[key]; next != nil {
			delete(fs.next, key)
			fs.current[key] = next
			go fs.fly(key, next)
		}
	}
	close(f.done)
}
