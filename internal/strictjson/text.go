package strictjson

import (
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// text reads a string whose quote is next and reports whether it has escapes.
func (s *scanner) text() (escaped bool, err error) {
	for s.pos++; ; s.pos++ {
		s.pos += plain(s.data[s.pos:])
		if s.pos == len(s.data) {
			return false, s.errorf("unfinished string")
		}
		switch s.data[s.pos] {
		case '"':
			s.pos++
			return escaped, nil
		case '\\':
			escaped = true
			if err := s.escape(); err != nil {
				return false, err
			}
		default:
			return false, s.errorf("a control character in a string")
		}
	}
}

// plain returns how many bytes at the beginning of b stand for themselves in a
// string.
func plain(b []byte) int {
	for i, c := range b {
		if c == '"' || c == '\\' || c < ' ' {
			return i
		}
	}
	return len(b)
}

// escape reads an escape whose backslash is next and stops on its last byte.
// A surrogate without its other half is refused: decoders differ on it.
func (s *scanner) escape() error {
	s.pos++
	if s.pos == len(s.data) {
		return s.errorf("unfinished string")
	}
	switch s.data[s.pos] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return nil
	case 'u':
	default:
		return s.errorf("an unknown escape")
	}
	unit, ok := hex4(s.data[s.pos+1:])
	if !ok {
		return s.errorf("an unknown escape")
	}
	s.pos += 4
	if !utf16.IsSurrogate(unit) {
		return nil
	}
	rest := s.data[s.pos+1:]
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

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
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
func unescape(in []byte) []byte {
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
	return dst
}

// foldRune returns the smallest rune of r's orbit under simple folding.
func foldRune(r rune) rune {
	for {
		next := unicode.SimpleFold(r)
		if next <= r {
			return next
		}
		r = next
	}
}

// foldHash is FNV-1a over the folded runes of name.
func foldHash(name []byte) uint32 {
	h := uint32(2166136261)
	for i := 0; i < len(name); {
		c := name[i]
		size := 1
		r := rune(c)
		switch {
		case 'a' <= c && c <= 'z':
			r -= 'a' - 'A' // the orbit's smallest, also for k and s with their third form
		case c >= utf8.RuneSelf:
			r, size = utf8.DecodeRune(name[i:])
			r = foldRune(r)
		}
		h = (h ^ uint32(r)) * 16777619 //nolint:gosec // a rune is not negative
		i += size
	}
	return h
}

// fold returns name with every rune replaced by foldRune's.
func fold(name []byte) string {
	out := make([]byte, 0, len(name))
	for len(name) > 0 {
		r, size := utf8.DecodeRune(name)
		out = utf8.AppendRune(out, foldRune(r))
		name = name[size:]
	}
	return string(out)
}
