package grpcauth

import (
	"context"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/countermark/countermark/internal/authheader"
	"github.com/countermark/countermark/validator"
)

// lateLife is how long a stream lasts whose token was past its exp when the call
// came: a validator allows for clocks that differ, by as much unless told otherwise.
const lateLife = 30 * time.Second

// serve has handle serve a stream that a let in, until its token expires.
//
// Nothing but the return of its interceptor ends a stream, and wakes a handler
// that waits for the client. So handle does not run in this goroutine.
func (g *Guard) serve(ss grpc.ServerStream, a admission, fullMethod string, handle func(grpc.ServerStream) error) error {
	ctx, cancel := context.WithCancelCause(validator.ContextWithToken(ss.Context(), a.token))
	defer cancel(nil)
	s := &stream{ServerStream: ss, ctx: ctx, cancel: cancel, scheme: a.scheme, expired: make(chan struct{})}
	if a.token.Expiry().IsZero() { // the validator's policy allows it
		return handle(s)
	}
	s.end = end(a.token.Expiry(), a.came).Add(g.grace)
	timer := time.AfterFunc(time.Until(s.end), s.expire)
	defer timer.Stop()

	returned := make(chan outcome)
	over := make(chan struct{})
	defer close(over)
	go func() {
		var o outcome
		defer func() {
			if !o.ok {
				o.panicked = g.caught(ctx, fullMethod, recover())
			}
			select {
			case returned <- o:
			case <-over:
			}
		}()
		o.err = handle(s)
		o.ok = true
	}()
	select {
	case o := <-returned:
		if !o.ok || !s.over() {
			return o.pass()
		}
	case <-s.expired:
	}
	return g.refuse(ctx, fullMethod, errExpired(a.scheme), ss.SetTrailer)
}

// end is when a stream has to end whose call came at came.
func end(expiry, came time.Time) time.Time {
	if came.Before(expiry) {
		return expiry
	}
	return came.Round(0).Add(lateLife) // by the wall clock, as an expiry is
}

// errExpired is what a validator would say of the token now. Who showed it with a
// proof is challenged to do so again (RFC 9449 section 7.1).
func errExpired(scheme string) *validator.Error {
	e := validator.NewError(validator.ErrExpired, "while the stream was open")
	if scheme == authheader.DPoP {
		e.Schemes = []string{scheme}
	}
	return e
}

// An outcome is how a handler ended.
type outcome struct {
	err      error
	ok       bool // it returned
	panicked any  // otherwise: nil if it called runtime.Goexit
}

// pass ends this goroutine as the handler's ended.
func (o outcome) pass() error {
	switch {
	case o.ok:
		return o.err
	case o.panicked != nil:
		panic(o.panicked)
	default:
		runtime.Goexit()
		return nil
	}
}

// caught logs a handler's panic with its stack, which whoever recovers from it
// does not see, and returns it. If the stream is over, nobody else hears of it.
func (g *Guard) caught(ctx context.Context, fullMethod string, panicked any) any {
	if panicked != nil && g.logger != nil {
		g.logger.LogAttrs(ctx, slog.LevelError, "stream handler panicked",
			slog.String("method", fullMethod), slog.Any("panic", panicked), slog.String("stack", string(debug.Stack())))
	}
	return panicked
}

// A stream is what a handler gets. No message passes once its token expired.
type stream struct {
	grpc.ServerStream

	ctx     context.Context //nolint:containedctx // what a ServerStream is asked for
	cancel  context.CancelCauseFunc
	scheme  string    // that the token was shown with
	end     time.Time // zero for never
	once    sync.Once
	expired chan struct{}
}

// Context implements [grpc.ServerStream]: the token is in it, and it ends when
// the token does.
func (s *stream) Context() context.Context { return s.ctx }

// SendMsg implements [grpc.ServerStream].
func (s *stream) SendMsg(m any) error {
	if s.over() {
		return s.err()
	}
	err := s.ServerStream.SendMsg(m)
	if err != nil && s.over() { // it may have waited for a slow client
		return s.err()
	}
	return err
}

// RecvMsg implements [grpc.ServerStream].
func (s *stream) RecvMsg(m any) error {
	if s.over() {
		return s.err()
	}
	err := s.ServerStream.RecvMsg(m)
	if s.over() { // it may have waited for a message
		return s.err()
	}
	return err
}

// over reports whether the token expired. The timer alone would not do: it stands
// still while the machine sleeps.
func (s *stream) over() bool {
	if s.end.IsZero() {
		return false
	}
	if !time.Now().Before(s.end) {
		s.expire()
	}
	select {
	case <-s.expired:
		return true
	default:
		return false
	}
}

func (s *stream) expire() {
	s.once.Do(func() {
		s.cancel(errExpired(s.scheme)) // first: who hears of expired may end the stream
		close(s.expired)
	})
}

func (s *stream) err() error { return refusal(s.ctx, errExpired(s.scheme)).Err() }
