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
	if challenges := g.space.Challenges(e); challenges != nil {
		trailer["www-authenticate"] = challenges
	}
	if nonce := wire.Printable(e.Nonce); nonce != "" {
		trailer["dpop-nonce"] = []string{nonce}
	}
	setTrailer(trailer)
	if g.logger != nil {
		level := slog.LevelInfo
		if st.Code() == codes.Unavailable || errors.Is(err, errNoPolicy) {
			level = slog.LevelError
		}
		g.logger.LogAttrs(ctx, level, "call refused",
			slog.String("code", st.Code().String()), slog.String("method", fullMethod), slog.Any("reason", err))
	}
	return st.Err()
}

// refusal is e as a status: its code, a constant text and details for programs.
func refusal(ctx context.Context, e *validator.Error) *status.Status {
	code, reason, message := codes.PermissionDenied, "FORBIDDEN", "forbidden"
	switch {
	case e.Status == http.StatusBadRequest:
		code, reason, message = codes.InvalidArgument, "INVALID_REQUEST", "malformed request"
	case e.Status == http.StatusUnauthorized:
		code, reason, message = codes.Unauthenticated, "NO_TOKEN", "no access token"
	case e.Status >= http.StatusInternalServerError && ctx.Err() != nil: // it is the caller who left
		return status.FromContextError(ctx.Err())
	case e.Status >= http.StatusInternalServerError:
		code, reason, message = codes.Unavailable, "UNAVAILABLE", "cannot find out whether the token is good"
	case errors.Is(e, errNoPolicy):
		reason, message = "NO_POLICY", errNoPolicy.Error()
	}
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
	if e.Status == http.StatusServiceUnavailable {
		details = append(details, &errdetails.RetryInfo{RetryDelay: &durationpb.Duration{Seconds: wire.RetryAfter(e)}})
	}
	st := status.New(code, message)
	if detailed, err := st.WithDetails(details...); err == nil {
		st = detailed
	}
	return st
}
