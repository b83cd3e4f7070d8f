package countermark_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/countermark/countermark"

// A pkg is one directory of Go files in the checkout.
type pkg struct {
	dir    string // relative to the root, with slashes; "." is the root
	name   string
	nested bool // in a module of its own
	fset   *token.FileSet
	files  map[string]*ast.File // by path relative to the root
}

// packages returns every package of the checkout, in order. Tests share it, and
// nobody changes it. It reads each file in this process, so that the go command
// does not take an earlier result for one about the files of now.
var packages = sync.OnceValues(func() ([]*pkg, error) {
	found := map[string]*pkg{}
	var modules []string // the roots of nested modules; a walk meets them before their packages
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		file = filepath.ToSlash(file)
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			if name := entry.Name(); name == "testdata" || name != "." && strings.HasPrefix(name, ".") {
				return fs.SkipDir
			}
			if _, err := os.Stat(path.Join(file, "go.mod")); err == nil && file != "." {
				modules = append(modules, file+"/")
			}
			return nil
		case !strings.HasSuffix(file, ".go"):
			return nil
		}
		dir := path.Dir(file)
		p := found[dir]
		if p == nil {
			inside := func(root string) bool { return strings.HasPrefix(file, root) }
			p = &pkg{dir: dir, nested: slices.ContainsFunc(modules, inside), fset: token.NewFileSet(), files: map[string]*ast.File{}}
			found[dir] = p
		}
		parsed, err := parser.ParseFile(p.fset, file, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		p.files[file] = parsed
		p.name = strings.TrimSuffix(parsed.Name.Name, "_test")
		return nil
	})
	sorted := slices.SortedFunc(maps.Values(found), func(a, b *pkg) int { return strings.Compare(a.dir, b.dir) })
	return sorted, err
})

// rooms returns the packages of the root module.
func rooms(t *testing.T) []*pkg {
	t.Helper()
	all, err := packages()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(slices.Clone(all), func(p *pkg) bool { return p.nested })
}

// public reports whether other modules can import p and find something in it.
func (p *pkg) public() bool {
	return p.dir != "." && !p.nested && p.name != "main" && !p.internal() && !p.within("examples")
}

func (p *pkg) internal() bool { return strings.Contains("/"+p.dir+"/", "/internal/") }

func (p *pkg) within(dir string) bool { return strings.HasPrefix(p.dir+"/", dir+"/") }

// sources returns the files that are no tests.
func (p *pkg) sources() []*ast.File {
	var files []*ast.File
	for _, file := range slices.Sorted(maps.Keys(p.files)) {
		if !strings.HasSuffix(file, "_test.go") {
			files = append(files, p.files[file])
		}
	}
	return files
}

func TestPackages_HaveAComment(t *testing.T) {
	t.Parallel()
	for _, p := range rooms(t) {
		var comments []string
		for _, file := range p.sources() {
			if text := file.Doc.Text(); text != "" {
				comments = append(comments, text)
			}
		}
		want := "Package " + p.name + " "
		if p.name == "main" {
			want = ""
		}
		if len(p.sources()) > 0 && (len(comments) != 1 || !strings.HasPrefix(comments[0], want)) {
			t.Errorf("%s: has %d package comments; give one file one that starts with %q", p.dir, len(comments), want)
		}
	}
}

// A suite runs inside somebody's test, so its example cannot run by itself.
var suites = []string{"authserver/storetest"}

func TestPackages_HaveARunnableExample(t *testing.T) {
	t.Parallel()
	for _, p := range rooms(t) {
		if !p.public() || slices.Contains(suites, p.dir) {
			continue
		}
		runnable := func(e *doc.Example) bool { return e.Output != "" }
		if !slices.ContainsFunc(doc.Examples(slices.Collect(maps.Values(p.files))...), runnable) {
			t.Errorf("%s: no Example with an Output comment; write one in %s/example_test.go", p.dir, p.dir)
		}
	}
}

func TestPackages_AreOnTheMap(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range rooms(t) {
		command := p.name == "main" && !p.internal() && !p.within("examples")
		if link := "[" + path.Join(module, p.dir) + "]"; (p.public() || command) && !strings.Contains(string(text), link) {
			t.Errorf("doc.go: does not name %s", link)
		}
	}
}

func TestFiles_AreShort(t *testing.T) {
	t.Parallel()
	const code, test = 300, 500
	all, err := packages()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		for file, parsed := range p.files {
			limit := code
			if strings.HasSuffix(file, "_test.go") {
				limit = test
			}
			if n := p.fset.File(parsed.Pos()).LineCount(); n > limit && !ast.IsGenerated(parsed) {
				t.Errorf("%s: has %d lines, %d at most; one concept a file", file, n, limit)
			}
		}
	}
}
