package authserver

import (
	"crypto/rand"
	"strings"
	"unicode"
)

// A user code is what a person types who has it before their eyes: eight letters
// without vowels, so that they make no word (RFC 8628 section 6.1). They are 34
// bits: in the ten minutes that it lives the throttle lets an address guess some
// thirty times, which finds it with a chance of one in 800 million (section 5.1).
const (
	userCodeLetters = "BCDFGHJKLMNPQRSTVWXZ"
	userCodeLength  = 8
)

// newUserCode returns a user code as people read it, BCDF-GHJK.
func newUserCode() string {
	const even = 256 / len(userCodeLetters) * len(userCodeLetters) // bytes beyond it would make some letters likelier
	code := make([]byte, 0, userCodeLength)
	for len(code) < userCodeLength {
		var b [1]byte
		_, _ = rand.Read(b[:]) // never fails
		if int(b[0]) < even {
			code = append(code, userCodeLetters[int(b[0])%len(userCodeLetters)])
		}
	}
	return inHalves(string(code))
}

// parseUserCode returns the user code that a person typed, as newUserCode writes
// it, or nothing if it can be none. Case, spaces and dashes do not count.
func parseUserCode(typed string) string {
	code := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), unicode.Is(unicode.Pd, r):
			return -1
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		default:
			return r
		}
	}, typed)
	if len(code) != userCodeLength || strings.Trim(code, userCodeLetters) != "" {
		return ""
	}
	return inHalves(code)
}

func inHalves(code string) string { return code[:userCodeLength/2] + "-" + code[userCodeLength/2:] }
