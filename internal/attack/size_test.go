package attack_test

import (
	"strings"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/validator"
)

// sizeRows are tokens that cost whoever reads them more than whoever writes them
// (CVE-2025-30204, CVE-2025-22868, CVE-2025-27144). No transport here takes more than
// a megabyte of header, so that is where it ends.
func sizeRows(m *mint) []row {
	const limit = 16 << 10
	big := validator.ErrMalformed
	return []row{
		{name: "a token of 16 KiB", brings: bearer(m.ofLength(limit)), want: passes()},
		attack("a token of 16 KiB and a byte", m.ofLength(limit+1), big),
		attack("a token of 16 KiB and two", m.ofLength(limit+2), big),
		attack("a token of 17 KiB", m.ofLength(17<<10), big),
		attack("a token of 500 KiB", m.ofLength(500<<10), big),
		attack("opaque, of 16 KiB", strings.Repeat("x", limit), validator.ErrInactive),
		attack("opaque, of 500 KiB", strings.Repeat("x", 500<<10), big),
		attack("dots, 16 KiB", strings.Repeat(".", limit), validator.ErrInactive),
		attack("dots, 16 KiB, after what looks like a header", "eyJh"+strings.Repeat(".", limit-4), big),
		attack("dots, 900 KiB", strings.Repeat(".", 900<<10), big),
		attack("dots after a good token", m.good+strings.Repeat(".", limit-len(m.good)), big),
		attack("a signature of 8 KiB", join(parts(m.good)[0], parts(m.good)[1], strings.Repeat("A", 8<<10)), validator.ErrSignature),
		attack("a header of 8 KiB", m.sign(`{"x":"`+strings.Repeat("x", 6<<10)+`"}`, m.payloadText(nil)), big),
		attack("a payload of brackets", join(parts(m.good)[0], jose.Encode([]byte(strings.Repeat("[", 8<<10))), parts(m.good)[2]), big),
		attack("a name of 4 KiB, twice", m.sign(headerText, `{"`+strings.Repeat("n", 4<<10)+`":1,"`+strings.Repeat("N", 4<<10)+`":1,`+m.payloadText(nil)[1:]), big),
		attack("an exp of 4000 digits", m.sign(headerText, strings.Replace(m.payloadText(edits{"exp": 1}), `"exp":1`, `"exp":1`+strings.Repeat("0", 4000), 1)), big),
	}
}

// ofLength is a good token of n bytes.
func (m *mint) ofLength(n int) string {
	for extra := range 4 { // header and payload share the bytes that base64 cannot split
		header := headerText + strings.Repeat(" ", extra)
		rest := n - len(jose.Encode([]byte(header))) - len("..") - 86
		for size := rest*3/4 - 1; size <= rest*3/4+1; size++ {
			payload := m.payloadText(nil)
			payload += strings.Repeat(" ", size-len(payload))
			if len(jose.Encode([]byte(payload))) == rest {
				return m.sign(header, payload)
			}
		}
	}
	m.tb.Fatalf("no token of %d bytes", n)
	return ""
}
