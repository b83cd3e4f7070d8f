package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	pb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/countermark/countermark/grpcauth"
	"github.com/countermark/countermark/internal/rehearsal"
	"github.com/countermark/countermark/introspection"
	"github.com/countermark/countermark/jwks"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

const (
	// What is remembered is full, or old enough to go, before the warming up ends.
	remembered   = 500
	answerTTL    = 20 * time.Second
	proofAge     = 5 * time.Second
	answerWithin = 2 * time.Second
	hangsUp      = 10 * time.Second // a visitor; later than the api gives up
)

// An api is two doors with one validator, and a client of each.
type api struct {
	orders string // the URL of the operation at net/http

	keys     *jwks.Cache
	asks     *http.Transport // of introspection
	visitors *http.Client
	web      *http.Server
	calls    *grpc.Server
	conn     *grpc.ClientConn
}

func openAPI(ctx context.Context, i *rehearsal.Issuer) (*api, error) {
	silent := slog.New(slog.DiscardHandler)
	a := &api{asks: i.Transport(), visitors: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: hangsUp}}
	a.asks.TLSHandshakeTimeout = answerWithin
	var err error
	if a.keys, err = jwks.New(jwks.Config{Issuer: i.URL, Client: &http.Client{Transport: i.Transport()}, Logger: silent}); err != nil {
		return nil, err
	}
	asks, err := introspection.New(introspection.Config{
		Issuer: i.URL, Auth: introspection.Basic("api", "secret"), Client: &http.Client{Transport: a.asks},
		Timeout: answerWithin, TTL: answerTTL, CacheSize: remembered, Logger: silent,
	})
	if err != nil {
		return nil, err
	}
	v, err := validator.New(validator.Config{
		Issuer: i.URL, Audiences: []string{rehearsal.Audience}, Keys: a.keys, Introspector: asks,
		CacheSize: remembered, ProofAge: proofAge, Leeway: -1,
	})
	if err != nil {
		return nil, err
	}
	needs := validator.Requirement{Scopes: []string{rehearsal.Scope}}
	guard, err := grpcauth.New(v, &grpcauth.Options{Methods: map[string]validator.Requirement{pb.Health_Check_FullMethodName: needs}})
	if err != nil {
		return nil, err
	}
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	return a, a.serve(ctx, middleware.New(v, nil).RequireWith(needs)(ok), guard)
}

func (a *api) serve(ctx context.Context, guarded http.Handler, guard *grpcauth.Guard) error {
	forWeb, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	a.web = &http.Server{Handler: guarded, ReadHeaderTimeout: time.Minute}
	go func() { _ = a.web.Serve(forWeb) }()
	a.orders = "http://" + forWeb.Addr().String() + "/orders"

	forCalls, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	a.calls = grpc.NewServer(grpc.UnaryInterceptor(guard.Unary))
	pb.RegisterHealthServer(a.calls, health.NewServer())
	go func() { _ = a.calls.Serve(forCalls) }()
	a.conn, err = grpc.NewClient(forCalls.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	return err
}

// idle ends the connections that nobody uses.
func (a *api) idle() {
	a.visitors.CloseIdleConnections()
	a.asks.CloseIdleConnections()
}

func (a *api) close() {
	a.idle()
	_ = a.conn.Close()
	a.calls.Stop()
	_ = a.web.Close()
	_ = a.keys.Close()
}

// knock shows credentials at net/http. It returns 0 if there was no answer.
func (a *api) knock(ctx context.Context, scheme, token, proof string) int {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.orders, http.NoBody)
	if err != nil {
		return 0
	}
	r.Header.Set("Authorization", scheme+" "+token)
	if proof != "" {
		r.Header.Set("DPoP", proof)
	}
	resp, err := a.visitors.Do(r)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// call shows a token at gRPC, and returns the status that HTTP has for the answer.
func (a *api) call(ctx context.Context, token string) int {
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token), hangsUp)
	defer cancel()
	_, err := pb.NewHealthClient(a.conn).Check(ctx, new(pb.HealthCheckRequest))
	return map[codes.Code]int{codes.OK: 200, codes.Unauthenticated: 401, codes.PermissionDenied: 403, codes.Unavailable: 503}[status.Code(err)]
}
