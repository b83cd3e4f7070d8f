package introspection_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermark/countermark/introspection"
)

func TestCache_AnswersOtherProcesses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared, e := new(sharedCache), newEndpoint(says(active))
		first, _ := inBubble(t, e, introspection.Config{Cache: shared})
		second, _ := inBubble(t, e, introspection.Config{Cache: shared})
		expect(t, first, e, false, active, 1)
		expect(t, second, e, false, active, 1)
		shared.do(func() { shared.err = errors.New("down") })
		expect(t, second, e, false, active, 1) // it is in the memory of both now
	})
}

// However often an answer is handed on, it ends a TTL after its question, and
// by the TTL of the process that uses it.
func TestCache_HandingOnDoesNotProlong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared, e := new(sharedCache), newEndpoint(says(active))
		process := func(ttl time.Duration) *introspection.Client {
			c, _ := inBubble(t, e, introspection.Config{Cache: shared, TTL: ttl})
			return c
		}
		expect(t, process(time.Minute), e, false, active, 1)
		var last *introspection.Client
		for range 5 {
			time.Sleep(10 * time.Second)
			last = process(time.Minute)
			expect(t, last, e, false, active, 1)
		}
		expect(t, process(time.Hour), e, false, active, 1)
		expect(t, process(50*time.Second), e, false, active, 2)
		e.set(says(inactive))
		time.Sleep(10*time.Second - 1)
		expect(t, last, e, false, active, 2)
		time.Sleep(time.Nanosecond)
		expect(t, last, e, false, active, 2) // what the other one learned 10 s ago
		time.Sleep(50 * time.Second)
		expect(t, last, e, false, inactive, 3)
	})
}

func TestCache_TTLsOfValues(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		body string
		want time.Duration // 0: not stored
	}{
		"good":                   {active, time.Minute},
		"good, exp before":       {expIn(20 * time.Second), 20 * time.Second},
		"good, exp past":         {expIn(0), 0},
		"bad":                    {inactive, 0},
		"bad, and says much":     {`{"active":false,"sub":"u"}`, 0},
		"good, exp after an age": {expIn(1e6 * time.Hour), time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				shared := new(sharedCache)
				c, _ := inBubble(t, newEndpoint(says(row.body)), introspection.Config{Cache: shared})
				ask(t, c, token, false)
				shared.do(func() {
					if len(shared.ttls) != btoi(row.want > 0) {
						t.Errorf("%d values", len(shared.ttls))
					}
					for _, ttl := range shared.ttls {
						if ttl != row.want {
							t.Errorf("for %v, want %v", ttl, row.want)
						}
					}
				})
			})
		})
	}
}

func TestCache_TheTTLOfAValueCountsFromItsQuestion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared := new(sharedCache)
		c, _ := inBubble(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(4 * time.Second)
			says(active)(w, r)
		}), introspection.Config{Cache: shared})
		ask(t, c, token, false)
		for _, ttl := range shared.ttls {
			if ttl != 56*time.Second {
				t.Errorf("for %v", ttl)
			}
		}
	})
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestCache_FreshGoesPastItAndCorrectsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared, e := new(sharedCache), newEndpoint(says(active))
		process := func() *introspection.Client {
			c, _ := inBubble(t, e, introspection.Config{Cache: shared})
			return c
		}
		expect(t, process(), e, false, active, 1)
		e.set(says(inactive)) // a revocation
		expect(t, process(), e, false, active, 1)
		expect(t, process(), e, true, inactive, 2)
		expect(t, process(), e, false, inactive, 3) // everywhere it is not remembered
		e.set(says(active))
		expect(t, process(), e, true, active, 4)
		expect(t, process(), e, false, active, 4)
	})
}

// Invented tokens do not reach a cache that others depend on.
func TestCache_BadAnswersAreNotStored(t *testing.T) {
	t.Parallel()
	shared := new(sharedCache)
	c := onLoopback(t, says(inactive), introspection.Config{Cache: shared})
	for i := range 20 {
		ask(t, c, fmt.Sprint("invented ", i), i%2 == 0)
	}
	if shared.sets != 0 || shared.gets != 20 {
		t.Errorf("%d values set, %d asked for", shared.sets, shared.gets)
	}
}

func TestCache_ThatFailsCostsSpeedAndNothingElse(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		spoil func(*sharedCache)
		cost  time.Duration
	}{
		"errors": {func(s *sharedCache) { s.err = errors.New("down") }, 0},
		"hangs":  {func(s *sharedCache) { s.stuck = true }, 250 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				log, shared := new(logged), new(sharedCache)
				e := newEndpoint(says(active))
				c, _ := inBubble(t, e, introspection.Config{Cache: shared, Logger: log.logger(), CacheSize: -1})
				shared.do(func() { row.spoil(shared) })

				start := time.Now()
				for i := range 3 { // the first notices, the others leave it alone
					expect(t, c, e, false, active, int64(i+1))
				}
				if took := time.Since(start); took != row.cost || shared.gets+shared.sets != 1 {
					t.Errorf("took %v and %d calls of the cache, want %v", took, shared.gets+shared.sets, row.cost)
				}
				time.Sleep(time.Second)
				expect(t, c, e, false, active, 4)
				if lines := log.lines(); len(lines) != 1 || !strings.Contains(lines[0], "level=WARN") {
					t.Errorf("logged %q", lines)
				}

				shared.do(func() { shared.stuck, shared.err = false, nil })
				time.Sleep(time.Second)
				expect(t, c, e, false, active, 5) // mended: stored by this
				expect(t, c, e, false, active, 5)
				shared.do(func() { row.spoil(shared) })
				expect(t, c, e, false, active, 6)
				if lines := log.lines(); len(lines) != 2 {
					t.Errorf("logged %q", lines)
				}
			})
		})
	}
}

// What is read is held to the rules for an answer; the rest is not there.
func TestCache_ValuesAreReadStrictly(t *testing.T) {
	t.Parallel()
	const header = 9 // the version and the time
	body := func(text string) func([]byte) []byte {
		return func(v []byte) []byte { return append(v[:header:header], text...) }
	}
	for name, row := range map[string]struct {
		change func([]byte) []byte
		used   bool
	}{
		"unchanged":                {func(v []byte) []byte { return v }, true},
		"another good answer":      {body(`{"active":true}`), true}, // the cache is trusted
		"empty":                    {func([]byte) []byte { return nil }, false},
		"the header alone":         {func(v []byte) []byte { return v[:header] }, false},
		"half a header":            {func(v []byte) []byte { return v[:header-1] }, false},
		"truncated":                {func(v []byte) []byte { return v[:len(v)-1] }, false},
		"another version":          {func(v []byte) []byte { v[0]++; return v }, false},
		"bare JSON":                {func(v []byte) []byte { return v[header:] }, false},
		"inactive":                 {body(inactive), false},
		"active is a string":       {body(`{"active":"true"}`), false},
		"active twice":             {body(`{"active":true,"active":true}`), false},
		"exp is a string":          {body(`{"active":true,"exp":"1"}`), false},
		"exp past":                 {body(expIn(0)), false},
		"something after":          {body(active + "x"), false},
		"from another time":        {func(v []byte) []byte { clear(v[1:header]); return v }, false},
		"from a far future":        {func(v []byte) []byte { v[1] = 0x7f; return v }, false},
		"from before all times":    {func(v []byte) []byte { v[1] = 0x80; return v }, false},
		"from a clock 17 s ahead":  {func(v []byte) []byte { v[7] += 64; return v }, true},
		"from a clock 34 s ahead":  {func(v []byte) []byte { v[7] += 128; return v }, false},
		"from a clock 65 s behind": {func(v []byte) []byte { v[6]--; return v }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				shared, e := new(sharedCache), newEndpoint(says(active))
				config := introspection.Config{Cache: shared}
				writer, _ := inBubble(t, e, config)
				time.Sleep(time.Until(bubbleStart.Add(time.Duration(1<<16-bubbleStart.UnixMilli()%(1<<16)) * time.Millisecond))) // v[7:] is zero
				expect(t, writer, e, false, active, 1)
				shared.do(func() {
					for key, value := range shared.values {
						shared.values[key] = row.change(value)
					}
				})
				reader, _ := inBubble(t, e, config)
				ask(t, reader, token, false)
				if used := e.asked.Load() == 1; used != row.used {
					t.Errorf("used: %v", used)
				}
			})
		})
	}
}

// Clients that may be told different things do not see each other's answers.
func TestCache_IsDividedByWhoAsksWhom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared := new(sharedCache)
		e := newEndpoint(says(active))
		for i, config := range []introspection.Config{
			{URL: endpointURL},
			{URL: endpointURL + "2"},
			{URL: endpointURL, Issuer: issuerURL},
			{URL: issuerURL, Issuer: endpointURL},
			{URL: endpointURL, Auth: introspection.Basic("orders-api-2", secret)},
			{URL: endpointURL, Auth: introspection.Basic("2orders-api", secret)},
		} {
			config.Cache = shared
			for range 2 {
				c, _ := inBubble(t, e, config)
				expect(t, c, e, false, active, int64(i+1))
			}
		}
		// One identifier is one client, however it authenticates.
		c, _ := inBubble(t, e, introspection.Config{URL: endpointURL, Cache: shared, Auth: introspection.Post("orders-api", secret)})
		expect(t, c, e, false, active, 6)
	})
}

func TestCache_HoldsNoToken(t *testing.T) {
	t.Parallel()
	shared := new(sharedCache)
	c := onLoopback(t, says(active), introspection.Config{Cache: shared})
	ask(t, c, token, false)
	if len(shared.values) != 1 {
		t.Fatalf("%d values", len(shared.values))
	}
	for key, value := range shared.values {
		for _, form := range []string{token, secret, hex.EncodeToString([]byte(token)), base64.StdEncoding.EncodeToString([]byte(token))} {
			if strings.Contains(key, form) || strings.Contains(string(value), form) {
				t.Errorf("%q is in %q: %q", form, key, value)
			}
		}
		if raw, err := hex.DecodeString(key); err != nil || len(raw) != 32 {
			t.Errorf("key %q", key)
		}
	}
}
