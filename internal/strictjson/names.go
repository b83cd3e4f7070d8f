package strictjson

import (
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const fewNames = 32

var errDuplicate = errors.New("a second member of one name")

// A nameSet is the names of one object. Names that are equal under simple folding
// count as one. It is a value, so that few may stay on a stack.
type nameSet struct {
	few  []string            // compared one by one: all are ASCII, where what is equal is equally long
	seen uint64              // the marks of few, so that most need not be compared
	many map[string]struct{} // folded; takes over when they are many, or one is not ASCII
}

// differs reports whether, by its mark, an ASCII name is new, and one of few.
func (n nameSet) differs(mark uint64) bool {
	return n.seen&mark == 0 && n.many == nil && len(n.few) < fewNames
}

// with returns the set with name in it, which must be new there.
func (n nameSet) with(name string, mark uint64, ascii bool) (nameSet, error) {
	if ascii && n.many == nil && len(n.few) < fewNames {
		if slices.ContainsFunc(n.few, func(known string) bool {
			return len(known) == len(name) && strings.EqualFold(known, name)
		}) {
			return n, errDuplicate
		}
		n.few = append(n.few, name)
		n.seen |= mark
		return n, nil
	}
	if n.many == nil {
		n.many = make(map[string]struct{})
		for _, known := range n.few {
			n.many[fold(known)] = struct{}{}
		}
	}
	key := fold(name)
	if _, known := n.many[key]; known {
		return n, errDuplicate
	}
	n.many[key] = struct{}{}
	return n, nil
}

// mark is one of 64 bits, the same for ASCII names that are equal but for case. The
// factors keep the common claims of access tokens apart.
func mark(name string) uint64 {
	if name == "" {
		return 1
	}
	const lower = 'a' - 'A'
	return 1 << ((len(name) + int(name[0]|lower)*49 + int(name[len(name)-1]|lower)*7) % 64)
}

// fold returns name with every rune replaced by the smallest of its orbit under
// simple folding.
func fold(name string) string {
	out := make([]byte, 0, len(name))
	for _, r := range name {
		for {
			next := unicode.SimpleFold(r)
			if next <= r {
				r = next
				break
			}
			r = next
		}
		out = utf8.AppendRune(out, r)
	}
	return string(out)
}
