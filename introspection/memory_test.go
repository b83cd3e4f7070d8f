package introspection_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermark/countermark/introspection"
)

func TestMemory_TTLs(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		body   string
		config introspection.Config
		want   time.Duration // how long the answer is used
	}{
		"a good answer":              {active, introspection.Config{}, time.Minute},
		"a bad answer":               {inactive, introspection.Config{}, 5 * time.Second},
		"good, configured":           {active, introspection.Config{TTL: time.Hour}, time.Hour},
		"bad, configured":            {inactive, introspection.Config{NegativeTTL: time.Hour}, time.Hour},
		"good, one TTL, not other":   {active, introspection.Config{TTL: time.Second, NegativeTTL: time.Hour}, time.Second},
		"good, never":                {active, introspection.Config{TTL: -1}, 0},
		"bad, never":                 {inactive, introspection.Config{NegativeTTL: -1}, 0},
		"good, bad ones never":       {active, introspection.Config{NegativeTTL: -1}, time.Minute},
		"bad, good ones never":       {inactive, introspection.Config{TTL: -1}, 5 * time.Second},
		"good, nothing remembered":   {active, introspection.Config{CacheSize: -1}, 0},
		"bad, nothing remembered":    {inactive, introspection.Config{CacheSize: -1}, 0},
		"good, exp before the TTL":   {expIn(20 * time.Second), introspection.Config{}, 20 * time.Second},
		"good, exp after the TTL":    {expIn(time.Hour), introspection.Config{}, time.Minute},
		"good, exp with a fraction":  {fmt.Sprintf(`{"active":true,"exp":%d.999}`, bubbleStart.Add(20*time.Second).Unix()), introspection.Config{}, 20 * time.Second},
		"good, exp now":              {expIn(0), introspection.Config{}, 0},
		"good, exp past":             {expIn(-time.Hour), introspection.Config{}, 0},
		"good, exp before all times": {`{"active":true,"exp":-1e300}`, introspection.Config{}, 0},
		"bad, exp past":              {fmt.Sprintf(`{"active":false,"exp":%d}`, bubbleStart.Unix()), introspection.Config{}, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e := newEndpoint(says(row.body))
				c, _ := inBubble(t, e, row.config)
				asks := func(want int64, when string) {
					t.Helper()
					before := e.asked.Load()
					ask(t, c, token, false)
					if n := e.asked.Load() - before; n != want {
						t.Errorf("%s: %d questions, want %d", when, n, want)
					}
				}
				asks(1, "at first")
				if row.want > 0 {
					asks(0, "at once")
					time.Sleep(row.want - time.Nanosecond)
					asks(0, "just before the end")
					time.Sleep(time.Nanosecond)
				}
				asks(1, "at the end")
			})
		})
	}
}

// bubbleStart is when the clock of a bubble starts.
var bubbleStart = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func expIn(d time.Duration) string {
	return fmt.Sprintf(`{"active":true,"exp":%d}`, bubbleStart.Add(d).Unix())
}

// The time counts from the question: a slow answer is no younger for it.
func TestMemory_AnAnswerIsAsOldAsItsQuestion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(4 * time.Second)
			says(active)(w, r)
		})
		c, _ := inBubble(t, e, introspection.Config{TTL: 10 * time.Second})
		expect(t, c, e, false, active, 1)
		time.Sleep(6*time.Second - 1)
		expect(t, c, e, false, active, 1)
		time.Sleep(time.Nanosecond)
		expect(t, c, e, false, active, 2)
	})
}

func TestMemory_FreshGoesPastItAndRefreshesIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(says(active))
		c, _ := inBubble(t, e, introspection.Config{})
		expect(t, c, e, false, active, 1)
		e.set(says(inactive)) // a revocation
		expect(t, c, e, false, active, 1)
		expect(t, c, e, true, inactive, 2)
		expect(t, c, e, false, inactive, 2) // at once, for everybody here
		e.set(says(active))                 // as if it had been a mistake
		expect(t, c, e, true, active, 3)
		expect(t, c, e, false, active, 3)
		time.Sleep(time.Minute - 1)
		expect(t, c, e, false, active, 3)
	})
}

// Where bad answers are not remembered, a bad answer still ends a good one.
func TestMemory_ABadAnswerEndsAGoodOneEvenIfItIsNotRemembered(t *testing.T) {
	t.Parallel()
	e := newEndpoint(says(active))
	c := onLoopback(t, e, introspection.Config{NegativeTTL: -1})
	expect(t, c, e, false, active, 1)
	e.set(says(inactive))
	expect(t, c, e, true, inactive, 2)
	expect(t, c, e, false, inactive, 3)
}

func TestMemory_TokensAreToldApart(t *testing.T) {
	t.Parallel()
	c := onLoopback(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		says(fmt.Sprintf(`{"active":%v,"sub":%q}`, r.FormValue("token")[0] == 'g', r.FormValue("token")))(w, r)
	}), introspection.Config{})
	for range 2 {
		for _, good := range []string{"g", "good", "g1", "g1 ", "gG1"} {
			if got := ask(t, c, good, false); got != fmt.Sprintf(`{"active":true,"sub":%q}`, good) {
				t.Errorf("%q: %s", good, got)
			}
		}
		if got := ask(t, c, "bad", false); got != inactive {
			t.Error(got)
		}
	}
}
