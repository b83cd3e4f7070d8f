package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const module = "github.com/countermark/countermark"

// An input is one that the fuzzer found new coverage with.
type input struct {
	file  string
	value []byte
}

// keep copies those of the fuzzer's inputs to testdata that reach a statement which
// the seeds and shorter inputs do not reach, or not as often.
func (t target) keep() error {
	inputs, err := t.found()
	if err != nil {
		return fmt.Errorf("%s: %w", t, err)
	}
	dir, err := os.MkdirTemp("", "corpora")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // temporary
	program := filepath.Join(dir, "program.test")
	build := command("test", "-c", "-covermode", "count", "-coverpkg", module+"/...", "-o", program, "./"+t.pkg)
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", t, err, output)
	}
	kept := filepath.Join(t.pkg, "testdata", "fuzz", t.name)
	reached := map[string]bool{}
	if _, err := t.reach(reached, program, t.pkg, "^"+t.name+"$"); err != nil {
		return err
	}
	count := 0
	for _, in := range inputs {
		room := filepath.Join(dir, "room")
		place := filepath.Join(room, "testdata", "fuzz", t.name)
		if err := write(place, in); err != nil {
			return err
		}
		more, err := t.reach(reached, program, room, "^"+t.name+"$/^"+in.file+"$")
		if err != nil {
			return err
		}
		if err := os.RemoveAll(room); err != nil {
			return err
		}
		if !more {
			continue
		}
		if err := write(kept, in); err != nil {
			return err
		}
		count++
	}
	_, err = fmt.Fprintf(os.Stdout, "%s: %d of %d inputs kept\n", t, count, len(inputs))
	return err
}

func write(dir string, in input) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // for everybody to read
		return err
	}
	return os.WriteFile(filepath.Join(dir, in.file), in.value, 0o644) //nolint:gosec // as above
}

// found returns what the fuzzer keeps in Go's cache, the shortest first.
func (t target) found() ([]input, error) {
	cache, err := command("env", "GOCACHE").Output()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(strings.TrimSpace(string(cache)), "fuzz", module, t.pkg, t.name)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var inputs []input
	for _, entry := range entries {
		value, err := os.ReadFile(filepath.Join(dir, entry.Name())) //nolint:gosec // of the cache
		if err != nil {
			return nil, err
		}
		inputs = append(inputs, input{entry.Name(), value})
	}
	slices.SortFunc(inputs, func(a, b input) int {
		return cmp.Or(len(a.value)-len(b.value), strings.Compare(a.file, b.file))
	})
	return inputs, nil
}

// reach runs some of a target's seeds and adds to reached the statements that they
// reach, and about how often: a power of two. It reports whether that was new.
func (t target) reach(reached map[string]bool, program, dir, seeds string) (more bool, err error) {
	profile := program + ".cover"
	c := exec.CommandContext(context.Background(), program, "-test.run", seeds, "-test.coverprofile", profile) //nolint:gosec // built above
	c.Dir = dir
	if output, err := c.CombinedOutput(); err != nil {
		return false, fmt.Errorf("%s: %s: %w\n%s", t, seeds, err, output)
	}
	text, err := os.ReadFile(profile) //nolint:gosec // written above
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(string(text)) {
		end := strings.LastIndexByte(line, ' ') + 1
		count, err := strconv.ParseUint(strings.TrimSpace(line[end:]), 10, 64)
		if err != nil || count == 0 {
			continue // the profile's first line, or a statement not reached
		}
		if key := line[:end] + strconv.Itoa(bits.Len64(count)); !reached[key] {
			reached[key], more = true, true
		}
	}
	return more, nil
}
