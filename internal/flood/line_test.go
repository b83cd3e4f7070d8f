package flood_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// A line is one client's connection to the API.
type line interface {
	// open connects, unless that is done.
	open() error
	// show makes a request with a token, or without if it is empty, and returns the
	// status of the answer.
	show(token string) (int, error)
	close()
}

// patience is how long anybody waits for an answer: longer than is asked of a busy
// machine.
const patience = 30 * time.Second

// An httpLine is a line of HTTP/1.1 that stays open as long as the server wants. It
// sends what it is told, byte for byte.
type httpLine struct {
	addr string
	conn net.Conn // nil: not open
	in   *bufio.Reader
}

func (l *httpLine) open() error {
	if l.conn != nil {
		return nil
	}
	conn, err := net.Dial("tcp", l.addr)
	if err != nil {
		return err
	}
	_ = conn.(*net.TCPConn).SetLinger(0) // thousands of them leave no port behind
	l.conn = conn
	if l.in == nil {
		l.in = bufio.NewReaderSize(conn, 1<<10)
	}
	l.in.Reset(conn)
	return conn.SetDeadline(time.Now().Add(patience))
}

func (l *httpLine) close() {
	if l.conn != nil {
		_ = l.conn.Close()
		l.conn = nil
	}
}

func (l *httpLine) show(token string) (int, error) {
	if token == "" {
		return l.send([]byte("GET / HTTP/1.1\r\nHost: api\r\n\r\n"))
	}
	return l.send([]byte("GET / HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer " + token + "\r\n\r\n"))
}

// send sends a request and returns the status of the answer.
func (l *httpLine) send(request []byte) (status int, err error) {
	if err := l.open(); err != nil {
		return 0, err
	}
	if err := l.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	write := func(conn net.Conn) error {
		_, err := conn.Write(request)
		return err
	}
	if len(request) > 64<<10 { // it may be answered before all of it was sent
		sent := make(chan struct{})
		defer func() { <-sent }()
		go func(conn net.Conn) {
			_ = write(conn)
			close(sent)
		}(l.conn)
	} else if err := write(l.conn); err != nil {
		l.close()
		return 0, err
	}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	resp, err := http.ReadResponse(l.in, nil)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return 0, fmt.Errorf("the body after %s: %w", resp.Status, err)
	}
	if resp.Close {
		l.close()
	}
	return resp.StatusCode, nil
}
