package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTargets_Exist(t *testing.T) {
	t.Parallel()
	for _, target := range targets {
		files, err := filepath.Glob(filepath.Join("..", "..", target.pkg, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			found = found || strings.Contains(string(text), "\nfunc "+target.name+"(f *testing.F)")
		}
		if !found {
			t.Errorf("%s does not exist", target)
		}
	}
}

// The seeds of a target reach much, and the same seeds once more nothing new.
func TestReach_CountsWhatIsNew(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds a test: run without -short")
	}
	split := target{"internal/jose", "FuzzSplit"}
	program := filepath.Join(t.TempDir(), "program.test")
	build := command("test", "-c", "-covermode", "count", "-o", program, ".")
	build.Dir = filepath.Join("..", "..", split.pkg)
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	reached := map[string]bool{}
	for round, want := range []bool{true, false} {
		if more, err := split.reach(reached, program, t.TempDir(), "^FuzzSplit$"); more != want || err != nil {
			t.Errorf("round %d: %v, %v", round, more, err)
		}
	}
	if _, err := split.reach(reached, filepath.Join(t.TempDir(), "none"), t.TempDir(), "^FuzzSplit$"); err == nil {
		t.Error("a program that is not there reached something")
	}
}
