// Command licences holds DEPENDENCIES.md to the truth: every module that comes with
// this one, what requires it, and its licence, as the text that the module brings
// says it.
//
//	go run ./internal/licences          # fails if the file says something else
//	go run ./internal/licences -update  # rewrites it
//
// It is run at the root of the repository, and downloads what is not there yet.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const document = "DEPENDENCIES.md"

// parts are the modules of this repository that others build: the directory of each,
// and what the document says above its table.
var parts = []struct{ dir, text string }{
	{".", "## The module\n"},
	{"contrib/sql", "## contrib/sql\n\nBeside those above.\n"},
}

func main() {
	update := flag.Bool("update", false, "rewrite "+document)
	flag.Parse()
	if err := run(*update); err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

func run(update bool) error {
	var text bytes.Buffer
	text.WriteString(`# Dependencies

Every module that comes with this one, what requires it, and its licence.
The [README](README.md#what-it-is-made-of) says what the direct ones are for. ` +
		"`go run ./internal/licences`" + `
reads the licences and fails if this file says something else; ` + "`-update`" + ` rewrites it.
`)
	listed := map[string]bool{}
	for _, part := range parts {
		modules, err := requirements(part.dir)
		if err != nil {
			return fmt.Errorf("%s: %w", part.dir, err)
		}
		modules = slices.DeleteFunc(modules, func(m module) bool { return listed[m.Path] })
		for _, m := range modules {
			listed[m.Path] = true
		}
		fmt.Fprintf(&text, "\n%s\n", part.text)
		rows, err := table(modules)
		if err != nil {
			return err
		}
		text.WriteString(rows)
	}
	if update {
		return os.WriteFile(document, text.Bytes(), 0o644) //nolint:gosec // for everybody to read
	}
	switch was, err := os.ReadFile(document); {
	case err != nil:
		return err
	case !bytes.Equal(was, text.Bytes()):
		return fmt.Errorf("%s is not what the modules say: go run ./internal/licences -update, and read the difference", document)
	}
	return nil
}

func table(modules []module) (string, error) {
	rows := []string{"| module | licence | required by |\n|---|---|---|\n"}
	for _, m := range modules {
		licence, err := licenceIn(m.Dir)
		if err != nil {
			return "", fmt.Errorf("%s: %w", m.Path, err)
		}
		by := "this one"
		if m.indirect {
			by = strings.Join(m.by, ", ")
		}
		rows = append(rows, fmt.Sprintf("| %s | %s | %s |\n", m.Path, licence, by))
	}
	return strings.Join(rows, ""), nil
}

// licenceIn returns the SPDX identifiers of the licences in a module's directory.
func licenceIn(dir string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "LICEN[CS]E*"))
	if err != nil {
		return "", err
	}
	var found []string
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // of a module, where the go command says it is
		if err != nil {
			return "", err
		}
		found = append(found, classify(string(text))...)
	}
	if len(found) == 0 {
		return "", fmt.Errorf("no licence that is known in %d files", len(files))
	}
	slices.Sort(found)
	return strings.Join(slices.Compact(found), ", "), nil
}
