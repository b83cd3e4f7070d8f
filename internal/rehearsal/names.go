package rehearsal

import (
	"context"
	"net"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// names is a DNS server for the hosts of one issuer, which are all on loopback.
type names struct {
	socket net.PacketConn
	ended  sync.WaitGroup

	mu     sync.Mutex
	faults map[string]Fault // by host; of those that it knows
}

func newNames(ctx context.Context) (*names, error) {
	socket, err := new(net.ListenConfig).ListenPacket(ctx, "udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	n := &names{socket: socket, faults: map[string]Fault{}}
	n.ended.Go(n.serve)
	return n, nil
}

func (n *names) close() {
	_ = n.socket.Close()
	n.ended.Wait()
}

// set makes host known, and answers about it fail as f says.
func (n *names) set(host string, f Fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.faults[host] = f
}

// resolver asks n and nobody else, but for the files that Go reads.
func (n *names) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", n.socket.LocalAddr().String())
	}}
}

func (n *names) serve() {
	buffer := make([]byte, 1<<10)
	for {
		size, from, err := n.socket.ReadFrom(buffer)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buffer[:size]) != nil || len(m.Questions) != 1 {
			continue
		}
		n.answer(&m)
		if packed, err := m.Pack(); err == nil {
			_, _ = n.socket.WriteTo(packed, from)
		}
	}
}

// answer makes a question its answer.
func (n *names) answer(m *dnsmessage.Message) {
	q := m.Questions[0]
	n.mu.Lock()
	fault, known := n.faults[strings.TrimSuffix(q.Name.String(), ".")]
	n.mu.Unlock()
	m.Header = dnsmessage.Header{ID: m.ID, Response: true, RecursionDesired: m.RecursionDesired, RecursionAvailable: true}
	m.Additionals = nil
	switch {
	case fault == ServerFailure:
		m.RCode = dnsmessage.RCodeServerFailure
	case fault == NoSuchName || !known:
		m.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeA:
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET},
			Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
		}}
	}
}
