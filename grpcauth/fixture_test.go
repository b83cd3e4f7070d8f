package grpcauth_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"github.com/countermark/countermark/grpcauth"
	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/validator"
)

// The methods of the service under guard.
const (
	unaryCall    = pb.TestService_UnaryCall_FullMethodName
	inputCall    = pb.TestService_StreamingInputCall_FullMethodName
	outputCall   = pb.TestService_StreamingOutputCall_FullMethodName
	duplexCall   = pb.TestService_FullDuplexCall_FullMethodName
	everyMethod  = "/grpc.testing.TestService/*"
	otherMethods = "/grpc.testing.Other/*"
)

// signer is the issuer's key in every test that has a real token.
var signer = &tokentest.Key{ID: "key-1", Alg: "EdDSA", Private: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))}

// authorizer is an Authorizer of one function.
type authorizer func(context.Context, validator.Credentials, validator.Requirement) (*validator.Token, error)

func (f authorizer) Authorize(ctx context.Context, c validator.Credentials, r validator.Requirement) (*validator.Token, error) {
	return f(ctx, c, r)
}

// refusing refuses everything with err.
func refusing(err error) authorizer {
	return func(context.Context, validator.Credentials, validator.Requirement) (*validator.Token, error) {
		return nil, err
	}
}

// accepting accepts everything that shows a token, and tells whom it saw.
func accepting(saw func(validator.Credentials)) authorizer {
	return func(_ context.Context, c validator.Credentials, _ validator.Requirement) (*validator.Token, error) {
		if saw != nil {
			saw(c)
		}
		if c.Token == "" {
			return nil, validator.NewError(validator.ErrNoToken, "")
		}
		return new(validator.Token), nil
	}
}

// newValidator returns a real one for the tokens of token.
func newValidator(tb testing.TB, edit func(*validator.Config)) *validator.Validator {
	tb.Helper()
	cfg := validator.Config{Issuer: tokentest.Issuer, Audiences: []string{tokentest.Audience}, Keys: tokentest.Keys{signer}}
	if edit != nil {
		edit(&cfg)
	}
	v, err := validator.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// token mints a good token, but for the edits of its claims.
func token(tb testing.TB, edits map[string]any) string {
	tb.Helper()
	return signer.Token(tb, nil, tokentest.Claims(time.Now(), edits))
}

// bearer is the metadata of a good token, but for the edits of its claims.
func bearer(tb testing.TB, edits map[string]any) []string {
	tb.Helper()
	return []string{"authorization", "Bearer " + token(tb, edits)}
}

// until are the claims of a token that expires after d, rounded up to a second.
func until(d time.Duration) map[string]any {
	return map[string]any{"exp": time.Now().Add(d + time.Second - 1).Unix()}
}

// everything asks a token of every method, and nothing of the token.
var everything = grpcauth.Options{Methods: map[string]validator.Requirement{everyMethod: {}}}

// service is what stands behind the guard. A unary call greets the token's
// subject, and so does a stream before it does what a test asks for.
type service struct {
	pb.UnimplementedTestServiceServer

	handled atomic.Int32
	unary   func(context.Context) error
	input   func(pb.TestService_StreamingInputCallServer) error
	output  func(pb.TestService_StreamingOutputCallServer) error
	duplex  func(pb.TestService_FullDuplexCallServer) error
}

func (s *service) UnaryCall(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	s.handled.Add(1)
	if s.unary != nil {
		if err := s.unary(ctx); err != nil {
			return nil, err
		}
	}
	return &pb.SimpleResponse{Username: greeting(ctx)}, nil
}

func (s *service) StreamingInputCall(stream pb.TestService_StreamingInputCallServer) error {
	s.handled.Add(1)
	if s.input != nil {
		return s.input(stream)
	}
	return stream.SendAndClose(&pb.StreamingInputCallResponse{})
}

func (s *service) StreamingOutputCall(_ *pb.StreamingOutputCallRequest, stream pb.TestService_StreamingOutputCallServer) error {
	s.handled.Add(1)
	if err := stream.Send(text(greeting(stream.Context()))); err != nil || s.output == nil {
		return err
	}
	return s.output(stream)
}

func (s *service) FullDuplexCall(stream pb.TestService_FullDuplexCallServer) error {
	s.handled.Add(1)
	if err := stream.Send(text(greeting(stream.Context()))); err != nil || s.duplex == nil {
		return err
	}
	return s.duplex(stream)
}

func text(s string) *pb.StreamingOutputCallResponse {
	return &pb.StreamingOutputCallResponse{Payload: &pb.Payload{Body: []byte(s)}}
}

func greeting(ctx context.Context) string {
	if t, ok := validator.TokenFromContext(ctx); ok {
		return "hello " + t.Subject()
	}
	return "hello stranger"
}

// An api is a server with a guard in front of its service, and a client of it.
type api struct {
	*service

	client pb.TestServiceClient
	guard  *grpcauth.Guard
	server *grpc.Server
	conn   *grpc.ClientConn
	log    logbook
}

// A rig changes how an api is served. The zero value is real loopback TCP without
// TLS, with nothing but the guard before the service.
type rig struct {
	service  *service
	memory   bool                // no socket: for a synctest bubble
	server   []grpc.ServerOption // more of them, such as TLS credentials
	client   []grpc.DialOption   // likewise; none means without TLS
	register func(*grpc.Server)  // more services

	unary, unaryBehind   []grpc.UnaryServerInterceptor // before the guard, and behind it
	stream, streamBehind []grpc.StreamServerInterceptor
}

// serve starts an api in front of which a stands, with the options' policy.
func serve(tb testing.TB, a grpcauth.Authorizer, o grpcauth.Options, r rig) *api {
	tb.Helper()
	s := &api{service: r.service}
	if s.service == nil {
		s.service = new(service)
	}
	o.Logger = slog.New(slog.NewJSONHandler(&s.log, nil))
	var err error
	if s.guard, err = grpcauth.New(a, &o); err != nil {
		tb.Fatal(err)
	}
	s.server = grpc.NewServer(append(r.server,
		grpc.ChainUnaryInterceptor(slices.Concat(r.unary, []grpc.UnaryServerInterceptor{s.guard.Unary}, r.unaryBehind)...),
		grpc.ChainStreamInterceptor(slices.Concat(r.stream, []grpc.StreamServerInterceptor{s.guard.Stream}, r.streamBehind)...))...)
	pb.RegisterTestServiceServer(s.server, s.service)
	if r.register != nil {
		r.register(s.server)
	}
	if len(r.client) == 0 {
		r.client = []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	}
	var (
		listener net.Listener
		target   string
	)
	if r.memory {
		pipe := bufconn.Listen(1 << 20)
		listener, target = pipe, "passthrough:memory"
		r.client = append(r.client, grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return pipe.DialContext(ctx) }))
	} else {
		if listener, err = new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0"); err != nil {
			tb.Fatal(err)
		}
		target = listener.Addr().String()
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.server.Serve(listener)
	}()
	if s.conn, err = grpc.NewClient(target, r.client...); err != nil {
		tb.Fatal(err)
	}
	s.client = pb.NewTestServiceClient(s.conn)
	tb.Cleanup(func() {
		_ = s.conn.Close()
		s.server.Stop()
		<-served
	})
	return s
}

// An answer is what a client learns of a call.
type answer struct {
	text    string // the greeting
	code    codes.Code
	message string
	trailer metadata.MD
	info    *errdetails.ErrorInfo
	retry   *errdetails.RetryInfo
}

// A door is one way to call an api.
type door func(tb testing.TB, s *api, pairs ...string) answer

// doors are those that a method may be behind.
var doors = map[string]door{"unary": unary, "stream": stream}

// unary makes a unary call with the given metadata.
func unary(tb testing.TB, s *api, pairs ...string) answer {
	tb.Helper()
	var trailer metadata.MD
	resp, err := s.client.UnaryCall(outgoing(tb, pairs...), new(pb.SimpleRequest), grpc.Trailer(&trailer))
	return answered(tb, resp.GetUsername(), err, trailer)
}

// stream opens a stream, says nothing and reads to the end.
func stream(tb testing.TB, s *api, pairs ...string) answer {
	tb.Helper()
	client, err := s.client.FullDuplexCall(outgoing(tb, pairs...))
	if err != nil {
		tb.Fatal(err)
	}
	_ = client.CloseSend()
	said, err := readAll(client.Recv)
	return answered(tb, strings.Join(said, " "), err, client.Trailer())
}

func outgoing(tb testing.TB, pairs ...string) context.Context {
	tb.Helper()
	return metadata.AppendToOutgoingContext(tb.Context(), pairs...)
}

// readAll reads a stream to its end, which is nil if it was a good one.
func readAll(recv func() (*pb.StreamingOutputCallResponse, error)) (said []string, err error) {
	for {
		m, err := recv()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return said, err
		}
		said = append(said, string(m.GetPayload().GetBody()))
	}
}

func answered(tb testing.TB, said string, err error, trailer metadata.MD) answer {
	tb.Helper()
	st := status.Convert(err)
	a := answer{text: said, code: st.Code(), message: st.Message(), trailer: trailer}
	delete(trailer, "content-type")
	delete(trailer, "grpc-status-details-bin") // what Details returns
	for _, detail := range st.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			a.info = d
		case *errdetails.RetryInfo:
			a.retry = d
		default:
			tb.Errorf("a detail that nobody knows: %v", detail)
		}
	}
	return a
}

// everything is all that the client was told.
func (a answer) everything() string {
	info, _ := proto.Marshal(a.info)
	retry, _ := proto.Marshal(a.retry)
	return fmt.Sprintf("%s %s %s %q %q %q", a.text, a.code, a.message, a.trailer, info, retry)
}

// wantRefused demands a refusal with this code, reason and message, and exactly
// this challenge, or none if it is empty, before a handler was called.
func (s *api) wantRefused(tb testing.TB, a answer, code codes.Code, reason, message, challenge string) {
	tb.Helper()
	var want []string
	if challenge != "" {
		want = []string{challenge}
	}
	if a.code != code || a.message != message || a.text != "" {
		tb.Errorf("%s %q %q; want %s %q", a.code, a.message, a.text, code, message)
	}
	if got := a.trailer["www-authenticate"]; fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		tb.Errorf("challenges %q; want %q", got, want)
	}
	if a.info.GetReason() != reason || a.info.GetDomain() != grpcauth.Domain {
		tb.Errorf("reason %q of %q; want %q of %q", a.info.GetReason(), a.info.GetDomain(), reason, grpcauth.Domain)
	}
	if (a.retry != nil) != (code == codes.Unavailable) {
		tb.Errorf("%s with %v", code, a.retry)
	}
	if n := s.handled.Load(); n != 0 {
		tb.Errorf("a handler was called %d times", n)
	}
}

// wantAccepted demands that the handler, and nobody else, answered.
func (s *api) wantAccepted(tb testing.TB, a answer, greeting string) {
	tb.Helper()
	if a.code != codes.OK || a.text != greeting || s.handled.Load() != 1 {
		tb.Errorf("%s %q, text %q, handler called %d times; want %q and one call\n%s",
			a.code, a.message, a.text, s.handled.Load(), greeting, s.log.String())
	}
	if len(a.trailer) > 0 {
		tb.Errorf("a trailer: %q", a.trailer)
	}
	s.handled.Store(0)
}

// logbook keeps what is logged, and may be written to at any time.
type logbook struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
