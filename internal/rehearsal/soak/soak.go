package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/countermark/countermark/internal/proctest"
	"github.com/countermark/countermark/internal/rehearsal"
)

const (
	atOnce  = 256              // visits; more wait for no place, and are not made
	settles = 15 * time.Second // what an outage left under way is given up within
)

// soak does what p says.
func soak(ctx context.Context, p plan, progress io.Writer) (*report, error) {
	r := &report{visits: map[int]int{}, kinds: map[string]int{}, outages: map[string]int{}}
	r.before = runtime.NumGoroutine()
	i, err := rehearsal.New(ctx)
	if err != nil {
		return nil, err
	}
	a, err := openAPI(ctx, i)
	if err != nil {
		i.Close()
		return nil, err
	}
	s := &stage{plan: p, issuer: i, crowd: &crowd{newWallet(i), a}, report: r, progress: progress, places: make(chan struct{}, atOnce)}
	err = s.run(ctx)
	a.close()
	r.left = settled(i.Connections, 0)
	i.Close()
	r.after = settled(runtime.NumGoroutine, r.before)
	r.rotations = s.rotations
	for e, name := range [...]string{"metadata", "key set", "introspection"} {
		r.asked = append(r.asked, fmt.Sprintf("%s %d", name, i.Asked(rehearsal.Endpoint(e))))
	}
	return r, err
}

// A stage is where it happens.
type stage struct {
	plan
	*crowd

	issuer   *rehearsal.Issuer
	report   *report
	progress io.Writer
	places   chan struct{}
	rotation <-chan time.Time
}

// run alternates between calm and outages, and stops for a look between them. Keys
// rotate in both.
func (s *stage) run(ctx context.Context) error {
	rotation := time.NewTicker(s.rotates)
	defer rotation.Stop()
	s.rotation = rotation.C
	began := time.Now()
	looked := began
	for n := 0; time.Since(began) < s.lasts || len(s.report.samples) < 2; n++ {
		s.traffic(ctx, s.calm)
		fault := rehearsal.Faults()[n%len(rehearsal.Faults())]
		target := targets[(n+n/len(rehearsal.Faults()))%len(targets)] // another in the next round
		if err := s.set(ctx, target, fault); err != nil {
			return err
		}
		s.traffic(ctx, s.calm)
		if err := s.set(ctx, target, rehearsal.None); err != nil {
			return err
		}
		s.report.outages[fault.String()]++
		if time.Since(looked) >= s.look || time.Since(began) >= s.lasts {
			s.sample(ctx, time.Since(began))
			looked = time.Now()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

func (s *stage) set(ctx context.Context, target []rehearsal.Endpoint, f rehearsal.Fault) error {
	for _, e := range target {
		if err := s.issuer.Break(ctx, e, f); err != nil {
			return err
		}
	}
	return nil
}

// traffic goes on for d, and ends when the last visitor has left.
func (s *stage) traffic(ctx context.Context, d time.Duration) {
	var visits sync.WaitGroup
	defer visits.Wait()
	pace := time.NewTicker(time.Second / time.Duration(s.rate))
	defer pace.Stop()
	end := time.After(d)
	for {
		select {
		case <-ctx.Done():
			return
		case <-end:
			return
		case <-s.rotation:
			visits.Go(s.rotateKeys)
		case <-pace.C:
			select {
			case s.places <- struct{}{}:
				visits.Go(func() {
					defer func() { <-s.places }()
					s.visitOne(ctx)
				})
			default:
				s.report.count("no place", 0)
			}
		}
	}
}

// visitOne judges a verdict by what was right when it was asked for, or when it came.
func (s *stage) visitOne(ctx context.Context) {
	s.renew()
	v := s.visit()
	if v == nil {
		return
	}
	right := v.may()
	status := v.knock(ctx)
	if status == 200 && v.passed != nil {
		defer v.passed()
	}
	s.report.count(v.kind, status)
	if right = append(right, v.may()...); ctx.Err() == nil && !slices.Contains(right, status) {
		s.report.wrongVerdict(fmt.Sprintf("%s: %d, want one of %v", v.kind, status, right))
	}
}

// sample looks when nothing is going on.
func (s *stage) sample(ctx context.Context, at time.Duration) {
	s.api.idle()
	connections := settled(s.issuer.Connections, 0)
	if ctx.Err() != nil {
		return
	}
	x := sample{at: at, connections: connections}
	if len(s.report.samples) == 0 {
		x.goroutines = steady(runtime.NumGoroutine)
	} else {
		x.goroutines = settled(runtime.NumGoroutine, s.report.samples[0].goroutines)
	}
	x.heap = proctest.Heap()
	s.report.samples = append(s.report.samples, x)
	fmt.Fprintf(s.progress, "%8v  heap %8s  %4d goroutines  %3d connections to the issuer  %v\n",
		at.Round(time.Second), mib(x.heap), x.goroutines, x.connections, slices.Sorted(maps.Keys(s.report.outages)))
}

// steady waits until count stays the same for a second, and returns it.
func steady(count func() int) int {
	now, since := count(), time.Now()
	for end := time.Now().Add(settles); time.Since(since) < time.Second && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if n := count(); n != now {
			now, since = n, time.Now()
		}
	}
	return now
}

// settled waits until count is at most n, and returns it.
func settled(count func() int, n int) int {
	for end := time.Now().Add(settles); ; time.Sleep(20 * time.Millisecond) {
		if now := count(); now <= n || time.Now().After(end) {
			return now
		}
	}
}
