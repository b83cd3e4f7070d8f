// Command corpora fuzzes for long what reads input from strangers, and keeps what it
// found: of all inputs those that between them reach every statement that any did, as
// often. They become seeds, in testdata/fuzz beside each target, for every run of the tests.
//
//	go run ./internal/corpora            # an hour for each target, two at a time
//	go run ./internal/corpora -for 0     # only keep what earlier runs found
//	go run ./internal/corpora -only FuzzSplit
//
// It is run at the root of the repository, and fails if a target does. A target has
// one worker, so that its time is that of one processor at most.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// targets are one or more for each thing that reads what a stranger wrote. The other
// fuzz targets of the module are run by .ci/run alone.
var targets = []target{
	{"internal/strictjson", "FuzzUnmarshal_AgreesWithEncodingJSON"},
	{"internal/jose", "FuzzSplit"},
	{"internal/jwkset", "FuzzParse_KeysAreThoseOfTheSet"},
	{"internal/wire", "FuzzChallenges_AreReadAsTheyWereMeant"},
	{"internal/authheader", "FuzzRead"},
	{"middleware", "FuzzCredentials"},
	{"internal/dpop", "FuzzCheck_MutatedProofNeverPasses"},
	{"validator", "FuzzProof"},
	{"validator", "FuzzValidate_MutatedTokenIsNeverAccepted"},
	{"introspection", "FuzzAnswer_AgreesWithEncodingJSON"},
	{"authserver", "FuzzTokenForm"},
	{"internal/devissuer", "FuzzParse"},
}

type target struct{ pkg, name string }

func (t target) String() string { return t.pkg + " " + t.name }

func main() {
	duration := flag.Duration("for", time.Hour, "how long each target is fuzzed")
	at := flag.Int("at", 2, "how many targets are fuzzed at a time")
	only := flag.String("only", "", "the targets whose name begins with this")
	flag.Parse()
	if err := run(*duration, max(*at, 1), *only); err != nil {
		fmt.Fprintln(os.Stderr, "corpora:", err)
		os.Exit(1)
	}
}

func run(duration time.Duration, at int, only string) error {
	slots := make(chan struct{}, at)
	failures := make([]error, len(targets))
	var all sync.WaitGroup
	for i, t := range targets {
		if !strings.HasPrefix(t.name, only) {
			continue
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			if duration > 0 {
				failures[i] = t.fuzz(duration)
			}
			if failures[i] == nil {
				failures[i] = t.keep()
			}
		})
	}
	all.Wait()
	return errors.Join(failures...)
}

// fuzz prints the last of what go test says of itself.
func (t target) fuzz(duration time.Duration) error {
	start := time.Now()
	c := command("test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", duration.String(),
		"-fuzzminimizetime", "20x", "-parallel", "1", "-timeout", "0", "./"+t.pkg)
	c.Env = append(os.Environ(), "GOMAXPROCS=1")
	output, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", t, err, output)
	}
	last := ""
	for line := range strings.Lines(string(output)) {
		if strings.HasPrefix(line, "fuzz: elapsed") {
			last = strings.TrimSpace(line)
		}
	}
	used := (c.ProcessState.UserTime() + c.ProcessState.SystemTime()).Round(time.Second)
	_, err = fmt.Fprintf(os.Stdout, "%s: %s; %v of a processor in %v\n", t, last, used, time.Since(start).Round(time.Second))
	return err
}

func command(args ...string) *exec.Cmd {
	return exec.CommandContext(context.Background(), "go", args...) //nolint:gosec // of this program
}
