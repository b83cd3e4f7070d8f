package countermark_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

var documents = []string{"BENCHMARKS.md", "CHANGELOG.md", "CONTRIBUTING.md", "DEPENDENCIES.md", "README.md", "SECURITY.md"}

func TestDocuments_LinksAndPathsExist(t *testing.T) {
	t.Parallel()
	names, err := fileNames()
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range documents {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, link := range links(string(text)) {
			if !linkExists(document, link) {
				t.Errorf("%s: links to %s, which does not exist", document, link)
			}
		}
		for _, file := range paths(string(text)) {
			if !pathExists(file, names) {
				t.Errorf("%s: names %s, which does not exist", document, file)
			}
		}
	}
}

func TestDocuments_WhatCountsAsALinkOrAPath(t *testing.T) {
	t.Parallel()
	text := "See [the rules](CONTRIBUTING.md#the-rules), [it](https://a.example/x.md), `go.mod`, `internal/jose`, `jwks.New`, `POST /token`,\n" +
		"`application/at+jwt`, `../beside`, `" + module + "/internal/fetch`, `*_test.go` and\n\n[here]: doc.go\n\n```sh\ngo test ./internal/... # internal/none\ngo run -C internal ./jose\ncp a/b.go c\n```\n"
	if got, want := strings.Join(links(text), " "), "CONTRIBUTING.md#the-rules doc.go"; got != want {
		t.Errorf("links are %q, want %q", got, want)
	}
	if got, want := strings.Join(paths(text), " "), "go.mod internal/jose internal/fetch *_test.go internal internal/jose"; got != want {
		t.Errorf("paths are %q, want %q", got, want)
	}
	names, err := fileNames()
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]bool{
		"go.mod": true, "internal/jose": true, "internal/*": true, "*_test.go": true, "rfc7518_test.go": true,
		"none.go": false, "internal/none": false, "internal/none*": false, "none*_test.go": false,
	} {
		if got := pathExists(file, names); got != want {
			t.Errorf("%s exists: %v", file, got)
		}
	}
	for link, want := range map[string]bool{"LICENSE": true, "internal/": true, "none.md": false, "LICENSE#none": false} {
		if got := linkExists("README.md", link); got != want {
			t.Errorf("%s exists: %v", link, got)
		}
	}
	if got := anchor("## `.ci/run`, and *why*: it's all"); got != "cirun-and-why-its-all" {
		t.Error(got)
	}
}

var (
	inlineLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	namedLink  = regexp.MustCompile(`(?m)^\[[^\]]+\]:\s+(\S+)`)
	fence      = regexp.MustCompile("(?ms)^```.*?^```$")
	codeSpan   = regexp.MustCompile("`([^`\n]+)`")
)

// links returns the targets of the links that stay in the repository.
func links(document string) []string {
	var targets []string
	document = fence.ReplaceAllString(document, "")
	for _, match := range append(inlineLink.FindAllStringSubmatch(document, -1), namedLink.FindAllStringSubmatch(document, -1)...) {
		if !strings.Contains(match[1], ":") {
			targets = append(targets, match[1])
		}
	}
	return targets
}

func linkExists(from, link string) bool {
	file, fragment, _ := strings.Cut(link, "#")
	if file == "" {
		file = from
	}
	if fragment == "" {
		_, err := os.Stat(file)
		return err == nil
	}
	text, err := os.ReadFile(file)
	heading := func(line string) bool { return strings.HasPrefix(line, "#") && anchor(line) == fragment }
	return err == nil && slices.ContainsFunc(strings.Split(fence.ReplaceAllString(string(text), ""), "\n"), heading)
}

// anchor returns the fragment that GitHub gives a heading.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		default:
			return -1
		}
	}, strings.TrimLeft(heading, "# "))
}

// paths returns what code in the document says of the repository's files: words
// in code spans that look like one, and what starts with "./" in code blocks, seen
// from the folder that -C names before it.
func paths(document string) []string {
	var found []string
	for _, match := range codeSpan.FindAllStringSubmatch(fence.ReplaceAllString(document, ""), -1) {
		for word := range strings.FieldsSeq(match[1]) {
			word = strings.TrimPrefix(word, module+"/")
			first, _, deep := strings.Cut(word, "/")
			_, err := os.Lstat(first)
			if inTree := deep && first != "" && first != ".." && err == nil; inTree || slices.Contains([]string{".go", ".md", ".mod", ".yml"}, path.Ext(word)) {
				found = append(found, clean(word))
			}
		}
	}
	for _, block := range fence.FindAllString(document, -1) {
		for line := range strings.Lines(block) {
			dir, before := "", ""
			for word := range strings.FieldsSeq(line) {
				if before == "-C" {
					dir = word
				}
				if strings.HasPrefix(word, "./") {
					found = append(found, path.Join(dir, clean(word)))
				}
				before = word
			}
		}
	}
	return found
}

// clean turns a pattern of packages into the path that it starts from.
func clean(file string) string { return path.Clean(strings.TrimSuffix(file, "...")) }

// pathExists reports whether some file matches: by its path, or by its name if
// that is all that was said.
func pathExists(file string, names []string) bool {
	if matches, err := filepath.Glob(file); err == nil && len(matches) > 0 {
		return true
	}
	match := func(name string) bool { ok, _ := path.Match(file, name); return ok }
	return !strings.Contains(file, "/") && slices.ContainsFunc(names, match)
}

// fileNames returns the name of each file of the checkout, without its folder.
func fileNames() ([]string, error) {
	var names []string
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && entry.Name() == ".git" {
			return fs.SkipDir
		}
		names = append(names, filepath.Base(file))
		return err
	})
	return names, err
}
