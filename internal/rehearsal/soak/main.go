// Soak has an API judge mixed traffic while its issuer rotates its keys and breaks in
// every way that package rehearsal knows, and looks whether anything grows:
//
//	go run -race ./internal/rehearsal/soak           # ten minutes
//	go run -race ./internal/rehearsal/soak -for 2m
//
// It fails if a good token with a known key was refused or a bad one let in, if the
// heap is not flat (its end at most 1.25 times what it was after warming up, and 2
// MiB), or if a goroutine or connection is left.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func run(args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(progress)
	lasts := flags.Duration("for", 10*time.Minute, "how long to go on, warming up included")
	rate := flags.Int("rate", 500, "visits a second")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if *lasts <= 0 || *rate <= 0 {
		return errors.New("-for and -rate must be more than 0")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	report, err := soak(ctx, planFor(*lasts, *rate), progress)
	if err != nil {
		return err
	}
	report.print(out)
	return report.verdict()
}

// A plan is when what happens.
type plan struct {
	lasts   time.Duration
	rate    int           // visits a second
	calm    time.Duration // between two outages, and as long as one
	rotates time.Duration // between two rotations
	look    time.Duration // between two samples; the first ends the warming up
}

func planFor(lasts time.Duration, rate int) plan {
	return plan{
		lasts: lasts, rate: rate, calm: min(4*time.Second, lasts/8), rotates: min(7*time.Second, lasts/6),
		look: min(30*time.Second, lasts/4),
	}
}
