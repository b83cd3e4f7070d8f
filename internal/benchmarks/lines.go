package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"golang.org/x/sync/errgroup"
)

// lines are connections to an HTTP server that stay open. They write requests
// that are ready, and read answers of a length that is known: a client that did
// more would hide what the server does.
type lines struct {
	host  string
	conns []net.Conn
}

func dial(ctx context.Context, url string, n int) (*lines, error) {
	l := &lines{host: strings.TrimPrefix(url, "http://")}
	for range n {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", l.host)
		if err != nil {
			l.close()
			return nil, err
		}
		l.conns = append(l.conns, conn)
	}
	return l, nil
}

func (l *lines) close() {
	for _, conn := range l.conns {
		_ = conn.Close()
	}
}

// get returns what makes n requests, spread over the connections.
func (l *lines) get(path, bearer string) func(n int) error {
	request := []byte("GET " + path + " HTTP/1.1\r\nHost: " + l.host + "\r\nUser-Agent: benchmarks\r\nAuthorization: " + bearer + "\r\n\r\n")
	return func(n int) error {
		size, err := first(l.conns[0], request)
		if err != nil {
			return err
		}
		var group errgroup.Group
		for i, conn := range l.conns {
			group.Go(func() error { return repeat(conn, request, share(n, len(l.conns), i), size) })
		}
		return group.Wait()
	}
}

// first makes a request, and returns the length of the whole answer.
func first(conn net.Conn, request []byte) (int, error) {
	if _, err := conn.Write(request); err != nil {
		return 0, err
	}
	var text bytes.Buffer
	resp, err := http.ReadResponse(bufio.NewReaderSize(io.TeeReader(conn, &text), 1), nil)
	if err != nil {
		return 0, err
	}
	body, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusOK || string(body) != answer {
		return 0, fmt.Errorf("%s: %q", resp.Status, body)
	}
	return text.Len(), nil
}

func repeat(conn net.Conn, request []byte, n, size int) error {
	text := make([]byte, size)
	for range n {
		if _, err := conn.Write(request); err != nil {
			return err
		}
		if _, err := io.ReadFull(conn, text); err != nil {
			return err
		}
		if !bytes.HasPrefix(text, []byte("HTTP/1.1 200 ")) {
			return fmt.Errorf("an answer that is no 200: %q", text)
		}
	}
	return nil
}

// share returns how many of n pieces the i-th of several workers does.
func share(n, workers, i int) int { return (n + workers - 1 - i) / workers }
