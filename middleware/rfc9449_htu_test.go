package middleware_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

// down is a ReplayCache that is out of reach.
type down struct{}

func (down) Add(context.Context, [32]byte, time.Time) (bool, error) {
	return true, errors.New("no route to host")
}

// serveURL is serve with a function for Options.URL.
func serveURL(tb testing.TB, url func(*http.Request) string) *api {
	tb.Helper()
	s := new(api)
	g := middleware.New(newValidator(tb, nil), &middleware.Options{URL: url})
	s.Server = httptest.NewServer(g.Require()(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { s.handled.Add(1) })))
	tb.Cleanup(s.Close)
	return s
}

// wantURL demands that a request, given by its first line and more, is one for
// which proofs name a URL, and for no other.
func wantURL(t *testing.T, url func(*http.Request) string, want string, wrong []string, lines ...string) {
	t.Helper()
	c := newDPoPClient(t, nil)
	for _, htu := range append([]string{want}, wrong...) {
		s := serveURL(t, url)
		request := lines[0] + " HTTP/1.1\r\nConnection: close\r\nAuthorization: DPoP " + c.token + "\r\nDPoP: " + c.proof(t, "GET", htu, nil) + "\r\n"
		for _, line := range lines[1:] {
			request += line + "\r\n"
		}
		if a := s.exchange(t, request+"\r\n"); htu == want {
			s.wantAccepted(t, a)
		} else {
			s.wantRefused(t, a, 401, dpopProof)
		}
	}
}

// Section 4.3, check 9: without an Options.URL, the URL is what the request says of
// itself, and not what a header says that a proxy might have set.
func TestRFC9449_Section4_3_TheURLOfTheRequest(t *testing.T) {
	t.Parallel()
	const api, evil = "http://api.example.com", "http://evil.example"
	for name, row := range map[string]struct {
		want  string
		wrong []string
		lines []string
	}{
		"as it is": {api + "/a", []string{evil + "/a", api + "/b", "https://api.example.com/a"}, []string{"GET /a", "Host: api.example.com"}},
		"a query":  {api + "/a", []string{api + "/a%3Fb=c"}, []string{"GET /a?b=c", "Host: api.example.com"}},
		"a port":   {api + ":8080/a", []string{api + "/a"}, []string{"GET /a", "Host: api.example.com:8080"}},
		"escapes":  {api + "/a%2Fb", []string{api + "/a/b"}, []string{"GET /a%2fb", "Host: api.example.com"}},
		"escapes, and a character that lacks one": {
			api + "/a%2Fb%7Cc", []string{api + "/a/b%7Cc", api + "/a/b|c"}, []string{"GET /a%2Fb|c", "Host: api.example.com"},
		},
		"escapes, and bytes that lack them": {api + "/a%2Fb%C3%BC", []string{api + "/a/b%C3%BC"}, []string{"GET /a%2Fb\u00fc", "Host: api.example.com"}},
		"a number sign":                     {api + "/a%23b", []string{api + "/a", api + "/a#b"}, []string{"GET /a#b", "Host: api.example.com"}},
		"dots":                              {api + "/a/../b", []string{api + "/b"}, []string{"GET /a/../b", "Host: api.example.com"}},
		"slashes":                           {api + "//evil.example/a", []string{evil + "/a", api + "/a"}, []string{"GET //evil.example/a", "Host: api.example.com"}},
		"a target in absolute form": {
			api + "/a", []string{evil + "/a"}, []string{"GET http://api.example.com/a", "Host: evil.example"},
		},
		"X-Forwarded-Host": {api + "/a", []string{evil + "/a"}, []string{"GET /a", "Host: api.example.com", "X-Forwarded-Host: evil.example"}},
		"X-Forwarded-Proto": {
			api + "/a", []string{"https://api.example.com/a"}, []string{"GET /a", "Host: api.example.com", "X-Forwarded-Proto: https"},
		},
		"Forwarded": {
			api + "/a", []string{evil + "/a", "https://evil.example/a"},
			[]string{"GET /a", "Host: api.example.com", "Forwarded: host=evil.example;proto=https"},
		},
		"X-Original-URL": {api + "/a", []string{api + "/b"}, []string{"GET /a", "Host: api.example.com", "X-Original-URL: /b", "X-Rewrite-URL: /b"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantURL(t, nil, row.want, row.wrong, row.lines...)
		})
	}
}

// A request without a host has no URL that a proof could be for: least of all one
// whose host is a part of the path.
func TestRFC9449_Section4_3_NoHostNoURL(t *testing.T) {
	t.Parallel()
	c := newDPoPClient(t, nil)
	for _, lines := range []string{"GET //api.example.com/a HTTP/1.1\r\nHost:", "GET //api.example.com/a HTTP/1.0"} {
		for _, htu := range []string{"http://api.example.com/a", "http:////api.example.com/a", "http:///a"} {
			s := serveURL(t, nil)
			s.wantRefused(t, s.exchange(t, lines+"\r\nConnection: close\r\nAuthorization: DPoP "+c.token+"\r\nDPoP: "+c.proof(t, "GET", htu, nil)+"\r\n\r\n"), 401, dpopProof)
		}
	}
}

// The Host header is the client's. A server that says what its URL is takes no
// proof for another, whatever the client calls it.
func TestOptions_URLIsBelievedInThePlaceOfTheRequest(t *testing.T) {
	t.Parallel()
	url := func(req *http.Request) string { return "https://api.example.com" + req.URL.EscapedPath() }
	wantURL(t, url, "https://api.example.com/a", []string{"http://evil.example/a", "https://evil.example/a"},
		"GET /a", "Host: evil.example", "X-Forwarded-Host: evil.example")
}

// A URL that nobody knows is the API's own fault.
func TestOptions_URLThatReturnsNone(t *testing.T) {
	t.Parallel()
	s := serveURL(t, func(*http.Request) string { return "" })
	c := newDPoPClient(t, nil)
	s.wantRefused(t, c.shows(t, s, c.proof(t, "GET", served, nil)), 503, "")
}

// What a mux or a handler makes of the URL on its way is not what the client sent.
func TestRFC9449_Section4_3_ARouterThatRewrites(t *testing.T) {
	t.Parallel()
	c := newDPoPClient(t, nil)
	for htu, status := range map[string]int{served: 200, "http://api.example.com/": 401, "http://api.example.com/rewritten": 401} {
		g := middleware.New(newValidator(t, nil), nil)
		guarded := g.Require()(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		s := &api{Server: httptest.NewServer(http.StripPrefix("/orders", http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			req.URL.Path = "/rewritten"
			guarded.ServeHTTP(w, req)
		})))}
		defer s.Close()
		if a := c.shows(t, s, c.proof(t, "GET", htu, nil)); a.status != status {
			t.Errorf("a proof for %s: %d, want %d", htu, a.status, status)
		}
	}
}

// HTTP/2 has room for more than a host in :authority, and the server lets it
// through. A proof for /read is none for /write with the host "api.example.com/read?".
func TestRFC9449_Section4_3_AnAuthorityIsNoPath(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		authority, path, htu string
		handled              int32
	}{
		"a host":                   {"api.example.com", "/read", "http://api.example.com/read", 1},
		"for another path":         {"api.example.com", "/write", "http://api.example.com/read", 0},
		"a path and a query":       {"api.example.com/read?", "/write", "http://api.example.com/read", 0},
		"a path and a fragment":    {"api.example.com/read#", "/write", "http://api.example.com/read", 0},
		"the beginning of a path":  {"api.example.com/a", "/write", "http://api.example.com/a/write", 0},
		"a query, path empty":      {"api.example.com?", "/write", "http://api.example.com/", 0},
		"an encoded question mark": {"api.example.com/read%3F", "/write", "http://api.example.com/read", 0},
		"a backslash":              {`api.example.com\read?`, "/write", "http://api.example.com/read", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := new(api)
			g := middleware.New(newValidator(t, nil), nil)
			s.Server = httptest.NewUnstartedServer(g.Require()(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { s.handled.Add(1) })))
			s.Config.Protocols = new(http.Protocols)
			s.Config.Protocols.SetUnencryptedHTTP2(true)
			s.Start()
			defer s.Close()
			c := newDPoPClient(t, nil)
			s.sendHTTP2(t, [][2]string{
				{":method", "GET"},
				{":scheme", "http"},
				{":authority", row.authority},
				{":path", row.path},
				{"authorization", "DPoP " + c.token},
				{"dpop", c.proof(t, "GET", row.htu, nil)},
			})
			if got := s.handled.Load(); got != row.handled {
				t.Errorf("the handler was called %d times, want %d", got, row.handled)
			}
		})
	}
}

// sendHTTP2 sends one request as no client would, and waits for the headers of its
// answer: RFC 9113 section 4, RFC 7541 section 6.2.2.
func (s *api) sendHTTP2(tb testing.TB, fields [][2]string) {
	tb.Helper()
	const headers, settings, endStreamAndHeaders = 1, 4, 5
	frame := func(kind, flags byte, stream uint32, payload []byte) []byte {
		head := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
		return append(binary.BigEndian.AppendUint32(append(head, flags), stream), payload...)
	}
	var block []byte
	for _, field := range fields {
		block = append(block, 0) // a literal, not indexed
		for _, text := range field {
			block = append(hpackLength(block, len(text)), text...)
		}
	}
	conn, err := new(net.Dialer).DialContext(tb.Context(), "tcp", s.Listener.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	request := bytes.Join([][]byte{
		[]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(settings, 0, 0, nil), frame(headers, endStreamAndHeaders, 1, block),
	}, nil)
	if _, err := conn.Write(request); err != nil {
		tb.Fatal(err)
	}
	for {
		var head [9]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			tb.Fatalf("no answer: %v", err)
		}
		length := binary.BigEndian.Uint32(head[:4]) >> 8
		if _, err := io.CopyN(io.Discard, conn, int64(length)); err != nil {
			tb.Fatal(err)
		}
		if head[3] == headers {
			return
		}
	}
}

// hpackLength appends the length of a string that is not Huffman-coded: RFC 7541
// sections 5.1 and 5.2.
func hpackLength(block []byte, n int) []byte {
	const most = 127
	if n < most {
		return append(block, byte(n))
	}
	block = append(block, most)
	for n -= most; n >= 128; n /= 128 {
		block = append(block, byte(n%128+128))
	}
	return append(block, byte(n))
}

var _ validator.ReplayCache = down{}
