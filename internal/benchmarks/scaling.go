package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"
)

// A load is work that several goroutines do at once.
type load struct {
	name string
	work func(n int) error // by one of them; safe for concurrent use
}

// scaling compares the throughput of all cores with that of one. The bare signature
// shares nothing, so that what it lacks of the ideal is the machine's.
func (b *bench) scaling(ctx context.Context) error {
	cores := min(runtime.NumCPU(), 2)
	if cores < 2 {
		b.report.add(part{title: "Scaling", text: "This machine has one core."})
		return nil
	}
	loads, err := b.loads(ctx)
	if err != nil {
		return err
	}
	pieces := make([]int, len(loads))
	for i, l := range loads {
		if pieces[i], err = l.filling(b.window); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
	}
	gains := make([][]float64, len(loads)) // by load and round
	for range b.windows {
		for i, l := range loads {
			if err := ctx.Err(); err != nil {
				return err
			}
			gain, err := l.gain(pieces[i], cores)
			if err != nil {
				return fmt.Errorf("%s: %w", l.name, err)
			}
			gains[i] = append(gains[i], gain)
		}
	}
	p := part{
		title: "Scaling",
		text: fmt.Sprintf("The throughput of %d cores, each with a goroutine of its own, as a multiple of that of one core. "+
			"The bare signature shares nothing between cores: what it lacks of %[1]d is the machine's doing.", cores),
		head: []string{"", "throughput"},
	}
	for i, l := range loads {
		p.rows = append(p.rows, []string{l.name, spreadOf(gains[i]).times()})
		if i > 0 {
			b.report.atLeast(fmt.Sprintf("what %d cores gain, %s, to the signature alone", cores, l.name),
				median(ratios(gains[i], gains[0])), 0.95, multiples)
		}
	}
	b.report.add(p)
	return nil
}

// loads are the bare signature, the cold path and the warm path, of RS256.
func (b *bench) loads(ctx context.Context) ([]load, error) {
	const distinct = 64
	tokens, err := b.issuer.tokens("RS256", distinct)
	if err != nil {
		return nil, err
	}
	cold, err := b.issuer.validator(ctx, withoutMemory)
	if err != nil {
		return nil, err
	}
	warm, err := b.issuer.validator(ctx)
	if err != nil {
		return nil, err
	}
	repeated := func(piece func(i int) error) func(int) error {
		return func(n int) error {
			for i := range n {
				if err := piece(i % distinct); err != nil {
					return err
				}
			}
			return nil
		}
	}
	raw, anew, again := b.issuer.keys["RS256"].verifyRaw(), validating(ctx, cold), validating(ctx, warm)
	return []load{
		{rawName, repeated(func(i int) error { return raw(&tokens[i]) })},
		{"memory off", repeated(func(i int) error { return anew(tokens[i].raw) })},
		{"token seen before, the same for all", repeated(func(int) error { return again(tokens[0].raw) })},
	}, nil
}

// filling returns how many pieces take about that long on one core.
func (l *load) filling(window time.Duration) (int, error) {
	for n := 64; ; n *= 2 {
		took, err := onCores(1, func() error { return l.work(n) })
		if err != nil || took >= window/2 {
			return n, err
		}
	}
}

// gain returns how much more so many cores do of the load in the same time than one.
func (l *load) gain(n, cores int) (float64, error) {
	one, err := onCores(1, func() error { return l.work(n) })
	if err != nil {
		return 0, err
	}
	all, err := onCores(cores, func() error { return l.work(n) })
	return float64(cores) * one.Seconds() / all.Seconds(), err
}

// onCores does the work once on each of so many cores, with no other in use.
func onCores(cores int, work func() error) (time.Duration, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
	runtime.GC()
	var group errgroup.Group
	start := time.Now()
	for range cores {
		group.Go(work)
	}
	err := group.Wait()
	return time.Since(start), err
}
