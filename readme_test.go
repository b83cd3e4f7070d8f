package countermark_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

// Go code in a document is a part of a file that the tests compile, so that it
// cannot grow old. In the document a comment names the file and the part,
//
//	<!-- snippet: examples/http/main.go#guard -->
//
// right above the code; in the file the part stands between two comments,
// "// snippet:guard" and "// end snippet".
func TestREADME_SnippetsAreCodeThatCompiles(t *testing.T) {
	t.Parallel()
	for _, document := range documents {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Error(err)
			continue
		}
		want, err := withSnippets(os.DirFS("."), string(text))
		switch {
		case err != nil:
			t.Errorf("%s: %v", document, err)
		case want == string(text):
		case *update:
			write(t, document, want)
		default:
			t.Errorf("%s: a snippet differs from its file:\n%s\n%s", document, difference(want, string(text)), howToUpdate)
		}
	}
}

func TestREADME_SnippetsThatAreRefused(t *testing.T) {
	t.Parallel()
	const source = "package p\n\nfunc f() {\n\t// snippet:part\n\tif true {\n\t\tg()\n\t}\n\n\th()\n\t// end snippet\n}\n\n// snippet:open\n"
	const part = "```go\nif true {\n\tg()\n}\n\nh()\n```\n"
	files := fstest.MapFS{"examples/a/main.go": {Data: []byte(source)}, "examples/a/testdata/x.go": {Data: []byte(source)}}
	for name, row := range map[string]struct{ text, want, wantErr string }{
		"no code":             {text: "# A\n\n```sh\nls\n```\n", want: "# A\n\n```sh\nls\n```\n"},
		"as in the file":      {text: "<!-- snippet: examples/a/main.go#part -->\n" + part, want: "<!-- snippet: examples/a/main.go#part -->\n" + part},
		"an empty line":       {text: "<!-- snippet: examples/a/main.go#part -->\n\n" + part, want: "<!-- snippet: examples/a/main.go#part -->\n\n" + part},
		"old code":            {text: "<!-- snippet: examples/a/main.go#part -->\n```go\nold()\n```\n", want: "<!-- snippet: examples/a/main.go#part -->\n" + part},
		"no marker":           {text: "# A\n\n" + part, wantErr: "line 3: Go code without a snippet comment"},
		"a marker elsewhere":  {text: "<!-- snippet: examples/a/main.go#part -->\ntext\n" + part, wantErr: "line 1: a snippet comment without Go code below it"},
		"a marker at the end": {text: "text\n<!-- snippet: examples/a/main.go#part -->\n", wantErr: "line 2: a snippet comment without Go code below it"},
		"no such file":        {text: "<!-- snippet: examples/b/main.go#part -->\n" + part, wantErr: "examples/b/main.go"},
		"no such part":        {text: "<!-- snippet: examples/a/main.go#none -->\n" + part, wantErr: "no part none"},
		"a part without end":  {text: "<!-- snippet: examples/a/main.go#open -->\n" + part, wantErr: "no part open"},
		"a file not built":    {text: "<!-- snippet: examples/a/testdata/x.go#part -->\n" + part, wantErr: "no part of the build"},
		"code without end":    {text: "<!-- snippet: examples/a/main.go#part -->\n```go\nold()\n", wantErr: "line 2: code without an end"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := withSnippets(files, row.text)
			if row.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), row.wantErr) {
					t.Errorf("%v, want %q", err, row.wantErr)
				}
				return
			}
			if err != nil || got != row.want {
				t.Errorf("%v, got\n%s\nwant\n%s", err, got, row.want)
			}
		})
	}
}

func TestREADME_SaysWhatEveryRequirementIsFor(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, made, _ := strings.Cut(string(readme), "\n## What it is made of\n")
	for _, file := range []string{"go.mod", "contrib/sql/go.mod"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		for line := range strings.Lines(string(text)) {
			path, ours := strings.CutPrefix(line, "\t")
			path, version, _ := strings.Cut(strings.TrimSpace(path), " ")
			if !ours || strings.Contains(version, "// indirect") || strings.HasPrefix(path, module) {
				continue
			}
			count++
			if !strings.Contains(made, strings.TrimPrefix(path, "github.com/")) {
				t.Errorf("README.md, What it is made of: does not say what %s is for", path)
			}
		}
		if count == 0 {
			t.Errorf("%s requires nothing", file)
		}
	}
}

var snippetComment = regexp.MustCompile(`^<!-- snippet: (\S+\.go)#(\S+) -->$`)

// withSnippets returns the document with the Go code that its comments name.
func withSnippets(files fs.FS, document string) (string, error) {
	var out strings.Builder
	lines := strings.SplitAfter(document, "\n")
	named := -1 // the line of the snippet comment that waits for its code
	for i := 0; i < len(lines); i++ {
		out.WriteString(lines[i])
		switch text := strings.TrimSpace(lines[i]); {
		case text == "":
		case strings.HasPrefix(text, "```go"):
			if named < 0 {
				return "", fmt.Errorf("line %d: Go code without a snippet comment above it", i+1)
			}
			part, err := snippet(files, strings.TrimSpace(lines[named]))
			if err != nil {
				return "", fmt.Errorf("line %d: %w", named+1, err)
			}
			start := i
			i++
			for i < len(lines) && strings.TrimSpace(lines[i]) != "```" {
				i++
			}
			if i == len(lines) {
				return "", fmt.Errorf("line %d: code without an end", start+1)
			}
			out.WriteString(part + lines[i])
			named = -1
		case named >= 0:
			return "", fmt.Errorf("line %d: a snippet comment without Go code below it", named+1)
		case snippetComment.MatchString(text):
			named = i
		}
	}
	if named >= 0 {
		return "", fmt.Errorf("line %d: a snippet comment without Go code below it", named+1)
	}
	return out.String(), nil
}

// snippet returns the part that a snippet comment names, moved to the left margin.
func snippet(files fs.FS, comment string) (string, error) {
	match := snippetComment.FindStringSubmatch(comment)
	file, name := match[1], match[2]
	if strings.Contains(file, "testdata/") {
		return "", errors.New(file + " is no part of the build")
	}
	source, err := fs.ReadFile(files, file)
	if err != nil {
		return "", err
	}
	var part strings.Builder
	inside, indent := false, ""
	for line := range strings.Lines(string(source)) {
		switch strings.TrimSpace(line) {
		case "// snippet:" + name:
			inside = true
			indent, _, _ = strings.Cut(line, "//")
		case "// end snippet":
			if inside {
				return part.String(), nil
			}
		default:
			if inside {
				part.WriteString(strings.TrimPrefix(line, indent))
			}
		}
	}
	return "", fmt.Errorf("%s has no part %s, from \"// snippet:%s\" to \"// end snippet\"", file, name, name)
}
