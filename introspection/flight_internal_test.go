package introspection

import (
	"errors"
	"testing"
	"time"
)

// The last caller may leave in the moment in which a slot becomes free. The
// flight is off the map then, so looking would break the order of the looks.
func TestFlights_CalledOffInTheLastMoment(t *testing.T) {
	t.Parallel()
	fs := newFlights(1, time.Minute)
	f := newFlight(func(bool) (*answer, error) {
		t.Error("it looks")
		return nil, errBusy
	})
	fs.fly(digest{}, f) // without waiters
	if !errors.Is(f.err, errAborted) || f.begun || len(fs.slots) != 0 {
		t.Errorf("%v, begun: %v, %d slots taken", f.err, f.begun, len(fs.slots))
	}
}
