// Grpc guards the methods of a gRPC server.
//
//	go run ./authserver/cmd/devissuer     # an issuer first, in another terminal
//	go run ./examples/grpc                # on 127.0.0.1:8082
//
// A client shows its token as the metadata "authorization", in each call:
//
//	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
//	list, err := shop.NewOrdersClient(conn).List(ctx, new(shop.ListRequest))
//
// Server reflection is not registered: a tool needs shop/shop.proto.
package main

import (
	"context"
	"flag"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/countermark/countermark/examples/grpc/shop"
	"github.com/countermark/countermark/grpcauth"
	"github.com/countermark/countermark/jwks"
	"github.com/countermark/countermark/validator"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8082", "address to listen on")
	issuer := flag.String("issuer", "http://127.0.0.1:9000", "issuer of the tokens")
	flag.Parse()
	if err := run(*addr, *issuer); err != nil {
		slog.Error("grpc example", "error", err)
		os.Exit(1)
	}
}

func run(addr, issuer string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	server, keys, err := newServer(issuer)
	if err != nil {
		return err
	}
	defer func() { _ = keys.Close() }()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	slog.Info("listening", "addr", listener.Addr().String(), "issuer", issuer)
	go func() {
		<-ctx.Done()
		time.AfterFunc(5*time.Second, server.Stop) // a stream may last as long as its token
		server.GracefulStop()
	}()
	return server.Serve(listener) // which waits for GracefulStop
}

func newServer(issuer string) (*grpc.Server, *jwks.Cache, error) {
	// snippet:guard
	keys, err := jwks.New(jwks.Config{Issuer: issuer})
	if err != nil {
		return nil, nil, err
	}
	v, err := validator.New(validator.Config{
		Issuer:    issuer,
		Audiences: []string{"https://api.example.com"},
		Keys:      keys,
	})
	if err != nil {
		return nil, nil, err
	}
	g, err := grpcauth.New(v, &grpcauth.Options{
		Methods: map[string]validator.Requirement{
			"/shop.Orders/List":   {Scopes: []string{"orders:read"}},
			"/shop.Orders/Watch":  {Scopes: []string{"orders:read"}},
			"/shop.Orders/Cancel": {Scopes: []string{"orders:write"}},
		},
		Public: []string{"/grpc.health.v1.Health/*"},
		Logger: slog.Default(),
	})
	if err != nil {
		return nil, nil, err
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(g.Unary), grpc.StreamInterceptor(g.Stream))
	shop.RegisterOrdersServer(server, orders{})
	healthpb.RegisterHealthServer(server, health.NewServer())
	if err := g.Check(server); err != nil { // a method that nobody named would be refused anyway
		return nil, nil, err
	}
	// end snippet

	return server, keys, nil
}

// orders is the service. Its handlers see only calls that the guard let in.
type orders struct{ shop.UnimplementedOrdersServer }

func (orders) List(ctx context.Context, _ *shop.ListRequest) (*shop.ListResponse, error) {
	token, _ := validator.TokenFromContext(ctx) // there is one: the guard saw to it
	return &shop.ListResponse{Orders: []*shop.Order{order(token)}}, nil
}

func (orders) Cancel(context.Context, *shop.CancelRequest) (*shop.CancelResponse, error) {
	return new(shop.CancelResponse), nil
}

// Watch reports one event and waits for more, of which there are none. It need
// not know when the token expires: its context ends then.
func (orders) Watch(_ *shop.WatchRequest, stream grpc.ServerStreamingServer[shop.Event]) error {
	ctx := stream.Context()
	token, _ := validator.TokenFromContext(ctx)
	if err := stream.Send(&shop.Event{Order: order(token), What: "placed"}); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

func order(token *validator.Token) *shop.Order {
	return &shop.Order{Id: 7, Item: "a chair for " + token.Subject()}
}
