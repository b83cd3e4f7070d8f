package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// A module is one of a go.mod's requirements.
type module struct {
	Path, Dir, Error string

	indirect bool
	by       []string // the direct requirements that lead to it
}

// requirements returns what the go.mod of a directory requires and does not replace,
// in the order of their names.
func requirements(dir string) ([]module, error) {
	text, err := command(dir, "mod", "edit", "-json")
	if err != nil {
		return nil, err
	}
	var file struct {
		Require []struct {
			Path     string
			Indirect bool
		}
		Replace []struct{ Old struct{ Path string } }
	}
	if err := json.Unmarshal(text, &file); err != nil { //nolint:forbidigo,musttag // from the go command, in its names
		return nil, err
	}
	indirect := map[string]bool{}
	for _, r := range file.Require {
		indirect[r.Path] = r.Indirect
	}
	for _, r := range file.Replace {
		delete(indirect, r.Old.Path)
	}
	edges, err := graph(dir)
	if err != nil {
		return nil, err
	}
	downloaded, err := command(dir, "mod", "download", "-json")
	if err != nil {
		return nil, err
	}
	var modules []module
	for decoder := json.NewDecoder(bytes.NewReader(downloaded)); ; { //nolint:forbidigo // from the go command
		var m module
		switch err := decoder.Decode(&m); { //nolint:musttag // in its names
		case errors.Is(err, io.EOF):
			slices.SortFunc(modules, func(a, b module) int { return strings.Compare(a.Path, b.Path) })
			return modules, nil
		case err != nil:
			return nil, err
		}
		isIndirect, required := indirect[m.Path]
		if !required {
			continue
		}
		if m.Error != "" {
			return nil, fmt.Errorf("%s: %s", m.Path, m.Error)
		}
		if m.indirect = isIndirect; isIndirect {
			for path, other := range indirect {
				if !other && leads(edges, indirect, path, m.Path, map[string]bool{}) {
					m.by = append(m.by, path)
				}
			}
			slices.Sort(m.by)
		}
		modules = append(modules, m)
	}
}

// graph returns, by module, the modules that it requires.
func graph(dir string) (map[string][]string, error) {
	text, err := command(dir, "mod", "graph")
	if err != nil {
		return nil, err
	}
	edges := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		from, to, _ := strings.Cut(strings.TrimSpace(line), " ")
		from, _, _ = strings.Cut(from, "@")
		to, _, _ = strings.Cut(to, "@")
		edges[from] = append(edges[from], to)
	}
	return edges, nil
}

// leads reports whether from requires to, by itself or through indirect ones.
func leads(edges map[string][]string, indirect map[string]bool, from, to string, seen map[string]bool) bool {
	if seen[from] {
		return false
	}
	seen[from] = true
	return slices.ContainsFunc(edges[from], func(next string) bool {
		return next == to || indirect[next] && leads(edges, indirect, next, to, seen)
	})
}

func command(dir string, args ...string) ([]byte, error) {
	c := exec.CommandContext(context.Background(), "go", args...) //nolint:gosec // of this file
	c.Dir, c.Stderr = dir, os.Stderr
	return c.Output()
}
