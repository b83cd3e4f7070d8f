package grpcauth_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

// A hundred streams, ended in each way that there is, leave nothing behind while
// their server and connection live on. Nothing runs beside it: it looks at all goroutines.
func TestStream_GoroutinesEndWithIt(t *testing.T) {
	receive := func(stream pb.TestService_FullDuplexCallServer) error {
		_, err := stream.Recv()
		return err
	}
	const streams = 100
	for name, row := range map[string]struct {
		handler func(pb.TestService_FullDuplexCallServer) error
		leave   bool // the client does
		code    codes.Code
	}{
		"the token expires, the handler receives": {receive, false, codes.Unauthenticated},
		"the token expires, the handler waits": {func(stream pb.TestService_FullDuplexCallServer) error {
			<-stream.Context().Done()
			return nil
		}, false, codes.Unauthenticated},
		"the token expires, the handler panics": {func(stream pb.TestService_FullDuplexCallServer) error {
			<-stream.Context().Done()
			return clumsy(stream)
		}, false, codes.Unauthenticated},
		"the handler returns": {func(pb.TestService_FullDuplexCallServer) error { return errors.New("enough") }, false, codes.Unknown},
		"the client leaves":   {receive, true, codes.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := serve(t, newValidator(t, nil), everything, rig{memory: true, service: &service{duplex: row.handler}})
				if a := unary(t, s, bearer(t, nil)...); a.code != codes.OK { // there is a connection
					t.Fatal(a.message)
				}
				ctx, cancel := context.WithCancel(outgoing(t, bearer(t, until(life))...))
				var clients []pb.TestService_FullDuplexCallClient
				for range streams {
					client, err := s.client.FullDuplexCall(ctx)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := client.Recv(); err != nil { // the handler is there
						t.Fatal(err)
					}
					clients = append(clients, client)
				}
				time.Sleep(life / 2)
				if row.leave {
					cancel()
				}
				for _, client := range clients {
					if _, err := readAll(client.Recv); status.Code(err) != row.code {
						t.Errorf("ended with %v", err)
					}
				}
				cancel()
				synctest.Wait()
				stacks := make([]byte, 4<<20)
				stacks = stacks[:runtime.Stack(stacks, true)]
				if n := strings.Count(string(stacks), "grpcauth.(*Guard)"); n > 0 {
					t.Errorf("%d frames of ours\n%s", n, stacks)
				}
			})
		})
	}
}
