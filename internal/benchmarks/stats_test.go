package main

import (
	"slices"
	"testing"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{5, 1, 3}, 3},
		{[]float64{4, 1, 3, 2}, 2.5},
		{[]float64{1, 1, 1, 1, 1000}, 1},
	} {
		before := slices.Clone(row.values)
		if got := median(row.values); got != row.want {
			t.Errorf("median of %v: %v, want %v", row.values, got, row.want)
		}
		if !slices.Equal(row.values, before) {
			t.Errorf("%v became %v", before, row.values)
		}
	}
}

func TestPercentile_IsTheNearestRank(t *testing.T) {
	t.Parallel()
	hundred := make([]int64, 100)
	for i := range hundred {
		hundred[i] = int64(100 - i)
	}
	for p, want := range map[int]int64{0: 1, 1: 1, 25: 25, 50: 50, 99: 99, 100: 100} {
		if got := percentile(hundred, p); got != want {
			t.Errorf("%d: %d, want %d", p, got, want)
		}
	}
	if got := percentile([]float64{7}, 99); got != 7 {
		t.Errorf("of one value: %v", got)
	}
	if got := percentile([]int64(nil), 99); got != 0 {
		t.Errorf("of none: %v", got)
	}
}

// A round in which the machine was slow for all must not count for any of them.
func TestRatios_AreThoseOfTheSameRound(t *testing.T) {
	t.Parallel()
	got := spreadOf(ratios([]float64{11, 110, 11, 11, 22}, []float64{10, 100, 10, 10, 20}))
	if want := (spread{median: 1.1, low: 1.1, high: 1.1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestSpread_Inverse(t *testing.T) {
	t.Parallel()
	if got, want := (spread{median: 2, low: 1, high: 4}).inverse(), (spread{median: 0.5, low: 0.25, high: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
