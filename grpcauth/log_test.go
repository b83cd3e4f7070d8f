package grpcauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"

	"github.com/countermark/countermark/grpcauth"
	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/validator"
)

func TestLog_ARefusalIsLoggedWithItsReason(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		err                 error
		level, code, reason string
	}{
		"no token":    {validator.NewError(validator.ErrNoToken, ""), "INFO", "Unauthenticated", "validator: no access token"},
		"bad request": {validator.NewError(validator.ErrRequest, "two of them"), "INFO", "InvalidArgument", "validator: malformed request: two of them"},
		"bad token":   {validator.NewError(validator.ErrMalformed, "lacks exp"), "INFO", "Unauthenticated", "validator: malformed token: lacks exp"},
		"scope":       {validator.NewError(validator.ErrScope, ""), "INFO", "PermissionDenied", "validator: insufficient scope"},
		"unavailable": {validator.NewError(validator.ErrUnavailable, "keys"), "ERROR", "Unavailable", "validator: cannot find out whether the token is good: keys"},
		"foreign":     {errors.New("disk full"), "ERROR", "Unavailable", "disk full"},
	} {
		for way, call := range doors {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				s := serve(t, refusing(row.err), everything, rig{})
				call(t, s, "authorization", "Bearer abc")
				var got map[string]any
				if err := json.Unmarshal([]byte(s.log.String()), &got); err != nil {
					t.Fatalf("not one line of JSON: %v\n%s", err, s.log.String())
				}
				delete(got, "time")
				want := map[string]any{"level": row.level, "msg": "call refused", "code": row.code, "method": methodOf[way], "reason": row.reason}
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("logged %v\nwant   %v", got, want)
				}
			})
		}
	}
}

func TestLog_AStreamThatItsTokenEndedIsLoggedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, newValidator(t, nil), everything, rig{memory: true, service: &service{duplex: func(stream pb.TestService_FullDuplexCallServer) error {
			_, err := stream.Recv()
			return err
		}}})
		stream, err := s.client.FullDuplexCall(outgoing(t, bearer(t, until(life))...))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = readAll(stream.Recv)
		synctest.Wait()
		if log := s.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, `"level":"INFO"`) ||
			!strings.Contains(log, `"reason":"validator: expired: while the stream was open"`) {
			t.Errorf("logged %s", log)
		}
	})
}

type contextKey struct{}

// The log's context is the call's, for handlers that take a trace from it.
func TestLog_HasTheCallsContext(t *testing.T) {
	t.Parallel()
	var got []context.Context
	g := newGuard(t, refusing(errors.New("disk full")), &grpcauth.Options{
		Methods: everything.Methods, Logger: slog.New(contextCatcher{slog.DiscardHandler, &got}),
	})
	ctx := context.WithValue(incoming(t), contextKey{}, "trace")
	_, _ = g.Unary(ctx, nil, &grpc.UnaryServerInfo{FullMethod: unaryCall}, nil)
	_ = g.Stream(nil, fakeStream{ctx: ctx}, &grpc.StreamServerInfo{FullMethod: duplexCall}, nil)
	if len(got) != 2 || got[0].Value(contextKey{}) != "trace" || got[1].Value(contextKey{}) != "trace" {
		t.Errorf("logged with contexts %v", got)
	}
}

type contextCatcher struct {
	slog.Handler

	got *[]context.Context
}

func (contextCatcher) Enabled(context.Context, slog.Level) bool { return true }

func (c contextCatcher) Handle(ctx context.Context, _ slog.Record) error {
	*c.got = append(*c.got, ctx)
	return nil
}

// Whatever a client shows, and whatever a token says, stays out of what others
// read: every value in these calls that is the client's holds the canary.
func TestLog_NothingOfATokenIsToldToAnybody(t *testing.T) {
	t.Parallel()
	const canary = "c4n4ry"
	claims := func(edits map[string]any) map[string]any {
		c := tokentest.Claims(time.Now(), map[string]any{
			"sub": canary, "client_id": canary, "jti": canary, "scope": canary, "acr": canary, canary: canary,
		})
		maps.Copy(c, edits)
		return c
	}
	minted := func(edits map[string]any) string { return signer.Token(t, nil, claims(edits)) }
	good := minted(nil)
	stranger := tokentest.NewKey(t, canary, "ES256")
	bound := minted(map[string]any{"cnf": map[string]any{"jkt": stranger.Thumbprint(t)}})
	proof := stranger.Proof(t, map[string]any{"kid": canary}, tokentest.ProofClaims(time.Now(), canary, canary, bound, map[string]any{"jti": canary}))
	strict := validator.Requirement{Scopes: []string{"orders:read"}, ACR: []string{"urn:mfa"}}
	down := newValidator(t, func(c *validator.Config) { c.Keys = later(time.Second) })
	for name, row := range map[string]struct {
		pairs     []string
		validator *validator.Validator
	}{
		"expired":             {pairs: []string{"authorization", "Bearer " + minted(map[string]any{"exp": 1})}},
		"audience":            {pairs: []string{"authorization", "Bearer " + minted(map[string]any{"aud": canary})}},
		"issuer":              {pairs: []string{"authorization", "Bearer " + minted(map[string]any{"iss": "https://" + canary})}},
		"bound":               {pairs: []string{"authorization", "Bearer " + minted(map[string]any{"cnf": map[string]any{canary: canary}})}},
		"claim of wrong type": {pairs: []string{"authorization", "Bearer " + minted(map[string]any{"exp": canary})}},
		"another key":         {pairs: []string{"authorization", "Bearer " + stranger.Token(t, nil, claims(nil))}},
		"opaque":              {pairs: []string{"authorization", "Bearer " + canary}},
		"two tokens":          {pairs: []string{"authorization", "Bearer " + canary + " " + canary}},
		"two values":          {pairs: []string{"authorization", "Bearer " + canary, "authorization", "Bearer " + canary}},
		"another scheme":      {pairs: []string{"authorization", "Basic " + canary}},
		"binary":              {pairs: []string{"authorization-bin", "Bearer " + canary}},
		"a bad proof":         {pairs: []string{"authorization", "DPoP " + bound, "dpop", proof}},
		"two proofs":          {pairs: []string{"authorization", "DPoP " + bound, "dpop", proof, "dpop", proof}},
		"scope":               {pairs: []string{"authorization", "Bearer " + good}},
		"step-up":             {pairs: []string{"authorization", "Bearer " + minted(map[string]any{"scope": "orders:read"})}},
		"keys out of reach":   {pairs: []string{"authorization", "Bearer " + good}, validator: down},
	} {
		for way, call := range doors {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				v := row.validator
				if v == nil {
					v = newValidator(t, nil)
				}
				s := serve(t, v, grpcauth.Options{Default: &strict}, rig{})
				a := call(t, s, row.pairs...)
				if a.code == 0 || s.handled.Load() > 0 {
					t.Fatalf("not refused: %s", a.code)
				}
				wantSilent(t, s.log.String(), a.everything(), append(shownIn(row.pairs), canary))
			})
		}
	}
}

func TestLog_AStreamThatEndsTellsNothingOfItsToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const canary = "c4n4ry"
		s := serve(t, newValidator(t, nil), everything, rig{memory: true, service: &service{output: func(stream pb.TestService_StreamingOutputCallServer) error {
			<-stream.Context().Done()
			return stream.Context().Err()
		}}})
		claims := until(life)
		claims["scope"], claims["sub"], claims[canary] = canary, "user-1", canary
		pairs := bearer(t, claims)
		stream, err := s.client.StreamingOutputCall(outgoing(t, pairs...), new(pb.StreamingOutputCallRequest))
		if err != nil {
			t.Fatal(err)
		}
		_, err = readAll(stream.Recv)
		a := answered(t, "", err, stream.Trailer())
		wantSilent(t, s.log.String(), a.everything(), append(shownIn(pairs), canary, "user-1"))
	})
}

// shownIn are the parts of the credentials in metadata.
func shownIn(pairs []string) []string {
	var secrets []string
	for _, values := range metadata.Pairs(pairs...) {
		for _, value := range values {
			if _, shown, ok := strings.Cut(value, " "); ok {
				value = shown
			}
			secrets = append(secrets, strings.Split(value, ".")...)
		}
	}
	return secrets
}

func wantSilent(tb testing.TB, log, wire string, secrets []string) {
	tb.Helper()
	for where, text := range map[string]string{"log": log, "answer": wire} {
		if text == "" {
			tb.Errorf("nothing in the %s", where)
		}
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				tb.Errorf("the %s holds %q: %s", where, secret, text)
			}
		}
	}
}
