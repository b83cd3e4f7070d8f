package authserver_test

import "testing"

// A code of one's own, which any device gets, buys no more guesses.
func TestRFC8628_5_1_ARightCodeBuysNoGuesses(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	d, b := i.device(tv), i.browser()
	wrong := 0
	for range 40 {
		s := b.enter("BCDF-GHJK")
		if s.status == 429 {
			break
		}
		if wrong++; wrong == 9 {
			b.enter(d.userCode)
		}
	}
	if wrong != 10 {
		t.Errorf("%d wrong codes before one has to wait", wrong)
	}
}
