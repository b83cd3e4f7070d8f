package grpcauth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/countermark/countermark/internal/wire"
	"github.com/countermark/countermark/validator"
)

// Domain is that of the errdetails.ErrorInfo of every refusal.
const Domain = "github.com/countermark/countermark"

// refuse returns the error that answers a call that err keeps out, and sets the
// trailer that goes with it. The reason goes to the log.
func (g *Guard) refuse(ctx context.Context, fullMethod string, err error, setTrailer func(metadata.MD)) error {
	e := wire.Refusal(err)
	st := refusal(ctx, e)
	trailer := metadata.MD{}
	if challenges := g.space.Challenges(e); challenges != nil && !underNetHTTP(ctx) {
		trailer["www-authenticate"] = challenges
	}
	if nonce := wire.Printable(e.Nonce); nonce != "" {
		trailer["dpop-nonce"] = []string{nonce}
	}
	setTrailer(trailer)
	if g.logger != nil {
		level := slog.LevelInfo
		if st.Code() == codes.Unavailable || st.Code() == codes.Internal || errors.Is(err, errNoPolicy) {
			level = slog.LevelError
		}
		g.logger.LogAttrs(ctx, level, "call refused",
			slog.String("code", st.Code().String()), slog.String("method", fullMethod), slog.Any("reason", err))
	}
	return st.Err()
}

// underNetHTTP reports whether a call came by [grpc.Server.ServeHTTP]. net/http
// puts its server into the context of every request. It sends no trailer that is
// called www-authenticate, and complains of each in its log.
func underNetHTTP(ctx context.Context) bool { return ctx.Value(http.ServerContextKey) != nil }

// refusal is e as a status: its code, a constant text and details for programs.
func refusal(ctx context.Context, e *validator.Error) *status.Status {
	if e.Status >= http.StatusInternalServerError && ctx.Err() != nil { // it is the caller who left
		return status.FromContextError(ctx.Err())
	}
	code, reason, message := meaning(e)
	info := &errdetails.ErrorInfo{Reason: reason, Domain: Domain, Metadata: map[string]string{}}
	for name, value := range wire.Params(e) {
		switch name {
		case "error":
			info.Reason = strings.ToUpper(value)
		case "error_description":
			message = value
		default:
			info.Metadata[name] = value
		}
	}
	details := []protoadapt.MessageV1{info}
	if code == codes.Unavailable || e.RetryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: &durationpb.Duration{Seconds: wire.RetryAfter(e)}})
	}
	st := status.New(code, message)
	if detailed, err := st.WithDetails(details...); err == nil {
		st = detailed
	}
	return st
}

// meaning is the status of HTTP that e has, in the terms of gRPC.
func meaning(e *validator.Error) (code codes.Code, reason, message string) {
	switch e.Status {
	case http.StatusBadRequest:
		return codes.InvalidArgument, "INVALID_REQUEST", "malformed request"
	case http.StatusUnauthorized:
		return codes.Unauthenticated, "NO_TOKEN", "no access token"
	case http.StatusNotFound:
		return codes.NotFound, "NOT_FOUND", "not found"
	case http.StatusConflict:
		return codes.Aborted, "CONFLICT", "conflict"
	case http.StatusTooManyRequests:
		return codes.ResourceExhausted, "TOO_MANY_REQUESTS", "too many requests"
	case http.StatusInternalServerError:
		return codes.Internal, "INTERNAL", "internal error"
	}
	switch {
	case e.Status > http.StatusInternalServerError:
		return codes.Unavailable, "UNAVAILABLE", "cannot find out whether the token is good"
	case errors.Is(e, errNoPolicy):
		return codes.PermissionDenied, "NO_POLICY", errNoPolicy.Error()
	default:
		return codes.PermissionDenied, "FORBIDDEN", "forbidden"
	}
}
