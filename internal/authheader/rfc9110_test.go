package authheader

import (
	"errors"
	"testing"
)

func TestRFC9110_11_4_Credentials(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		values        []string
		scheme, token string
		err           error
	}{
		{nil, "", "", nil},
		{[]string{""}, "", "", nil},
		{[]string{"Basic abc"}, "", "", nil},
		{[]string{"Bearer abc"}, Bearer, "abc", nil},
		{[]string{"bEARER   a-._~+/b=="}, Bearer, "a-._~+/b==", nil},
		{[]string{" \tdpop abc\t "}, DPoP, "abc", nil},
		{[]string{"Bearer"}, Bearer, "", ErrNoToken},
		{[]string{"Bearer "}, Bearer, "", ErrNoToken},
		{[]string{"DPoP ="}, DPoP, "", ErrNoToken},
		{[]string{"Bearer a b"}, Bearer, "", ErrNoToken},
		{[]string{"Bearer a,b"}, Bearer, "", ErrNoToken},
		{[]string{"Bearer a=b"}, Bearer, "", ErrNoToken},
		{[]string{"Bearer\tabc"}, "", "", nil}, // another scheme: RFC 9110 has a space there
		{[]string{"Bearer a", "Bearer a"}, "", "", ErrRepeated},
		{[]string{"", ""}, "", "", ErrRepeated},
	} {
		scheme, token, err := Read(row.values)
		if scheme != row.scheme || token != row.token || !errors.Is(err, row.err) {
			t.Errorf("%q: %q %q %v", row.values, scheme, token, err)
		}
	}
}
