package flood_test

import (
	"context"
	"crypto/rand"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/issuertest"
	"github.com/countermark/countermark/validator"
)

func inventIssuer(l line, _ int64) (int, error) {
	return l.show(unsigned(header("invented"), claims("https://"+rand.Text()+".example")))
}

// Where the issuers are known beforehand, another one is refused without asking
// anybody.
func TestFlood_OfInventedIssuers(t *testing.T) {
	i := newIssuer(t)
	v := newValidator(t, i)
	issuers, err := validator.NewIssuers(validator.IssuersConfig{Validators: []*validator.Validator{v}, Opaque: v})
	if err != nil {
		t.Fatal(err)
	}
	s := newStage(t, i, serve(t, issuers))
	const size, pace = 16, 8 * time.Millisecond
	s.endure(harmless(size, pace), &crowd{size: size, pace: slowly(pace), visit: inventIssuer, wants: []int{401}}, 256<<10)
	if n := i.keySets.Load(); n != 1 {
		t.Errorf("the key set was fetched %d times", n)
	}
}

// Where they are looked up, strangers use up the lookups of strangers, and a tenant
// that is there goes on.
func TestFlood_OfInventedTenants(t *testing.T) {
	const burst, rate, atOnce = 100, 100, 32 // as validator.IssuersConfig.Resolve says
	i := newIssuer(t)
	tenant, opaque := newValidator(t, i), newValidator(t, i)
	var lookups, underWay, most atomic.Int64
	issuers, err := validator.NewIssuers(validator.IssuersConfig{
		Opaque: opaque,
		Resolve: func(_ context.Context, issuer string, _ *validator.Validator) (*validator.Validator, error) {
			lookups.Add(1)
			highest(&most, underWay.Add(1))
			defer underWay.Add(-1)
			time.Sleep(30 * time.Millisecond) // of a database that is slow
			if issuer != issuertest.URL {
				return nil, validator.ErrIssuer
			}
			return tenant, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { issuers.Close() })
	begun := time.Now()
	s := newStage(t, i, serve(t, issuers))
	const size, pace = 2 * atOnce, 32 * time.Millisecond
	s.endure(harmless(size, pace), &crowd{size: size, pace: slowly(pace), visit: inventIssuer, wants: []int{401, 503}}, 256<<10)
	t.Logf("%d lookups in %v, %d at once", lookups.Load(), time.Since(begun), most.Load())
	if n, may := lookups.Load(), burst+atOnce+rate*int64(time.Since(begun)/time.Second+1); n > may || n < burst {
		t.Errorf("%d lookups, want %d to %d", n, burst, may)
	}
	if n := most.Load(); n > atOnce {
		t.Errorf("%d lookups at once", n)
	}
	if n := i.keySets.Load(); n != 1 {
		t.Errorf("the key set was fetched %d times", n)
	}
}
