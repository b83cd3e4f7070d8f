package attack_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
)

// sendFrames is a client of gRPC that does not care what metadata may hold, nor
// what a method is called. An HTTP/2 error counts as status 400.
func sendFrames(tb testing.TB, host, path string, r *request) answer {
	tb.Helper()
	cfg := clientTLS(r)
	cfg.NextProtos = []string{"h2"}
	conn, err := tls.Dial("tcp", host, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		tb.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	field := func(name, value string) { encoder.WriteField(hpack.HeaderField{Name: name, Value: value}) }
	for _, f := range [][2]string{
		{":method", "POST"}, {":scheme", "https"}, {":path", path}, {":authority", host},
		{"content-type", "application/grpc"}, {"te", "trailers"},
	} {
		field(f[0], f[1])
	}
	for _, value := range r.authorization {
		field("authorization", value)
	}
	framer.WriteSettings()
	framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
	framer.WriteData(1, true, make([]byte, 5)) // an empty message

	var a answer
	var text strings.Builder
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return answer{status: http.StatusBadRequest, text: err.Error()}
		}
		switch frame := frame.(type) {
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return answer{status: http.StatusBadRequest, text: frame.Header().String()}
		case *http2.MetaHeadersFrame:
			for _, f := range frame.Fields {
				text.WriteString(f.Name + ": " + f.Value + "\n")
				switch f.Name {
				case "www-authenticate":
					a.challenges = append(a.challenges, f.Value)
				case "grpc-status":
					code, err := strconv.Atoi(f.Value)
					if err != nil {
						tb.Fatal(err)
					}
					a.status = statusOf[codes.Code(code)]
				case ":status":
					if f.Value != "200" {
						a.status, _ = strconv.Atoi(f.Value)
					}
				}
			}
			if frame.StreamEnded() {
				a.text = text.String()
				return a
			}
		}
	}
}
