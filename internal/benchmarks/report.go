package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// multiples is the unit of ratios.
const multiples = " ×"

const (
	documentName = "BENCHMARKS.md"
	chartName    = "benchmarks.svg"
)

// A part of the report is a table with what has to be said about it.
type part struct {
	title string
	text  string // Markdown, before the table
	head  []string
	rows  [][]string
	note  string // Markdown, after the table
}

// An aim is a figure that the library is held to.
type aim struct {
	what  string
	bound string // as people read it
	found string
	met   bool
}

// A report collects what was measured.
type report struct {
	date  time.Time
	short bool
	parts []part
	aims  []aim
	noise []float64 // the reference of each race, to itself
	bars  []bar     // of the chart
}

func (r *report) add(p part) { r.parts = append(r.parts, p) }

// atMost and atLeast hold a figure against its bound.
func (r *report) atMost(what string, found, bound float64, unit string) {
	r.aim(what, "at most ", found, bound, unit, found <= bound)
}

func (r *report) atLeast(what string, found, bound float64, unit string) {
	r.aim(what, "at least ", found, bound, unit, found >= bound)
}

func (r *report) aim(what, relation string, found, bound float64, unit string, met bool) {
	written := figure(found)
	switch unit {
	case multiples:
		written = multiple(found)
	case "": // a number of things
		written = strconv.FormatFloat(found, 'f', 0, 64)
	}
	r.aims = append(r.aims, aim{what: what, bound: relation + strconv.FormatFloat(bound, 'f', -1, 64) + unit, found: written + unit, met: met})
}

// writeTables writes the tables alone, for a terminal.
func (r *report) writeTables(w io.Writer) error {
	for _, p := range append([]part{r.aimed()}, r.parts...) {
		if _, err := fmt.Fprintf(w, "%s\n\n%s\n", p.title, table(p.head, p.rows)); err != nil {
			return err
		}
	}
	return nil
}

// save writes the document and its chart.
func (r *report) save(folder string) error {
	svg, err := chart("RS256: time to decide about a token, as a multiple of its signature alone", r.bars)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{chartName: svg, documentName: []byte(r.document())} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o644); err != nil { //nolint:gosec // documents, for everybody to read
			return err
		}
	}
	return nil
}

func (r *report) document() string {
	var s strings.Builder
	s.WriteString("# Benchmarks\n\n" +
		"What it costs to decide about an access token: beside its signature alone, which nobody can do without, and beside other libraries.\n" +
		"This page is written by a program. Run it again from a checkout, with nothing else to do for the machine:\n\n" +
		"```sh\ngo run -C internal/benchmarks .\n```\n\n" +
		"![RS256: time to decide about a token, as a multiple of its signature alone](" + chartName + ")\n\n")
	fmt.Fprintf(&s, "Measured on %s: %s.\n", r.date.UTC().Format(time.DateOnly), machine())
	if r.short {
		s.WriteString("**By `-short`, which shows that everything works: its figures do not count.**\n")
	}
	s.WriteString("\nContenders do the same work by turns, in short batches and changing order, and the reference before and after each. " +
		"Garbage is collected when it is due. " +
		"Every ratio is to the reference at the same time; " +
		"given are the median of the rounds and, in brackets, the bounds of their middle half. " +
		"The reference is measured twice: how far the second one is from 1 is the noise, and differences below that say nothing. ")
	if len(r.noise) > 0 {
		fmt.Fprintf(&s, "**In this run it was between %s and %s ×**, and %s in the median. ",
			multiple(slices.Min(r.noise)), multiple(slices.Max(r.noise)), multiple(median(r.noise)))
	}
	s.WriteString("Microseconds are for orientation: they are this machine's.\n\n")
	for _, p := range append([]part{r.aimed()}, r.parts...) {
		fmt.Fprintf(&s, "## %s\n\n", p.title)
		for _, block := range []string{p.text, table(p.head, p.rows), p.note} {
			if block != "" {
				s.WriteString(strings.TrimRight(block, "\n") + "\n\n")
			}
		}
	}
	return strings.TrimRight(s.String(), "\n") + "\n"
}

// aimed is the part on the aims.
func (r *report) aimed() part {
	p := part{title: "The aims", text: "What this library is held to, and what was measured.", head: []string{"", "aim", "measured", ""}}
	for _, a := range r.aims {
		met := "**missed**"
		if a.met {
			met = "met"
		}
		p.rows = append(p.rows, []string{a.what, a.bound, a.found, met})
	}
	p.note = "What remains, where an aim is missed: a lookup among 1,000 keys hashes the `kid`, some 8 ns, " +
		"which a Go map of up to eight entries spares itself. " +
		"Of a guarded request about 1.1 µs are this library's (`go test -run xxx -bench Guard_Remembered ./middleware`); " +
		"the garbage of the copy that net/http wants of a request with another context comes on top. " +
		"Of the cold path of RS256, what is not cryptography is the strict reading of the claims, base64 and three allocations: see the profile."
	return p
}

// machine says what the figures were measured on.
func machine() string {
	model := "a processor without a name"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d cores, %s, %s/%s", model, runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
