package countermark_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// arrows says, for each package, which public packages of this module it may
// import. What is below internal/ or examples/ shares one entry. Internal packages
// are open to whom Go lets in, and tests may import what they like.
var arrows = map[string][]string{
	".":                        nil,
	"authserver":               nil,
	"authserver/cmd/devissuer": {"authserver"},
	"authserver/storetest":     {"authserver"},
	"examples/":                {"*"},
	"grpcauth":                 {"validator"},
	"internal/":                nil,
	"internal/devissuer":       {"authserver"}, // the command, which has two main functions
	"internal/issuertest":      {"authserver"},
	"internal/rehearsal/soak":  {"grpcauth", "introspection", "jwks", "middleware", "validator"},
	"internal/wire":            {"validator"}, // what the doors share
	"introspection":            nil,
	"jwks":                     nil,
	"middleware":               {"validator"},
	"middleware/echoauth":      {"middleware", "validator"},
	"middleware/echoauth5":     {"middleware", "validator"},
	"validator":                nil,
}

func TestArrows(t *testing.T) {
	t.Parallel()
	for _, problem := range againstArrows(rooms(t)) {
		t.Error(problem)
	}
}

func TestArrows_SeesEveryBreach(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ dir, file, imports, want string }{
		"the core imports keys":         {"validator", "a.go", "jwks", "validator must not import jwks"},
		"keys import the core":          {"jwks", "a.go", "validator", "jwks must not import validator"},
		"the issuer's suite in its API": {"authserver", "a.go", "authserver/storetest", "authserver must not import authserver/storetest"},
		"internal imports public":       {"internal/jose", "a.go", "jwks", "internal/jose must not import jwks"},
		"code imports an example":       {"middleware", "a.go", "examples/quickstart", "middleware must not import examples/quickstart"},
		"a new room":                    {"novel", "a.go", "internal/jose", "novel: a new room: say in arrows_test.go what it may import"},
		"what doors share is no door":   {"internal/wire", "a.go", "middleware", "internal/wire must not import middleware"},
		"an allowed arrow":              {"middleware", "a.go", "validator", ""},
		"an internal package":           {"validator", "a.go", "internal/jose", ""},
		"an example":                    {"examples/http", "a.go", "jwks", ""},
		"a test":                        {"validator", "a_test.go", "jwks", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, row.file, fmt.Sprintf("package p\nimport %q\n", module+"/"+row.imports), 0)
			if err != nil {
				t.Fatal(err)
			}
			p := &pkg{dir: row.dir, name: "p", files: map[string]*ast.File{row.file: file}}
			if got := strings.Join(againstArrows([]*pkg{p}), "\n"); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

func againstArrows(packages []*pkg) []string {
	var problems []string
	for _, p := range packages {
		may, known := arrows[p.room()]
		if !known {
			problems = append(problems, p.dir+": a new room: say in arrows_test.go what it may import")
			continue
		}
		for _, file := range p.sources() {
			for _, spec := range file.Imports {
				imported, _ := strconv.Unquote(spec.Path.Value)
				target, ours := strings.CutPrefix(imported, module+"/")
				if !ours || (&pkg{dir: target}).internal() || slices.Contains(may, target) || slices.Contains(may, "*") {
					continue
				}
				problems = append(problems, fmt.Sprintf("%s must not import %s", p.dir, target))
			}
		}
	}
	return problems
}

func (p *pkg) room() string {
	switch {
	case arrows[p.dir] != nil:
		return p.dir
	case p.within("internal"):
		return "internal/"
	case p.within("examples"):
		return "examples/"
	default:
		return p.dir
	}
}
