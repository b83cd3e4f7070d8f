package introspection_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermark/countermark/introspection"
)

// inTurn answers with each of the handlers once, and then with the last.
func inTurn(answers ...http.HandlerFunc) http.HandlerFunc {
	turn := 0
	return func(w http.ResponseWriter, r *http.Request) {
		answer := answers[min(turn, len(answers)-1)]
		turn++
		answer(w, r)
	}
}

func TestRetries(t *testing.T) {
	t.Parallel()
	none := func(http.ResponseWriter, *http.Request) { cut(nil) }
	for name, row := range map[string]struct {
		answer    http.HandlerFunc
		retries   int
		ok        bool
		questions int64
		least     time.Duration // that it takes; a quarter more at most
	}{
		"none by default":              {inTurn(status(503, ""), says(active)), 0, false, 1, 0},
		"not needed":                   {says(active), 3, true, 1, 0},
		"a 503":                        {inTurn(status(503, ""), says(active)), 1, true, 2, 100 * time.Millisecond},
		"a 500 and a 502":              {inTurn(status(500, ""), status(502, ""), says(active)), 2, true, 3, 300 * time.Millisecond},
		"a connection cut":             {inTurn(none, says(active)), 1, true, 2, 100 * time.Millisecond},
		"a body cut":                   {inTurn(send(active[:20], cut), says(active)), 1, true, 2, 100 * time.Millisecond},
		"for ever":                     {status(503, ""), 5, false, 6, 3100 * time.Millisecond},
		"a 429 with patience":          {inTurn(status(429, "2"), says(active)), 1, true, 2, 2 * time.Second},
		"a 429 that asks for too much": {inTurn(status(429, "3"), says(active)), 5, false, 1, 0},
		"a 400 stays one":              {inTurn(status(400, ""), says(active)), 5, false, 1, 0},
		"a 401 stays one":              {inTurn(status(401, ""), says(active)), 5, false, 1, 0},
		"a redirect stays one":         {inTurn(redirect(302, "/x"), says(active)), 5, false, 1, 0},
		"HTML stays HTML":              {inTurn(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<p>")) }, says(active)), 5, false, 1, 0},
		"nonsense stays nonsense":      {inTurn(says(`{}`), says(active)), 5, false, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e := newEndpoint(row.answer)
				c, _ := inBubble(t, e, introspection.Config{Retries: row.retries})
				start := time.Now()
				_, err := c.Introspect(t.Context(), token, false)
				if (err == nil) != row.ok || e.asked.Load() != row.questions {
					t.Errorf("%v after %d questions, want %d", err, e.asked.Load(), row.questions)
				}
				if took := time.Since(start); took < row.least || took > row.least*5/4 {
					t.Errorf("took %v, want %v or a little more", took, row.least)
				}
			})
		})
	}
}

func TestRetries_TheTimeoutIsForEachRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(inTurn(send("", hang), says(active)))
		c, _ := inBubble(t, e, introspection.Config{Retries: 1, Timeout: time.Second})
		expect(t, c, e, false, active, 2)
	})
}

// A connection that the server closed while the request was on its way is no
// failure of the endpoint: the transport takes another one.
func TestRetries_AConnectionThatWasJustClosedNeedsNone(t *testing.T) {
	t.Parallel()
	e := newEndpoint(inTurn(says(active), func(http.ResponseWriter, *http.Request) { cut(nil) }, says(inactive)))
	server := httptest.NewServer(e)
	defer server.Close()
	c := newClient(t, introspection.Config{URL: server.URL, Client: server.Client()})
	expect(t, c, e, true, active, 1)
	expect(t, c, e, true, inactive, 3)
}
