// Benchmarks measures what deciding about an access token costs: beside the bare
// signature, which nobody can do without, and beside other libraries, with the
// same tokens and the same keys, in one run.
//
//	go run -C internal/benchmarks .         # some minutes; writes BENCHMARKS.md and benchmarks.svg at the root
//	go run -C internal/benchmarks . -short  # half a minute, for CI
//
// It fails if a library refuses the good token, or takes one that all must refuse;
// it does not fail for a time that is too long.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1)
	}
}

func run(args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("benchmarks", flag.ContinueOnError)
	flags.SetOutput(progress)
	short := flags.Bool("short", false, "measure for a moment only: for CI, where figures do not count")
	folder := flags.String("out", filepath.Join("..", ".."), "the `folder` for BENCHMARKS.md and benchmarks.svg")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	how := effort{rounds: 7, laps: 8, batch: 12 * time.Millisecond, windows: 7, window: 300 * time.Millisecond}
	if *short {
		how = effort{rounds: 5, laps: 1, batch: 2 * time.Millisecond, windows: 5, window: 40 * time.Millisecond}
	}
	b := &bench{effort: how, log: newLog(progress), report: &report{date: time.Now(), short: *short}, taken: map[string]int{}}
	if err := b.measure(ctx); err != nil {
		return err
	}
	if err := b.report.writeTables(out); err != nil {
		return err
	}
	return b.report.save(*folder)
}

// A bench is one run of the program.
type bench struct {
	effort
	log    *log
	report *report
	issuer *issuer
	taken  map[string]int // flawed tokens that a library took, by its name
}

// race runs a race whose second contender is the reference once more.
func (b *bench) race(ctx context.Context, r *race, how effort) ([]result, error) {
	results, err := r.run(ctx, how)
	if err == nil {
		b.report.noise = append(b.report.noise, results[1].toFirst.median)
	}
	return results, err
}

// measure runs every section, in the order of the report.
func (b *bench) measure(ctx context.Context) error {
	var err error
	if b.issuer, err = startIssuer(ctx); err != nil {
		return err
	}
	defer b.issuer.stop()
	for _, section := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"what each library refuses", b.verdicts},
		{"validation", b.validation},
		{"DPoP", b.dpop},
		{"memory of a remembered token", b.memory},
		{"scaling", b.scaling},
		{"size of the key set", b.keySets},
		{"refresh under load", b.refresh},
		{"throughput over loopback", b.doors},
		{"issuance", b.issuance},
		{"profile of the cold path", b.profile},
	} {
		if err := ctx.Err(); err != nil {
			return err
		}
		b.log.section(section.name)
		if err := section.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", section.name, err)
		}
	}
	b.log.section("done")
	return nil
}
