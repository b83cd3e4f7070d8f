package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTable_IsMarkdown(t *testing.T) {
	t.Parallel()
	got := table([]string{"", "a|b"}, [][]string{{"x", "1"}, {"y", "2"}})
	want := "|  | a\\|b |\n|---|---|\n| x | 1 |\n| y | 2 |\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := table(nil, nil); got != "" {
		t.Errorf("without a head: %q", got)
	}
}

func TestFigure_HasThreeDigits(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0: "0", 0.0123: "0.012", 0.512: "0.51", 1.064: "1.06", 9.994: "9.99", 12.34: "12.3", 123.4: "123", -5: "-5.00"} {
		if got := figure(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
	for v, want := range map[float64]string{1.0645: "1.065", 0.0123: "0.012", 2.345: "2.35"} {
		if got := multiple(v); got != want {
			t.Errorf("%v times: %s, want %s", v, got, want)
		}
	}
}

func TestResultTable_ShowsTheReferenceFirst(t *testing.T) {
	t.Parallel()
	_, rows := resultTable([]result{
		{name: "limit", micros: 30, toFirst: spread{1, 1, 1}, allocs: 9},
		{name: "door", micros: 33, toFirst: spread{1.1, 1.09, 1.12}, allocs: -1},
	})
	if got := strings.Join(rows[0], ";"); got != "limit;1;30.0;9" {
		t.Error(got)
	}
	if got := strings.Join(rows[1], ";"); got != "door;1.100 × (1.090 to 1.120);33.0;" {
		t.Error(got)
	}
}

func TestChart_IsWellFormedAndReadAloud(t *testing.T) {
	t.Parallel()
	svg, err := chart("Time & <effort>", []bar{
		{label: "the limit", value: 1, note: "9 allocations"}, {label: "ours & yours", value: 0.016, ours: true}, {label: "theirs", value: 2.13},
	})
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for d := xml.NewDecoder(strings.NewReader(string(svg))); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if start, ok := token.(xml.StartElement); ok {
			counts[start.Name.Local]++
		}
	}
	if counts["title"] != 1 || counts["desc"] != 1 || counts["rect"] != 3 {
		t.Errorf("has %v", counts)
	}
	for _, want := range []string{"prefers-color-scheme: dark", `role="img"`, `aria-labelledby="title desc"`, "theirs 2.13 times", "ours &amp; yours 0.016 times"} {
		if !strings.Contains(string(svg), want) {
			t.Errorf("lacks %q", want)
		}
	}
}

func TestReport_SaysWhatWasMissed(t *testing.T) {
	t.Parallel()
	r := &report{date: time.Date(2026, 11, 21, 20, 0, 0, 0, time.UTC), noise: []float64{0.99, 1.01, 1}, bars: []bar{{label: "a", value: 1}}}
	r.atMost("cold", 1.0612, 1.06, multiples)
	r.atLeast("throughput", 0.97, 0.95, multiples)
	r.add(part{title: "A part", text: "Said before.", head: []string{"h"}, rows: [][]string{{"c"}}, note: "Said after."})
	folder := t.TempDir()
	if err := r.save(folder); err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile(filepath.Join(folder, documentName))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Measured on 2026-11-21: ", "between 0.990 and 1.010 ×**, and 1.000 in the median", "go run -C internal/benchmarks .", "](" + chartName + ")",
		"| cold | at most 1.06 × | 1.061 × | **missed** |\n", "| throughput | at least 0.95 × | 0.970 × | met |\n",
		"## A part\n\nSaid before.\n\n| h |\n|---|\n| c |\n\nSaid after.\n",
	} {
		if !strings.Contains(string(document), want) {
			t.Errorf("lacks %q in\n%s", want, document)
		}
	}
	if _, err := os.Stat(filepath.Join(folder, chartName)); err != nil {
		t.Error(err)
	}
}
