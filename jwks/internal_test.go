package jwks

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermark/countermark/internal/memhttp"
)

func TestLifetime_RFC9111Section4_2(t *testing.T) {
	t.Parallel()
	const fallback = 7 * time.Minute
	for name, row := range map[string]struct {
		cacheControl []string
		age          string
		want         time.Duration
	}{
		"none":                    {nil, "", fallback},
		"none, but an Age":        {nil, "60", fallback},
		"other directives":        {[]string{"public, must-revalidate, s-maxage=60"}, "", fallback},
		"max-age":                 {[]string{"max-age=600"}, "", 10 * time.Minute},
		"among others, any case":  {[]string{"public,Max-Age=600 , immutable"}, "", 10 * time.Minute},
		"quoted":                  {[]string{`max-age="600"`}, "", 10 * time.Minute},
		"two lines":               {[]string{"public", "max-age=600"}, "", 10 * time.Minute},
		"twice, the shorter":      {[]string{"max-age=600, max-age=300"}, "", 5 * time.Minute},
		"less its Age":            {[]string{"max-age=600"}, "240", 6 * time.Minute},
		"older than that":         {[]string{"max-age=600"}, "6000", time.Minute},
		"Age is no number":        {[]string{"max-age=600"}, "-3", 10 * time.Minute},
		"too short":               {[]string{"max-age=59"}, "", time.Minute},
		"too long":                {[]string{"max-age=86401"}, "", 24 * time.Hour},
		"too large a number":      {[]string{"max-age=99999999999999999999999"}, "", 24 * time.Hour},
		"negative":                {[]string{"max-age=-1"}, "", time.Minute},
		"not a number":            {[]string{"max-age=soon"}, "", time.Minute},
		"no value":                {[]string{"max-age"}, "", time.Minute},
		"no-store":                {[]string{"no-store"}, "", time.Minute},
		"no-cache and a max-age":  {[]string{"no-cache, max-age=600"}, "", time.Minute},
		"a max-age and no-cache":  {[]string{"max-age=600, no-cache"}, "", time.Minute},
		"no-cache with arguments": {[]string{`no-cache="Set-Cookie"`}, "", time.Minute},
	} {
		h := http.Header{}
		for _, v := range row.cacheControl {
			h.Add("Cache-Control", v)
		}
		h.Set("Age", row.age)
		if got := lifetime(h, fallback); got != row.want {
			t.Errorf("%s: %v, want %v", name, got, row.want)
		}
	}
}

func TestAllowance_AtMost15SuccessfulFetchesInAnyMinute(t *testing.T) {
	t.Parallel()
	var a allowance
	start := time.Now()
	var taken []time.Time
	for now := start; now.Sub(start) < 10*time.Minute; now = now.Add(10 * time.Millisecond) {
		if now.Sub(start) > 4*time.Minute && now.Sub(start) < 6*time.Minute {
			continue // a pause, in which the bucket fills and no more
		}
		if a.wait(now) == 0 {
			a.take(now)
			a.succeeded()
			taken = append(taken, now)
		}
	}
	for from := range taken {
		n := 0
		for _, at := range taken[from:] {
			if at.Sub(taken[from]) <= time.Minute {
				n++
			}
		}
		if n > 15 {
			t.Fatalf("%d in the minute from %v on", n, taken[from].Sub(start))
		}
	}
	if len(taken) < 100 {
		t.Errorf("only %d in 8 minutes", len(taken))
	}
}

func TestAllowance_FailureGivesItsTokenBack(t *testing.T) {
	t.Parallel()
	var a allowance
	now := time.Now()
	for _, delay := range []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 2 * time.Second} {
		a.take(now)
		a.failed(now)
		if got := a.wait(now); got != delay {
			t.Fatalf("waits %v, want %v", got, delay)
		}
		now = now.Add(delay)
		if got := a.wait(now); got != 0 {
			t.Fatalf("waits %v after the back-off", got)
		}
	}
	a.take(now)
	a.succeeded()
	a.take(now)
	if got := a.wait(now); got != 4500*time.Millisecond {
		t.Errorf("waits %v: a success must end the back-off, and the failures must have cost no token", got)
	}
	a.failed(now)
	if got := a.wait(now); got != 250*time.Millisecond {
		t.Errorf("waits %v: the back-off must begin anew", got)
	}
}

func TestMisses_AreBoundedAndShort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMisses()
		for n := range 100_000 {
			m.add(fmt.Sprint(n), "ES256")
			if len(m.until) > maxMisses {
				t.Fatalf("%d kids are remembered", len(m.until))
			}
		}
		m.add("a", "ES256")
		if !m.has("a", "ES256") || m.has("a", "RS256") || m.has("b", "ES256") || m.has("", "aES256") {
			t.Error("remembers something else")
		}
		time.Sleep(5*time.Second - time.Nanosecond)
		if !m.has("a", "ES256") {
			t.Error("forgotten too early")
		}
		time.Sleep(time.Nanosecond)
		if m.has("a", "ES256") {
			t.Error("remembered for more than 5 s")
		}
	})
}

// httprc may call Sync for a refresh that a lookup has just made unnecessary.
func TestSync_DoesNothingBeforeItsTime(t *testing.T) {
	t.Parallel()
	var fetches atomic.Int64
	server := memhttp.New(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetches.Add(1)
		_, _ = io.WriteString(w, `{"keys":[]}`)
	}))
	defer server.Close()
	c, err := New(Config{URL: "https://issuer.example/keys", Client: server.Client()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 2 {
		if err := c.refresh.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}
