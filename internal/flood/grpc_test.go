package flood_test

import (
	"context"
	"net"
	"net/http"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/countermark/countermark/grpcauth"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

// serveGRPC opens the API's door in gRPC, and returns who dials there.
func serveGRPC(t *testing.T, a middleware.Authorizer) (dial func() line) {
	t.Helper()
	g, err := grpcauth.New(a, &grpcauth.Options{Methods: map[string]validator.Requirement{
		healthpb.Health_Check_FullMethodName: {Scopes: []string{"orders:read"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(g.Unary), grpc.StreamInterceptor(g.Stream))
	healthpb.RegisterHealthServer(server, health.NewServer())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return func() line { return &grpcLine{addr: listener.Addr().String()} }
}

// A grpcLine is a line of gRPC.
type grpcLine struct {
	addr string
	conn *grpc.ClientConn // nil: not open
}

func (l *grpcLine) open() (err error) {
	if l.conn != nil {
		return nil
	}
	if l.conn, err = grpc.NewClient(l.addr, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	l.conn.Connect()
	for at := l.conn.GetState(); at != connectivity.Ready; at = l.conn.GetState() {
		if !l.conn.WaitForStateChange(ctx, at) {
			return ctx.Err()
		}
	}
	return nil
}

func (l *grpcLine) close() {
	if l.conn != nil {
		_ = l.conn.Close()
	}
}

// show returns the status that HTTP has for the code of the answer.
func (l *grpcLine) show(token string) (int, error) {
	if err := l.open(); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	_, err := healthpb.NewHealthClient(l.conn).Check(ctx, new(healthpb.HealthCheckRequest))
	switch status.Code(err) {
	case codes.OK:
		return http.StatusOK, nil
	case codes.Unauthenticated:
		return http.StatusUnauthorized, nil
	default:
		return 0, err
	}
}
