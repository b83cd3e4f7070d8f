package authheader

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

// oneToken is RFC 6750 section 2.1 and RFC 9449 section 7.1, with the white space
// that RFC 9110 section 5.5 lets a field have around it.
var oneToken = regexp.MustCompile(`^[ \t]*(?:([Bb][Ee][Aa][Rr][Ee][Rr])|[Dd][Pp][Oo][Pp]) +([A-Za-z0-9._~+/-]+=*)[ \t]*$`)

// A field is accepted if it is by the grammar, with the token that is in it, and
// what was read is read again as the same.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		"", "Bearer", "Bearer ", "Bearer a", "bEARER   a-._~+/b==", " \tDPoP abc\t ", "Bearer a b", "Bearer a=b", "Bearer =", "Bearer\ta", "Bearer \ta", "Bearer a\x00", "BearerDPoP a",
		"Basic YTpi", "Bearer a,Bearer b", "Bearer \xc2\xa0a", "\u212aearer a", "Bearer a\v", "Bearer a\u0085", "DPoP DPoP a", "Bearer realm=\"a\"",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		scheme, token, err := Read([]string{value})
		if m := oneToken.FindStringSubmatch(value); m != nil {
			want := DPoP
			if m[1] != "" {
				want = Bearer
			}
			if scheme != want || token != m[2] || err != nil {
				t.Fatalf("%q: %q, %q, %v", value, scheme, token, err)
			}
			if s, again, err := Read([]string{scheme + " " + token}); s != scheme || again != token || err != nil {
				t.Fatalf("%q, written anew: %q, %q, %v", value, s, again, err)
			}
		} else if token != "" {
			t.Fatalf("%q: token %q, %v", value, token, err)
		}
		switch {
		case err == nil && (scheme == "") != (token == ""), err != nil && (scheme == "" || !errors.Is(err, ErrNoToken)):
			t.Fatalf("%q: %q, %q, %v", value, scheme, token, err)
		case scheme != "" && !strings.HasPrefix(strings.ToLower(strings.TrimLeft(value, " \t")), strings.ToLower(scheme)):
			t.Fatalf("%q is of scheme %q", value, scheme)
		}
		if s, again, err := Read([]string{value, value}); s+again != "" || !errors.Is(err, ErrRepeated) {
			t.Fatalf("twice %q: %q, %q, %v", value, s, again, err)
		}
	})
}
