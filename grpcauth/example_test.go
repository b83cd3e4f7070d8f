package grpcauth_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"fmt"
	"log"
	"net"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/countermark/countermark/examples/grpc/shop"
	"github.com/countermark/countermark/grpcauth"
	"github.com/countermark/countermark/validator"
)

func Example() {
	// In a program, Keys comes from package jwks instead: see there.
	keys, accessToken := issue()
	v, err := validator.New(validator.Config{
		Issuer:    "https://issuer.example",
		Audiences: []string{"https://api.example.com"},
		Keys:      keys,
	})
	if err != nil {
		log.Fatal(err)
	}
	g, err := grpcauth.New(v, &grpcauth.Options{Methods: map[string]validator.Requirement{
		"/shop.Orders/List":   {Scopes: []string{"orders:read"}},
		"/shop.Orders/Cancel": {Scopes: []string{"orders:write"}},
	}})
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(g.Unary), grpc.StreamInterceptor(g.Stream))
	shop.RegisterOrdersServer(server, orders{})
	fmt.Println(g.Check(server))

	conn := serveOrders(server)
	defer server.Stop()
	defer conn.Close()
	client := shop.NewOrdersClient(conn)
	nobody := context.Background()
	alice := metadata.AppendToOutgoingContext(nobody, "authorization", "Bearer "+accessToken)

	_, err = client.List(nobody, new(shop.ListRequest))
	fmt.Println("List:", status.Code(err))
	list, err := client.List(alice, new(shop.ListRequest))
	fmt.Println("List:", status.Code(err), list.GetOrders()[0].GetItem())
	var trailer metadata.MD
	_, err = client.Cancel(alice, new(shop.CancelRequest), grpc.Trailer(&trailer))
	fmt.Println("Cancel:", status.Code(err), trailer["www-authenticate"])
	watch, err := client.Watch(alice, new(shop.WatchRequest))
	if err != nil {
		log.Fatal(err)
	}
	_, err = watch.Recv()
	fmt.Println("Watch:", err)
	// Output:
	// grpcauth: methods without a policy: /shop.Orders/Watch
	// List: Unauthenticated
	// List: OK a chair for alice
	// Cancel: PermissionDenied [Bearer realm="api", error="insufficient_scope", error_description="insufficient scope", scope="orders:write"]
	// Watch: rpc error: code = PermissionDenied desc = no policy for this method
}

// orders is the service under guard.
type orders struct{ shop.UnimplementedOrdersServer }

func (orders) List(ctx context.Context, _ *shop.ListRequest) (*shop.ListResponse, error) {
	t, _ := validator.TokenFromContext(ctx) // there is one: the guard saw to it
	return &shop.ListResponse{Orders: []*shop.Order{{Id: 7, Item: "a chair for " + t.Subject()}}}, nil
}

// serveOrders serves on a free port, and returns a connection to it.
func serveOrders(server *grpc.Server) *grpc.ClientConn {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	return conn
}

// oneKey is a validator.KeySource of an issuer that signs with one key for ever.
type oneKey ed25519.PublicKey

func (k oneKey) Keys(_ context.Context, _, alg string) ([]crypto.PublicKey, error) {
	if alg != "EdDSA" {
		return nil, nil // an answer: there is no such key
	}
	return []crypto.PublicKey{ed25519.PublicKey(k)}, nil
}

// issue does what an authorization server does.
func issue() (keys oneKey, accessToken string) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		log.Fatal(err)
	}
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
		"iss": "https://issuer.example", "aud": "https://api.example.com", "sub": "alice", "client_id": "shop", "jti": "1",
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "scope": "orders:read",
	})
	token.Header["typ"] = "at+jwt"
	accessToken, err = token.SignedString(private)
	if err != nil {
		log.Fatal(err)
	}
	return oneKey(public), accessToken
}
