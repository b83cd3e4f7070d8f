package grpcauth_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/countermark/countermark/grpcauth"
	"github.com/countermark/countermark/validator"
)

// clumsy is the function that the stack of a panic has to name.
func clumsy(pb.TestService_FullDuplexCallServer) error { panic("dropped it") }

// recovering makes a status of a panic.
func recovering(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = status.Error(codes.DataLoss, fmt.Sprint(p))
		}
	}()
	return handler(srv, ss)
}

func TestStream_APanicReachesWhoRecoversOutside(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]grpcauth.Authorizer{"with an end": newValidator(t, nil), "without": accepting(nil)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, a, everything, rig{service: &service{duplex: clumsy}, stream: []grpc.StreamServerInterceptor{recovering}})
			client, err := s.client.FullDuplexCall(outgoing(t, bearer(t, nil)...))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := readAll(client.Recv); status.Code(err) != codes.DataLoss || status.Convert(err).Message() != "dropped it" {
				t.Errorf("the client heard %v", err)
			}
		})
	}
}

// Whoever recovers outside sees the stack of another goroutine.
func TestStream_APanicIsLoggedWithItsStack(t *testing.T) {
	t.Parallel()
	s := serve(t, newValidator(t, nil), everything, rig{service: &service{duplex: clumsy}, stream: []grpc.StreamServerInterceptor{recovering}})
	client, err := s.client.FullDuplexCall(outgoing(t, bearer(t, nil)...))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = readAll(client.Recv)
	for _, want := range []string{`"level":"ERROR"`, `"panic":"dropped it"`, "grpcauth_test.clumsy", `"method":"/grpc.testing.TestService/FullDuplexCall"`} {
		if log := s.log.String(); !strings.Contains(log, want) {
			t.Errorf("no %s in the log: %s", want, log)
		}
	}
}

func TestStream_APanicAfterTheEndIsLoggedAndEndsNothingElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, newValidator(t, nil), everything, rig{memory: true, service: &service{duplex: func(stream pb.TestService_FullDuplexCallServer) error {
			_, _ = stream.Recv()
			return clumsy(stream)
		}}})
		client, err := s.client.FullDuplexCall(outgoing(t, bearer(t, until(life))...))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := readAll(client.Recv); status.Code(err) != codes.Unauthenticated {
			t.Errorf("the client heard %v", err)
		}
		synctest.Wait()
		if log := s.log.String(); !strings.Contains(log, "dropped it") {
			t.Errorf("logged %s", log)
		}
	})
}

func TestStream_APanicWithoutALoggerIsThereToo(t *testing.T) {
	t.Parallel()
	g := newGuard(t, newValidator(t, nil), &everything)
	defer func() {
		if p := recover(); p != "dropped it" {
			t.Errorf("recovered %v", p)
		}
	}()
	ctx := incoming(t, bearer(t, nil)...)
	err := g.Stream(nil, fakeStream{ctx: ctx}, &grpc.StreamServerInfo{FullMethod: duplexCall}, func(any, grpc.ServerStream) error { return clumsy(nil) })
	t.Errorf("no panic, but %v", err)
}

func TestStream_AHandlerThatExitsItsGoroutineExitsOurs(t *testing.T) {
	t.Parallel()
	g := newGuard(t, newValidator(t, nil), &everything)
	ctx := incoming(t, bearer(t, nil)...)
	exited := make(chan bool)
	go func() {
		returned := false
		defer func() { exited <- !returned && recover() == nil }()
		_ = g.Stream(nil, fakeStream{ctx: ctx}, &grpc.StreamServerInfo{FullMethod: duplexCall}, func(any, grpc.ServerStream) error {
			runtime.Goexit()
			return nil
		})
		returned = true
	}()
	if !<-exited {
		t.Error("the interceptor returned or panicked")
	}
}

func TestUnary_APanicIsLeftAlone(t *testing.T) {
	t.Parallel()
	g := newGuard(t, newValidator(t, nil), &grpcauth.Options{Methods: map[string]validator.Requirement{unaryCall: {}}})
	defer func() {
		if p := recover(); p != "dropped it" {
			t.Errorf("recovered %v", p)
		}
	}()
	_, err := g.Unary(incoming(t, bearer(t, nil)...), nil, &grpc.UnaryServerInfo{FullMethod: unaryCall}, func(context.Context, any) (any, error) { panic("dropped it") })
	t.Errorf("no panic, but %v", err)
}
