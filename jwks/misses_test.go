package jwks

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestMisses_AreBoundedAndShort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMisses()
		for n := range 100_000 {
			m.add(fmt.Sprint(n), "ES256")
			if len(m.until) > maxMisses {
				t.Fatalf("%d kids are remembered", len(m.until))
			}
		}
		m.add("a", "ES256")
		if !m.has("a", "ES256") || m.has("a", "RS256") || m.has("b", "ES256") || m.has("", "aES256") {
			t.Error("remembers something else")
		}
		time.Sleep(5*time.Second - time.Nanosecond)
		if !m.has("a", "ES256") {
			t.Error("forgotten too early")
		}
		time.Sleep(time.Nanosecond)
		if m.has("a", "ES256") {
			t.Error("remembered for more than 5 s")
		}
	})
}
