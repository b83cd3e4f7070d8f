package rehearsal

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// Ports that no system hands out by itself, so that one which was given up for
	// a while is free when it is wanted again.
	firstPort, lastPort = 20_000, 32_000

	rebind  = 5 * time.Second // is how long a port is tried for
	tooLong = 5 * time.Second // to wait for a client's first byte
)

// A content is what is right to answer, and what would do harm if it were taken for
// that. Without truth there is nothing at this path.
type content func(r *http.Request) (truth, denial []byte)

// A server is one endpoint: a host, a port, and what is wrong with them.
type server struct {
	host    string
	port    int
	names   *names
	tls     *tls.Config
	content content

	fault atomic.Int64
	since atomic.Int64 // there is that fault; nanoseconds since 1970
	asked atomic.Int64 // requests

	ended sync.WaitGroup
	mu    sync.Mutex
	http  *http.Server // nil: nobody listens
	open  map[*guest]struct{}

	mostRead int64 // of one answer
}

func newServer(ctx context.Context, host string, ca *authority, names *names, content content) (*server, error) {
	good, err := ca.issue(host, time.Now().Add(day))
	if err != nil {
		return nil, err
	}
	expired, err := ca.issue(host, time.Now().Add(-day))
	if err != nil {
		return nil, err
	}
	s := &server{host: host, names: names, content: content, open: map[*guest]struct{}{}}
	s.tls = &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		if s.has(ExpiredCert) {
			return expired, nil
		}
		return good, nil
	}}
	names.set(host, None)
	for try := 0; ; try++ {
		s.port = firstPort + rand.IntN(lastPort-firstPort) //nolint:gosec // any will do
		if err = s.listen(ctx); err == nil || try == 100 {
			return s, err
		}
	}
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked.Add(1)
	truth, denial := s.content(r)
	if truth == nil {
		http.NotFound(w, r)
		return
	}
	age := time.Since(time.Unix(0, s.since.Load()))
	taken := Fault(s.fault.Load()).answer(w, r, truth, denial, age)
	s.mu.Lock()
	s.mostRead = max(s.mostRead, taken)
	s.mu.Unlock()
}

func (s *server) url(path string) string {
	return "https://" + net.JoinHostPort(s.host, strconv.Itoa(s.port)) + path
}

func (s *server) has(f Fault) bool { return Fault(s.fault.Load()) == f }

// set is what is wrong from now on. A fault of connections ends those that are
// open; what hangs goes on hanging when its fault is over, until its client leaves.
func (s *server) set(ctx context.Context, f Fault) error {
	s.fault.Store(int64(f))
	s.since.Store(time.Now().UnixNano())
	s.names.set(s.host, f)
	if f == Silent {
		s.silence()
	} else if f.ofConnection() {
		s.cut()
	}
	if f == Refused {
		s.close()
		return nil
	}
	s.mu.Lock()
	listens := s.http != nil
	s.mu.Unlock()
	if listens {
		return nil
	}
	for start := time.Now(); ; {
		err := s.listen(ctx)
		if err == nil || ctx.Err() != nil || time.Since(start) > rebind {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (s *server) listen(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", s.port))
	if err != nil {
		return err
	}
	web := &http.Server{
		Handler: s, TLSConfig: s.tls.Clone(), ReadHeaderTimeout: time.Minute,
		ErrorLog: log.New(io.Discard, "", 0), // handshakes fail here on purpose
	}
	s.mu.Lock()
	s.http = web
	s.mu.Unlock()
	s.ended.Go(func() { _ = web.ServeTLS(door{listener, s}, "", "") })
	return nil
}

// close ends the server and all of its connections.
func (s *server) close() {
	s.mu.Lock()
	web := s.http
	s.http = nil
	s.mu.Unlock()
	if web != nil {
		_ = web.Close()
	}
	s.cut()
	s.ended.Wait()
}

// silence has the server and its clients hear no more of each other.
func (s *server) silence() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for g := range s.open {
		g.deaf.Store(true)
	}
}

// cut ends every connection.
func (s *server) cut() {
	s.mu.Lock()
	all := slices.Collect(maps.Keys(s.open))
	s.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
}

func (s *server) figures() (open int, mostRead int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open), s.mostRead
}

// A door knows who is inside.
type door struct {
	net.Listener

	server *server
}

// Accept resets connections while that is the fault.
func (d door) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		guest := &guest{Conn: c, server: d.server}
		guest.deaf.Store(d.server.has(Silent))
		d.server.mu.Lock()
		d.server.open[guest] = struct{}{}
		d.server.mu.Unlock()
		if !d.server.has(Reset) {
			return guest, nil
		}
		d.server.ended.Go(guest.reset)
	}
}

// A guest is a connection from its first moment until the server has closed it.
type guest struct {
	net.Conn

	server *server
	deaf   atomic.Bool // hears that the client leaves, and nothing else
}

func (g *guest) Read(b []byte) (int, error) {
	for {
		n, err := g.Conn.Read(b)
		if err != nil || !g.deaf.Load() {
			return n, err
		}
	}
}

func (g *guest) Write(b []byte) (int, error) {
	if g.deaf.Load() {
		return len(b), nil
	}
	return g.Conn.Write(b)
}

func (g *guest) Close() error {
	g.server.mu.Lock()
	delete(g.server.open, g)
	g.server.mu.Unlock()
	return g.Conn.Close()
}

// reset lets the client say a word first.
func (g *guest) reset() {
	_ = g.SetReadDeadline(time.Now().Add(tooLong))
	_, _ = g.Read(make([]byte, 1))
	if c, ok := g.Conn.(*net.TCPConn); ok {
		_ = c.SetLinger(0)
	}
	_ = g.Close()
}
