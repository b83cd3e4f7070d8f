package flood_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/issuertest"
	"github.com/countermark/countermark/middleware"
)

// A known key is found whatever else is looked for, and who invents keys costs the
// issuer no more than 16 requests in a minute.
func TestFlood_OfInventedKids(t *testing.T) {
	for _, door := range []struct {
		name  string
		serve func(*testing.T, middleware.Authorizer) (dial func() line)
		pace  time.Duration
	}{
		{"net/http", serve, 8 * time.Millisecond},
		{"gRPC", serveGRPC, 32 * time.Millisecond}, // where a request costs the client more
	} {
		t.Run(door.name, func(t *testing.T) {
			begun, i := time.Now(), newIssuer(t)
			s := newStage(t, i, door.serve(t, newValidator(t, i)))
			body := claims(issuertest.URL)
			s.endure(harmless(16, door.pace), &crowd{
				size: 16, pace: slowly(door.pace), wants: []int{401},
				visit: func(l line, _ int64) (int, error) { return l.show(unsigned(header(rand.Text()), body)) },
			}, 256<<10)
			if n, may := i.keySets.Load(), 16*int64(time.Since(begun)/time.Minute+1); n < 2 || n > may {
				t.Errorf("the key set was fetched %d times, want 2 to %d", n, may)
			}
		})
	}
}
