package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// An effort is how much is measured.
type effort struct {
	rounds  int           // of a race: medians are over these
	laps    int           // of a round: in each, every contender does a batch
	batch   time.Duration // about what the reference takes for one
	windows int           // of what is not a race: how often
	window  time.Duration // and how long
}

// A contender does the work of a race in one way.
type contender struct {
	name string
	// work does n pieces of work; with one core or several is its own affair.
	work func(n int) error
	// repeat is how many times the pieces of a batch are done: for work that takes
	// much less time than the reference's. 0 means once.
	repeat int
	// piece does piece i, for counting its allocations. Nil: they are not counted.
	piece func(i int) error
}

// oneByOne is a contender that does its pieces one after the other.
func oneByOne(name string, piece func(i int) error) contender {
	return contender{name: name, piece: piece, work: func(n int) error {
		for i := range n {
			if err := piece(i); err != nil {
				return err
			}
		}
		return nil
	}}
}

// A race has contenders do the same pieces of work by turns. The first of them is
// the reference, and does its batch before and after each of the others: what
// counts is a contender's time by the mean of the two beside it, so that whatever
// else the machine does meanwhile is about the same for both.
//
// Garbage is collected when it is due, and its cost counts: the heap is small and a
// round long, so that everybody's garbage of a round is several collections, and
// the order is another one in each lap, so that it is their own on the whole.
type race struct {
	contenders []contender
	// prepare readies n pieces, before each lap and untimed. Nil: they are ready.
	prepare func(n int) error
}

// A result is what a race says of a contender.
type result struct {
	name    string
	micros  float64 // a piece, in microseconds: the median of the rounds
	toFirst spread  // the ratio to the reference
	allocs  float64 // a piece; negative if not counted
}

func (r *race) run(ctx context.Context, how effort) ([]result, error) {
	n, err := r.calibrate(how.batch)
	if err != nil {
		return nil, err
	}
	seconds := make([][]float64, len(r.contenders)) // a piece, by contender and round
	beside := make([][]float64, len(r.contenders))  // the reference at the same time
	for round := range how.rounds {
		sums, limits := make([]float64, len(r.contenders)), make([]float64, len(r.contenders))
		for lap := range how.laps {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if err := r.ready(n); err != nil {
				return nil, err
			}
			before, err := r.contenders[0].time(n)
			if err != nil {
				return nil, err
			}
			for _, c := range turns(len(r.contenders), round*how.laps+lap) {
				if c == 0 {
					sums[0] += before
					limits[0] += before
					continue
				}
				took, err := r.contenders[c].time(n)
				if err != nil {
					return nil, err
				}
				after, err := r.contenders[0].time(n)
				if err != nil {
					return nil, err
				}
				sums[c] += took
				limits[c] += (before + after) / 2
				before = after
			}
		}
		for c, sum := range sums {
			seconds[c] = append(seconds[c], sum/float64(how.laps))
			beside[c] = append(beside[c], limits[c]/float64(how.laps))
		}
	}
	if err := r.ready(counted + 1); err != nil { // one is done before the count
		return nil, err
	}
	results := make([]result, len(r.contenders))
	for i, c := range r.contenders {
		allocs, err := c.allocations()
		if err != nil {
			return nil, err
		}
		results[i] = result{
			name: c.name, micros: median(seconds[i]) * 1e6,
			toFirst: spreadOf(ratios(seconds[i], beside[i])), allocs: allocs,
		}
	}
	return results, nil
}

// calibrate returns how many pieces the reference does in the time of a batch.
func (r *race) calibrate(batch time.Duration) (int, error) {
	const least = 20
	best := time.Hour.Seconds()
	for range 3 {
		if err := r.ready(least); err != nil {
			return 0, err
		}
		took, err := r.contenders[0].time(least)
		if err != nil {
			return 0, err
		}
		best = min(best, took)
	}
	return max(least, int(batch.Seconds()/best)), nil
}

func (r *race) ready(n int) error {
	if r.prepare == nil {
		return nil
	}
	return r.prepare(n)
}

// time returns the seconds that each of n pieces takes.
func (c *contender) time(n int) (float64, error) {
	start := time.Now()
	for range max(c.repeat, 1) {
		if err := c.work(n); err != nil {
			return 0, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return time.Since(start).Seconds() / float64(n*max(c.repeat, 1)), nil
}

// counted is in how many pieces allocations are counted.
const counted = 100

// allocations returns how many a piece takes, rounded down.
func (c *contender) allocations() (float64, error) {
	if c.piece == nil {
		return -1, nil
	}
	i, failed := 0, error(nil)
	allocs := testing.AllocsPerRun(counted, func() {
		if err := c.piece(i); err != nil {
			failed = err
		}
		i++
	})
	return allocs, failed
}

// turns returns the order of n contenders in a lap: any, but the same in every run.
func turns(n, lap int) []int {
	return rand.New(rand.NewPCG(uint64(n), uint64(lap))).Perm(n) //nolint:gosec // no secret, and neither is negative
}
