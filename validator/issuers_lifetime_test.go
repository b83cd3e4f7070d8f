package validator_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermark/countermark/validator"
)

func TestTenants_After5MinutesTheSameOneIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newParty(t, "a")
		var r registry
		r.set(p.name, p.validator(t, nil))
		s := newIssuers(t, validator.IssuersConfig{Resolve: r.resolve})
		token := p.token(t, nil)
		p.wantToken(t, s, token)
		for i := range 20 * 2 {
			time.Sleep(30*time.Second - time.Nanosecond)
			p.wantToken(t, s, token)
			time.Sleep(time.Nanosecond)
			p.wantToken(t, s, token)
			synctest.Wait()
			if want := 1 + (i+1)/10; r.count(p.name) != want {
				t.Fatalf("%d lookups after %d half minutes, want %d", r.count(p.name), i+1, want)
			}
		}
		p.wantClosed(t, 0)
	})
}

func TestTenants_AfterwardsAnotherOneTakesItsPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		before, after := newParty(t, "a"), newParty(t, "a")
		r := registry{takes: time.Second}
		r.set(before.name, before.validator(t, nil))
		s := newIssuers(t, validator.IssuersConfig{Resolve: r.resolve})
		before.wantToken(t, s, before.token(t, nil))

		r.set(after.name, after.validator(t, nil))
		time.Sleep(5 * time.Minute)
		begun := time.Now()
		before.wantToken(t, s, before.token(t, nil)) // nobody waits for the lookup
		before.wantToken(t, s, before.token(t, nil))
		if took := time.Since(begun); took != 0 {
			t.Errorf("waited %v for a lookup", took)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		r.wantLookups(t, before.name, before.name)
		before.wantClosed(t, 1)

		after.wantToken(t, s, after.token(t, nil))
		wantValidateRefused(t, s, before.token(t, nil), validator.ErrSignature)
		after.wantClosed(t, 0)
		before.wantClosed(t, 1)
	})
}

func TestTenants_OneThatIsNoLongerKnownIsGoneAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newParty(t, "a")
		var r registry
		r.set(p.name, p.validator(t, nil))
		s := newIssuers(t, validator.IssuersConfig{Resolve: r.resolve})
		token := p.token(t, nil)
		p.wantToken(t, s, token)
		r.set(p.name, nil)
		time.Sleep(5 * time.Minute)
		p.wantToken(t, s, token) // has it looked up
		synctest.Wait()
		wantValidateRefused(t, s, token, validator.ErrIssuer)
		p.wantClosed(t, 1)
		r.wantLookups(t, p.name, p.name)
	})
}

// While lookups fail a tenant is trusted for an hour beyond its five minutes, and
// looked up again each quarter of a minute.
func TestTenants_WhileLookupsFailItGoesOnForAnHour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newParty(t, "a")
		var r registry
		r.set(p.name, p.validator(t, nil))
		s := newIssuers(t, validator.IssuersConfig{Resolve: r.resolve})
		token := p.token(t, nil)
		p.wantToken(t, s, token)
		r.fail(errors.New("disk full"))
		for range 65 * 12 {
			p.wantToken(t, s, token)
			time.Sleep(5 * time.Second)
		}
		if n := r.count(p.name); n != 1+60*4 {
			t.Errorf("%d lookups, want one each 15 s of an hour", n)
		}
		p.wantClosed(t, 0)
		wantValidateRefused(t, s, token, validator.ErrUnavailable)
		p.wantClosed(t, 1)

		again := newParty(t, "a")
		r.fail(nil)
		r.set(again.name, again.validator(t, nil))
		again.wantToken(t, s, again.token(t, nil))
	})
}

func TestTenants_ALookupThatWorksAgainEndsTheOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newParty(t, "a")
		var r registry
		r.set(p.name, p.validator(t, nil))
		s := newIssuers(t, validator.IssuersConfig{Resolve: r.resolve})
		token := p.token(t, nil)
		for range 3 { // each of the three would be too long with the one before
			synctest.Wait()
			r.fail(nil)
			time.Sleep(15 * time.Second) // since the last lookup that failed
			p.wantToken(t, s, token)
			synctest.Wait()
			r.fail(errors.New("disk full"))
			for range 60 {
				time.Sleep(time.Minute)
				p.wantToken(t, s, token)
			}
		}
		p.wantClosed(t, 0)
	})
}

// Nobody asked for a tenant in a long time: that it was good then does not do.
func TestTenants_AfterALongRestItIsLookedUpFirst(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		change func(*registry, *party)
		want   error
		closed int32
	}{
		"still there":         {func(*registry, *party) {}, nil, 0},
		"withdrawn meanwhile": {func(r *registry, p *party) { r.set(p.name, nil) }, validator.ErrIssuer, 1},
		"nobody can say":      {func(r *registry, _ *party) { r.fail(errors.New("disk full")) }, validator.ErrUnavailable, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newParty(t, "a")
				var r registry
				r.set(p.name, p.validator(t, nil))
				s := newIssuers(t, validator.IssuersConfig{Resolve: r.resolve})
				token := p.token(t, nil)
				p.wantToken(t, s, token)
				row.change(&r, p)
				time.Sleep(65 * time.Minute)
				if row.want == nil {
					p.wantToken(t, s, token)
				} else {
					wantValidateRefused(t, s, token, row.want)
				}
				synctest.Wait()
				r.wantLookups(t, p.name, p.name)
				p.wantClosed(t, row.closed)
			})
		})
	}
}

func TestTenants_AJudgementInProgressKeepsItOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, next := newParty(t, "a"), newParty(t, "a")
		r := registry{takes: time.Second}
		r.set(p.name, p.validator(t, nil))
		s := newIssuers(t, validator.IssuersConfig{Resolve: r.resolve})
		token := p.token(t, nil)
		p.wantToken(t, s, token)

		time.Sleep(5 * time.Minute)
		p.opens = make(chan struct{})
		r.set(next.name, next.validator(t, nil))
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { p.wantToken(t, s, token) })
		}
		time.Sleep(2 * time.Second)
		next.wantToken(t, s, next.token(t, nil))
		p.wantClosed(t, 0)
		p.opens <- struct{}{}
		p.opens <- struct{}{}
		synctest.Wait()
		p.wantClosed(t, 0)
		p.opens <- struct{}{}
		wg.Wait()
		p.wantClosed(t, 1)
	})
}

// touch uses the tenant at no cost: its validator refuses the token unread.
func (p *party) touch(tb testing.TB, s *validator.Issuers) {
	tb.Helper()
	wantValidateRefused(tb, s, unsigned(`{"iss":"`+p.name+`"}`), validator.ErrMalformed)
	time.Sleep(time.Millisecond)
}

// fill has s look up n tenants, all of one key, in the order of their numbers.
func fill(tb testing.TB, s *validator.Issuers, r *registry, n int) []*party {
	tb.Helper()
	all := make([]*party, n)
	key := newParty(tb, "").key
	for i := range all {
		all[i] = newParty(tb, fmt.Sprint("tenant-", i))
		all[i].key = key
		r.set(all[i].name, all[i].validator(tb, nil))
		all[i].touch(tb, s)
		time.Sleep(time.Second / 10)
	}
	return all
}

func TestTenants_OfMoreThan1000TheLongestUnusedGoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r registry
		s := newIssuers(t, validator.IssuersConfig{Resolve: r.resolve})
		all := fill(t, s, &r, 1000)
		for i, p := range all {
			if i != 500 {
				p.touch(t, s)
			}
			p.wantClosed(t, 0)
		}
		one, two := newParty(t, "one"), newParty(t, "two")
		for _, p := range []*party{one, two} {
			r.set(p.name, p.validator(t, nil))
			p.wantToken(t, s, p.token(t, nil))
		}
		synctest.Wait()
		for i, p := range append(all, one, two) {
			p.wantClosed(t, map[int]int32{500: 1, 0: 1}[i])
		}

		before := r.count(all[500].name)
		again := newParty(t, "tenant-500")
		r.set(again.name, again.validator(t, nil))
		again.wantToken(t, s, again.token(t, nil))
		if r.count(again.name) != before+1 {
			t.Error("the tenant that went was not looked up again")
		}
		all[500].wantClosed(t, 1)
	})
}

func TestTenants_OneThatHasToGoIsNotClosedWhileItJudges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r registry
		s := newIssuers(t, validator.IssuersConfig{Resolve: r.resolve})
		all := fill(t, s, &r, 1000)
		first, more := all[0], newParty(t, "more")
		for _, p := range all[1:] {
			p.touch(t, s)
		}
		r.set(more.name, more.validator(t, nil))
		first.opens = make(chan struct{})
		token := first.token(t, nil)
		var wg sync.WaitGroup
		wg.Go(func() { first.wantToken(t, s, token) })
		synctest.Wait()
		time.Sleep(time.Millisecond)
		for _, p := range all[1:] { // so that the first is again the longest unused
			p.touch(t, s)
		}
		more.wantToken(t, s, more.token(t, nil))
		synctest.Wait()
		first.wantClosed(t, 0)
		close(first.opens)
		wg.Wait()
		first.wantClosed(t, 1)
	})
}

// What was closed answers nobody, so it must not come back.
func TestTenants_AValidatorThatWentMustNotComeBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, next := newParty(t, "a"), newParty(t, "a")
		old := p.validator(t, nil)
		var r registry
		r.set(p.name, old)
		s := newIssuers(t, validator.IssuersConfig{Resolve: r.resolve})
		p.wantToken(t, s, p.token(t, nil))

		r.set(p.name, nil)
		time.Sleep(5 * time.Minute)
		p.wantToken(t, s, p.token(t, nil))
		synctest.Wait()
		p.wantClosed(t, 1)

		r.set(p.name, old)
		time.Sleep(5 * time.Second)
		wantValidateRefused(t, s, p.token(t, nil), validator.ErrUnavailable)
		p.wantAsked(t, 2, 0)
		p.wantClosed(t, 1)

		r.set(p.name, next.validator(t, nil))
		next.wantToken(t, s, next.token(t, nil))
	})
}

// It went while it was looked up again, and the lookup found that same one.
func TestTenants_ALookupCannotBringBackWhatWentMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r registry
		slow := newParty(t, "slow")
		v := slow.validator(t, nil)
		s := newIssuers(t, validator.IssuersConfig{Resolve: func(ctx context.Context, issuer string, _ *validator.Validator) (*validator.Validator, error) {
			if issuer == slow.name {
				time.Sleep(9 * time.Second)
				return v, nil
			}
			return r.resolve(ctx, issuer, nil)
		}})
		slow.wantToken(t, s, slow.token(t, nil))
		all := fill(t, s, &r, 999)
		time.Sleep(5 * time.Minute)
		slow.wantToken(t, s, slow.token(t, nil)) // a lookup begins
		time.Sleep(time.Second)
		for _, p := range all {
			p.touch(t, s)
		}
		more := newParty(t, "more")
		r.set(more.name, more.validator(t, nil))
		more.wantToken(t, s, more.token(t, nil)) // and it has to go
		slow.wantClosed(t, 1)
		time.Sleep(10 * time.Second) // the lookup ends
		synctest.Wait()
		wantValidateRefused(t, s, slow.token(t, nil), validator.ErrUnavailable)
		slow.wantClosed(t, 1)
		more.wantToken(t, s, more.token(t, nil))
	})
}

// hangs is an Introspector whose Close waits.
type hangs struct {
	answers
	until chan struct{}
}

func (h hangs) Close() error {
	<-h.until
	return nil
}

func TestTenants_ASlowCloseHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, next := newParty(t, "a"), newParty(t, "a")
		until := make(chan struct{})
		var r registry
		r.set(p.name, p.validator(t, func(c *validator.Config) { c.Introspector = hangs{until: until} }))
		s := newIssuers(t, validator.IssuersConfig{Resolve: r.resolve})
		p.wantToken(t, s, p.token(t, nil))
		r.set(p.name, next.validator(t, nil))
		time.Sleep(2 * time.Hour)
		next.wantToken(t, s, next.token(t, nil))
		close(until)
	})
}
