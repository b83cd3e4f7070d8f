package validator_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermark/countermark/internal/proctest"
	"github.com/countermark/countermark/validator"
)

func TestTenants_AnUnknownIssuerIsRefusedAndRememberedFor5s(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newParty(t, "late")
		var r registry
		s := newIssuers(t, validator.IssuersConfig{Resolve: r.resolve})
		wantValidateRefused(t, s, p.token(t, nil), validator.ErrIssuer)
		r.set(p.name, p.validator(t, nil))
		time.Sleep(5*time.Second - time.Nanosecond)
		wantValidateRefused(t, s, p.token(t, nil), validator.ErrIssuer)
		r.wantLookups(t, p.name)
		time.Sleep(time.Nanosecond)
		p.wantToken(t, s, p.token(t, nil))
		r.wantLookups(t, p.name, p.name)
	})
}

func TestTenants_ErrIssuerSaysUnknownToo(t *testing.T) {
	t.Parallel()
	p := newParty(t, "nobody")
	r := registry{err: fmt.Errorf("no such customer: %w", validator.ErrIssuer)}
	s := newIssuers(t, validator.IssuersConfig{Resolve: r.resolve})
	wantValidateRefused(t, s, p.token(t, nil), validator.ErrIssuer)
	wantValidateRefused(t, s, p.token(t, nil), validator.ErrIssuer)
	r.wantLookups(t, p.name) // once: it is remembered
}

// busy is an error of Resolve that says when to come back.
type busy struct{}

func (busy) Error() string             { return "registry busy" }
func (busy) RetryAfter() time.Duration { return 7 * time.Second }

// An error means that nobody knows, whatever it is: it is no refusal, and nothing
// to remember.
func TestTenants_AFailedLookupIsUnavailable(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		err        error
		retryAfter time.Duration
	}{
		"any":             {errors.New("disk full"), 0},
		"with RetryAfter": {fmt.Errorf("tenants: %w", busy{}), 7 * time.Second},
		"a refusal":       {validator.NewError(validator.ErrAudience, "suspended"), 0},
		"a context's":     {context.Canceled, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newParty(t, "a")
			r := registry{err: row.err}
			s := newIssuers(t, validator.IssuersConfig{Resolve: r.resolve})
			_, err := s.Validate(t.Context(), p.token(t, nil))
			e, ok := errors.AsType[*validator.Error](err)
			if !ok || e.Status != 503 || !errors.Is(err, validator.ErrUnavailable) || e.RetryAfter != row.retryAfter {
				t.Errorf("%v; want 503 with %v", err, row.retryAfter)
			}
			r.fail(nil)
			r.set(p.name, p.validator(t, nil))
			p.wantToken(t, s, p.token(t, nil))
		})
	}
}

func TestTenants_ALookupThatMisbehavesIsUnavailable(t *testing.T) {
	t.Parallel()
	type resolve = func(p, other *party) (*validator.Validator, error)
	for name, misbehave := range map[string]resolve{
		"panics":                   func(*party, *party) (*validator.Validator, error) { panic("disk full") },
		"panics with nil":          func(*party, *party) (*validator.Validator, error) { panic(nil) },
		"ends its goroutine":       func(*party, *party) (*validator.Validator, error) { runtime.Goexit(); return nil, nil },
		"another issuer":           func(_, other *party) (*validator.Validator, error) { return other.validator(t, nil), nil },
		"not made by New":          func(*party, *party) (*validator.Validator, error) { return new(validator.Validator), nil },
		"a Validator and an error": func(p, _ *party) (*validator.Validator, error) { return p.validator(t, nil), errors.New("disk full") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, other := newParty(t, "a"), newParty(t, "other")
			var behaves atomic.Bool
			s := newIssuers(t, validator.IssuersConfig{Resolve: func(context.Context, string, *validator.Validator) (*validator.Validator, error) {
				if behaves.Load() {
					return p.validator(t, nil), nil
				}
				return misbehave(p, other)
			}})
			wantValidateRefused(t, s, p.token(t, nil), validator.ErrUnavailable)
			other.wantAsked(t, 0, 0)
			other.wantClosed(t, 0) // it may well serve elsewhere
			behaves.Store(true)
			p.wantToken(t, s, p.token(t, nil))
		})
	}
}

func TestTenants_AThousandRequestsOfANewOneMakeOneLookup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newParty(t, "a")
		r := registry{takes: 3 * time.Second}
		r.set(p.name, p.validator(t, nil))
		s := newIssuers(t, validator.IssuersConfig{Resolve: r.resolve})
		token, begun := p.token(t, nil), time.Now()
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() { p.wantToken(t, s, token) })
		}
		wg.Wait()
		r.wantLookups(t, p.name)
		if took := time.Since(begun); took != r.takes {
			t.Errorf("took %v, want %v", took, r.takes)
		}
	})
}

// Those who come while a quick lookup ends neither miss it nor begin another.
func TestTenants_AQuickLookupIsMadeOnceToo(t *testing.T) {
	t.Parallel()
	for i := range 10 {
		p := newParty(t, fmt.Sprint("t", i))
		var r registry
		r.set(p.name, p.validator(t, nil))
		s := newIssuers(t, validator.IssuersConfig{Resolve: r.resolve})
		token, start := p.token(t, nil), make(chan struct{})
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				<-start
				p.wantToken(t, s, token)
			})
		}
		close(start)
		wg.Wait()
		r.wantLookups(t, p.name)
	}
}

func TestTenants_EachCallerWaitsAsLongAsItsOwnContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newParty(t, "a")
		v := p.validator(t, nil)
		type traceKey struct{}
		lookups := 0
		s := newIssuers(t, validator.IssuersConfig{Resolve: func(ctx context.Context, _ string, _ *validator.Validator) (*validator.Validator, error) {
			lookups++
			time.Sleep(5 * time.Second)
			if ctx.Err() != nil {
				t.Errorf("the lookup ended with its first caller: %v", ctx.Err())
			}
			if ctx.Value(traceKey{}) != "first" {
				t.Error("the lookup has not the first caller's values")
			}
			return v, nil
		}})
		token, begun := p.token(t, nil), time.Now()
		waits := func(ctx context.Context, want time.Duration, wantErr error) {
			tok, err := s.Validate(ctx, token)
			if took := time.Since(begun); took != want || !errors.Is(err, wantErr) || (tok != nil) != (wantErr == nil) {
				t.Errorf("after %v: %v; want %v after %v", took, err, wantErr, want)
			}
			if e, ok := errors.AsType[*validator.Error](err); wantErr != nil && (!ok || e.Status != 503) {
				t.Errorf("%v is no 503", err)
			}
		}
		first, leave := context.WithCancel(context.WithValue(t.Context(), traceKey{}, "first"))
		second, leaveToo := context.WithTimeout(t.Context(), 2*time.Second)
		defer leaveToo()
		var wg sync.WaitGroup
		wg.Go(func() { waits(first, time.Second, context.Canceled) })
		synctest.Wait()
		wg.Go(func() { waits(second, 2*time.Second, context.DeadlineExceeded) })
		wg.Go(func() { waits(t.Context(), 5*time.Second, nil) })
		time.Sleep(time.Second)
		leave()
		wg.Wait()
		if lookups != 1 {
			t.Errorf("%d lookups", lookups)
		}
	})
}

func TestTenants_ALookupHas10s(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newIssuers(t, validator.IssuersConfig{Resolve: func(ctx context.Context, _ string, _ *validator.Validator) (*validator.Validator, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		begun := time.Now()
		wantValidateRefused(t, s, stranger(0), validator.ErrUnavailable)
		if took := time.Since(begun); took != 10*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestTenants_LookupsThatFindNobodyAre100AndThen100ASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r registry
		s := newIssuers(t, validator.IssuersConfig{Resolve: r.resolve})
		made := 0
		storm := func(want int) {
			unknown, unavailable := 0, 0
			for range 200 {
				made++
				_, err := s.Validate(t.Context(), stranger(made))
				switch e, _ := errors.AsType[*validator.Error](err); {
				case errors.Is(err, validator.ErrIssuer):
					unknown++
				case errors.Is(err, validator.ErrUnavailable) && e.RetryAfter == time.Second:
					unavailable++
				default:
					t.Errorf("%v", err)
				}
			}
			if unknown != want || unavailable != 200-want {
				t.Errorf("%d looked up, %d put off; want %d looked up", unknown, unavailable, want)
			}
		}
		storm(100)
		storm(0)
		time.Sleep(500 * time.Millisecond)
		storm(50)
		time.Sleep(time.Hour)
		storm(100)
	})
}

// Who is found pays nothing: hundreds of tenants of an API that just started are
// looked up at once, while strangers use up what is theirs.
func TestTenants_StrangersDoNotUseUpTheLookupsOfTenants(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r registry
		s := newIssuers(t, validator.IssuersConfig{Resolve: r.resolve})
		for i := range 300 {
			_, _ = s.Validate(t.Context(), stranger(i))
			for j := range 3 {
				p := newParty(t, fmt.Sprintf("t%d-%d", i, j))
				r.set(p.name, p.validator(t, nil))
				p.wantToken(t, s, p.token(t, nil))
			}
			time.Sleep(time.Second / 90)
		}
	})
}

// A Resolve that never returns holds up 32 lookups and no more.
func TestTenants_32LookupsOfStrangersAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := registry{takes: time.Second}
		s := newIssuers(t, validator.IssuersConfig{Resolve: r.resolve})
		var wg sync.WaitGroup
		for i := range 90 {
			wg.Go(func() { _, _ = s.Validate(t.Context(), stranger(i)) })
		}
		synctest.Wait()
		r.mu.Lock()
		if n := len(r.lookups); n != 32 {
			t.Errorf("%d lookups at once", n)
		}
		r.mu.Unlock()
		wg.Wait()
	})
}

// Eleven minutes under fire: the tenant that was there before answers throughout, is
// looked up when it is due and not more often, and goes when it is withdrawn.
func TestTenants_AFloodOfStrangersHarmsNoTenant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, gone := newParty(t, "a"), newParty(t, "gone")
		var r registry
		r.set(p.name, p.validator(t, nil))
		r.set(gone.name, gone.validator(t, nil))
		s := newIssuers(t, validator.IssuersConfig{Resolve: r.resolve})
		token, withdrawn := p.token(t, nil), gone.token(t, nil)
		p.wantToken(t, s, token)
		gone.wantToken(t, s, withdrawn)
		r.set(gone.name, nil)
		for i := range 11 * 12 {
			for j := range 600 { // more than are looked up in 5 s
				_, _ = s.Validate(t.Context(), stranger(600*i+j))
			}
			p.wantToken(t, s, token)
			_, err := s.Validate(t.Context(), withdrawn)
			if i > 5*12 && err == nil {
				t.Fatalf("a tenant that was withdrawn is let in after %v", time.Duration(i)*5*time.Second)
			}
			time.Sleep(5 * time.Second)
		}
		if n := r.count(p.name); n != 3 {
			t.Errorf("%d lookups of the tenant in 11 minutes, want 3", n)
		}
		gone.wantClosed(t, 1)
		p.wantClosed(t, 0)
	})
}

// Six minutes of strangers, each with a name of 1 KiB: kept, those that were
// looked up would be 6 MiB, and their hashes alone 400 KiB.
func TestTenants_AFloodOfStrangersLeavesNoAllocations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newIssuers(t, validator.IssuersConfig{Resolve: func(context.Context, string, *validator.Validator) (*validator.Validator, error) { return nil, nil }})
		long := strings.Repeat("x", 1<<10)
		flood := func(seconds int) {
			for i := range seconds {
				for j := range 17 {
					_, _ = s.Validate(t.Context(), unsigned(fmt.Sprintf(`{"iss":"https://%s.example/%d/%d/%d"}`, long, seconds, i, j)))
				}
				time.Sleep(time.Second)
			}
		}
		flood(10)
		before := proctest.Heap()
		flood(6 * 60)
		if grown := proctest.Heap() - before; grown > 128<<10 {
			t.Errorf("%d KiB are left of it", grown>>10)
		}
		runtime.KeepAlive(s)
	})
}
