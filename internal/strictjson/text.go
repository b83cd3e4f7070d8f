package strictjson

import (
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// text reads a string whose quote is next and reports whether it has escapes.
func (s *scanner) text() (escaped bool, err error) {
	doc, i := s.doc, s.pos+1
	for {
		for len(doc)-i >= 8 {
			w := word(doc[i:])
			s.high |= w & each(0x80)
			special := zeroBytes(w^each('"')) | zeroBytes(w^each('\\')) | (w-each(' '))&^w // below a blank
			if special &= each(0x80); special != 0 {
				i += bits.TrailingZeros64(special) / 8
				break
			}
			i += 8
		}
		for i < len(doc) && doc[i] != '"' && doc[i] != '\\' && doc[i] >= ' ' {
			s.high |= uint64(doc[i] & 0x80)
			i++
		}
		s.pos = i
		switch {
		case i == len(doc):
			return false, s.errorf("unfinished string")
		case doc[i] == '"':
			s.pos++
			return escaped, nil
		case doc[i] != '\\':
			return false, s.errorf("a control character in a string")
		}
		escaped = true
		if err := s.escape(); err != nil {
			return false, err
		}
		i = s.pos + 1
	}
}

// isASCII reports whether s is nothing but ASCII.
func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// word is the first eight bytes of s, the first the least significant: eight at a
// time are read here, which is what a token's claims take most time for.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// each is a word of eight times c.
func each(c byte) uint64 { return uint64(c) * 0x0101010101010101 }

// zeroBytes has the high bit of the first zero byte of w set, and of no byte
// before it.
func zeroBytes(w uint64) uint64 { return (w - each(1)) &^ w }

// escape reads an escape whose backslash is next and stops on its last byte.
// A surrogate without its other half is refused: decoders differ on it.
func (s *scanner) escape() error {
	s.pos++
	if s.pos == len(s.doc) {
		return s.errorf("unfinished string")
	}
	switch s.doc[s.pos] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return nil
	case 'u':
	default:
		return s.errorf("an unknown escape")
	}
	unit, ok := hex4(s.doc[s.pos+1:])
	if !ok {
		return s.errorf("an unknown escape")
	}
	s.pos += 4
	if !utf16.IsSurrogate(unit) {
		return nil
	}
	rest := s.doc[s.pos+1:]
	if len(rest) < 6 || rest[0] != '\\' || rest[1] != 'u' {
		return s.errorf("half a surrogate pair")
	}
	low, ok := hex4(rest[2:])
	if !ok || utf16.DecodeRune(unit, low) == utf8.RuneError {
		return s.errorf("half a surrogate pair")
	}
	s.pos += 6
	return nil
}

func hex4(s string) (r rune, ok bool) {
	if len(s) < 4 {
		return 0, false
	}
	for i := range 4 {
		c := s[i]
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// unescape returns what the well-formed string text in stands for.
func unescape(in string) string {
	dst := make([]byte, 0, len(in))
	for i := 0; i < len(in); i++ {
		if in[i] != '\\' {
			dst = append(dst, in[i])
			continue
		}
		i++
		switch in[i] {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, _ := hex4(in[i+1:])
			i += 4
			if utf16.IsSurrogate(r) {
				low, _ := hex4(in[i+3:])
				r = utf16.DecodeRune(r, low)
				i += 6
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, in[i])
		}
	}
	return string(dst)
}
