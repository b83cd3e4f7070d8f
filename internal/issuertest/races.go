package issuertest

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/countermark/countermark/authserver"
)

const (
	racers = 64 // requests that go for one thing at once
	rounds = 50 // times that they do
)

// Races has servers redeem one thing 64 times at once, 50 times each: of what
// works once, one request has it. The servers, one on each of the stores that
// open returns, are one issuer; the requests go to them in turn, straight to the
// handlers. The stores are of one database with nothing in it, one for each test.
func Races(t *testing.T, open func(t *testing.T) []authserver.Store) {
	t.Helper()
	for _, r := range []race{
		{"AuthorizationCode", "400 invalid_grant", codeRace},
		{"ClientAssertion", "401 invalid_client", clientAssertionRace},
		{"Assertion", "400 invalid_grant", assertionRace},
		{"DPoPProof", "400 invalid_dpop_proof", proofRace},
	} {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			f := newField(t, open(t))
			for round := range rounds {
				answers := f.race(t, r.prepare(t, f))
				if got, want := tally(answers), map[string]int{"200": 1, r.lost: racers - 1}; !maps.Equal(got, want) {
					t.Fatalf("round %d: %v, want %v", round, got, want)
				}
			}
		})
	}
}

// A race is a request that works once.
type race struct {
	name string
	lost string // the outcome of all requests but one
	// prepare makes one more thing to redeem, and returns what redeems it.
	prepare func(t *testing.T, f *field) func(ctx context.Context, at *App) (*Answer, error)
}

func codeRace(t *testing.T, f *field) func(context.Context, *App) (*Answer, error) {
	t.Helper()
	code, err := f.at[0].Code(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return func(ctx context.Context, at *App) (*Answer, error) { return at.Redeem(ctx, code) }
}

func clientAssertionRace(t *testing.T, f *field) func(context.Context, *App) (*Answer, error) {
	t.Helper()
	form := f.ClientAssertion(t)
	form.Set("grant_type", "client_credentials")
	return func(ctx context.Context, at *App) (*Answer, error) { return at.Post(ctx, "/token", form, nil) }
}

func assertionRace(t *testing.T, f *field) func(context.Context, *App) (*Answer, error) {
	t.Helper()
	form := url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"},
		"assertion":  {f.Assertion(t)},
	}
	return func(ctx context.Context, at *App) (*Answer, error) { return at.Post(ctx, "/token", form, nil) }
}

func proofRace(t *testing.T, f *field) func(context.Context, *App) (*Answer, error) {
	t.Helper()
	proof := f.Proof(t)
	form := url.Values{"grant_type": {"client_credentials"}}
	return func(ctx context.Context, at *App) (*Answer, error) {
		return at.Post(ctx, "/token", form, http.Header{"Dpop": {proof}})
	}
}

// A field is the servers that a race is at.
type field struct {
	*Issuer
	at []*App // Web, at each of the servers
}

func newField(t *testing.T, stores []authserver.Store) *field {
	t.Helper()
	f := &field{Issuer: New(t)}
	browser := f.Web.At(nil)
	for _, store := range stores {
		f.at = append(f.at, browser.At(Direct{f.Server(t, store)}))
	}
	return f
}

// race sends one request many times at once.
func (f *field) race(t *testing.T, send func(ctx context.Context, at *App) (*Answer, error)) []*Answer {
	t.Helper()
	answers := make([]*Answer, racers)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for n := range racers {
		wg.Go(func() {
			<-start
			var err error
			if answers[n], err = send(t.Context(), f.at[n%len(f.at)]); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return answers
}

// tally counts the outcomes.
func tally(answers []*Answer) map[string]int {
	outcomes := map[string]int{}
	for _, a := range answers {
		outcomes[a.Outcome()]++
	}
	return outcomes
}
