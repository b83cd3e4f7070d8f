package main

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
)

// The program for a moment: that nothing grows takes longer to see.
func TestRun_JudgesRightlyAndLeavesNoGoroutine(t *testing.T) {
	var out bytes.Buffer
	if err := run([]string{"-for", "2s", "-rate", "200"}, &out, io.Discard); err != nil {
		t.Error(err)
	}
	t.Log("\n" + out.String())
	for _, row := range []string{"requests", "wrong verdicts", "heap", "goroutines", "connections", "rotations", "outages"} {
		if !strings.Contains(out.String(), "\n"+row) && !strings.HasPrefix(out.String(), row) {
			t.Errorf("no row %q", row)
		}
	}
}

func TestVerdict_SeesWhatGrew(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	flat := []sample{{heap: 8 * mib, goroutines: 20}, {heap: 12 * mib, goroutines: 20}}
	for name, row := range map[string]struct {
		edit func(*report)
		want string
	}{
		"nothing":                  {func(*report) {}, ""},
		"the heap":                 {func(r *report) { r.samples[1].heap++ }, "the heap grew"},
		"the heap for a while":     {func(r *report) { r.samples = slices.Insert(r.samples, 1, sample{heap: 20 * mib}) }, ""},
		"goroutines":               {func(r *report) { r.samples[1].goroutines++ }, "21 goroutines"},
		"connections":              {func(r *report) { r.samples[1].connections++ }, "1 connections"},
		"goroutines after all":     {func(r *report) { r.after = 4 }, "left: 1 goroutines"},
		"connections after all":    {func(r *report) { r.left = 1 }, "1 connections"},
		"a wrong verdict":          {func(r *report) { r.wrongVerdict("known: 401") }, "1 wrong verdicts"},
		"nothing, as it was short": {func(r *report) { r.samples = r.samples[:1] }, "before there was anything"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &report{samples: slices.Clone(flat), before: 3, after: 3}
			row.edit(r)
			err := r.verdict()
			if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
				t.Errorf("%v, want %q", err, row.want)
			}
		})
	}
}

func TestRun_RefusesFlags(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-for", "0s"}, {"-rate", "0"}, {"-rate", "-1"}, {"-unknown"}} {
		if err := run(args, io.Discard, io.Discard); err == nil {
			t.Errorf("%q: accepted", args)
		}
	}
	if err := run([]string{"-h"}, io.Discard, io.Discard); err != nil {
		t.Error(err)
	}
}
