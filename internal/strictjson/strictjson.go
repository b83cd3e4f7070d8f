// Package strictjson reads JSON that came from somebody else.
//
// encoding/json is lenient where leniency confuses: it takes the last of two
// members with one name, matches names without regard to case, and repairs
// invalid UTF-8. Two parties that read one document differently disagree about
// who signed what, so this package refuses such documents (RFC 8725 section 2.4,
// RFC 8259 section 4, RFC 7515 section 4).
//
// A document is one object, in UTF-8, with nothing after it. Members of one
// object differ from each other even under Unicode simple case folding, and
// nesting is at most [MaxDepth] deep. The caller bounds the size.
package strictjson

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// MaxDepth is how deep objects and arrays may nest.
const MaxDepth = 32

// Object checks that data is one strict JSON object and calls member for each of
// its members in order, with the name unescaped. The value, and the name as a rule,
// alias data: copy what outlives it. An error of
// member ends the reading and is returned as it is.
//
// Members are reported while the rest is still unread: what member was given
// counts only when Object returns nil.
func Object(data []byte, member func(name []byte, v Value) error) error {
	if !utf8.Valid(data) {
		return errors.New("JSON: not UTF-8")
	}
	var refs [48]nameRef                                  // on the stack: most objects are small
	s := scanner{data: slices.Clip(data), member: member} // TextOf counts on the capacity
	s.space()
	if s.pos == len(data) || data[s.pos] != '{' {
		return errors.New("JSON: not an object")
	}
	if err := s.object(1, refs[:0]); err != nil {
		return err
	}
	s.space()
	if s.pos != len(data) {
		return s.errorf("bytes after the object")
	}
	return nil
}

type scanner struct {
	data   []byte
	pos    int
	member func([]byte, Value) error
}

// nameRef finds a name again: where its text stands in data, quotes excluded,
// and a hash that names equal under folding share.
type nameRef struct {
	start, end int
	hash       uint32
}

func (s *scanner) errorf(format string, args ...any) error {
	return fmt.Errorf("JSON: "+format+" at offset %d", append(args, s.pos)...)
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// object reads an object whose brace is next; depth is its own, from 1. Its
// names go to names, and the spare capacity behind them to the objects within:
// a parameter and no field, so that the first of them stays on the stack.
func (s *scanner) object(depth int, names []nameRef) error {
	var many map[string]struct{} // takes over when an object has very many members
	s.pos++
	for first := true; ; first = false {
		s.space()
		if s.pos == len(s.data) {
			return s.errorf("unfinished object")
		}
		if s.data[s.pos] == '}' && first {
			s.pos++
			return nil
		}
		name, known, err := s.memberName(names, &many)
		if err != nil {
			return err
		}
		names = known
		s.space()
		if s.pos == len(s.data) || s.data[s.pos] != ':' {
			return s.errorf("a member without a value")
		}
		s.pos++
		s.space()
		start := s.pos
		if err := s.value(depth, names[len(names):]); err != nil {
			return err
		}
		if depth == 1 && s.member != nil {
			if err := s.member(name, s.data[start:s.pos]); err != nil {
				return err
			}
		}
		s.space()
		if s.pos == len(s.data) {
			return s.errorf("unfinished object")
		}
		switch s.data[s.pos] {
		case ',':
			s.pos++
		case '}':
			s.pos++
			return nil
		default:
			return s.errorf("unexpected character")
		}
	}
}

// memberName reads a name and refuses one that the object already has. It
// returns the name and the object's names with it.
func (s *scanner) memberName(names []nameRef, many *map[string]struct{}) ([]byte, []nameRef, error) {
	at := s.pos
	if s.data[at] != '"' {
		return nil, nil, s.errorf("expected a member name")
	}
	escaped, err := s.text()
	if err != nil {
		return nil, nil, err
	}
	ref := nameRef{start: at + 1, end: s.pos - 1}
	name := s.data[ref.start:ref.end]
	if escaped {
		name = unescape(name)
	}
	if len(names) >= 32 && *many == nil {
		*many = make(map[string]struct{})
		for _, r := range names {
			(*many)[fold(s.unescaped(r))] = struct{}{}
		}
	}
	if *many != nil {
		key := fold(name)
		if _, dup := (*many)[key]; dup {
			return nil, nil, s.errorf("a second member of one name")
		}
		(*many)[key] = struct{}{}
		return name, names, nil
	}
	ref.hash = foldHash(name)
	for _, r := range names {
		if r.hash == ref.hash && bytes.EqualFold(s.unescaped(r), name) {
			return nil, nil, s.errorf("a second member of one name")
		}
	}
	return name, append(names, ref), nil
}

func (s *scanner) unescaped(r nameRef) []byte {
	name := s.data[r.start:r.end]
	if bytes.IndexByte(name, '\\') < 0 {
		return name
	}
	return unescape(name)
}

// value reads any value; depth is that of the object or array around it.
func (s *scanner) value(depth int, names []nameRef) error {
	if s.pos == len(s.data) {
		return s.errorf("a member without a value")
	}
	switch c := s.data[s.pos]; c {
	case '"':
		_, err := s.text()
		return err
	case '{', '[':
		if depth++; depth > MaxDepth {
			return s.errorf("nested deeper than %d", MaxDepth)
		}
		if c == '{' {
			return s.object(depth, names)
		}
		return s.array(depth, names)
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	default:
		return s.number()
	}
}

func (s *scanner) array(depth int, names []nameRef) error {
	s.pos++
	for first := true; ; first = false {
		s.space()
		if s.pos == len(s.data) {
			return s.errorf("unfinished array")
		}
		if s.data[s.pos] == ']' && first {
			s.pos++
			return nil
		}
		if err := s.value(depth, names); err != nil {
			return err
		}
		s.space()
		if s.pos == len(s.data) {
			return s.errorf("unfinished array")
		}
		switch s.data[s.pos] {
		case ',':
			s.pos++
		case ']':
			s.pos++
			return nil
		default:
			return s.errorf("unexpected character")
		}
	}
}

func (s *scanner) literal(word string) error {
	if end := s.pos + len(word); end <= len(s.data) && string(s.data[s.pos:end]) == word {
		s.pos = end
		return nil
	}
	return s.errorf("unexpected character")
}

// number reads by the grammar of RFC 8259 section 6.
func (s *scanner) number() error {
	if s.pos < len(s.data) && s.data[s.pos] == '-' {
		s.pos++
	}
	switch {
	case s.pos < len(s.data) && s.data[s.pos] == '0':
		s.pos++
	case !s.digits():
		return s.errorf("unexpected character")
	}
	if s.pos < len(s.data) && s.data[s.pos] == '.' {
		s.pos++
		if !s.digits() {
			return s.errorf("a number without its fraction")
		}
	}
	if s.pos < len(s.data) && (s.data[s.pos] == 'e' || s.data[s.pos] == 'E') {
		s.pos++
		if s.pos < len(s.data) && (s.data[s.pos] == '+' || s.data[s.pos] == '-') {
			s.pos++
		}
		if !s.digits() {
			return s.errorf("a number without its exponent")
		}
	}
	return nil
}

func (s *scanner) digits() bool {
	start := s.pos
	for s.pos < len(s.data) && s.data[s.pos]-'0' <= 9 {
		s.pos++
	}
	return s.pos > start
}
