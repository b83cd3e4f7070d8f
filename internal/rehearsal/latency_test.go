package rehearsal_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/proctest"
	"github.com/countermark/countermark/internal/rehearsal"
	"github.com/countermark/countermark/introspection"
	"github.com/countermark/countermark/jwks"
)

const (
	windows  = 7   // of each of two that are compared
	size     = 100 // validations in one
	attempts = 5   // to be no slower: a busy machine may do to the one what it spares the other
)

// What is known is judged as fast while its issuer is out of order, and is asked all
// the time, as beside an issuer that is well. Windows of the two take turns, so that
// what else the machine does is done to both.
func TestLatency_OfWhatIsKnownIsNotItsIssuers(t *testing.T) { //nolint:tparallel // what is timed is alone
	t.Parallel()
	well, broken := start(t), start(t)
	defer well.Close()
	defer broken.Close()
	beside := judges(t, well)
	defer beside.close()
	for _, fault := range rehearsal.Faults() { //nolint:paralleltest // likewise
		t.Run(fault.String(), func(t *testing.T) {
			apis := judges(t, broken)
			defer apis.close()
			for _, e := range []rehearsal.Endpoint{rehearsal.KeySet, rehearsal.Introspection} {
				if err := broken.Break(t.Context(), e, fault); err != nil {
					t.Fatal(err)
				}
				defer func() { _ = broken.Break(context.Background(), e, rehearsal.None) }()
			}
			stop := apis.keepAsking(t, broken)
			defer stop()
			for n, kind := range kinds {
				compare(t, kind, beside[n], apis[n])
			}
		})
	}
}

// kinds are the ways to judge a token whose issuer need not be asked.
var kinds = [...]string{"keys looked up", "tokens remembered", "answers remembered"}

// A judge judges one token that it knows.
type judge struct {
	*api

	token string
}

type bench [len(kinds)]judge

// judges returns a judge of each kind, who has seen its token.
func judges(t *testing.T, i *rehearsal.Issuer) bench {
	t.Helper()
	cfg := jwks.Config{URL: i.KeysURL}
	b := bench{
		{byKeys(t, i, cfg, -1), i.Token(nil, nil)},
		{byKeys(t, i, cfg, 0), i.Token(nil, nil)},
		{byAnswers(t, i, introspection.Config{URL: i.IntrospectionURL}), i.Opaque()},
	}
	for n, j := range b {
		if !eventually(patience, func() bool {
			status, _ := j.visit(j.token)
			return status == 200
		}) {
			t.Fatalf("%s: not known before the fault", kinds[n])
		}
	}
	return b
}

func (b bench) close() {
	for _, j := range b {
		j.close()
	}
}

// keepAsking has the issuer asked without end: for its keys, and about tokens.
func (b bench) keepAsking(t *testing.T, i *rehearsal.Issuer) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	for _, j := range b {
		asking.Go(func() {
			for ctx.Err() == nil {
				if j.refresh != nil {
					_ = j.refresh(ctx)
				} else {
					_, _ = j.validator.Validate(ctx, i.Opaque())
				}
				select {
				case <-ctx.Done():
				case <-time.After(10 * time.Millisecond):
				}
			}
		})
	}
	return func() {
		cancel()
		asking.Wait()
	}
}

func compare(t *testing.T, kind string, beside, during judge) {
	t.Helper()
	slower, median := proctest.Bound(3, 30), 0.0
	for range attempts {
		var ratios []float64
		var theirs, ours, worst []time.Duration
		for n := range windows {
			var of [2]time.Duration
			for _, side := range [][]int{{0, 1}, {1, 0}}[n%2] {
				p99, most := []judge{beside, during}[side].window()
				of[side] = p99
				if side == 1 {
					worst = append(worst, most)
				}
			}
			theirs, ours = append(theirs, of[0]), append(ours, of[1])
			ratios = append(ratios, float64(of[1])/float64(of[0]))
		}
		slices.Sort(ratios)
		slices.Sort(theirs)
		slices.Sort(ours)
		median = ratios[windows/2]
		t.Logf("%-18s p99 %10v beside, %10v during, x %.2f; slowest %v", kind, theirs[windows/2], ours[windows/2], median, slices.Max(worst))
		if most := slices.Max(worst); most > min(keysTimeout, answerTimeout)/2 {
			t.Errorf("%s: one took %v: it waited for the issuer", kind, most)
		}
		if median <= slower {
			return
		}
	}
	t.Errorf("%s: %.2f times as slow as beside an issuer that is well", kind, median)
}

// window times some validations.
func (j judge) window() (p99, most time.Duration) {
	took := make([]time.Duration, size)
	for n := range took {
		began := time.Now()
		if _, err := j.validator.Validate(context.Background(), j.token); err != nil {
			j.t.Error(err)
		}
		took[n] = time.Since(began)
	}
	slices.Sort(took)
	return took[size*99/100-1], took[size-1]
}
