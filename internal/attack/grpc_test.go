package attack_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/countermark/countermark/grpcauth"
	"github.com/countermark/countermark/validator"
)

// The operation as a service: once as a call, once as a stream.
const (
	ordersService = "orders.Orders"
	ordersGet     = "/orders.Orders/Get"
	ordersWatch   = "/orders.Orders/Watch"
)

var grpcUnary = grpcDoor("gRPC unary", ordersGet, func(ctx context.Context, conn *grpc.ClientConn) (metadata.MD, error) {
	var trailer metadata.MD
	err := conn.Invoke(ctx, ordersGet, new(emptypb.Empty), new(emptypb.Empty), grpc.Trailer(&trailer))
	return trailer, err
})

var grpcStream = grpcDoor("gRPC stream", ordersWatch, func(ctx context.Context, conn *grpc.ClientConn) (metadata.MD, error) {
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, ordersWatch)
	if err != nil {
		return nil, err
	}
	_ = stream.SendMsg(new(emptypb.Empty)) // if it was refused meanwhile, RecvMsg says so
	_ = stream.CloseSend()
	err = stream.RecvMsg(new(emptypb.Empty))
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return stream.Trailer(), err
})

// grpcDoor is a door to the method fullMethod, which call calls.
func grpcDoor(name, fullMethod string, call func(context.Context, *grpc.ClientConn) (metadata.MD, error)) door {
	return door{name, grpcKind, func(tb testing.TB, h *house) entrance {
		tb.Helper()
		g, err := grpcauth.New(h, &grpcauth.Options{
			Methods: map[string]validator.Requirement{fullMethod: h.needs},
			Logger:  h.logger(),
		})
		if err != nil {
			tb.Fatal(err)
		}
		srv := grpc.NewServer(grpc.Creds(credentials.NewTLS(h.tls)), grpc.UnaryInterceptor(g.Unary), grpc.StreamInterceptor(g.Stream))
		srv.RegisterService(h.service(), nil)
		listener, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		go func() { _ = srv.Serve(listener) }()
		tb.Cleanup(srv.Stop)
		host := listener.Addr().String()
		clients := map[*tls.Certificate]*grpc.ClientConn{}
		return entrance{http.MethodPost, "https://" + host + fullMethod, func(knocks testing.TB, r *request) answer {
			knocks.Helper()
			if !grpcKind.sendable(r.authorization...) {
				return sendFrames(knocks, host, fullMethod, r)
			}
			conn := clients[r.visit.certificate]
			if conn == nil {
				var err error
				if conn, err = grpc.NewClient(host, grpc.WithTransportCredentials(credentials.NewTLS(clientTLS(r)))); err != nil {
					knocks.Fatal(err)
				}
				clients[r.visit.certificate] = conn
				tb.Cleanup(func() { _ = conn.Close() })
			}
			md := metadata.MD{"authorization": r.authorization, "dpop": r.proofs}
			for name, values := range r.visit.fields {
				md.Append(name, values...)
			}
			trailer, err := call(metadata.NewOutgoingContext(knocks.Context(), md), conn)
			return answerOf(knocks, trailer, err)
		}}
	}}
}

// service is the house's operation.
func (h *house) service() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: ordersService,
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{
			MethodName: "Get",
			Handler: func(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
				req := new(emptypb.Empty)
				if err := decode(req); err != nil {
					return nil, err
				}
				return interceptor(ctx, req, &grpc.UnaryServerInfo{Server: srv, FullMethod: ordersGet}, func(ctx context.Context, req any) (any, error) {
					h.enter(ctx)
					return req, nil
				})
			},
		}},
		Streams: []grpc.StreamDesc{{
			StreamName:    "Watch",
			ServerStreams: true,
			Handler: func(_ any, stream grpc.ServerStream) error {
				h.enter(stream.Context())
				return nil
			},
		}},
	}
}

// statusOf is what HTTP says where gRPC has a code.
var statusOf = map[codes.Code]int{
	codes.OK:                http.StatusOK,
	codes.InvalidArgument:   http.StatusBadRequest,
	codes.Unauthenticated:   http.StatusUnauthorized,
	codes.PermissionDenied:  http.StatusForbidden,
	codes.NotFound:          http.StatusNotFound,
	codes.Aborted:           http.StatusConflict,
	codes.ResourceExhausted: http.StatusTooManyRequests,
	codes.Internal:          http.StatusInternalServerError,
	codes.Unavailable:       http.StatusServiceUnavailable,
}

// answerOf says in the terms of HTTP what a client of gRPC was told.
func answerOf(tb testing.TB, trailer metadata.MD, err error) answer {
	tb.Helper()
	st := status.Convert(err)
	a := answer{challenges: trailer["www-authenticate"], text: fmt.Sprint(err, trailer, st.Details())}
	var known bool
	if a.status, known = statusOf[st.Code()]; !known {
		tb.Errorf("the call ended with %v", err)
	}
	for _, detail := range st.Details() {
		if retry, ok := detail.(*errdetails.RetryInfo); ok {
			a.retryAfter = strconv.FormatInt(retry.GetRetryDelay().GetSeconds(), 10)
		}
	}
	if nonces := trailer["dpop-nonce"]; len(nonces) == 1 {
		a.nonce = nonces[0]
	}
	return a
}
