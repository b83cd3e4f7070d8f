package wire

import "testing"

// White space around a field's value is none of it, at any door (RFC 9110 section 5.5).
func TestCredentials_WhiteSpaceAroundThem(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"DPoP abc", " DPoP abc", "DPoP abc \t", "\tDPoP abc"} {
		if c, err := Credentials([]string{value}); err != nil || c.Scheme != "DPoP" || c.Token != "abc" {
			t.Errorf("%q: %v", value, err)
		}
	}
	if proof, err := Proof([]string{" a.b.c\t"}); err != nil || proof != "a.b.c" {
		t.Errorf("%q, %v", proof, err)
	}
}
