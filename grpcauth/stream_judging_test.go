package grpcauth_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	pb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/countermark/countermark/validator"
)

// A token that was good when the call came, and expired while the keys were
// fetched, is not one that was let in for the leeway.
func TestStream_JudgingATokenDoesNotProlongItsStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newValidator(t, nil)
		slowly := authorizer(func(ctx context.Context, c validator.Credentials, r validator.Requirement) (*validator.Token, error) {
			token, err := v.Authorize(ctx, c, r)
			time.Sleep(life)
			return token, err
		})
		s := serve(t, slowly, everything, rig{memory: true, service: &service{duplex: func(stream pb.TestService_FullDuplexCallServer) error {
			_, err := stream.Recv()
			return err
		}}})
		end := time.Now().Add(life)
		client, err := s.client.FullDuplexCall(outgoing(t, bearer(t, until(life))...))
		if err != nil {
			t.Fatal(err)
		}
		_, err = readAll(client.Recv)
		wantExpired(t, err, client.Trailer(), end)
	})
}
