package main

import "slices"

// median returns the middle value, or the mean of the two in the middle. It does
// not change the slice; without values it is 0.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	switch {
	case n == 0:
		return 0
	case n%2 == 1:
		return sorted[n/2]
	default:
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
}

// percentile returns the smallest value that p percent of the values do not
// exceed: the nearest rank. It sorts the slice, which may be long; without values
// it is the zero value.
func percentile[T int64 | float64](values []T, p int) T {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	rank := (len(values)*p + 99) / 100
	return values[max(rank, 1)-1]
}

// ratios divides each value by the one of the same round.
func ratios(values, by []float64) []float64 {
	quotients := make([]float64, len(values))
	for i, v := range values {
		quotients[i] = v / by[i]
	}
	return quotients
}

// A spread is what is told of many values: the median, and the bounds of the
// middle half.
type spread struct{ median, low, high float64 }

func spreadOf(values []float64) spread {
	sorted := slices.Clone(values)
	return spread{median: median(values), low: percentile(sorted, 25), high: percentile(sorted, 75)}
}

// inverse turns ratios of times into ratios of throughputs.
func (s spread) inverse() spread {
	return spread{median: 1 / s.median, low: 1 / s.high, high: 1 / s.low}
}
