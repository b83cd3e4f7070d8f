package validator_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/validator"
)

// errorsAs is errors.As without a declaration beforehand.
func errorsAs(err error, target any) bool { return errors.As(err, target) }

func TestErrors_WhatTheClientIsTold(t *testing.T) {
	t.Parallel()
	const invalidToken = "invalid_token"
	table := map[error]struct {
		status int
		code   string
	}{
		validator.ErrNoToken:     {401, ""},
		validator.ErrRequest:     {400, "invalid_request"},
		validator.ErrMalformed:   {401, invalidToken},
		validator.ErrType:        {401, invalidToken},
		validator.ErrAlgorithm:   {401, invalidToken},
		validator.ErrKey:         {401, invalidToken},
		validator.ErrSignature:   {401, invalidToken},
		validator.ErrIssuer:      {401, invalidToken},
		validator.ErrAudience:    {401, invalidToken},
		validator.ErrExpired:     {401, invalidToken},
		validator.ErrNotYetValid: {401, invalidToken},
		validator.ErrInactive:    {401, invalidToken},
		validator.ErrRevoked:     {401, invalidToken},
		validator.ErrBinding:     {401, invalidToken},
		validator.ErrScope:       {403, "insufficient_scope"},
		validator.ErrForbidden:   {403, ""},
		validator.ErrStepUp:      {401, "insufficient_user_authentication"},
		validator.ErrProof:       {401, "invalid_dpop_proof"},
		validator.ErrNonce:       {401, "use_dpop_nonce"},
		validator.ErrUnavailable: {503, ""},
	}
	if len(table) != len(sentinels) {
		t.Errorf("%d sentinels, %d of them in the table", len(sentinels), len(table))
	}
	for sentinel, want := range table {
		t.Run(sentinel.Error(), func(t *testing.T) {
			t.Parallel()
			e := validator.NewError(sentinel, "the detail")
			if e.Status != want.status || e.Code != want.code {
				t.Errorf("status %d, code %q; want %d, %q", e.Status, e.Code, want.status, want.code)
			}
			wantRefused(t, nil, e, sentinel)
			if !strings.HasPrefix(e.Error(), "validator: ") || !strings.Contains(e.Error(), sentinel.Error()) || !strings.HasSuffix(e.Error(), ": the detail") {
				t.Errorf("%q", e.Error())
			}
			if (e.Description() == "") != (e.Code == "") {
				t.Errorf("code %q, description %q", e.Code, e.Description())
			}
			if strings.Contains(e.Description(), "detail") {
				t.Errorf("description %q is no constant", e.Description())
			}
			// RFC 6750 section 3: error and error_description.
			if bad := strings.IndexFunc(e.Code+e.Description(), func(r rune) bool { return r < 0x20 || r > 0x7e || r == '"' || r == '\\' }); bad >= 0 {
				t.Errorf("code %q, description %q", e.Code, e.Description())
			}
		})
	}
}

func TestNewError_OfNoSentinelForbids(t *testing.T) {
	t.Parallel()
	foreign := errors.New("closed on Sundays")
	e := validator.NewError(foreign, "the detail")
	wantRefused(t, nil, e, validator.ErrForbidden)
	if !errors.Is(e, foreign) || !strings.Contains(e.Error(), "closed on Sundays") {
		t.Errorf("the cause is lost: %v", e)
	}
	wantRefused(t, nil, validator.NewError(nil, ""), validator.ErrForbidden)
	if e := (&validator.Error{Status: 418}); e.Error() == "" || e.Description() != "" || errors.Is(e, validator.ErrForbidden) {
		t.Errorf("made by hand: %v", e)
	}
}

func TestCheck_HasTheLastWord(t *testing.T) {
	t.Parallel()
	foreign := errors.New("closed on Sundays")
	custom := validator.NewError(validator.ErrStepUp, "payment")
	custom.ACR, custom.MaxAge = []string{"gold"}, time.Minute
	waiting := validator.NewError(validator.ErrUnavailable, "")
	waiting.RetryAfter = time.Hour
	for name, row := range map[string]struct {
		err, want  error
		retryAfter time.Duration
	}{
		"foreign":                {foreign, validator.ErrForbidden, 0},
		"foreign with a wait":    {later(time.Hour), validator.ErrForbidden, 0},
		"*Error":                 {custom, validator.ErrStepUp, 0},
		"*Error, wrapped":        {fmt.Errorf("wrapped: %w", custom), validator.ErrStepUp, 0},
		"*Error, unavailable":    {waiting, validator.ErrUnavailable, time.Hour},
		"unavailable":            {validator.ErrUnavailable, validator.ErrUnavailable, 0},
		"unavailable with wait":  {fmt.Errorf("%w: %w", validator.ErrUnavailable, later(time.Minute)), validator.ErrUnavailable, time.Minute},
		"its own time-out":       {context.DeadlineExceeded, validator.ErrForbidden, 0},
		"revoked":                {validator.ErrRevoked, validator.ErrRevoked, 0},
		"scope":                  {validator.ErrScope, validator.ErrScope, 0},
		"scope, wrapped":         {fmt.Errorf("%w: by row", validator.ErrScope), validator.ErrScope, 0},
		"forbidden, with detail": {fmt.Errorf("%w: %w", validator.ErrForbidden, foreign), validator.ErrForbidden, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newValidator(t, func(c *validator.Config) { c.Check = failing{row.err}.check })
			tok, err := v.Validate(t.Context(), minted(nil, nil))
			e := wantRefused(t, tok, err, row.want)
			if e.RetryAfter != row.retryAfter {
				t.Errorf("RetryAfter = %v, want %v", e.RetryAfter, row.retryAfter)
			}
			if inner := error(custom); errors.Is(row.err, inner) {
				if !slices.Equal(e.ACR, custom.ACR) || e.MaxAge != custom.MaxAge {
					t.Errorf("got %#v", e)
				}
			} else if !errors.Is(err, row.err) {
				t.Errorf("the cause is lost: %v", err)
			}
		})
	}
}

// An *Error that Check made by hand has the last word too.
func TestCheck_AnErrorWithAStatusOfItsOwn(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		err    *validator.Error
		status int
		code   string
	}{
		"a status":            {&validator.Error{Status: 429}, 429, ""},
		"a status and a code": {&validator.Error{Status: 401, Code: "invalid_token"}, 401, "invalid_token"},
		"no status":           {&validator.Error{}, 403, ""},
		"a nil *Error":        {nil, 403, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newValidator(t, func(c *validator.Config) { c.Check = failing{row.err}.check })
			tok, err := v.Validate(t.Context(), minted(nil, nil))
			e, ok := errors.AsType[*validator.Error](err)
			if tok != nil || !ok || e == nil || e.Status != row.status || e.Code != row.code || err.Error() == "" {
				t.Errorf("%v, %#v", tok, err)
			}
		})
	}
}

// Who wrote two scopes into one is told so, in the log.
func TestRequirement_ManyScopesInOne(t *testing.T) {
	t.Parallel()
	v := newValidator(t, nil)
	tok, err := v.Authorize(t.Context(), validator.Credentials{Token: minted(nil, nil)},
		validator.Requirement{Scopes: []string{"canary:read canary:write"}})
	if wantRefused(t, tok, err, validator.ErrScope); !strings.Contains(err.Error(), "has a space") {
		t.Error(err)
	}
}

func TestCheck_SeesOnlyGoodTokens(t *testing.T) {
	t.Parallel()
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "value")
	var seen []*validator.Token
	v := newValidator(t, func(c *validator.Config) {
		c.Introspector = answers(goodAnswer(nil))
		c.Check = func(ctx context.Context, tok *validator.Token) error {
			if ctx.Value(key{}) != "value" {
				t.Error("another context")
			}
			seen = append(seen, tok)
			return nil
		}
	})
	for _, bad := range []validator.Credentials{{}, {Token: minted(nil, edits{"exp": 0})}, {Token: "eyJ.eyJ.eyJ"}} {
		if _, err := v.Authorize(ctx, bad, validator.Requirement{}); err == nil {
			t.Error("accepted")
		}
	}
	if _, err := v.Authorize(ctx, validator.Credentials{Token: opaque}, validator.Requirement{Scopes: []string{"canary:admin"}}); err == nil {
		t.Error("accepted")
	}
	if len(seen) != 0 {
		t.Errorf("Check saw %d bad tokens", len(seen))
	}
	for _, good := range []string{minted(nil, nil), opaque} {
		tok, err := v.Validate(ctx, good)
		if err != nil || len(seen) == 0 || seen[len(seen)-1] != tok {
			t.Errorf("Check did not see the token: %v", err)
		}
	}
}

// A panic of Check is a bug of the API's, and not for us to hide.
func TestCheck_PanicsAreNotCaught(t *testing.T) {
	t.Parallel()
	defer func() {
		if r := recover(); r != "canary" {
			t.Errorf("recovered %v", r)
		}
	}()
	v := newValidator(t, func(c *validator.Config) {
		c.Check = func(context.Context, *validator.Token) error { panic("canary") }
	})
	_, err := v.Validate(t.Context(), minted(nil, nil))
	t.Errorf("returned %v", err)
}

// waiting is a KeySource, an Introspector and a Check that takes as long as it
// may.
type waiting struct{}

func (waiting) Keys(ctx context.Context, _, _ string) ([]crypto.PublicKey, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (waiting) Introspect(ctx context.Context, _ string, _ bool) ([]byte, error) {
	<-ctx.Done()
	return nil, fmt.Errorf("asking: %w", ctx.Err())
}

func (waiting) check(ctx context.Context, _ *validator.Token) error {
	<-ctx.Done()
	return errors.New("gave up")
}

// Who left gets no verdict on the token, and no word of an outage either.
func TestErrors_TheCallerLeft(t *testing.T) {
	t.Parallel()
	shutdown := errors.New("shutting down")
	contexts := map[string]struct {
		make func(context.Context) (context.Context, context.CancelFunc)
		want []error
	}{
		"cancelled": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			return ctx, cancel
		}, []error{context.Canceled}},
		"cancelled with a cause": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			cancel(shutdown)
			return ctx, func() {}
		}, []error{context.Canceled, shutdown}},
		"out of time": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithDeadline(ctx, time.Now().Add(-time.Second))
		}, []error{context.DeadlineExceeded}},
		"running out of time": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 5*time.Millisecond)
		}, []error{context.DeadlineExceeded}},
	}
	waits := map[string]struct {
		policy func(*validator.Config)
		token  string
		fresh  bool
	}{
		"for keys":         {func(c *validator.Config) { c.Keys = waiting{} }, minted(nil, nil), false},
		"for an answer":    {func(c *validator.Config) { c.Introspector = waiting{} }, opaque, false},
		"for a fresh look": {func(c *validator.Config) { c.Introspector = waiting{} }, minted(nil, nil), true},
		"for Check":        {func(c *validator.Config) { c.Check = waiting{}.check }, minted(nil, nil), false},
	}
	for how, ended := range contexts {
		for what, row := range waits {
			t.Run(how+" while waiting "+what, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := ended.make(t.Context())
				defer cancel()
				tok, err := newValidator(t, row.policy).Authorize(ctx, validator.Credentials{Token: row.token}, validator.Requirement{Fresh: row.fresh})
				e, ok := errors.AsType[*validator.Error](err)
				if tok != nil || !ok {
					t.Fatalf("got %v, %v", tok, err)
				}
				if e.Status != 503 || e.Code != "" || e.Description() != "" || e.RetryAfter != 0 {
					t.Errorf("got %#v", e)
				}
				for _, want := range ended.want {
					if !errors.Is(err, want) {
						t.Errorf("%v is not %v", err, want)
					}
				}
				for _, sentinel := range sentinels {
					if errors.Is(err, sentinel) != errors.Is(sentinel, validator.ErrUnavailable) {
						t.Errorf("%v is %v, or not", err, sentinel)
					}
				}
			})
		}
	}
}

func TestKeySource_ErrorsAreUnavailable(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		err  error
		want time.Duration
	}{
		"plain":                {errors.New("down"), 0},
		"with RetryAfter":      {later(7 * time.Second), 7 * time.Second},
		"wrapped":              {fmt.Errorf("wrapped: %w", later(time.Minute)), time.Minute},
		"negative":             {later(-time.Minute), 0},
		"its own time-out":     {context.DeadlineExceeded, 0},
		"its own cancellation": {context.Canceled, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newValidator(t, func(c *validator.Config) { c.Keys = failing{row.err} })
			tok, err := v.Validate(t.Context(), minted(nil, nil))
			if e := wantRefused(t, tok, err, validator.ErrUnavailable); e.RetryAfter != row.want || !showsCause(err, row.err) {
				t.Errorf("RetryAfter = %v, want %v: %v", e.RetryAfter, row.want, err)
			}
		})
	}
}

// showsCause reports whether err wraps cause, or, if that says that some context
// ended, whether err hides it: it was not the caller's.
func showsCause(err, cause error) bool {
	ended := errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded)
	return errors.Is(err, cause) == !ended
}

// No keys and no error is an answer: the issuer has none.
func TestKeySource_NoKeyIsAnAnswer(t *testing.T) {
	t.Parallel()
	for _, none := range []careless{nil, {}} {
		tok, err := newValidator(t, func(c *validator.Config) { c.Keys = none }).Validate(t.Context(), minted(nil, nil))
		wantRefused(t, tok, err, validator.ErrKey)
	}
	tok, err := newValidator(t, nil).Validate(t.Context(), minted(edits{"kid": "canary-unknown"}, nil))
	wantRefused(t, tok, err, validator.ErrKey)
}

// A token without kid is tried with the keys for its alg, but not with any
// number of them.
func TestKeySource_EightKeysAreTried(t *testing.T) {
	t.Parallel()
	good, wrong := ecKey().Public(), strangersKey().Public().(*ecdsa.PublicKey)
	for position := range 10 {
		keys := slices.Repeat(careless{wrong}, 10)
		keys[position] = good
		v := newValidator(t, func(c *validator.Config) { c.Keys = keys })
		tok, err := v.Validate(t.Context(), minted(edits{"kid": nil}, nil))
		if position < 8 {
			if err != nil {
				t.Errorf("the right key is number %d: %v", position+1, err)
			}
			continue
		}
		wantRefused(t, tok, err, validator.ErrSignature)
	}
}

// recording is a KeySource that notes what it is asked for.
type recording struct{ kid, alg string }

func (r *recording) Keys(_ context.Context, kid, alg string) ([]crypto.PublicKey, error) {
	r.kid, r.alg = kid, alg
	return nil, nil
}

func TestKeySource_IsAskedForWhatTheHeaderSays(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ header, kid, alg string }{
		{`{"alg":"ES256","kid":"k","typ":"at+jwt"}`, "k", "ES256"},
		{`{"alg":"RS256","kid":"\u006b\u0000","typ":"at+jwt"}`, "k\x00", "RS256"},
		{`{"alg":"Ed25519","typ":"at+jwt"}`, "", "Ed25519"},
		{`{"alg":"EdDSA","kid":"","typ":"at+jwt"}`, "", "EdDSA"},
	} {
		var source recording
		v := newValidator(t, func(c *validator.Config) { c.Keys = &source })
		tok, err := v.Validate(t.Context(), sign(key("ES256"), row.header, goodPayload()))
		wantRefused(t, tok, err, validator.ErrKey)
		if source.kid != row.kid || source.alg != row.alg {
			t.Errorf("asked for kid %q and alg %q, want %q and %q", source.kid, source.alg, row.kid, row.alg)
		}
	}
}

// Who walks the tree of an error meets no nil (errors: "It is invalid for an Unwrap
// method to return an []error containing a nil error value").
func TestError_UnwrapsToErrorsAlone(t *testing.T) {
	t.Parallel()
	for want, err := range map[int]*validator.Error{
		0: nil,
		1: validator.NewError(validator.ErrForbidden, "by the rules"),
	} {
		if got := err.Unwrap(); len(got) != want || slices.Contains(got, nil) {
			t.Errorf("%v unwraps to %v", err, got)
		}
	}
}
