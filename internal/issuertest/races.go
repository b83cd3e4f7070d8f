package issuertest

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"

	"github.com/countermark/countermark/authserver"
)

const racers = 64 // requests that go for one thing at once

// Races has servers redeem one thing 64 times at once, of each kind of thing as
// many as rounds: of what works once, one request has it. The servers, one on each of the stores that
// open returns, are one issuer; the requests go to them in turn, straight to the
// handlers. The stores are of one database with nothing in it, one for each test.
func Races(t *testing.T, rounds int, open func(t *testing.T) []authserver.Store) {
	t.Helper()
	for _, r := range []race{
		{"AuthorizationCode", codeRace, but("400 invalid_grant"), dead, nil},
		{"ClientAssertion", clientAssertionRace, but("401 invalid_client"), alive, nil},
		{"Assertion", assertionRace, but("400 invalid_grant"), alive, nil},
		{"DPoPProof", proofRace, but("400 invalid_dpop_proof"), alive, nil},
		{"DeviceCode", deviceRace, but("400 invalid_grant"), dead, nil},
		{"RefreshToken", refreshRace, oneSuccessor, alive, nil},
		{"RefreshTokenWithoutGrace", refreshRace, but("400 invalid_grant"), dead, withoutGrace},
	} {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			f := newField(t, open(t), r.edit)
			for round := range rounds {
				answers := f.race(t, r.prepare(t, f))
				if problem := r.judge(answers); problem != "" {
					t.Fatalf("round %d: %s", round, problem)
				}
				f.wantWinnings(t, answers, r.good)
			}
		})
	}
}

const (
	alive = true
	dead  = false
)

// A race is for what works once.
type race struct {
	name string
	// prepare makes one more thing to redeem, and returns what redeems it.
	prepare func(t *testing.T, f *field) func(ctx context.Context, at *App) (*Answer, error)
	judge   func([]*Answer) (problem string)
	// good says whether the tokens that were won are so when the race is over: not
	// if who came too late had to be taken for a thief, or for the one robbed.
	good bool
	edit func(*authserver.Config)
}

// but is the judgement that one request has it, and all others an outcome.
func but(lost string) func([]*Answer) string {
	return func(answers []*Answer) string {
		got, want := map[string]int{}, map[string]int{"200": 1, lost: racers - 1}
		for _, a := range answers {
			got[a.Outcome()]++
		}
		if !maps.Equal(got, want) {
			return fmt.Sprintf("%v, want %v", got, want)
		}
		return ""
	}
}

// oneSuccessor is the judgement that all requests have one and the same refresh
// token.
func oneSuccessor(answers []*Answer) string {
	got := map[string]int{}
	for _, a := range answers {
		got[a.Outcome()+" "+a.Text("refresh_token")]++
	}
	if len(got) != 1 || answers[0].Text("refresh_token") == "" {
		return fmt.Sprintf("%d successors or refusals, want one successor", len(got))
	}
	return ""
}

func withoutGrace(c *authserver.Config) { c.RefreshTokenGrace = -1 }

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

func deviceRace(t *testing.T, f *field) func(context.Context, *App) (*Answer, error) {
	t.Helper()
	code, _, err := f.at[0].Device(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return func(ctx context.Context, at *App) (*Answer, error) { return at.RedeemDevice(ctx, code) }
}

func refreshRace(t *testing.T, f *field) func(context.Context, *App) (*Answer, error) {
	t.Helper()
	code, err := f.at[0].Code(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first, err := f.at[0].Redeem(t.Context(), code)
	if err != nil || first.Text("refresh_token") == "" {
		t.Fatalf("no refresh token: %s, %v", first.Outcome(), err)
	}
	return func(ctx context.Context, at *App) (*Answer, error) {
		return at.Refresh(ctx, first.Text("refresh_token"))
	}
}

// A field is the servers that a race is at.
type field struct {
	*Issuer
	at     []*App // Web, at each of the servers
	orders *App   // at the last
}

func newField(t *testing.T, stores []authserver.Store, edit func(*authserver.Config)) *field {
	t.Helper()
	f := &field{Issuer: New(t)}
	browser := f.Web.At(nil)
	for _, store := range stores {
		server := Direct{f.Server(t, store, edit)}
		f.at, f.orders = append(f.at, browser.At(server)), f.Orders.At(server)
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

// wantWinnings demands that the tokens of whoever won are good, or are not.
func (f *field) wantWinnings(t *testing.T, answers []*Answer, good bool) {
	t.Helper()
	won := answers[slices.IndexFunc(answers, func(a *Answer) bool { return a.Status == http.StatusOK })]
	active, err := f.orders.Active(t.Context(), won.Text("access_token"))
	if err != nil || active != good {
		t.Fatalf("the access token that was won is active: %v, %v", active, err)
	}
	if token := won.Text("refresh_token"); token != "" {
		a, err := f.at[0].Refresh(t.Context(), token)
		if err != nil || (a.Status == http.StatusOK) != good {
			t.Fatalf("the refresh token that was won: %s, %v", a.Outcome(), err)
		}
	}
}
