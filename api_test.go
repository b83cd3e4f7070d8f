package countermark_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files and the README's snippets")

const howToUpdate = "if that is meant: go test -run 'TestAPI|TestREADME' -update . and read the diff"

// The public API is what `go doc -all` prints of each public package. A change
// of it is a change of its golden file, for everybody to see.
func TestAPI(t *testing.T) {
	t.Parallel()
	const folder = "testdata/api"
	var golden []string
	for _, p := range rooms(t) {
		if !p.public() {
			continue
		}
		file := filepath.Join(folder, strings.ReplaceAll(p.dir, "/", "_")+".txt")
		golden = append(golden, file)
		t.Run(p.dir, func(t *testing.T) {
			t.Parallel()
			got, err := exec.CommandContext(t.Context(), "go", "doc", "-all", "./"+p.dir).Output()
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				write(t, file, string(got))
				return
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v; %s", err, howToUpdate)
			}
			if string(want) != string(got) {
				t.Errorf("the API differs from %s:\n%s\n%s", file, difference(string(want), string(got)), howToUpdate)
			}
		})
	}
	kept, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range kept {
		if !slices.Contains(golden, file) {
			t.Errorf("%s: no such public package; remove the file", file)
		}
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// difference returns the lines that only one of two texts has, in their order.
func difference(want, got string) string {
	var lines []string
	only := func(mark, of, other string) {
		count := map[string]int{}
		for line := range strings.Lines(other) {
			count[line]++
		}
		for line := range strings.Lines(of) {
			if count[line]--; count[line] < 0 {
				lines = append(lines, mark+strings.TrimRight(line, "\n"))
			}
		}
	}
	only("- ", want, got)
	only("+ ", got, want)
	if lines == nil {
		return "the same lines in another order"
	}
	return strings.Join(lines, "\n")
}
