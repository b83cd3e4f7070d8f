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
	"errors"
	"fmt"
	"unicode/utf8"
)

// MaxDepth is how deep objects and arrays may nest.
const MaxDepth = 32

// Object checks that doc is one strict JSON object and calls member for each of
// its members in order, with the name unescaped. An error of member ends the
// reading and is returned as it is.
//
// Names and values are parts of doc as a rule, not copies: who keeps one keeps
// doc. Members are reported while the rest is still unread: what member was given
// counts only when Object returns nil.
func Object(doc string, member func(name string, v Value) error) error {
	s := scanner{doc: doc}
	if s.next() != '{' {
		return errors.New("JSON: not an object")
	}
	var names [24]string // on the stack: most objects are small
	if err := s.object(1, names[:0], member); err != nil {
		return err
	}
	if s.next(); s.pos != len(doc) {
		return s.errorf("bytes after the object")
	}
	if s.high != 0 && !utf8.ValidString(doc) {
		return errors.New("JSON: not UTF-8")
	}
	return nil
}

type scanner struct {
	doc  string
	pos  int
	high uint64 // not 0: there was something else than ASCII in a string
}

func (s *scanner) errorf(format string, args ...any) error {
	return fmt.Errorf("JSON: "+format+" at offset %d", append(args, s.pos)...)
}

// next skips white space and returns the byte behind it, which it leaves where it
// is; 0 at the end, which begins nothing.
func (s *scanner) next() byte {
	for s.pos < len(s.doc) {
		c := s.doc[s.pos]
		if c > ' ' || c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return c
		}
		s.pos++
	}
	return 0
}

// object reads an object whose brace is next and calls member, unless it is nil;
// depth is its own, from 1. Its names go to room, and the spare capacity behind
// them to the objects within. Both are parameters and no fields, so that they stay
// on the stack.
func (s *scanner) object(depth int, room []string, member func(string, Value) error) error {
	names := nameSet{few: room}
	s.pos++
	if s.next() == '}' {
		s.pos++
		return nil
	}
	for {
		name, ascii, err := s.name()
		if err != nil {
			return err
		}
		if mark := mark(name); ascii && names.differs(mark) {
			names.few = append(names.few, name)
			names.seen |= mark
		} else if names, err = names.with(name, mark, ascii); err != nil {
			return s.errorf("%w", err)
		}
		if s.next() != ':' {
			return s.errorf("a member without a value")
		}
		s.pos++
		s.next()
		start := s.pos
		if err := s.value(depth, names.few[len(names.few):]); err != nil {
			return err
		}
		if member != nil {
			if err := member(name, Value(s.doc[start:s.pos])); err != nil {
				return err
			}
		}
		switch s.next() {
		case ',':
			s.pos++
			s.next()
		case '}':
			s.pos++
			return nil
		default:
			return s.errorf("unfinished object")
		}
	}
}

// name reads the name of a member, which is next.
func (s *scanner) name() (name string, ascii bool, err error) {
	if s.pos == len(s.doc) || s.doc[s.pos] != '"' {
		return "", false, s.errorf("expected a member name")
	}
	start := s.pos + 1
	escaped, err := s.text()
	if err != nil {
		return "", false, err
	}
	name = s.doc[start : s.pos-1]
	if escaped {
		name = unescape(name)
	}
	return name, s.high == 0 && !escaped || isASCII(name), nil
}

// value reads any value; depth is that of the object or array around it.
func (s *scanner) value(depth int, room []string) error {
	if s.pos == len(s.doc) {
		return s.errorf("a member without a value")
	}
	switch c := s.doc[s.pos]; c {
	case '"':
		_, err := s.text()
		return err
	case '{', '[':
		if depth++; depth > MaxDepth {
			return s.errorf("nested deeper than %d", MaxDepth)
		}
		if c == '{' {
			return s.object(depth, room, nil)
		}
		return s.array(depth, room)
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

func (s *scanner) array(depth int, room []string) error {
	s.pos++
	if s.next() == ']' {
		s.pos++
		return nil
	}
	for {
		if err := s.value(depth, room); err != nil {
			return err
		}
		switch s.next() {
		case ',':
			s.pos++
			s.next()
		case ']':
			s.pos++
			return nil
		default:
			return s.errorf("unfinished array")
		}
	}
}

func (s *scanner) literal(word string) error {
	if end := s.pos + len(word); end <= len(s.doc) && s.doc[s.pos:end] == word {
		s.pos = end
		return nil
	}
	return s.errorf("unexpected character")
}

// number reads by the grammar of RFC 8259 section 6.
func (s *scanner) number() error {
	if s.pos < len(s.doc) && s.doc[s.pos] == '-' {
		s.pos++
	}
	switch {
	case s.pos < len(s.doc) && s.doc[s.pos] == '0':
		s.pos++
	case !s.digits():
		return s.errorf("unexpected character")
	}
	if s.pos < len(s.doc) && s.doc[s.pos] == '.' {
		s.pos++
		if !s.digits() {
			return s.errorf("a number without its fraction")
		}
	}
	if s.pos < len(s.doc) && (s.doc[s.pos] == 'e' || s.doc[s.pos] == 'E') {
		s.pos++
		if s.pos < len(s.doc) && (s.doc[s.pos] == '+' || s.doc[s.pos] == '-') {
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
	for s.pos < len(s.doc) && s.doc[s.pos]-'0' <= 9 {
		s.pos++
	}
	return s.pos > start
}
