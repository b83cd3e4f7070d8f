package main

import (
	"errors"
	"slices"
	"testing"
	"time"
)

func TestTurns_HaveEveryContenderOnceAndFirstSometimes(t *testing.T) {
	t.Parallel()
	const n = 5
	first := map[int]bool{}
	for lap := range 10 * n {
		order := turns(n, lap)
		first[order[0]] = true
		if sorted := slices.Sorted(slices.Values(order)); !slices.Equal(sorted, []int{0, 1, 2, 3, 4}) {
			t.Errorf("lap %d: %v", lap, order)
		}
	}
	if len(first) != n {
		t.Errorf("only %v were ever first", first)
	}
}

var sink []byte

func TestRace_CountsTimesAndAllocationsOfWhatItPrepared(t *testing.T) {
	const rounds = 3
	ready := 0
	var done [2]int
	piece := func(c int) func(int) error {
		return func(i int) error {
			if i >= ready {
				return errors.New("not prepared")
			}
			done[c]++
			for range c {
				sink = make([]byte, 100)
			}
			return nil
		}
	}
	r := race{
		contenders: []contender{oneByOne("a", piece(0)), oneByOne("b", piece(1))},
		prepare:    func(n int) error { ready = n; return nil },
	}
	r.contenders[1].repeat = 2
	results, err := r.run(t.Context(), effort{rounds: rounds, laps: 2, batch: 10 * time.Microsecond})
	if err != nil || len(results) != 2 || results[0].name != "a" {
		t.Fatal(results, err)
	}
	if results[0].toFirst.median != 1 {
		t.Errorf("the reference is %v times itself", results[0].toFirst.median)
	}
	if results[0].allocs != 0 || results[1].allocs != 1 {
		t.Errorf("%v and %v allocations", results[0].allocs, results[1].allocs)
	}
	if least := rounds * 2 * 20; done[0] < least || done[1] < 2*least {
		t.Errorf("did %v pieces", done)
	}
}

func TestRace_EndsWhereAContenderFails(t *testing.T) {
	t.Parallel()
	wrong := errors.New("wrong verdict")
	r := race{contenders: []contender{
		oneByOne("good", func(int) error { return nil }), oneByOne("bad", func(int) error { return wrong }),
	}}
	if _, err := r.run(t.Context(), effort{rounds: 1, laps: 1, batch: time.Microsecond}); !errors.Is(err, wrong) {
		t.Errorf("got %v", err)
	}
}

func TestShare_IsAllOfIt(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 7, 8, 9, 100} {
		sum := 0
		for i := range 8 {
			sum += share(n, 8, i)
		}
		if sum != n {
			t.Errorf("%d of %d", sum, n)
		}
	}
}
