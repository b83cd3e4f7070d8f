package flood_test

import (
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/issuertest"
)

// Each invented token costs the issuer a request, and nobody whose token is known
// waits for it.
func TestFlood_OfInventedOpaqueTokens(t *testing.T) {
	i := newIssuer(t)
	s := newStage(t, i, serve(t, newValidator(t, i)))
	const size, pace = 16, 16 * time.Millisecond
	base := harmless(size, pace)
	base.visit = func(l line, _ int64) (int, error) { // the issuer, which works on this machine as well, has as much to do
		if active, err := i.orders.Active(t.Context(), rand.Text()); active || err != nil {
			return 0, fmt.Errorf("an invented token: %w", err)
		}
		return l.show("")
	}
	s.endure(base, &crowd{size: size, pace: slowly(pace), visit: inventOpaque, wants: []int{401}}, 1<<20)
}

// An issuer that does not answer takes from those who ask about invented tokens what
// they may have, 256 requests at once, and from nobody else anything.
func TestFlood_OfInventedOpaqueTokensAtAnIssuerThatHangs(t *testing.T) {
	const size, most = 320, 256
	i := newIssuer(t)
	s := newStage(t, i, serve(t, newValidator(t, i)))
	s.newFor = []*issuertest.App{i.web} // a new opaque token has to wait, as documented
	s.endure(harmless(size, time.Second), &crowd{
		size: size, pace: slowly(20 * time.Millisecond), visit: inventOpaque, wants: []int{401},
		begin: i.hang,
		settle: func() {
			for deadline := time.Now().Add(patience); i.asking.Load() < most; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Errorf("%d questions at once, %d are allowed", i.asking.Load(), most)
					return
				}
			}
			time.Sleep(rest)
		},
		end: i.goOn,
	}, 2<<20) // with what Go keeps of the goroutines, as of those of slow connections
	if n := i.most.Load(); n != most {
		t.Errorf("%d questions at once, %d are allowed", n, most)
	}
}

func inventOpaque(l line, _ int64) (int, error) { return l.show(rand.Text()) }
