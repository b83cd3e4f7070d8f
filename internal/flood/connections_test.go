package flood_test

import (
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/proctest"
)

const connections = 1000

// A slowLine is one whose client never comes to the end of a request.
type slowLine struct{ *httpLine }

func (l slowLine) open() error {
	err := l.httpLine.open()
	if err == nil {
		_, err = io.WriteString(l.conn, "GET / HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer ")
	}
	return err
}

// drip sends a little more. A client that was cut off comes back.
func (l slowLine) drip() (status int, err error) {
	if _, err := io.WriteString(l.conn, "eyJh"); err != nil {
		l.close()
		return 0, l.open()
	}
	return 0, nil
}

func TestFlood_OfAThousandSlowConnections(t *testing.T) {
	i := newIssuer(t)
	s := newStage(t, i, serve(t, newValidator(t, i)))
	goroutines := runtime.NumGoroutine()
	s.endure(harmless(16, 16*time.Millisecond), &crowd{
		size: connections, pace: slowly(time.Second), wants: []int{0},
		settle: func() {
			waitForServer(goroutines + 2*connections) // one of each client, one of each connection
			time.Sleep(rest)
		},
		dial:  func() line { return slowLine{s.dial().(*httpLine)} },
		visit: func(l line, _ int64) (int, error) { return l.(slowLine).drip() },
	}, 2<<20) // Go keeps what it knows of a goroutine, 400 bytes, for the next one
}

// The server ends what takes too long, and until then each takes little.
func TestFlood_SlowConnectionsAreCutOff(t *testing.T) {
	i := newIssuer(t)
	s := newStage(t, i, serve(t, newValidator(t, i)))
	goroutines, heap := s.left()
	begun := time.Now()
	var slow []slowLine
	for range connections {
		l := slowLine{s.dial().(*httpLine)}
		defer l.close()
		if err := l.open(); err != nil {
			t.Fatal(err)
		}
		slow = append(slow, l)
	}
	waitForServer(goroutines + connections)
	each := (proctest.Heap() - heap) / connections
	for _, l := range slow {
		if n, err := l.in.ReadByte(); !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
			t.Fatalf("a slow client read %q, %v", n, err)
		}
	}
	t.Logf("%d slow connections took %d bytes of the heap each, and were cut off after %v", connections, each, time.Since(begun).Round(time.Millisecond))
	if each > 16<<10 {
		t.Errorf("each took %d bytes", each)
	}
	proctest.WaitForGoroutines(t, goroutines)
}

// Those who connect, begin a request and go are as many as others who connect and
// make one.
func TestFlood_OfConnectionsThatAreDropped(t *testing.T) {
	i := newIssuer(t)
	s := newStage(t, i, serve(t, newValidator(t, i)))
	const size, pace = 16, 8 * time.Millisecond
	base := harmless(size, pace)
	show := base.visit
	base.visit = func(l line, n int64) (int, error) {
		l.close()
		return show(l, n)
	}
	s.endure(base, &crowd{
		size: size, pace: slowly(pace), wants: []int{0},
		dial: func() line { return slowLine{s.dial().(*httpLine)} },
		visit: func(l line, _ int64) (int, error) {
			l.close()
			return 0, l.open()
		},
	}, 256<<10)
}

// waitForServer waits until there are so many goroutines: the server has accepted all.
func waitForServer(goroutines int) {
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() < goroutines && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
}
