package grpcauth_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/countermark/countermark/grpcauth"
	"github.com/countermark/countermark/validator"
)

// warm returns a call that passes, by an Authorizer that costs nothing.
func warm(tb testing.TB) func() {
	tb.Helper()
	t := new(validator.Token)
	g := newGuard(tb, authorizer(func(context.Context, validator.Credentials, validator.Requirement) (*validator.Token, error) {
		return t, nil
	}), &grpcauth.Options{Methods: map[string]validator.Requirement{unaryCall: {Scopes: []string{"orders:read"}}}})
	ctx := metadata.NewIncomingContext(tb.Context(), metadata.Pairs(
		":authority", "api.example.com", "content-type", "application/grpc", "user-agent", "grpc-go/1.83.2",
		"authorization", "Bearer eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIn0.c2ln"))
	info := &grpc.UnaryServerInfo{FullMethod: unaryCall}
	handler := func(context.Context, any) (any, error) { return nil, nil }
	return func() {
		if _, err := g.Unary(ctx, nil, info, handler); err != nil {
			tb.Fatal(err)
		}
	}
}

// Two: grpc-go's copy of the metadata, and the context that holds the token.
func TestUnary_AllocationsAreThoseOfMetadataAndContext(t *testing.T) {
	call := warm(t)
	if n := testing.AllocsPerRun(1000, call); n != 2 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkUnary(b *testing.B) {
	call := warm(b)
	b.ReportAllocs()
	for b.Loop() {
		call()
	}
}

// A stream's guard costs once, and a little for each message.
func BenchmarkStreamMessage(b *testing.B) {
	g := newGuard(b, newValidator(b, nil), &everything)
	ss := idleStream{fakeStream{ctx: metadata.NewIncomingContext(b.Context(), metadata.Pairs(bearer(b, nil)...))}}
	b.ReportAllocs()
	err := g.Stream(nil, ss, &grpc.StreamServerInfo{FullMethod: duplexCall}, func(_ any, s grpc.ServerStream) error {
		for b.Loop() {
			if err := s.SendMsg(nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// idleStream is a ServerStream whose messages cost nothing.
type idleStream struct{ fakeStream }

func (idleStream) SendMsg(any) error { return nil }
