package validator_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/validator"
)

// rotating is a KeySource whose keys change while it is used.
type rotating struct {
	keys atomic.Pointer[[]crypto.PublicKey]
}

func newRotating(keys ...crypto.PublicKey) *rotating {
	r := &rotating{}
	r.keys.Store(&keys)
	return r
}

func (r *rotating) Keys(context.Context, string, string) ([]crypto.PublicKey, error) {
	keys := r.keys.Load()
	if keys == nil {
		return nil, errors.New("out of reach")
	}
	return *keys, nil
}

func TestRemembered_WhatWasAccepted(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"RS256", "PS256", "ES256", "EdDSA"} {
		v := newValidator(t, nil)
		token := minted(edits{"alg": alg}, nil)
		first := accept(t, v, token)
		if !v.Remembers(token) {
			t.Errorf("%s: not remembered", alg)
		}
		if again := accept(t, v, token); again != first {
			t.Errorf("%s: another Token, the same is expected", alg)
		}
	}
}

// A token that is no good takes nobody's place. One that is good elsewhere, or if it
// is shown otherwise, may.
func TestRemembered_NothingThatWasRefused(t *testing.T) {
	t.Parallel()
	elsewhere := []error{validator.ErrScope, validator.ErrStepUp, validator.ErrBinding}
	for _, r := range allRefusals() {
		if r.token == nil || r.opaque || r.change != nil || slices.Contains(elsewhere, r.want) {
			continue
		}
		v := newValidator(t, r.policy)
		token := r.token()
		if tok, err := v.Authorize(t.Context(), validator.Credentials{Token: token}, r.require); err == nil || v.Remembers(token) {
			t.Errorf("%s: token %v, remembered %v", r.name, tok != nil, v.Remembers(token))
		}
	}
}

// Whether the good token that a bad one was made of is remembered makes no
// difference to the bad one, nor does it to show that a second time.
func TestRemembered_ChangesNoVerdict(t *testing.T) {
	t.Parallel()
	for _, r := range allRefusals() {
		if r.token == nil || r.opaque || r.change != nil || r.answer != "" {
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			v := newValidator(t, r.policy)
			_, _ = v.Validate(t.Context(), minted(nil, nil))
			token := r.token()
			for range 2 {
				tok, err := v.Authorize(t.Context(), validator.Credentials{Token: token}, r.require)
				wantRefused(t, tok, err, r.want)
			}
		})
	}
}

func TestRemembered_AnotherHeaderOrPayloadIsAnotherToken(t *testing.T) {
	t.Parallel()
	v := newValidator(t, nil)
	good := minted(nil, nil)
	accept(t, v, good)
	p, other := parts(good), parts(minted(edits{"x": "y"}, edits{"scope": "canary:admin"}))
	for name, token := range map[string]string{
		"header":  join(other[0], p[1], p[2]),
		"payload": join(p[0], other[1], p[2]),
		"both":    join(other[0], other[1], p[2]),
	} {
		tok, err := v.Validate(t.Context(), token)
		if e := wantRefused(t, tok, err, validator.ErrSignature); e == nil || v.Remembers(token) {
			t.Errorf("%s: remembered", name)
		}
	}
}

func TestRemembered_AWithdrawnKeyIsGoodNoMore(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		ours := key(alg).Private.Public()
		keys := newRotating(ours)
		v := newValidator(t, func(c *validator.Config) { c.Keys = keys })
		token := minted(edits{"alg": alg}, nil)
		accept(t, v, token)

		none, others := []crypto.PublicKey{}, []crypto.PublicKey{tokentest.NewKey(t, kid, alg).Private.Public()}
		keys.keys.Store(&others)
		tok, err := v.Validate(t.Context(), token)
		wantRefused(t, tok, err, validator.ErrSignature)
		keys.keys.Store(&none)
		tok, err = v.Validate(t.Context(), token)
		wantRefused(t, tok, err, validator.ErrKey)
		keys.keys.Store(nil)
		tok, err = v.Validate(t.Context(), token)
		wantRefused(t, tok, err, validator.ErrUnavailable)
		back := []crypto.PublicKey{others[0], ours}
		keys.keys.Store(&back)
		accept(t, v, token)
	}
}

func TestRemembered_TimeGoesOn(t *testing.T) {
	t.Parallel()
	now := noon
	v := newValidator(t, func(c *validator.Config) {
		c.Leeway = -1
		c.Now = func() time.Time { return now }
	})
	token := minted(nil, edits{"exp": noon.Add(time.Minute).Unix(), "nbf": noon.Unix()})
	accept(t, v, token)
	now = noon.Add(time.Minute - 1)
	accept(t, v, token)
	now = noon.Add(time.Minute)
	tok, err := v.Validate(t.Context(), token)
	wantRefused(t, tok, err, validator.ErrExpired)
	now = noon.Add(-time.Second)
	tok, err = v.Validate(t.Context(), token)
	wantRefused(t, tok, err, validator.ErrNotYetValid)
}

func TestRemembered_CheckHasTheLastWordEachTime(t *testing.T) {
	t.Parallel()
	calls := 0
	v := newValidator(t, func(c *validator.Config) {
		c.Check = func(context.Context, *validator.Token) error {
			if calls++; calls == 3 {
				return errors.New("no")
			}
			return nil
		}
	})
	token := minted(nil, nil)
	accept(t, v, token)
	accept(t, v, token)
	tok, err := v.Validate(t.Context(), token)
	wantRefused(t, tok, err, validator.ErrForbidden)
}

func TestRemembered_ABoundTokenNeedsItsKeyEachTime(t *testing.T) {
	t.Parallel()
	v := newValidator(t, nil)
	c := newClient()
	if _, err := v.Authorize(t.Context(), c.shows(c.proof(nil, nil)), validator.Requirement{}); err != nil {
		t.Fatal(err)
	}
	if !v.Remembers(c.token) {
		t.Fatal("not remembered")
	}
	tok, err := v.Validate(t.Context(), c.token)
	wantRefused(t, tok, err, validator.ErrBinding)
	tok, err = v.Authorize(t.Context(), validator.Credentials{Token: c.token, Certificate: &x509.Certificate{}}, validator.Requirement{})
	wantRefused(t, tok, err, validator.ErrBinding)
	tok, err = v.Authorize(t.Context(), c.shows(c.proof(nil, nil)), validator.Requirement{})
	wantRefused(t, tok, err, validator.ErrProof) // the same jti
}

func TestRemembered_RequirementsAreMetEachTime(t *testing.T) {
	t.Parallel()
	v := newValidator(t, nil)
	token := minted(nil, nil)
	accept(t, v, token)
	tok, err := v.Authorize(t.Context(), validator.Credentials{Token: token}, validator.Requirement{Scopes: []string{"canary:admin"}})
	wantRefused(t, tok, err, validator.ErrScope)
}

func TestRemembered_CacheSize(t *testing.T) {
	t.Parallel()
	few := newValidator(t, func(c *validator.Config) { c.CacheSize = 4 })
	none := newValidator(t, func(c *validator.Config) { c.CacheSize = -1 })
	for i := range 100 {
		token := minted(nil, edits{"jti": fmt.Sprint("canary-", i)})
		accept(t, few, token)
		accept(t, none, token)
		if none.Remembers(token) {
			t.Fatal("a negative size: remembered")
		}
	}
	if got := few.Remembered(); got > 4 {
		t.Errorf("%d remembered, want 4 at most", got)
	}
}

// What is kept of a token is no token: who reads the memory finds none to use.
func TestRemembered_NoUsableToken(t *testing.T) {
	t.Parallel()
	for alg, least := range map[string]int{"RS256": 171, "ES256": 86, "EdDSA": 86} { // characters that are not kept
		v := newValidator(t, nil)
		token := minted(edits{"alg": alg}, nil)
		accept(t, v, token)
		signature := parts(token)[2]
		for _, text := range v.RememberedTexts(token) {
			if strings.Contains(text, "."+signature[:len(signature)-least+4]) || strings.Contains(text, signature[len(signature)-least:]) {
				t.Errorf("%s: so much of the signature is kept that somebody may find the rest", alg)
			}
		}
	}
}

func TestRemembered_AnotherSignatureIsAnotherToken(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		v := newValidator(t, nil)
		token := minted(edits{"alg": alg}, nil)
		accept(t, v, token)
		for i := strings.LastIndex(token, ".") + 1; i < len(token); i++ {
			other := byte('A')
			if token[i] == other {
				other = 'B'
			}
			if changed := token[:i] + string(other) + token[i+1:]; v.Remembers(changed) {
				t.Fatalf("%s: changed at %d of %d", alg, i, len(token))
			} else if _, err := v.Validate(t.Context(), changed); err == nil {
				t.Fatalf("%s: accepted, changed at %d of %d", alg, i, len(token))
			}
		}
	}
}

// Only a header that a signature stands for is worth remembering.
func TestHeaders_OnlyOfWhatVerifiedAndFew(t *testing.T) {
	t.Parallel()
	v := newValidator(t, func(c *validator.Config) { c.CacheSize = -1 })
	for i := range 20 {
		forged := parts(minted(edits{"x": i}, nil))
		tok, err := v.Validate(t.Context(), join(forged[0], forged[1], parts(minted(nil, nil))[2]))
		wantRefused(t, tok, err, validator.ErrSignature)
	}
	if got := v.Headers(); got != 0 {
		t.Errorf("%d headers of forged tokens", got)
	}
	for i := range 20 {
		token := minted(edits{"x": i}, nil)
		accept(t, v, token)
		accept(t, v, token)
		if got := v.Headers(); got != min(i+1, 8) {
			t.Errorf("%d headers after %d", got, i+1)
		}
	}
}

func TestRemembered_ConcurrentUse(t *testing.T) {
	t.Parallel()
	ours, others := []crypto.PublicKey{key("ES256").Private.Public()}, []crypto.PublicKey{strangersKey().Public()}
	keys := newRotating(ours...)
	v := newValidator(t, func(c *validator.Config) { c.Keys, c.CacheSize = keys, 8 })
	tokens := make([]string, 16)
	for i := range tokens {
		tokens[i] = minted(edits{"x": i % 3}, edits{"jti": fmt.Sprint("canary-", i)})
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 200 {
				tok, err := v.Validate(t.Context(), tokens[i%16])
				if err != nil && !errors.Is(err, validator.ErrSignature) || err == nil && tok.ID() != fmt.Sprint("canary-", i%16) {
					t.Errorf("token %d: %v", i%16, err)
				}
			}
		})
	}
	for range 20 {
		keys.keys.Store(&others)
		_, _ = v.Validate(t.Context(), tokens[0])
		keys.keys.Store(&ours)
	}
	wg.Wait()
}
