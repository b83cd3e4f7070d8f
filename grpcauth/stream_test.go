package grpcauth_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/countermark/countermark/grpcauth"
	"github.com/countermark/countermark/validator"
)

const (
	life           = 10 * time.Second // of the tokens here
	expiredMessage = "expired"
	expiredRefusal = `Bearer realm="api", error="invalid_token", error_description="expired"`
)

// wantExpired demands the answer of a stream that its token ended, at end.
func wantExpired(tb testing.TB, err error, trailer metadata.MD, end time.Time) {
	tb.Helper()
	a := answered(tb, "", err, trailer)
	if a.code != codes.Unauthenticated || a.message != expiredMessage || a.info.GetReason() != "INVALID_TOKEN" {
		tb.Errorf("ended with %v, %v", err, a.info)
	}
	if got := a.trailer["www-authenticate"]; len(got) != 1 || got[0] != expiredRefusal {
		tb.Errorf("challenges %q", got)
	}
	if late := time.Since(end); late < 0 || late >= time.Second {
		tb.Errorf("ended %v after the token", late)
	}
}

// wantEnded demands that ctx ended because the token did.
func wantEnded(ctx context.Context, tb testing.TB) {
	tb.Helper()
	if !errors.Is(ctx.Err(), context.Canceled) || !errors.Is(context.Cause(ctx), validator.ErrExpired) {
		tb.Errorf("the handler's context: %v, because %v", ctx.Err(), context.Cause(ctx))
	}
}

func TestStream_EndsWhenItsTokenExpires_TheHandlerReceives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		heard := make(chan error, 1)
		s := serve(t, newValidator(t, nil), everything, rig{memory: true, service: &service{duplex: func(stream pb.TestService_FullDuplexCallServer) error {
			_, err := stream.Recv() // the client says nothing
			wantEnded(stream.Context(), t)
			heard <- err
			return err
		}}})
		end := time.Now().Add(life)
		client, err := s.client.FullDuplexCall(outgoing(t, bearer(t, until(life))...))
		if err != nil {
			t.Fatal(err)
		}
		said, err := readAll(client.Recv)
		wantExpired(t, err, client.Trailer(), end)
		if fmt.Sprint(said) != "[hello user-1]" {
			t.Errorf("the client heard %q", said)
		}
		if err := <-heard; status.Code(err) != codes.Unauthenticated {
			t.Errorf("the handler heard %v", err)
		}
	})
}

func TestStream_EndsWhenItsTokenExpires_TheHandlerWaitsForItsContext(t *testing.T) {
	t.Parallel()
	for name, result := range map[string]error{"and reports it": context.Canceled, "and is content": nil, "and has its own word": status.Error(codes.Aborted, "no more")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := serve(t, newValidator(t, nil), everything, rig{memory: true, service: &service{output: func(stream pb.TestService_StreamingOutputCallServer) error {
					<-stream.Context().Done()
					wantEnded(stream.Context(), t)
					return result
				}}})
				end := time.Now().Add(life)
				client, err := s.client.StreamingOutputCall(outgoing(t, bearer(t, until(life))...), new(pb.StreamingOutputCallRequest))
				if err != nil {
					t.Fatal(err)
				}
				_, err = readAll(client.Recv)
				wantExpired(t, err, client.Trailer(), end)
			})
		})
	}
}

func TestStream_EndsWhenItsTokenExpires_TheHandlerHearsOfNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		s := serve(t, newValidator(t, nil), everything, rig{memory: true, service: &service{output: func(pb.TestService_StreamingOutputCallServer) error {
			<-release
			return nil
		}}})
		end := time.Now().Add(life)
		client, err := s.client.StreamingOutputCall(outgoing(t, bearer(t, until(life))...), new(pb.StreamingOutputCallRequest))
		if err != nil {
			t.Fatal(err)
		}
		_, err = readAll(client.Recv)
		wantExpired(t, err, client.Trailer(), end)
	})
}

func TestStream_EndsWhenItsTokenExpires_TheHandlerSends(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		heard := make(chan error, 1)
		s := serve(t, newValidator(t, nil), everything, rig{memory: true, service: &service{output: func(stream pb.TestService_StreamingOutputCallServer) error {
			for {
				time.Sleep(time.Second)
				if err := stream.Send(text("tick")); err != nil {
					heard <- err
					return err
				}
			}
		}}})
		end := time.Now().Add(life)
		client, err := s.client.StreamingOutputCall(outgoing(t, bearer(t, until(life))...), new(pb.StreamingOutputCallRequest))
		if err != nil {
			t.Fatal(err)
		}
		said, err := readAll(client.Recv)
		wantExpired(t, err, client.Trailer(), end)
		if n := len(said) - 1; n != 9 {
			t.Errorf("%d ticks in %v", n, life)
		}
		if err := <-heard; status.Code(err) != codes.Unauthenticated {
			t.Errorf("the handler heard %v", err)
		}
	})
}

// A client that does not read fills the window, and the handler waits in Send.
func TestStream_EndsWhenItsTokenExpires_TheClientDoesNotRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		heard := make(chan error, 1)
		s := serve(t, newValidator(t, nil), everything, rig{memory: true, service: &service{output: func(stream pb.TestService_StreamingOutputCallServer) error {
			for {
				if err := stream.Send(text(strings.Repeat("x", 16<<10))); err != nil {
					heard <- err
					return err
				}
			}
		}}})
		end := time.Now().Add(life)
		client, err := s.client.StreamingOutputCall(outgoing(t, bearer(t, until(life))...), new(pb.StreamingOutputCallRequest))
		if err != nil {
			t.Fatal(err)
		}
		if err := <-heard; status.Code(err) != codes.Unauthenticated || time.Since(end) >= time.Second {
			t.Errorf("the handler heard %v, %v after the token", err, time.Since(end))
		}
		_, err = readAll(client.Recv)
		wantExpired(t, err, client.Trailer(), end)
	})
}

func TestStream_EndsWhenItsTokenExpires_TheClientSends(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := make(chan int, 1)
		s := serve(t, newValidator(t, nil), everything, rig{memory: true, service: &service{input: func(stream pb.TestService_StreamingInputCallServer) error {
			for n := 0; ; n++ {
				if _, err := stream.Recv(); err != nil {
					got <- n
					return stream.SendAndClose(new(pb.StreamingInputCallResponse))
				}
			}
		}}})
		end := time.Now().Add(life)
		client, err := s.client.StreamingInputCall(outgoing(t, bearer(t, until(life))...))
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			err = client.Send(new(pb.StreamingInputCallRequest))
			time.Sleep(time.Second)
		}
		_, err = client.CloseAndRecv()
		wantExpired(t, err, client.Trailer(), end.Add(time.Since(end).Truncate(time.Second))) // the client looks once a second
		if n := <-got; n != 10 {
			t.Errorf("%d messages in %v, one a second", n, life)
		}
	})
}

func TestStream_EndsWithinASecondOverTCP(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]func(pb.TestService_FullDuplexCallServer) error{
		"receiving": func(stream pb.TestService_FullDuplexCallServer) error {
			_, err := stream.Recv()
			return err
		},
		"waiting": func(stream pb.TestService_FullDuplexCallServer) error {
			<-stream.Context().Done()
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, newValidator(t, nil), everything, rig{service: &service{duplex: handler}})
			end := time.Unix(time.Now().Unix()+3, 0) // two seconds at least: a late call would be let live longer
			client, err := s.client.FullDuplexCall(outgoing(t, bearer(t, map[string]any{"exp": end.Unix()})...))
			if err != nil {
				t.Fatal(err)
			}
			_, err = readAll(client.Recv)
			wantExpired(t, err, client.Trailer(), end)
		})
	}
}

func TestStream_ThatIsDoneBeforeItsTokenExpires(t *testing.T) {
	t.Parallel()
	for name, result := range map[string]error{
		"well": nil, "badly": status.Error(codes.NotFound, "no such order"), "because it ran into its end": io.ErrUnexpectedEOF,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := serve(t, newValidator(t, nil), everything, rig{memory: true, service: &service{output: func(stream pb.TestService_StreamingOutputCallServer) error {
					stream.SetTrailer(metadata.Pairs("x-handler", "was here"))
					time.Sleep(life - 1)
					return result
				}}})
				client, err := s.client.StreamingOutputCall(outgoing(t, bearer(t, until(life))...), new(pb.StreamingOutputCallRequest))
				if err != nil {
					t.Fatal(err)
				}
				_, err = readAll(client.Recv)
				if want := status.Convert(result); status.Code(err) != want.Code() && !errors.Is(result, io.ErrUnexpectedEOF) || (err == nil) != (result == nil) {
					t.Errorf("%v, want %v", err, want)
				}
				if got := client.Trailer(); len(got["www-authenticate"]) > 0 || len(got["x-handler"]) != 1 || s.log.String() != "" {
					t.Errorf("trailer %q, logged %s", got, s.log.String())
				}
			})
		})
	}
}

func TestStream_TheClientsOwnEndsAreItsOwn(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		leave func(context.Context) (context.Context, context.CancelFunc)
		code  codes.Code
		cause error
	}{
		"canceled": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Second, cancel)
			return ctx, cancel
		}, codes.Canceled, context.Canceled},
		"deadline": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Second)
		}, codes.DeadlineExceeded, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				heard := make(chan error, 1)
				s := serve(t, newValidator(t, nil), everything, rig{memory: true, service: &service{duplex: func(stream pb.TestService_FullDuplexCallServer) error {
					_, err := stream.Recv()
					heard <- context.Cause(stream.Context())
					return err
				}}})
				ctx, cancel := row.leave(outgoing(t, bearer(t, until(life))...))
				defer cancel()
				client, err := s.client.FullDuplexCall(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := readAll(client.Recv); status.Code(err) != row.code {
					t.Errorf("the client heard %v", err)
				}
				if cause := <-heard; !errors.Is(cause, row.cause) && !errors.Is(cause, context.Canceled) || errors.Is(cause, validator.ErrExpired) {
					t.Errorf("the handler's context ended because %v", cause)
				}
				if s.log.String() != "" {
					t.Errorf("logged %s", s.log.String())
				}
			})
		})
	}
}

func TestStream_GraceIsAnOption(t *testing.T) {
	t.Parallel()
	for _, grace := range []time.Duration{time.Second, time.Hour} {
		t.Run(grace.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := everything
				o.StreamGrace = grace
				s := serve(t, newValidator(t, nil), o, rig{memory: true, service: &service{duplex: func(stream pb.TestService_FullDuplexCallServer) error {
					_, err := stream.Recv()
					return err
				}}})
				end := time.Now().Add(life + grace)
				client, err := s.client.FullDuplexCall(outgoing(t, bearer(t, until(life))...))
				if err != nil {
					t.Fatal(err)
				}
				_, err = readAll(client.Recv)
				wantExpired(t, err, client.Trailer(), end)
			})
		})
	}
}

func TestStream_GraceWithoutEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := everything
		o.StreamGrace = math.MaxInt64
		s := serve(t, newValidator(t, nil), o, rig{memory: true, service: &service{output: func(stream pb.TestService_StreamingOutputCallServer) error {
			time.Sleep(1000 * time.Hour)
			return stream.Send(text("still here"))
		}}})
		client, err := s.client.StreamingOutputCall(outgoing(t, bearer(t, until(life))...), new(pb.StreamingOutputCallRequest))
		if err != nil {
			t.Fatal(err)
		}
		if said, err := readAll(client.Recv); err != nil || len(said) != 2 {
			t.Errorf("%q, %v", said, err)
		}
	})
}

// The validator takes a token for a while after its exp; a stream that it opens
// then is not over before it began.
func TestStream_OpenedWithinTheLeewayLastsHalfAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, newValidator(t, nil), everything, rig{memory: true, service: &service{duplex: func(stream pb.TestService_FullDuplexCallServer) error {
			_, err := stream.Recv()
			return err
		}}})
		end := time.Now().Add(30 * time.Second)
		client, err := s.client.FullDuplexCall(outgoing(t, bearer(t, map[string]any{"exp": time.Now().Add(-20 * time.Second).Unix()})...))
		if err != nil {
			t.Fatal(err)
		}
		_, err = readAll(client.Recv)
		wantExpired(t, err, client.Trailer(), end)
	})
}

func TestStream_OfATokenWithoutAnExpiryHasNoEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, accepting(nil), everything, rig{memory: true, service: &service{output: func(stream pb.TestService_StreamingOutputCallServer) error {
			time.Sleep(1000 * time.Hour)
			return stream.Send(text("still here"))
		}}})
		client, err := s.client.StreamingOutputCall(outgoing(t, "authorization", "Bearer abc"), new(pb.StreamingOutputCallRequest))
		if err != nil {
			t.Fatal(err)
		}
		if said, err := readAll(client.Recv); err != nil || fmt.Sprint(said) != "[hello  still here]" {
			t.Errorf("%q, %v", said, err)
		}
	})
}

func TestStream_APublicOneHasNoEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, newValidator(t, nil), grpcauth.Options{Public: []string{outputCall}}, rig{memory: true, service: &service{
			output: func(stream pb.TestService_StreamingOutputCallServer) error {
				time.Sleep(1000 * time.Hour)
				return stream.Send(text("still here"))
			},
		}})
		client, err := s.client.StreamingOutputCall(outgoing(t, bearer(t, until(life))...), new(pb.StreamingOutputCallRequest))
		if err != nil {
			t.Fatal(err)
		}
		if said, err := readAll(client.Recv); err != nil || fmt.Sprint(said) != "[hello stranger still here]" {
			t.Errorf("%q, %v", said, err)
		}
	})
}

func TestStream_AUnaryCallMayOutliveItsToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, newValidator(t, nil), everything, rig{memory: true, service: &service{unary: func(ctx context.Context) error {
			time.Sleep(2 * life)
			return ctx.Err()
		}}})
		s.wantAccepted(t, unary(t, s, bearer(t, until(life))...), "hello user-1")
	})
}
