package middleware_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

func TestLog_ARefusalIsLoggedWithItsReason(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		err    error
		level  string
		status int
		reason string
	}{
		"no token":    {validator.NewError(validator.ErrNoToken, ""), "INFO", 401, "validator: no access token"},
		"bad request": {validator.NewError(validator.ErrRequest, "two of them"), "INFO", 400, "validator: malformed request: two of them"},
		"bad token":   {validator.NewError(validator.ErrMalformed, "lacks exp"), "INFO", 401, "validator: malformed token: lacks exp"},
		"scope":       {validator.NewError(validator.ErrScope, ""), "INFO", 403, "validator: insufficient scope"},
		"forbidden":   {validator.NewError(validator.ErrForbidden, ""), "INFO", 403, "validator: forbidden"},
		"unavailable": {validator.NewError(validator.ErrUnavailable, "keys"), "ERROR", 503, "validator: cannot find out whether the token is good: keys"},
		"foreign":     {errors.New("disk full"), "ERROR", 503, "disk full"},
		"not found":   {&validator.Error{Status: 404}, "INFO", 404, "validator: refused"},
		"our fault":   {&validator.Error{Status: 500}, "ERROR", 500, "validator: refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, refusing(row.err), require())
			s.send(t, "DELETE /orders/7;access_token=abc?secret=1", "Authorization: Bearer abc")
			var got map[string]any
			if err := json.Unmarshal([]byte(s.log.String()), &got); err != nil {
				t.Fatalf("not one line of JSON: %v\n%s", err, s.log.String())
			}
			delete(got, "time")
			want := map[string]any{
				"level": row.level, "msg": "request refused", "status": float64(row.status),
				"method": "DELETE", "path": "/orders/7", "reason": row.reason,
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("logged %v\nwant   %v", got, want)
			}
		})
	}
}

func TestLog_AnAcceptedRequestIsNotLogged(t *testing.T) {
	t.Parallel()
	for name, guard := range map[string]func(*middleware.Guard) wrapper{"Require": require(), "Optional": (*middleware.Guard).Optional} {
		s := serve(t, newValidator(t, nil), guard)
		s.wantAccepted(t, s.send(t, "GET /", "Authorization: Bearer "+token(t, nil)))
		if log := s.log.String(); log != "" {
			t.Errorf("%s: logged %s", name, log)
		}
	}
}

// The log's context is the request's, for handlers that take a trace from it.
func TestLog_HasTheRequestsContext(t *testing.T) {
	t.Parallel()
	var got context.Context
	g := middleware.New(nil, &middleware.Options{Logger: slog.New(contextCatcher{slog.DiscardHandler, &got})})
	req, err := http.NewRequestWithContext(context.WithValue(t.Context(), contextKey{}, "trace"), http.MethodGet, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	g.Refuse(discard{}, req, errors.New("disk full"))
	if got == nil || got.Value(contextKey{}) != "trace" {
		t.Errorf("logged with context %v", got)
	}
}

type contextCatcher struct {
	slog.Handler
	got *context.Context
}

func (contextCatcher) Enabled(context.Context, slog.Level) bool { return true }

func (c contextCatcher) Handle(ctx context.Context, _ slog.Record) error {
	*c.got = ctx //nolint:fatcontext // kept for the test to look at, and for nobody else
	return nil
}

// Whatever a client shows, and whatever a token says, stays out of what others
// read: every value in these requests that is the client's holds the canary.
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
	payload, err := json.Marshal(claims(nil))
	if err != nil {
		t.Fatal(err)
	}
	strict := func(g *middleware.Guard) wrapper {
		return g.RequireWith(validator.Requirement{Scopes: []string{"orders:read"}, ACR: []string{"urn:mfa"}})
	}
	down := newValidator(t, func(c *validator.Config) { c.Keys = later(time.Second) })
	for name, row := range map[string]struct {
		authorization, query string
		validator            *validator.Validator
	}{
		"expired":             {authorization: "Bearer " + minted(map[string]any{"exp": 1})},
		"not yet valid":       {authorization: "Bearer " + minted(map[string]any{"nbf": time.Now().Add(time.Hour).Unix()})},
		"audience":            {authorization: "Bearer " + minted(map[string]any{"aud": canary})},
		"issuer":              {authorization: "Bearer " + minted(map[string]any{"iss": "https://" + canary})},
		"bound":               {authorization: "Bearer " + minted(map[string]any{"cnf": map[string]any{canary: canary}})},
		"claim of wrong type": {authorization: "Bearer " + minted(map[string]any{"exp": canary})},
		"another key":         {authorization: "Bearer " + stranger.Token(t, nil, claims(nil))},
		"another type":        {authorization: "Bearer " + signer.Token(t, map[string]any{"typ": canary}, claims(nil))},
		"another algorithm":   {authorization: "Bearer " + signer.Token(t, map[string]any{"alg": canary}, claims(nil))},
		"critical":            {authorization: "Bearer " + signer.Token(t, map[string]any{"crit": []string{canary}, canary: 1}, claims(nil))},
		"malformed JSON":      {authorization: "Bearer " + signer.Sign(t, `{"alg":"EdDSA","kid":"key-1","typ":"at+jwt"}`, string(payload)+canary)},
		"duplicate member":    {authorization: "Bearer " + signer.Sign(t, `{"alg":"EdDSA","kid":"key-1","typ":"at+jwt"}`, `{"`+canary+`":1,"`+canary+`":2}`)},
		"opaque":              {authorization: "Bearer " + canary},
		"two tokens":          {authorization: "Bearer " + canary + " " + canary},
		"malformed header":    {authorization: "Bearer " + canary + "\"\\"},
		"another scheme":      {authorization: "Basic " + canary},
		"an unknown scheme":   {authorization: canary},
		"in the query":        {authorization: "Bearer " + good, query: "access_token=" + good + "&" + canary + "=" + canary},
		"scope":               {authorization: "Bearer " + good},
		"step-up":             {authorization: "Bearer " + minted(map[string]any{"scope": "orders:read"})},
		"the API's own word": {authorization: "Bearer " + good, validator: newValidator(t, func(c *validator.Config) {
			c.Check = func(context.Context, *validator.Token) error { return errors.New("not today") }
		})},
		"keys out of reach": {authorization: "Bearer " + good, validator: down},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			guard, v := strict, newValidator(t, nil)
			if row.validator != nil {
				guard, v = require(), row.validator
			}
			s := serve(t, v, guard)
			a := s.send(t, "GET /?"+row.query, "Authorization: "+row.authorization)
			if a.status < 400 || s.handled.Load() > 0 {
				t.Fatalf("not refused: %d", a.status)
			}
			var wire bytes.Buffer
			_ = a.header.Write(&wire)
			secrets := []string{canary}
			if _, shown, ok := strings.Cut(row.authorization, " "); ok {
				secrets = append(secrets, strings.Split(shown, ".")...)
			}
			for where, text := range map[string]string{"log": s.log.String(), "header": wire.String(), "body": a.body} {
				if text == "" {
					t.Errorf("nothing in the %s", where)
				}
				for _, secret := range secrets {
					if strings.Contains(text, secret) {
						t.Errorf("the %s holds %q: %s", where, secret, text)
					}
				}
			}
		})
	}
}
