package validator_test

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/validator"
)

// A party is one of many issuers. It counts who consults it. Every party has a
// key of its own, and all their keys have one name.
type party struct {
	name, audience string
	key            *tokentest.Key
	opens          chan struct{} // if not nil, Keys and Close wait for it

	keys    askedKeys
	answers askedAnswers
}

type askedKeys struct {
	of            *party
	calls, closed atomic.Int32
}

func (k *askedKeys) Keys(ctx context.Context, kid, alg string) ([]crypto.PublicKey, error) {
	k.calls.Add(1)
	if k.of.opens != nil {
		<-k.of.opens
	}
	if k.closed.Load() > 0 {
		return nil, errors.New("asked for keys after Close")
	}
	return tokentest.Keys{k.of.key}.Keys(ctx, kid, alg)
}

func (k *askedKeys) Close() error {
	k.closed.Add(1)
	return nil
}

type askedAnswers struct {
	of            *party
	calls, closed atomic.Int32
	fresh         atomic.Int32
}

func (a *askedAnswers) Introspect(_ context.Context, _ string, fresh bool) ([]byte, error) {
	a.calls.Add(1)
	if fresh {
		a.fresh.Add(1)
	}
	return []byte(marshal(a.of.claims(edits{"active": true}))), nil
}

func (a *askedAnswers) Close() error {
	a.closed.Add(1)
	return nil
}

// newParty returns the issuer https://NAME.example, whose tokens are for
// https://api.NAME.example.
func newParty(tb testing.TB, name string) *party {
	tb.Helper()
	p := &party{
		name: "https://" + name + ".example", audience: "https://api." + name + ".example",
		key: tokentest.NewKey(tb, "key-1", "EdDSA"),
	}
	p.keys.of, p.answers.of = p, p
	return p
}

// validator returns one of the party with Keys and Introspector, edited.
func (p *party) validator(tb testing.TB, edit func(*validator.Config)) *validator.Validator {
	tb.Helper()
	cfg := validator.Config{Issuer: p.name, Audiences: []string{p.audience}, Keys: &p.keys, Introspector: &p.answers}
	if edit != nil {
		edit(&cfg)
	}
	v, err := validator.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

func (p *party) claims(e edits) edits {
	return edited(tokentest.Claims(time.Now(), edits{"iss": p.name, "aud": p.audience, "sub": "of " + p.name, "exp": time.Now().Add(24 * time.Hour).Unix()}), e)
}

// token mints a good token, but for the edits of its claims.
func (p *party) token(tb testing.TB, e edits) string {
	tb.Helper()
	return p.key.Token(tb, nil, p.claims(e))
}

// wantAsked demands how often the party's keys were asked for, and its opinion.
func (p *party) wantAsked(tb testing.TB, keys, answers int32) {
	tb.Helper()
	if k, a := p.keys.calls.Load(), p.answers.calls.Load(); k != keys || a != answers {
		tb.Errorf("%s: asked for keys %d times and about tokens %d times; want %d and %d", p.name, k, a, keys, answers)
	}
}

// wantClosed demands how often each part of the party was closed.
func (p *party) wantClosed(tb testing.TB, times int32) {
	tb.Helper()
	if k, a := p.keys.closed.Load(), p.answers.closed.Load(); k != times || a != times {
		tb.Errorf("%s: keys closed %d times, introspector %d times; want %d", p.name, k, a, times)
	}
}

// A registry is a Resolve: whom it knows, and who was looked up.
type registry struct {
	mu      sync.Mutex
	found   map[string]*validator.Validator
	err     error
	lookups []string

	takes time.Duration // how long a lookup takes
}

func (r *registry) resolve(_ context.Context, issuer string, _ *validator.Validator) (*validator.Validator, error) {
	r.mu.Lock()
	r.lookups = append(r.lookups, issuer)
	r.mu.Unlock()
	time.Sleep(r.takes)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return nil, r.err
	}
	return r.found[issuer], nil
}

// set says what a lookup of issuer finds from now on.
func (r *registry) set(issuer string, v *validator.Validator) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.found == nil {
		r.found = map[string]*validator.Validator{}
	}
	r.found[issuer] = v
}

// fail has lookups end in err from now on, unless it is nil.
func (r *registry) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// wantLookups demands who was looked up, in order.
func (r *registry) wantLookups(tb testing.TB, issuers ...string) {
	tb.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.lookups, issuers) {
		tb.Errorf("looked up %q, want %q", r.lookups, issuers)
	}
}

func (r *registry) count(issuer string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range r.lookups {
		if name == issuer {
			n++
		}
	}
	return n
}

func newIssuers(tb testing.TB, cfg validator.IssuersConfig) *validator.Issuers {
	tb.Helper()
	s, err := validator.NewIssuers(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

// wantToken demands that s accepts the token as one of the party's.
func (p *party) wantToken(tb testing.TB, s *validator.Issuers, token string) {
	tb.Helper()
	tok, err := s.Validate(tb.Context(), token)
	if err != nil || tok.Issuer() != p.name || tok.Subject() != "of "+p.name {
		tb.Errorf("%s: token of %q, %v", p.name, tok.Issuer(), err)
	}
}

// wantValidateRefused demands that s refuses the token for the reason want.
func wantValidateRefused(tb testing.TB, s *validator.Issuers, token string, want error) {
	tb.Helper()
	tok, err := s.Validate(tb.Context(), token)
	wantRefused(tb, tok, err, want)
}

// unsigned is a token of any payload that nobody signed.
func unsigned(payload string) string {
	return jose.Encode([]byte(`{"alg":"EdDSA","kid":"key-1","typ":"at+jwt"}`)) + "." + jose.Encode([]byte(payload)) + "." + strings.Repeat("A", 86)
}

// stranger is a token of an issuer that nobody knows.
func stranger(i int) string { return unsigned(fmt.Sprintf(`{"iss":"https://stranger-%d.example"}`, i)) }
