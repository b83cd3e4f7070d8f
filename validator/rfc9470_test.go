package validator_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/countermark/countermark/validator"
)

func TestRFC9470_3_InsufficientAuthentication(t *testing.T) {
	t.Parallel()
	runRefusals(t, stepUpRefusals())
}

func stepUpRefusals() []refusal {
	acr := func(name string, e edits, others ...string) refusal {
		r := claim("acr "+name, e, validator.ErrStepUp)
		r.require.ACR = append([]string{"canary-acr"}, others...)
		return r
	}
	age := func(name string, e edits) refusal {
		r := claim("auth_time "+name, e, validator.ErrStepUp)
		r.require.AuthMaxAge = time.Hour
		return r
	}
	return []refusal{
		acr("absent", edits{"acr": nil}),
		acr("another", edits{"acr": "canary-weak"}),
		acr("empty", edits{"acr": ""}),
		acr("empty where empty is listed", edits{"acr": ""}, ""),
		acr("absent where empty is listed", edits{"acr": nil}, ""),
		acr("of another case", edits{"acr": "Canary-acr"}),
		acr("two in one", edits{"acr": "canary-acr canary-weak"}),
		age("absent", edits{"auth_time": nil}),
		age("too long ago", edits{"auth_time": noon.Add(-2 * time.Hour).Unix()}),
		age("in the future", edits{"auth_time": noon.Add(2 * time.Hour).Unix()}),
		age("at the epoch", edits{"auth_time": 0}),
	}
}

func TestRFC9470_5_AnyOfTheListedContexts(t *testing.T) {
	t.Parallel()
	v := newValidator(t, nil)
	for _, acr := range []string{"one", "two"} {
		_, err := v.Authorize(t.Context(), validator.Credentials{Token: minted(nil, edits{"acr": acr})},
			validator.Requirement{ACR: []string{"one", "two"}})
		if err != nil {
			t.Errorf("acr %q: %v", acr, err)
		}
	}
}

// The age of a sign-in has a border of one second, leeway on either side.
func TestRFC9470_4_BordersOfMaxAge(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		ago, leeway, maxAge time.Duration
		ok                  bool
	}{
		{3600 * time.Second, -1, time.Hour, true},
		{3601 * time.Second, -1, time.Hour, false},
		{3630 * time.Second, 0, time.Hour, true},
		{3631 * time.Second, 0, time.Hour, false},
		{0, -1, time.Second, true},
		{-1 * time.Second, -1, time.Second, false},
		{-30 * time.Second, 0, time.Hour, true},
		{-31 * time.Second, 0, time.Hour, false},
		{1 * time.Second, -1, time.Nanosecond, false},
		{0, -1, time.Nanosecond, true},
		{1000 * time.Hour, -1, 0, true}, // no requirement
		{time.Hour, 0, math.MaxInt64, true},
	} {
		t.Run(fmt.Sprintf("%v ago, leeway %v, at most %v", row.ago, row.leeway, row.maxAge), func(t *testing.T) {
			t.Parallel()
			v := newValidator(t, func(c *validator.Config) { c.Leeway = row.leeway })
			token := minted(nil, edits{"auth_time": noon.Add(-row.ago).Unix()})
			tok, err := v.Authorize(t.Context(), validator.Credentials{Token: token}, validator.Requirement{AuthMaxAge: row.maxAge})
			if row.ok {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			wantRefused(t, tok, err, validator.ErrStepUp)
		})
	}
}

// A maximum that somebody computed, and got wrong, must not ask for nothing.
func TestRFC9470_ANegativeMaxAgeLetsNobodyIn(t *testing.T) {
	t.Parallel()
	v := newValidator(t, nil)
	for _, claims := range []edits{nil, {"auth_time": noon.Unix()}} {
		tok, err := v.Authorize(t.Context(), validator.Credentials{Token: minted(nil, claims)}, validator.Requirement{AuthMaxAge: -1})
		wantRefused(t, tok, err, validator.ErrUnavailable)
	}
}

// The refusal says all that the authentication must meet, for the challenge.
func TestRFC9470_3_RefusalHoldsTheRequirement(t *testing.T) {
	t.Parallel()
	r := validator.Requirement{ACR: []string{"gold", "silver"}, AuthMaxAge: time.Minute}
	tok, err := newValidator(t, nil).Authorize(t.Context(), validator.Credentials{Token: minted(nil, nil)}, r)
	e := wantRefused(t, tok, err, validator.ErrStepUp)
	if e.Code != "insufficient_user_authentication" || e.Status != 401 || !slices.Equal(e.ACR, r.ACR) || e.MaxAge != r.AuthMaxAge || e.Scopes != nil {
		t.Errorf("got %#v", e)
	}
	e.ACR[0] = "changed"
	if r.ACR[0] != "gold" {
		t.Error("the Error shares the Requirement's slice")
	}
}

// Scope comes first: who lacks it is not sent to sign in again for nothing.
func TestRFC9470_ScopeBeforeAuthentication(t *testing.T) {
	t.Parallel()
	r := validator.Requirement{Scopes: []string{"canary:admin"}, ACR: []string{"gold"}}
	tok, err := newValidator(t, nil).Authorize(t.Context(), validator.Credentials{Token: minted(nil, nil)}, r)
	wantRefused(t, tok, err, validator.ErrScope)
}
