package authserver

import (
	"hash/maphash"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// How often one may fail to sign in before one has to wait. What succeeds is not
// counted, nor is what the server could not judge.
const (
	nameBurst    = 10               // under one name
	namePause    = 30 * time.Second // for each attempt beyond
	addressBurst = 50               // from one address, which may be that of many people
	addressPause = 2 * time.Second
)

// A throttle slows down those who guess passwords: under one name, and from one
// address. Where somebody has signed in before, their name is counted apart, so
// that nobody else's guessing keeps them out.
//
// It takes no more memory, whatever is sent. Names and addresses fall into cells
// by a keyed hash: two may share one, but nobody can aim at it, and to keep all
// cells full takes a thousand attempts a second from as many networks. Of passwords
// each is hashed, which no machine keeps up with; of user codes none is, and whoever
// can do that has everybody wait.
type throttle struct {
	mu        sync.Mutex
	seed      maphash.Seed
	names     [cells]time.Duration // how far attempts are paid for, since start
	pairs     [cells]time.Duration // of a name and an address where it is at home
	addresses [cells]time.Duration
	homes     [cells]uint64 // hashes of names and addresses, the last one of each cell
	start     time.Time
}

const cells = 1 << 15

func newThrottle() *throttle { return &throttle{seed: maphash.MakeSeed()} }

// An attempt is one that is under way.
type attempt struct {
	t             *throttle
	name, address *time.Duration
	home          uint64
}

// begin counts an attempt to sign in, unless it has to wait: then it returns for
// how long.
func (t *throttle) begin(username, remoteAddr string, now time.Time) (*attempt, time.Duration) {
	username, address := strings.ToLower(strings.TrimSpace(username)), network(remoteAddr)
	home := maphash.String(t.seed, username+"\x00"+address)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.start.IsZero() {
		t.start = now
	}
	a := &attempt{
		t:       t,
		name:    &t.names[maphash.String(t.seed, username)%cells],
		address: &t.addresses[maphash.String(t.seed, address)%cells],
		home:    home,
	}
	if t.homes[home%cells] == home {
		a.name = &t.pairs[home%cells]
	}
	since := now.Sub(t.start)
	if wait := max(due(*a.name, nameBurst, namePause, since), due(*a.address, addressBurst, addressPause, since)); wait > 0 {
		return nil, wait
	}
	*a.name = max(*a.name, since) + namePause
	*a.address = max(*a.address, since) + addressPause
	return a, 0
}

// due returns how long to wait until there is room for one more.
func due(paid time.Duration, burst int, pause, now time.Duration) time.Duration {
	return max(paid, now) + pause - now - time.Duration(burst)*pause
}

// succeeded takes the attempt back and remembers where it came from.
func (a *attempt) succeeded() {
	a.takeBack()
	a.t.mu.Lock()
	defer a.t.mu.Unlock()
	a.t.homes[a.home%cells] = a.home
}

// takeBack has the attempt not count, of which nobody learned whether it was right.
func (a *attempt) takeBack() {
	a.t.mu.Lock()
	defer a.t.mu.Unlock()
	*a.name -= namePause
	*a.address -= addressPause
}

// network returns what of an address one client has for itself: all of an IPv4
// address, the first half of an IPv6 one.
func network(remoteAddr string) string {
	host, _, err := net.SplitHostPort(remoteAddr)
	if err != nil {
		host = remoteAddr
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		prefix, _ := addr.Prefix(64) // cannot fail
		return prefix.String()
	}
	return addr.String()
}
