package main

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/countermark/countermark/examples/grpc/shop"
	"github.com/countermark/countermark/examples/internal/demo"
)

const audience = "https://api.example.com"

func TestAPI_WhoGetsIn(t *testing.T) {
	t.Parallel()
	issuer := startIssuer(t)
	api := startAPI(t, issuer.URL)
	reader, writer := token(t, issuer, "reader"), token(t, issuer, "writer")
	elsewhere := token(t, issuer, "elsewhere")
	const refused, forbidden = codes.Unauthenticated, codes.PermissionDenied
	for name, row := range map[string]struct {
		call  method
		token string
		code  codes.Code
		text  string // of the answer
	}{
		"list, no token":              {list, "", refused, ""},
		"list":                        {list, reader, codes.OK, "a chair for reader"},
		"list, no such scope":         {list, writer, forbidden, ""},
		"list, for another audience":  {list, elsewhere, refused, ""},
		"list, made up":               {list, "made-up", refused, ""},
		"cancel":                      {cancel, writer, codes.OK, ""},
		"cancel, no such scope":       {cancel, reader, forbidden, ""},
		"watch, no token":             {watch, "", refused, ""},
		"watch":                       {watch, reader, codes.OK, "a chair for reader placed"},
		"watch, no such scope":        {watch, writer, forbidden, ""},
		"watch, for another audience": {watch, elsewhere, refused, ""},
		"watch, made up":              {watch, "made-up", refused, ""},
		"health":                      {checkHealth, "", codes.OK, "SERVING"},
		"health, made up":             {checkHealth, "made-up", codes.OK, "SERVING"},
		"a method that nobody named":  {unnamed, reader, forbidden, ""},
		"a stream that nobody named":  {unnamedStream, reader, forbidden, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := row.call(as(t, row.token), api)
			if status.Code(err) != row.code || text != row.text {
				t.Errorf("%v %q, want %v %q", err, text, row.code, row.text)
			}
		})
	}
}

// An API starts without its issuer, and says so to clients. Its health is its own.
func TestAPI_WithoutItsIssuerNobodyIsToldThatATokenIsBad(t *testing.T) {
	t.Parallel()
	issuer := startIssuer(t)
	good := token(t, issuer, "reader")
	issuer.Stop()
	api := startAPI(t, issuer.URL)
	for name, call := range map[string]method{"list": list, "watch": watch} {
		if _, err := call(as(t, good), api); status.Code(err) != codes.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := checkHealth(t.Context(), api); err != nil {
		t.Errorf("health: %v", err)
	}
}

// A method calls one, and returns the text of the first answer.
type method func(context.Context, *grpc.ClientConn) (text string, err error)

func list(ctx context.Context, api *grpc.ClientConn) (string, error) {
	resp, err := shop.NewOrdersClient(api).List(ctx, new(shop.ListRequest))
	if err != nil {
		return "", err
	}
	return resp.GetOrders()[0].GetItem(), nil
}

func cancel(ctx context.Context, api *grpc.ClientConn) (string, error) {
	_, err := shop.NewOrdersClient(api).Cancel(ctx, &shop.CancelRequest{Id: 7})
	return "", err
}

func watch(ctx context.Context, api *grpc.ClientConn) (string, error) {
	stream, err := shop.NewOrdersClient(api).Watch(ctx, new(shop.WatchRequest))
	if err != nil {
		return "", err
	}
	event, err := stream.Recv()
	if err != nil {
		return "", err
	}
	return event.GetOrder().GetItem() + " " + event.GetWhat(), nil
}

func checkHealth(ctx context.Context, api *grpc.ClientConn) (string, error) {
	resp, err := healthpb.NewHealthClient(api).Check(ctx, new(healthpb.HealthCheckRequest))
	if err != nil {
		return "", err
	}
	return resp.GetStatus().String(), nil
}

// Nobody names these in the policy.
const forgotten = "/shop.Forgotten/"

func unnamed(ctx context.Context, api *grpc.ClientConn) (string, error) {
	return "", api.Invoke(ctx, forgotten+"Unary", new(shop.ListRequest), new(shop.ListResponse))
}

func unnamedStream(ctx context.Context, api *grpc.ClientConn) (string, error) {
	stream, err := api.NewStream(ctx, &forgottenService.Streams[0], forgotten+"Stream")
	if err != nil {
		return "", err
	}
	return "", stream.RecvMsg(new(shop.ListResponse))
}

var forgottenService = grpc.ServiceDesc{
	ServiceName: "shop.Forgotten",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Unary",
		Handler: func(srv any, ctx context.Context, _ func(any) error, guard grpc.UnaryServerInterceptor) (any, error) {
			return guard(ctx, nil, &grpc.UnaryServerInfo{Server: srv, FullMethod: forgotten + "Unary"}, func(context.Context, any) (any, error) {
				return new(shop.ListResponse), nil
			})
		},
	}},
	Streams: []grpc.StreamDesc{{
		StreamName:    "Stream",
		Handler:       func(any, grpc.ServerStream) error { return nil },
		ServerStreams: true,
	}},
}

func startIssuer(t *testing.T) *demo.Issuer {
	t.Helper()
	issuer, err := demo.StartIssuer(t.Context(),
		demo.Client("reader", "orders:read", audience),
		demo.Client("writer", "orders:write", audience),
		demo.Client("elsewhere", "orders:read", "https://other.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(issuer.Stop)
	return issuer
}

func startAPI(t *testing.T, issuer string) *grpc.ClientConn {
	t.Helper()
	server, keys, err := newServer(issuer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	server.RegisterService(&forgottenService, nil)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func token(t *testing.T, issuer *demo.Issuer, client string) string {
	t.Helper()
	token, err := issuer.Token(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// as is the context of a call with a token, or with none if it is empty.
func as(t *testing.T, token string) context.Context {
	t.Helper()
	if token == "" {
		return t.Context()
	}
	return metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)
}
