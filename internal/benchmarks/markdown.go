package main

import (
	"math"
	"strconv"
	"strings"
)

// table returns a Markdown table, or nothing if it has no head.
func table(head []string, rows [][]string) string {
	if len(head) == 0 {
		return ""
	}
	var s strings.Builder
	writeRow(&s, head)
	s.WriteString(strings.Repeat("|---", len(head)) + "|\n")
	for _, row := range rows {
		writeRow(&s, row)
	}
	return s.String()
}

func writeRow(s *strings.Builder, cells []string) {
	for _, cell := range cells {
		s.WriteString("| " + strings.ReplaceAll(cell, "|", `\|`) + " ")
	}
	s.WriteString("|\n")
}

// figure writes a number with three significant digits, and no more than those.
func figure(v float64) string {
	switch magnitude := math.Abs(v); {
	case magnitude == 0 || magnitude >= 99.95:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case magnitude >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case magnitude >= 0.0995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	default:
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
}

// multiple writes a ratio: differences of a thousandth matter near 1.
func multiple(v float64) string {
	if v >= 2 {
		return figure(v)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

// times writes a ratio with its spread.
func (s spread) times() string {
	return multiple(s.median) + multiples + " (" + multiple(s.low) + " to " + multiple(s.high) + ")"
}

func count(allocs float64) string {
	if allocs < 0 {
		return ""
	}
	return strconv.FormatFloat(allocs, 'f', 0, 64)
}

// resultTable shows the results of a race, the reference first.
func resultTable(results []result) (head []string, rows [][]string) {
	head = []string{"", "ratio", "µs", "allocations"}
	for i, r := range results {
		toFirst := r.toFirst.times()
		if i == 0 {
			toFirst = "1"
		}
		rows = append(rows, []string{r.name, toFirst, figure(r.micros), count(r.allocs)})
	}
	return head, rows
}
