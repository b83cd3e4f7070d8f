package authserver_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

// A forgetfulStore fails after it has consumed a few notices.
type forgetfulStore struct {
	authserver.Store
	left atomic.Int64
}

func (s *forgetfulStore) Consume(ctx context.Context, kind authserver.Kind, key authserver.Hash, now time.Time) (authserver.Record, authserver.Outcome, error) {
	if kind == authserver.Notice && s.left.Load() <= 0 {
		return authserver.Record{}, 0, errBroken
	}
	r, outcome, err := s.Store.Consume(ctx, kind, key, now)
	if kind == authserver.Notice && err == nil {
		s.left.Add(-1)
	}
	return r, outcome, err
}

// What was taken out of the store is shown, whatever comes then; the rest waits.
func TestPoint24_NoNoticeIsLostWithTheStore(t *testing.T) {
	t.Parallel()
	store := &forgetfulStore{Store: authserver.NewMemoryStore(nil)}
	store.left.Store(1)
	i := startRefresh(t, withStore(store), func(c *authserver.Config) {
		for n := range c.Clients {
			c.Clients[n].SkipConsent = true
		}
	})
	b := i.browser() // signs in once, before there are any
	for range 2 {
		first := i.redeem(web, b.grant(authParams(web)).response().Get("code")).member("refresh_token")
		i.rotated(web, first)
		i.clock.Advance(time.Minute)
		i.wantGrantRefused("the reuse", i.refresh(web, first))
	}
	if s := i.browser().signInAs("alice"); strings.Count(s.text, "was signed out") != 1 {
		t.Errorf("%d %s", s.status, s.text)
	}
	if s := i.browser().signInAs("alice"); s.status != 503 {
		t.Errorf("%d %s", s.status, s.text)
	}
	store.left.Store(8)
	if s := i.browser().signInAs("alice"); strings.Count(s.text, "was signed out") != 1 {
		t.Errorf("%d %s", s.status, s.text)
	}
}

// A rallyStore has rotations wait for each other, if there is something to wait for.
type rallyStore struct {
	authserver.Store
	all atomic.Pointer[sync.WaitGroup]
}

func (s *rallyStore) Rotate(ctx context.Context, old, next authserver.Hash, r authserver.Record, grace time.Duration, now time.Time) (authserver.Outcome, authserver.Record, error) {
	if all := s.all.Load(); all != nil {
		all.Done()
		all.Wait()
	}
	return s.Store.Rotate(ctx, old, next, r, grace, now)
}

// However many come at once with a token that was used, it is one theft, and leaves
// room for others to be told.
func TestPoint24_ManyReusesAtOnceAreOneNotice(t *testing.T) {
	t.Parallel()
	store := &rallyStore{Store: authserver.NewMemoryStore(nil)}
	i := startRefresh(t, withStore(store))
	first, _ := i.signedUp()
	i.rotated(web, first)
	i.clock.Advance(time.Minute)
	var all, racers sync.WaitGroup
	all.Add(8)
	store.all.Store(&all)
	for range 8 {
		racers.Go(func() {
			if a := i.refresh(web, first); a.outcome() != "400 invalid_grant" {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	racers.Wait()
	if s := i.browser().signInAs("alice"); strings.Count(s.text, "was signed out") != 1 {
		t.Errorf("%d %s", s.status, s.text)
	}
}

// A brokenOffStore does as it is told, and says, if broken is set, that revoking
// failed: as a database does whose connection breaks after the commit.
type brokenOffStore struct {
	authserver.Store
	broken atomic.Bool
}

func (s *brokenOffStore) RevokeGrant(ctx context.Context, id, reason string, now, until time.Time) error {
	if err := s.Store.RevokeGrant(ctx, id, reason, now, until); err != nil || !s.broken.Load() {
		return err
	}
	return errBroken
}

// Nobody gets a second chance to tell of a theft: the next request finds the grant
// revoked.
func TestPoint24_ATheftIsToldOfThoughTheStoreFails(t *testing.T) {
	t.Parallel()
	var tr trail
	store := &brokenOffStore{Store: authserver.NewMemoryStore(nil)}
	i := startRefresh(t, tr.attach, withStore(store))
	first, _ := i.signedUp()
	i.rotated(web, first)
	i.clock.Advance(time.Minute)
	tr.take()
	store.broken.Store(true)
	if a := i.refresh(web, first); a.outcome() != "503 temporarily_unavailable" {
		t.Errorf("%d %s", a.status, a.body)
	}
	store.broken.Store(false)
	i.wantGrantRefused("and again", i.refresh(web, first))
	if e := tr.take()[0]; e.Type != authserver.EventRefreshReuse || e.Error != "temporarily_unavailable" || e.Grant == "" || e.Cause == nil {
		t.Errorf("%+v", e)
	}
	if s := i.browser().signInAs("alice"); strings.Count(s.text, "was signed out") != 1 {
		t.Errorf("%d %s", s.status, s.text)
	}
}
