package validator_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/validator"
)

func TestIssuersClose_ClosesWhatWasResolvedOnce(t *testing.T) {
	t.Parallel()
	fixed, opaque := newParty(t, "fixed"), newParty(t, "opaque")
	tenants := []*party{newParty(t, "a"), newParty(t, "b"), newParty(t, "c")}
	var r registry
	s := newIssuers(t, validator.IssuersConfig{
		Validators: []*validator.Validator{fixed.validator(t, nil)}, Resolve: r.resolve, Opaque: opaque.validator(t, nil),
	})
	for _, p := range tenants {
		r.set(p.name, p.validator(t, nil))
		p.wantToken(t, s, p.token(t, nil))
	}
	for range 3 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, p := range tenants {
		p.wantClosed(t, 1)
		wantValidateRefused(t, s, p.token(t, nil), validator.ErrUnavailable)
	}
	wantValidateRefused(t, s, stranger(0), validator.ErrUnavailable)
	r.wantLookups(t, tenants[0].name, tenants[1].name, tenants[2].name)

	fixed.wantClosed(t, 0)
	opaque.wantClosed(t, 0)
	fixed.wantToken(t, s, fixed.token(t, nil))
	opaque.wantToken(t, s, "abc")
}

// stuck is a KeySource that cannot be closed.
type stuck struct{ *askedKeys }

func (stuck) Close() error { return errStuck }

var errStuck = errors.New("disk full")

func TestIssuersClose_SaysWhoCouldNotBeClosed(t *testing.T) {
	t.Parallel()
	a, b := newParty(t, "a"), newParty(t, "b")
	var r registry
	r.set(a.name, a.validator(t, func(c *validator.Config) { c.Keys = stuck{&a.keys} }))
	r.set(b.name, b.validator(t, nil))
	s := newIssuers(t, validator.IssuersConfig{Resolve: r.resolve})
	a.wantToken(t, s, a.token(t, nil))
	b.wantToken(t, s, b.token(t, nil))
	if err := s.Close(); !errors.Is(err, errStuck) || err.Error() != `validator: closing issuer "https://a.example": disk full` {
		t.Errorf("%v", err)
	}
	b.wantClosed(t, 1)
	if a.answers.closed.Load() != 1 {
		t.Error("the introspector was left open")
	}
	if err := s.Close(); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

func TestIssuersClose_PartsThatCannotBeClosedAreLeft(t *testing.T) {
	t.Parallel()
	p := newParty(t, "a")
	var r registry
	r.set(p.name, p.validator(t, func(c *validator.Config) { c.Keys, c.Introspector = tokentest.Keys{p.key}, nil }))
	s := newIssuers(t, validator.IssuersConfig{Resolve: r.resolve})
	p.wantToken(t, s, p.token(t, nil))
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestIssuersClose_WaitsForNoJudgement(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newParty(t, "a")
		p.opens = make(chan struct{})
		var r registry
		r.set(p.name, p.validator(t, nil))
		s := newIssuers(t, validator.IssuersConfig{Resolve: r.resolve})
		token := p.token(t, nil)
		var wg sync.WaitGroup
		wg.Go(func() { p.wantToken(t, s, token) })
		synctest.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		p.wantClosed(t, 0)
		close(p.opens)
		wg.Wait()
		p.wantClosed(t, 1)
	})
}

// At the end of each of these, synctest would find a goroutine that is left.

func TestIssuersClose_EndsTheLookupsThatListen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newIssuers(t, validator.IssuersConfig{Resolve: func(ctx context.Context, _ string, _ *validator.Validator) (*validator.Validator, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		begun := time.Now()
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() { wantValidateRefused(t, s, stranger(i%10), validator.ErrUnavailable) })
		}
		time.Sleep(time.Second)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if took := time.Since(begun); took != time.Second {
			t.Errorf("the lookups ended after %v", took)
		}
	})
}

func TestIssuersClose_ClosesWhatALookupBringsTooLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newParty(t, "a")
		r := registry{takes: 5 * time.Second} // heeds no context
		r.set(p.name, p.validator(t, nil))
		s := newIssuers(t, validator.IssuersConfig{Resolve: r.resolve})
		token := p.token(t, nil)
		var wg sync.WaitGroup
		wg.Go(func() { wantValidateRefused(t, s, token, validator.ErrUnavailable) })
		time.Sleep(time.Second)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		p.wantClosed(t, 0)
		wg.Wait()
		synctest.Wait()
		p.wantClosed(t, 1)
		p.wantAsked(t, 0, 0)
	})
}

// The tenant was being looked up again, and the lookup finds what Close closed.
func TestIssuersClose_ClosesNothingTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newParty(t, "a")
		r := registry{takes: 5 * time.Second}
		r.set(p.name, p.validator(t, nil))
		s := newIssuers(t, validator.IssuersConfig{Resolve: r.resolve})
		token := p.token(t, nil)
		p.wantToken(t, s, token)
		time.Sleep(5 * time.Minute)
		p.wantToken(t, s, token)
		synctest.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		p.wantClosed(t, 1)
		time.Sleep(time.Minute)
		r.wantLookups(t, p.name, p.name)
		p.wantClosed(t, 1)
	})
}

// A program that keeps the keys of its tenants may wrap them anew at each lookup:
// what the successor has is not closed under it.
func TestTenants_ASuccessorKeepsWhatItShares(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newParty(t, "a")
		s := newIssuers(t, validator.IssuersConfig{Resolve: func(context.Context, string, *validator.Validator) (*validator.Validator, error) {
			return p.validator(t, nil), nil
		}})
		token := p.token(t, nil)
		for range 3 {
			p.wantToken(t, s, token)
			time.Sleep(5 * time.Minute)
			p.wantToken(t, s, token)
			synctest.Wait()
		}
		p.wantClosed(t, 0)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		p.wantClosed(t, 1)
	})
}

// Closing one would close the other.
func TestTenants_TwoIssuersWithOneKeySourceAreRefused(t *testing.T) {
	t.Parallel()
	a, b := newParty(t, "a"), newParty(t, "b")
	var r registry
	r.set(a.name, a.validator(t, nil))
	r.set(b.name, b.validator(t, func(c *validator.Config) { c.Keys = &a.keys }))
	s := newIssuers(t, validator.IssuersConfig{Resolve: r.resolve})
	a.wantToken(t, s, a.token(t, nil))
	wantValidateRefused(t, s, b.token(t, nil), validator.ErrUnavailable)
	a.wantToken(t, s, a.token(t, nil))
}

// Tenants come, change at every lookup and go while many goroutines use them, and
// Close comes in the middle. Each is closed once, and none is used afterwards: a
// party says so if it is.
func TestIssuersClose_InTheMiddleOfEverything(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const tenants, workers = 20, 16
		key := newParty(t, "").key
		var mu sync.Mutex
		var made []*party
		s := newIssuers(t, validator.IssuersConfig{Resolve: func(_ context.Context, issuer string, _ *validator.Validator) (*validator.Validator, error) {
			p := newParty(t, strings.TrimSuffix(strings.TrimPrefix(issuer, "https://"), ".example"))
			p.key = key
			mu.Lock()
			defer mu.Unlock()
			made = append(made, p)
			return p.validator(t, nil), nil
		}})
		var tokens []string
		for i := range tenants {
			p := newParty(t, fmt.Sprint("tenant-", i))
			p.key = key
			tokens = append(tokens, p.token(t, nil))
		}
		var accepted, late atomic.Int32
		var closing, closed atomic.Bool
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for i := range 120 {
					wasClosed := closed.Load()
					_, err := s.Validate(t.Context(), tokens[(w+i)%tenants])
					switch {
					case err == nil && !wasClosed:
						accepted.Add(1)
					case errors.Is(err, validator.ErrUnavailable) && closing.Load() && !strings.Contains(err.Error(), "after Close"):
						late.Add(1)
					default:
						t.Errorf("closed %v: %v", wasClosed, err)
					}
					if i%2 == 0 {
						time.Sleep(time.Minute)
					}
				}
			})
		}
		wg.Go(func() {
			time.Sleep(30 * time.Minute)
			closing.Store(true)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			closed.Store(true)
		})
		wg.Wait()
		synctest.Wait()
		if accepted.Load() == 0 || late.Load() == 0 || len(made) < 2*tenants {
			t.Errorf("%d accepted, %d late, %d tenants made: nothing was tested", accepted.Load(), late.Load(), len(made))
		}
		for _, p := range made {
			p.wantClosed(t, 1)
		}
	})
}
