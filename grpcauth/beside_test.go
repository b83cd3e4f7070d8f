package grpcauth_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/countermark/countermark/grpcauth"
	"github.com/countermark/countermark/validator"
)

func TestBeside_HealthIsPublicWhereNamedSo(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		public      []string
		check, list codes.Code
	}{
		"named":         {[]string{"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"}, codes.OK, codes.PermissionDenied},
		"as a service":  {[]string{"/grpc.health.v1.Health/*"}, codes.OK, codes.OK},
		"not mentioned": {nil, codes.PermissionDenied, codes.PermissionDenied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := everything
			o.Public = row.public
			s := serve(t, newValidator(t, nil), o, rig{register: func(srv *grpc.Server) { healthpb.RegisterHealthServer(srv, health.NewServer()) }})
			client := healthpb.NewHealthClient(s.conn)
			if _, err := client.Check(t.Context(), new(healthpb.HealthCheckRequest)); status.Code(err) != row.check {
				t.Errorf("Check: %v", err)
			}
			if _, err := client.List(t.Context(), new(healthpb.HealthListRequest)); status.Code(err) != row.list {
				t.Errorf("List: %v", err)
			}
			watch, err := client.Watch(t.Context(), new(healthpb.HealthCheckRequest))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := watch.Recv(); status.Code(err) != row.check {
				t.Errorf("Watch: %v", err)
			}
			s.wantRefused(t, unary(t, s), codes.Unauthenticated, "NO_TOKEN", "no access token", `Bearer realm="api"`)
		})
	}
}

func TestBeside_ReflectionByToken(t *testing.T) {
	t.Parallel()
	o := grpcauth.Options{Methods: map[string]validator.Requirement{
		everyMethod: {}, "/grpc.reflection.v1.ServerReflection/*": {Scopes: []string{"reflect"}},
	}}
	s := serve(t, newValidator(t, nil), o, rig{register: func(srv *grpc.Server) { reflection.RegisterV1(srv) }})
	for scope, want := range map[string]codes.Code{"reflect": codes.OK, "orders:read": codes.PermissionDenied} {
		client, err := reflectionpb.NewServerReflectionClient(s.conn).ServerReflectionInfo(outgoing(t, bearer(t, map[string]any{"scope": scope})...))
		if err != nil {
			t.Fatal(err)
		}
		_ = client.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}})
		_ = client.CloseSend()
		m, err := client.Recv()
		if status.Code(err) != want {
			t.Errorf("scope %s: %v", scope, err)
		}
		if n := len(m.GetListServicesResponse().GetService()); (n > 0) != (want == codes.OK) {
			t.Errorf("scope %s: %d services", scope, n)
		}
	}
	if err := s.guard.Check(s.server); err != nil {
		t.Error(err)
	}
}

// Interceptors before the guard see refusals, and no token; those behind it see
// the token, and no call that was refused.
func TestBeside_OtherInterceptors(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []string
	see := func(who string, ctx context.Context) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, who+": "+greeting(ctx))
	}
	watch := func(who string) (grpc.UnaryServerInterceptor, grpc.StreamServerInterceptor) {
		return func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
				see(who, ctx)
				resp, err := handler(ctx, req)
				see(who+" "+status.Code(err).String(), ctx)
				return resp, err
			}, func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
				see(who, ss.Context())
				err := handler(srv, ss)
				see(who+" "+status.Code(err).String(), ss.Context())
				return err
			}
	}
	beforeUnary, beforeStream := watch("before")
	behindUnary, behindStream := watch("behind")
	s := serve(t, newValidator(t, nil), everything, rig{
		unary: []grpc.UnaryServerInterceptor{beforeUnary}, stream: []grpc.StreamServerInterceptor{beforeStream},
		unaryBehind: []grpc.UnaryServerInterceptor{behindUnary}, streamBehind: []grpc.StreamServerInterceptor{behindStream},
	})
	for way, call := range doors {
		seen = nil
		call(t, s)
		if want := []string{"before: hello stranger", "before Unauthenticated: hello stranger"}; !slices.Equal(seen, want) {
			t.Errorf("%s, refused: %q", way, seen)
		}
		seen = nil
		s.wantAccepted(t, call(t, s, bearer(t, nil)...), "hello user-1")
		want := []string{"before: hello stranger", "behind: hello user-1", "behind OK: hello user-1", "before OK: hello stranger"}
		if !slices.Equal(seen, want) {
			t.Errorf("%s, accepted: %q", way, seen)
		}
	}
}

// A server of net/http may serve gRPC too, by another transport of grpc-go's. It
// sends no trailer of this name, and would complain of each: RFC 9110 section 6.5.1
// keeps WWW-Authenticate out of trailers. The details tell the same.
func TestBeside_ServeHTTP(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]func(pb.TestService_FullDuplexCallServer) error{
		"receiving": func(stream pb.TestService_FullDuplexCallServer) error {
			_, err := stream.Recv()
			return err
		},
		"sending": func(stream pb.TestService_FullDuplexCallServer) error {
			for {
				if err := stream.Send(text("tick")); err != nil {
					return err
				}
			}
		},
		"waiting": func(stream pb.TestService_FullDuplexCallServer) error {
			<-stream.Context().Done()
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := newCertificate(t)
			s := serve(t, newValidator(t, nil), everything, rig{service: &service{duplex: handler}})
			web := httptest.NewUnstartedServer(s.server)
			web.EnableHTTP2 = true
			var complaints logbook
			web.Config.ErrorLog = log.New(&complaints, "", 0)
			web.TLS = &tls.Config{Certificates: []tls.Certificate{own.Certificate}, ClientAuth: tls.RequestClientCert}
			web.StartTLS()
			defer web.Close()
			conn, err := grpc.NewClient(web.Listener.Addr().String(), own.client(&own)...)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			s.client = pb.NewTestServiceClient(conn)

			s.wantRefused(t, unary(t, s), codes.Unauthenticated, "NO_TOKEN", "no access token", "")
			s.wantRefused(t, stream(t, s), codes.Unauthenticated, "NO_TOKEN", "no access token", "")
			bound := map[string]any{"cnf": map[string]any{"x5t#S256": own.thumbprint()}}
			s.wantAccepted(t, unary(t, s, bearer(t, bound)...), "hello user-1")

			end := time.Unix(time.Now().Unix()+3, 0) // two seconds at least: a late call would be let live longer
			client, err := s.client.FullDuplexCall(outgoing(t, bearer(t, map[string]any{"exp": end.Unix()})...))
			if err != nil {
				t.Fatal(err)
			}
			_, err = readAll(client.Recv)
			wantExpired(t, err, metadata.Pairs("www-authenticate", expiredRefusal), end)
			if got := complaints.String(); strings.Contains(got, "trailer") {
				t.Errorf("net/http complains: %s", got)
			}
		})
	}
}

func TestBeside_ManyCallsAtOnceGetTheirOwnTokens(t *testing.T) {
	t.Parallel()
	s := serve(t, newValidator(t, nil), everything, rig{})
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			subject := "user-" + strconv.Itoa(i)
			pairs := bearer(t, map[string]any{"sub": subject})
			for range 8 {
				for way, call := range doors {
					if a := call(t, s, pairs...); a.text != "hello "+subject {
						t.Errorf("%s: %s was greeted with %q (%s)", way, subject, a.text, a.message)
					}
					if a := call(t, s); a.code != codes.Unauthenticated {
						t.Errorf("%s: nobody was greeted with %q", way, a.text)
					}
				}
			}
		})
	}
	all.Wait()
	if log := s.log.String(); strings.Count(log, "call refused") != 32*8*2 {
		t.Error(fmt.Sprint(strings.Count(log, "call refused"), " refusals in the log"))
	}
}

// A method that nobody registered never gets as far as the guard, unless a proxy
// takes all there are. There, too, it is refused without a policy of its own.
func TestBeside_AnUnknownServiceHandler(t *testing.T) {
	t.Parallel()
	s := serve(t, newValidator(t, nil), everything, rig{server: []grpc.ServerOption{
		grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error {
			t.Error("the handler was called")
			return nil
		}),
	}})
	for _, fullMethod := range []string{"/grpc.testing.Other/Call", "/grpc.testing.TestService/*", "/grpc.testing.TestService/a/b", "/grpc.testing.TestService/%55naryCall"} {
		err := s.conn.Invoke(outgoing(t, bearer(t, nil)...), fullMethod, new(pb.Empty), new(pb.Empty))
		if status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s: %v", fullMethod, err)
		}
	}
}
