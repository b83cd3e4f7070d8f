package interop_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/oauth"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/examples/grpc/shop"
	"github.com/countermark/countermark/grpcauth"
	"github.com/countermark/countermark/jwks"
	"github.com/countermark/countermark/validator"
)

const (
	audience = "https://api.example.com"
	clientID = "shop client" // has to be encoded for Basic authentication (RFC 6749 section 2.3.1)
	secret   = "a secret: 100 % of this test"
)

// A client of golang.org/x/oauth2 gets a token from the issuer, and the OAuth
// credentials of grpc-go show it to the API.
func TestGRPC_TokenSourceGetsThrough(t *testing.T) {
	t.Parallel()
	issuer := startIssuer(t)
	api := startAPI(t, issuer)
	for name, row := range map[string]struct {
		credentials []grpc.CallOption
		code        codes.Code
		challenges  []string
	}{
		"a good token": {with(t, issuer, "orders:read"), codes.OK, nil},
		"a token without the scope": {with(t, issuer, "orders:write"), codes.PermissionDenied, []string{
			`Bearer realm="api", error="insufficient_scope", error_description="insufficient scope", scope="orders:read"`,
		}},
		"no token": {nil, codes.Unauthenticated, []string{`Bearer realm="api", scope="orders:read"`}},
	} {
		for way, call := range map[string]func(context.Context, shop.OrdersClient, ...grpc.CallOption) (string, metadata.MD, error){
			"unary": list, "stream": watch,
		} {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				who, trailer, err := call(t.Context(), api, row.credentials...)
				if status.Code(err) != row.code || !slices.Equal(trailer["www-authenticate"], row.challenges) {
					t.Errorf("%v, challenges %q; want %v, %q", err, trailer["www-authenticate"], row.code, row.challenges)
				}
				if want := map[bool]string{true: clientID}[row.code == codes.OK]; who != want {
					t.Errorf("served to %q, want %q", who, want)
				}
			})
		}
	}
}

// with is what has a call show a token with this scope.
func with(t *testing.T, issuer, scope string) []grpc.CallOption {
	t.Helper()
	config := &clientcredentials.Config{
		ClientID: clientID, ClientSecret: secret, TokenURL: issuer + "/token", Scopes: []string{scope}, AuthStyle: oauth2.AuthStyleInHeader,
	}
	return []grpc.CallOption{grpc.PerRPCCredentials(oauth.TokenSource{TokenSource: config.TokenSource(t.Context())})}
}

// list calls a unary method, and returns whom it was served to.
func list(ctx context.Context, api shop.OrdersClient, options ...grpc.CallOption) (who string, trailer metadata.MD, err error) {
	resp, err := api.List(ctx, new(shop.ListRequest), append(options, grpc.Trailer(&trailer))...)
	if err != nil {
		return "", trailer, err
	}
	return resp.GetOrders()[0].GetItem(), trailer, nil
}

// watch reads a stream to its end, and returns whom it was served to.
func watch(ctx context.Context, api shop.OrdersClient, options ...grpc.CallOption) (who string, trailer metadata.MD, err error) {
	stream, err := api.Watch(ctx, new(shop.WatchRequest), options...)
	if err != nil {
		return "", nil, err
	}
	for {
		event, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return who, stream.Trailer(), nil
		}
		if err != nil {
			return who, stream.Trailer(), err
		}
		who += event.GetWhat()
	}
}

// orders names the client that it serves.
type orders struct{ shop.UnimplementedOrdersServer }

func (orders) List(ctx context.Context, _ *shop.ListRequest) (*shop.ListResponse, error) {
	return &shop.ListResponse{Orders: []*shop.Order{{Item: client(ctx)}}}, nil
}

func (orders) Watch(_ *shop.WatchRequest, stream grpc.ServerStreamingServer[shop.Event]) error {
	return stream.Send(&shop.Event{What: client(stream.Context())})
}

func client(ctx context.Context) string {
	token, _ := validator.TokenFromContext(ctx)
	return token.ClientID()
}

func startIssuer(t *testing.T) (url string) {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	issuer := "http://" + srv.Listener.Addr().String()
	auth, err := authserver.New(authserver.Config{Issuer: issuer, Clients: []authserver.Client{{
		ClientID:   clientID,
		SecretHash: authserver.HashOf(secret),
		GrantTypes: []string{"client_credentials"},
		Scope:      "orders:read orders:write",
		Audience:   []string{audience},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	srv.Config.Handler = auth
	srv.Start()
	t.Cleanup(srv.Close)
	return issuer
}

// startAPI starts a server with a certificate that it signed itself: grpc-go sends
// tokens over nothing but TLS.
func startAPI(t *testing.T, issuer string) shop.OrdersClient {
	t.Helper()
	keys, err := jwks.New(jwks.Config{Issuer: issuer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	v, err := validator.New(validator.Config{Issuer: issuer, Audiences: []string{audience}, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	g, err := grpcauth.New(v, &grpcauth.Options{Methods: map[string]validator.Requirement{"/shop.Orders/*": {Scopes: []string{"orders:read"}}}})
	if err != nil {
		t.Fatal(err)
	}
	certificate := newCertificate(t)
	serverTLS := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(serverTLS)), grpc.UnaryInterceptor(g.Unary), grpc.StreamInterceptor(g.Stream))
	shop.RegisterOrdersServer(server, orders{})
	if err := g.Check(server); err != nil {
		t.Fatal(err)
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)

	clientTLS := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS13}
	clientTLS.RootCAs.AddCert(certificate.Leaf)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(clientTLS)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return shop.NewOrdersClient(conn)
}

func newCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}
