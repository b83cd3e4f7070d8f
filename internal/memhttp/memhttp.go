// Package memhttp serves HTTP over net.Pipe: a real client and a real server
// with no socket between them, so that both can live in a testing/synctest
// bubble, where a goroutine that waits for a socket would hang the clock.
package memhttp

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// A Server answers every request of its Client, whatever the host; the handler
// tells hosts apart by Request.Host. An https URL needs no certificate here.
type Server struct {
	listener *listener
	server   *http.Server
	down     atomic.Bool
}

// New starts a server. Close it before the bubble ends.
func New(handler http.Handler) *Server {
	s := &Server{
		listener: &listener{conns: make(chan net.Conn), done: make(chan struct{})},
		server:   &http.Server{Handler: handler}, //nolint:gosec // no network, no slow clients
	}
	go func() { _ = s.server.Serve(s.listener) }()
	return s
}

// Client returns a new client whose connections end at the server. It keeps no
// idle connection, so nothing is left behind when the server is closed.
func (s *Server) Client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:       s.dial,
		DialTLSContext:    s.dial,
		DisableKeepAlives: true,
	}}
}

// SetDown makes every new connection fail as if nobody listened, or ends that.
func (s *Server) SetDown(down bool) { s.down.Store(down) }

// Close ends the server and its connections.
func (s *Server) Close() { _ = s.server.Close() }

func (s *Server) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if s.down.Load() {
		return nil, errors.New("connection refused")
	}
	client, server := net.Pipe()
	select {
	case s.listener.conns <- server:
		return client, nil
	case <-s.listener.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

type listener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *listener) Addr() net.Addr { return addr{} }

type addr struct{}

func (addr) Network() string { return "memory" }
func (addr) String() string  { return "memory" }
