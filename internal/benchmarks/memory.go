package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/countermark/countermark/middleware"
)

// memory measures what a remembered token holds on to, when it came by a request
// with many other headers, none of which may stay.
func (b *bench) memory(ctx context.Context) error {
	n := int(b.window / (150 * time.Microsecond)) // as many as are signed soon
	tokens, err := b.issuer.tokens("RS256", n+1)
	if err != nil {
		return err
	}
	v, err := b.issuer.validator(ctx)
	if err != nil {
		return err
	}
	passed := 0
	guarded := middleware.New(v, nil).Require("orders:read")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed++ }))
	show := func(t *token) error {
		req, err := readRequest(ctx, t.raw)
		if err != nil {
			return err
		}
		guarded.ServeHTTP(nowhere{}, req)
		return nil
	}
	if err := show(&tokens[n]); err != nil { // what the first one brings about is not the others'
		return err
	}
	before := heap()
	for i := range n {
		if err := show(&tokens[i]); err != nil {
			return err
		}
	}
	each := (heap() - before) / float64(n)
	runtime.KeepAlive(tokens)
	if err := validating(ctx, v)(tokens[0].raw); err != nil || passed != n+1 {
		return errors.Join(fmt.Errorf("%d of %d requests passed", passed, n+1), err)
	}
	b.report.atMost("memory of a remembered RS256 token", each/1024, 1.5, " KiB")
	b.report.add(part{
		title: "Memory",
		text: fmt.Sprintf("By how much the heap grows with each of %d RS256 tokens of %s that come through the middleware, each in a request "+
			"with 8 KiB of other headers: claims, and what finds the token again. No header stays.", n, tokens[0].size()),
		head: []string{"", "KiB"},
		rows: [][]string{{"a remembered token", figure(each / 1024)}},
	})
	return nil
}

// heap returns the bytes that are in use once all garbage is gone.
func heap() float64 {
	runtime.GC()
	runtime.GC() // what the first one finalized
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// readRequest parses a request as the server of net/http does.
func readRequest(ctx context.Context, token string) (*http.Request, error) {
	var text bytes.Buffer
	text.WriteString("GET /orders HTTP/1.1\r\nHost: api.example.com\r\n")
	for i := range 8 {
		fmt.Fprintf(&text, "X-Other-%d: %s\r\n", i, strings.Repeat("o", 1010))
	}
	text.WriteString("Authorization: Bearer " + token + "\r\n\r\n")
	req, err := http.ReadRequest(bufio.NewReader(&text))
	if err != nil {
		return nil, err
	}
	return req.WithContext(ctx), nil
}

// nowhere is a ResponseWriter whose answer nobody reads.
type nowhere struct{}

func (nowhere) Header() http.Header         { return http.Header{} }
func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) WriteHeader(int)             {}
