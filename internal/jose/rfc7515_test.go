package jose

import (
	"slices"
	"strings"
	"testing"
)

func TestSplit_Section7_1(t *testing.T) {
	t.Parallel()
	for token, ok := range map[string]bool{
		"a.b.c": true, "..": true, "": false, "a": false, "a.b": false, "a.b.c.d": false, "a.b.c.": false, "a.b.c.d.e": false,
	} {
		if h, p, s, got := Split(token); got != ok || ok && h+"."+p+"."+s != token {
			t.Errorf("Split(%q) is %q %q %q %v", token, h, p, s, got)
		}
	}
}

// CVE-2025-30204: a megabyte of dots must cost nothing.
func TestSplit_DotsDoNotAllocate(t *testing.T) {
	dots := strings.Repeat(".", 1<<20)
	if n := testing.AllocsPerRun(10, func() { Split(dots) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestDecode_CanonicalOnly(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"": "", "YQ": "a", "YWI": "ab", "YWJj": "abc", "-_8": "\xfb\xff"} {
		if got, err := Decode(nil, text); err != nil || string(got) != want {
			t.Errorf("Decode(%q) is %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"YQ==", "YR", "YWJ", "YW\nI", "YWI\r\n", " YWI", "YWI ", "+/8", "Y", "YWJjZ", "YWJj\n", "\nYWJj", "YW\n", "YWJjYW\n", "YWJj\n\n", "YWJj\r\n\r\n", "\n", "\r\n", "YWI\n\n\n\n", "YW?I", "\x00", "YQ="} {
		if got, err := Decode(nil, text); err == nil {
			t.Errorf("Decode(%q) is %q, want an error", text, got)
		}
	}
}

// Whatever the text, if it is accepted it is the one that its bytes are encoded to:
// all texts of up to six of the characters where mistakes are likely.
func TestDecode_NoTwoTextsForTheSameBytes(t *testing.T) {
	t.Parallel()
	texts := []string{""}
	for n, from := 0, 0; n < 6; n++ {
		to := len(texts)
		for _, text := range texts[from:to] {
			for _, c := range "AQg_\n\r=" {
				texts = append(texts, text+string(c))
			}
		}
		from = to
	}
	accepted := 0
	for _, text := range texts {
		b, err := Decode([]byte("before"), text)
		if err != nil {
			continue
		}
		accepted++
		if rest := b[len("before"):]; Encode(rest) != text || !slices.Equal(b[:len("before")], []byte("before")) {
			t.Errorf("%q is accepted, and is %x", text, b)
		}
	}
	if accepted < 1000 {
		t.Errorf("%d of %d accepted", accepted, len(texts))
	}
}
