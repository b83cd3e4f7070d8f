package grpcauth

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/countermark/countermark/validator"
)

// slow is a ServerStream whose calls take a while.
type slow struct {
	grpc.ServerStream

	takes  time.Duration
	result error
	calls  int
}

func (s *slow) pass(any) error {
	s.calls++
	time.Sleep(s.takes)
	return s.result
}

func (s *slow) SendMsg(m any) error { return s.pass(m) }
func (s *slow) RecvMsg(m any) error { return s.pass(m) }

// A machine that sleeps holds its timers up, but not the clock on the wall. So
// these streams have no timer.
func TestStream_NoMessagePassesAfterTheExpiryThoughNoTimerFired(t *testing.T) {
	t.Parallel()
	const life = 10 * time.Second
	for name, row := range map[string]struct {
		call       func(*stream) error
		age, takes time.Duration // of the stream when the call is made, and what the call takes
		result     error         // of the call beneath
		calls      int           // beneath
		refused    bool
	}{
		"sent in time":               {send, life - 1, 0, nil, 1, false},
		"sent in time, slowly":       {send, 0, 2 * life, nil, 1, false},
		"sent in time, in vain":      {send, 0, 2 * life, io.ErrClosedPipe, 1, true},
		"not sent in time":           {send, 0, 0, io.ErrClosedPipe, 1, false},
		"sent late":                  {send, life, 0, nil, 0, true},
		"received in time":           {receive, life - 1, 0, nil, 1, false},
		"received late":              {receive, life, 0, nil, 0, true},
		"received after a wait":      {receive, 0, life, nil, 1, true},
		"the end after a wait":       {receive, 0, life, io.EOF, 1, true},
		"the end in time":            {receive, 0, 1, io.EOF, 1, false},
		"an error after a wait":      {receive, 0, life, io.ErrClosedPipe, 1, true},
		"long after the expiry":      {receive, 1000 * life, 0, nil, 0, true},
		"sent long after the expiry": {send, 1000 * life, 0, nil, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				beneath := &slow{takes: row.takes, result: row.result}
				s := &stream{ServerStream: beneath, ctx: ctx, cancel: cancel, end: time.Now().Add(life), expired: make(chan struct{})}
				time.Sleep(row.age)
				err := row.call(s)
				if beneath.calls != row.calls {
					t.Errorf("%d calls beneath, want %d", beneath.calls, row.calls)
				}
				if !row.refused {
					if !errors.Is(err, row.result) || ctx.Err() != nil && row.takes < life {
						t.Errorf("%v, context %v", err, ctx.Err())
					}
					return
				}
				if status.Code(err) != codes.Unauthenticated || !errors.Is(context.Cause(ctx), validator.ErrExpired) {
					t.Errorf("%v, the context ended because %v", err, context.Cause(ctx))
				}
				if err := s.RecvMsg(nil); status.Code(err) != codes.Unauthenticated || beneath.calls != row.calls {
					t.Errorf("once more: %v", err)
				}
			})
		})
	}
}

func send(s *stream) error    { return s.SendMsg(nil) }
func receive(s *stream) error { return s.RecvMsg(nil) }

// An expiry counts though the context ended before, for somebody else's reason.
func TestStream_NoMessagePassesAfterTheExpiryThoughTheContextHadEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		beneath := new(slow)
		s := &stream{ServerStream: beneath, ctx: ctx, cancel: cancel, end: time.Now().Add(time.Second), expired: make(chan struct{})}
		cancel(errors.New("somebody else's reason"))
		if err := s.SendMsg(nil); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if err := s.SendMsg(nil); status.Code(err) != codes.Unauthenticated || beneath.calls != 1 {
			t.Errorf("%v after %d calls beneath", err, beneath.calls)
		}
	})
}
