package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

const (
	heapTimes = 1.25 // is what the heap may grow to after the warming up, and
	heapMore  = 2 << 20
	shown     = 10 // wrong verdicts
)

// A sample is what is in use while nothing is going on.
type sample struct {
	at                      time.Duration
	heap                    int64
	goroutines, connections int
}

// A report is what came of it.
type report struct {
	samples       []sample
	before, after int // goroutines
	left          int // connections
	rotations     int
	outages       map[string]int
	asked         []string

	mu     sync.Mutex
	visits map[int]int // by status
	kinds  map[string]int
	wrong  []string
}

func (r *report) count(kind string, status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.visits[status]++
	r.kinds[kind]++
}

func (r *report) wrongVerdict(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wrong = append(r.wrong, text)
}

func (r *report) print(out io.Writer) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(t, name+"\t"+format+"\n", args...) }
	row("requests", "%s", list(r.visits))
	row("of kinds", "%s", list(r.kinds))
	row("wrong verdicts", "%d", len(r.wrong))
	for _, text := range r.wrong[:min(len(r.wrong), shown)] {
		row("", "%s", text)
	}
	if len(r.samples) > 0 {
		first, last := r.samples[0], r.samples[len(r.samples)-1]
		row("heap", "%s after warming up (%v), %s at the end (%v)",
			mib(first.heap), first.at.Round(time.Second), mib(last.heap), last.at.Round(time.Second))
		row("goroutines", "%d after warming up, %d at the end; %d before all, %d after", first.goroutines, last.goroutines, r.before, r.after)
		row("connections", "%d idle after warming up, %d at the end; %d after all", first.connections, last.connections, r.left)
	}
	row("the issuer was asked", "%s", strings.Join(r.asked, ", "))
	row("rotations", "%d", r.rotations)
	row("outages", "%s", list(r.outages))
	_ = t.Flush()
}

// verdict is nil if nothing grew and nobody was judged wrongly.
func (r *report) verdict() error {
	if len(r.samples) < 2 {
		return errors.New("it ended before there was anything to compare")
	}
	first := r.samples[0]
	var problems []error
	if n := len(r.wrong); n > 0 {
		problems = append(problems, fmt.Errorf("%d wrong verdicts", n))
	}
	if last := r.samples[len(r.samples)-1]; float64(last.heap) > heapTimes*float64(first.heap)+heapMore {
		problems = append(problems, fmt.Errorf("the heap grew from %s to %s", mib(first.heap), mib(last.heap)))
	}
	for _, x := range r.samples {
		if x.goroutines > first.goroutines || x.connections > 0 {
			problems = append(problems, fmt.Errorf("after %v: %d goroutines, %d connections", x.at.Round(time.Second), x.goroutines, x.connections))
		}
	}
	if r.after > r.before || r.left > 0 {
		problems = append(problems, fmt.Errorf("left: %d goroutines, %d connections", r.after-r.before, r.left))
	}
	return errors.Join(problems...)
}

// list is all of m, in order.
func list[K interface{ ~int | ~string }](m map[K]int) string {
	total, parts := 0, make([]string, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		total += m[k]
		parts = append(parts, fmt.Sprintf("%v: %d", k, m[k]))
	}
	return fmt.Sprintf("%d (%s)", total, strings.Join(parts, ", "))
}

func mib(bytes int64) string { return fmt.Sprintf("%.2f MiB", float64(bytes)/(1<<20)) }
