package sqlstore_test

import (
	"context"
	"math/rand/v2"
	"os"
	"sync"
	"testing"

	"github.com/countermark/countermark/internal/issuertest"
)

const (
	commandCrashes = 5
	crowdFamilies  = 8 // of refresh tokens, each rotated by a worker of its own
	crowdBuyers    = 2 // workers that get codes and redeem them
)

// An issuer that is killed in the middle of a storm of requests and started again
// has the keys that it had and knows all that it acknowledged; what works once has
// not worked twice; and each family of refresh tokens is either at one token or
// dead.
func TestCommand_SurvivesSIGKILL(t *testing.T) {
	t.Parallel()
	db, i := newSQLite(t), issuertest.New(t)
	i.Web, i.Kiosk = i.Web.At(nil), i.Kiosk.At(nil) // the same browsers all along
	s := &crowd{t: t, db: db}
	config := i.ConfigFile(t)
	for crash := range commandCrashes + 1 {
		p, web, kiosk, orders := startIssuer(t, i, config, db)
		s.apps, s.orders = []*issuertest.App{web, kiosk}, orders
		s.check()
		s.replayOldest(crash == commandCrashes)
		if crash < commandCrashes && !t.Failed() {
			s.rage(p, 50+rand.IntN(200))
		}
		if t.Failed() {
			t.Fatalf("after %d crashes; the log: %s", crash, &p.Stderr)
		}
	}
}

// A crowd is the clients of an issuer, and what they know of it.
type crowd struct {
	t      *testing.T
	db     database
	apps   []*issuertest.App // that have people sign in
	orders *issuertest.App   // that introspects
	keys   string            // the key set

	families []*family
	mu       sync.Mutex
	bought   []*purchase
}

// A family is what an app holds of one grant.
type family struct {
	app     int
	refresh []string // refresh tokens, as they came
	access  []string // access tokens
}

func (f *family) last() string { return f.refresh[len(f.refresh)-1] }

// A purchase is a code, and what came of it if that was acknowledged.
type purchase struct {
	app    int
	code   string
	access string
}

// rage has all clients send requests until so many were acknowledged, and kills
// the issuer then.
func (s *crowd) rage(p *issuertest.Process, acknowledgements int) {
	s.t.Helper()
	for len(s.families) < crowdFamilies {
		s.begin(len(s.families) % len(s.apps))
	}
	acknowledged := make(chan struct{})
	dead, die := context.WithCancel(s.t.Context())
	tell := func() {
		select {
		case acknowledged <- struct{}{}:
		case <-dead.Done():
		}
	}
	var wg sync.WaitGroup
	for _, f := range s.families {
		wg.Go(func() {
			for {
				a, err := s.apps[f.app].Refresh(s.t.Context(), f.last())
				if err != nil {
					return // killed
				}
				if !s.keep(f, a, "the refresh token that came last") {
					return
				}
				tell()
			}
		})
	}
	for n := range crowdBuyers {
		wg.Go(func() {
			for s.buy(n % len(s.apps)) {
				tell()
			}
		})
	}
	ended := make(chan struct{})
	go func() { wg.Wait(); close(ended) }()
	for range acknowledgements {
		select {
		case <-acknowledged:
		case <-ended:
			s.t.Fatalf("all workers ended: %s", &p.Stderr)
		}
	}
	p.Stop(s.t, os.Kill)
	die()
	<-ended
}

// begin gets the first tokens of a family.
func (s *crowd) begin(app int) {
	s.t.Helper()
	ctx, f := s.t.Context(), &family{app: app}
	a := must(s.apps[app].Redeem(ctx, must(s.apps[app].Code(ctx))(s.t)))(s.t)
	if !s.keep(f, a, "a code") {
		s.t.FailNow()
	}
	s.families = append(s.families, f)
}

// keep takes over the tokens of an answer.
func (s *crowd) keep(f *family, a *issuertest.Answer, what string) bool {
	s.t.Helper()
	if a.Status != 200 || a.Text("refresh_token") == "" {
		s.t.Errorf("%s: %s", what, a.Outcome())
		return false
	}
	f.refresh, f.access = append(f.refresh, a.Text("refresh_token")), append(f.access, a.Text("access_token"))
	return true
}

// buy gets a code and redeems it. It reports whether that was acknowledged.
func (s *crowd) buy(app int) bool {
	ctx := s.t.Context()
	code, err := s.apps[app].Code(ctx)
	if err != nil {
		return false
	}
	b := &purchase{app: app, code: code}
	s.mu.Lock()
	s.bought = append(s.bought, b)
	s.mu.Unlock()
	a, err := s.apps[app].Redeem(ctx, code)
	if err != nil {
		return false
	}
	if b.access = a.Text("access_token"); b.access == "" {
		s.t.Errorf("a code: %s", a.Outcome())
	}
	return b.access != ""
}

// check holds the issuer that was started again to what the clients know.
func (s *crowd) check() {
	s.t.Helper()
	ctx := s.t.Context()
	s.checkRows()
	for _, f := range s.families { // first, since the grace for them is of ten seconds
		a := must(s.apps[f.app].Refresh(ctx, f.last()))(s.t)
		again := must(s.apps[f.app].Refresh(ctx, f.last()))(s.t)
		if successor := a.Text("refresh_token"); successor == "" || again.Text("refresh_token") != successor {
			s.t.Errorf("the refresh token that came last: %s, then %s, and not one successor", a.Outcome(), again.Outcome())
			continue
		}
		s.keep(f, again, "the refresh token that came last")
		s.keep(f, must(s.apps[f.app].Refresh(ctx, f.last()))(s.t), "its successor") // after which the first is past its grace
	}
	keys := string(must(s.orders.Get(ctx, "/jwks"))(s.t).Body)
	if s.keys != "" && keys != s.keys {
		s.t.Errorf("the key set was %s, is %s", s.keys, keys)
	}
	s.keys = keys
	for _, f := range s.families {
		s.wantActive(true, f.access...)
	}
	for _, b := range s.bought {
		app := s.apps[b.app]
		if b.access != "" {
			s.wantActive(true, b.access)
		} else if a := must(app.Redeem(ctx, b.code))(s.t); a.Status == 200 { // it had not been redeemed
			b.access = a.Text("access_token")
			s.wantActive(true, b.access)
		}
		if a := must(app.Redeem(ctx, b.code))(s.t); a.Outcome() != "400 invalid_grant" {
			s.t.Errorf("a code once more: %s", a.Outcome())
		}
		s.wantActive(false, b.access)
	}
	s.bought = nil
}

// checkRows looks at the database itself: every grant that is in force and has
// refresh tokens has one that is unspent.
func (s *crowd) checkRows() {
	s.t.Helper()
	if s.families == nil {
		return
	}
	var grants, wrong int
	row := raw(s.t, s.db).QueryRow(`
		SELECT count(*), COALESCE(sum(unspent <> 1), 0) FROM (
			SELECT sum(r.spent IS NULL) AS unspent
			FROM countermark_records r JOIN countermark_grants g ON g.id = r.grant_id
			WHERE r.kind = 'refresh_token' AND g.revoked IS NULL GROUP BY g.id)`)
	if err := row.Scan(&grants, &wrong); err != nil || grants < len(s.families) || wrong > 0 {
		s.t.Errorf("of %d grants %d are at no or several refresh tokens, %v", grants, wrong, err)
	}
}

// replayOldest sends again a refresh token that was spent long ago, of one family
// or of all: its grant ends, whatever came of it.
func (s *crowd) replayOldest(all bool) {
	s.t.Helper()
	ctx := s.t.Context()
	for n := len(s.families); n > 0 && (all || n == len(s.families)); n-- {
		f := s.families[0]
		s.families = s.families[1:]
		for _, token := range []string{f.refresh[0], f.last()} {
			if a := must(s.apps[f.app].Refresh(ctx, token))(s.t); a.Outcome() != "400 invalid_grant" {
				s.t.Errorf("a refresh token of a family that was replayed: %s", a.Outcome())
			}
		}
		s.wantActive(false, f.access...)
	}
}

func (s *crowd) wantActive(want bool, tokens ...string) {
	s.t.Helper()
	for _, token := range tokens {
		if token != "" && must(s.orders.Active(s.t.Context(), token))(s.t) != want {
			s.t.Errorf("an access token is active: %v", !want)
		}
	}
}
