package main

import (
	"context"
	"net"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	"github.com/countermark/countermark/grpcauth"
	"github.com/countermark/countermark/validator"
)

// grpcDoor starts two servers, with and without an interceptor, and connects to
// both. Calls are those of the health service, whose messages are small.
func grpcDoor(ctx context.Context, v *validator.Validator, bearer string) (open, guarded func(n int) error, stop func(), err error) {
	guard, err := grpcauth.New(v, &grpcauth.Options{Methods: map[string]validator.Requirement{
		grpc_health_v1.Health_Check_FullMethodName: {Scopes: []string{"orders:read"}},
	}})
	if err != nil {
		return nil, nil, nil, err
	}
	open, stopOpen, err := grpcCalls(ctx, grpc.NewServer(), bearer)
	if err != nil {
		return nil, nil, nil, err
	}
	guarded, stopGuarded, err := grpcCalls(ctx, grpc.NewServer(grpc.UnaryInterceptor(guard.Unary)), bearer)
	if err != nil {
		stopOpen()
		return nil, nil, nil, err
	}
	return open, guarded, func() { stopOpen(); stopGuarded() }, nil
}

// grpcCalls serves on loopback, and returns what makes n calls.
func grpcCalls(ctx context.Context, server *grpc.Server, bearer string) (calls func(n int) error, stop func(), err error) {
	grpc_health_v1.RegisterHealthServer(server, serving{})
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	go func() { _ = server.Serve(listener) }()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		server.Stop()
		return nil, nil, err
	}
	client := grpc_health_v1.NewHealthClient(conn)
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", bearer)
	calls = func(n int) error {
		var group errgroup.Group
		for i := range clients() {
			group.Go(func() error {
				for range share(n, clients(), i) {
					if _, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil {
						return err
					}
				}
				return nil
			})
		}
		return group.Wait()
	}
	return calls, func() { _ = conn.Close(); server.Stop() }, nil
}

// serving is a handler that does nothing.
type serving struct {
	grpc_health_v1.UnimplementedHealthServer
}

func (serving) Check(context.Context, *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}, nil
}
