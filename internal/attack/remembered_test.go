package attack_test

import (
	"fmt"

	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/validator"
)

// rememberedRows are tokens that differ in one place from one that is remembered: for
// the memory another, wherever it is.
func rememberedRows(m *mint) []row {
	var rows []row
	for _, key := range []*tokentest.Key{m.issuer, m.ed, m.rsa, m.pss} {
		token := m.tokenBy(key, nil, nil)
		remembered := bearer(token)
		p, other := parts(token), parts(m.tokenBy(key, edits{"x": 1}, edits{"sub": "canary-root"}))
		add := func(name, bad string) {
			r := attack("remembered, by "+key.Alg+": "+name, bad, validator.ErrSignature)
			r.control = &remembered
			rows = append(rows, r)
		}
		length := len(p[2])
		for _, at := range []int{0, 1, length / 4, length/2 - 1, length / 2, length * 3 / 4, length - 2} {
			c := byte('A')
			if p[2][at] == c {
				c = 'B'
			}
			add(fmt.Sprintf("character %d of the signature", at), join(p[0], p[1], p[2][:at]+string(c)+p[2][at+1:]))
		}
		add("the first half of another signature", join(p[0], p[1], other[2][:length/2]+p[2][length/2:]))
		add("the second half of another signature", join(p[0], p[1], p[2][:length/2]+other[2][length/2:]))
		add("another payload", join(p[0], other[1], p[2]))
		add("another header", join(other[0], p[1], p[2]))
		add("all but the signature", join(other[0], other[1], p[2]))
		add("four characters of it left out", join(p[0], p[1], p[2][4:]))
		add("four characters of it left out in the middle", join(p[0], p[1], p[2][:length/2-4]+p[2][length/2:]))
		add("four characters of it put before", join(p[0], p[1], p[2][:4]+p[2]))
	}
	return rows
}
