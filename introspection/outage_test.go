package introspection_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermark/countermark/internal/memhttp"
	"github.com/countermark/countermark/internal/rehearsal"
	"github.com/countermark/countermark/introspection"
)

// status answers with a status and, if it is not empty, Retry-After.
func status(code int, after string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if after != "" {
			w.Header().Set("Retry-After", after)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		if code != http.StatusNoContent {
			_, _ = io.WriteString(w, inactive) // whatever the body says, it is no answer
		}
	}
}

func redirect(code int, to string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "issuer.example" || r.URL.Path != "/introspect" {
			says(active)(w, r) // as an attacker would
			return
		}
		http.Redirect(w, r, to, code)
	}
}

// send writes headers and the part of an answer, and then does what then does.
func send(part string, then func(*http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, part)
		_ = http.NewResponseController(w).Flush()
		then(r)
	}
}

func hang(r *http.Request) { <-r.Context().Done() }
func cut(*http.Request)    { panic(http.ErrAbortHandler) }

var outages = map[string]struct {
	answer http.HandlerFunc // nil: nobody listens
	after  time.Duration    // what is passed on
}{
	"connection refused":        {nil, 0},
	"no answer":                 {func(_ http.ResponseWriter, r *http.Request) { hang(r) }, 0},
	"headers and no body":       {send("", hang), 0},
	"half a body, then silence": {send(active[:20], hang), 0},
	"connection cut":            {func(http.ResponseWriter, *http.Request) { cut(nil) }, 0},
	"truncated body":            {send(active[:20], cut), 0},
	"complete, but cut short":   {send(active, cut), 0},
	"500":                       {status(500, ""), 0},
	"502":                       {status(502, ""), 0},
	"503":                       {status(503, ""), 0},
	"503 with Retry-After":      {status(503, "7"), 7 * time.Second},
	"429":                       {status(429, ""), 0},
	"429 with Retry-After":      {status(429, "120"), 2 * time.Minute},
	"429 for very long":         {status(429, "999999"), time.Hour},
	"429 with a strange value":  {status(429, "-5"), 0},
	"400":                       {status(400, ""), 0},
	"401: our credentials":      {status(401, ""), 0},
	"403: our credentials":      {status(403, ""), 0},
	"404":                       {status(404, ""), 0},
	"405":                       {status(405, ""), 0},
	"201":                       {status(201, ""), 0},
	"204":                       {status(204, ""), 0},
	"206":                       {status(206, ""), 0},
	"302 to another host":       {redirect(302, "https://evil.example/introspect"), 0},
	"307 to another host":       {redirect(307, "https://evil.example/introspect"), 0},
	"308 to another path":       {redirect(308, "/elsewhere"), 0},
	"303 to itself":             {redirect(303, "/introspect"), 0},
	"HTML with status 200":      {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>active: true") }, 0},
	"HTML that claims JSON":     {says("<html>"), 0},
	"truncated JSON":            {says(active[:len(active)-1]), 0},
	"oversized JSON":            {says(`{"active":true,"x":"` + strings.Repeat("x", 64<<10) + `"}`), 0},
	"oversized space":           {says(active + strings.Repeat(" ", 64<<10)), 0},
	"endless JSON":              {endless, 0},
	"no body":                   {says(""), 0},
	"active missing":            {says(`{"sub":"u"}`), 0},
	"active not a boolean":      {says(`{"active":"true"}`), 0},
	"active false as a string":  {says(`{"active":"false"}`), 0},
	"duplicate members":         {says(`{"active":false,"active":false}`), 0},
	"an OAuth error":            {says(`{"error":"server_error"}`), 0},
}

func endless(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"active":true,"x":"`)
	for r.Context().Err() == nil {
		if _, err := io.WriteString(w, strings.Repeat("x", 4096)); err != nil {
			return
		}
	}
}

func TestOutage_IsAnErrorAndNeverAnAnswer(t *testing.T) {
	t.Parallel()
	for name, row := range outages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				shared := new(sharedCache)
				e := newEndpoint(says(active))
				c, server := inBubble(t, e, introspection.Config{Cache: shared, TTL: time.Hour})
				expect(t, c, e, false, active, 1)

				// The outage. It says nothing about a token that is known, ...
				server.SetDown(row.answer == nil)
				e.set(row.answer)
				for range 3 { // nothing of it is remembered
					for _, fresh := range []bool{false, true} {
						_, err := c.Introspect(t.Context(), "another", fresh)
						checkOutage(t, err, row.after)
					}
				}
				_, err := c.Introspect(t.Context(), token, true) // ... nor is that an answer
				checkOutage(t, err, row.after)
				if n := e.asked.Load(); row.answer != nil && n != 1+6+1 {
					t.Errorf("%d questions", n)
				}
				if got := ask(t, c, token, false); got != active {
					t.Errorf("during the outage: %s", got)
				}
				shared.do(func() {
					if len(shared.values) != 1 {
						t.Errorf("%d values in the shared cache", len(shared.values))
					}
				})

				// Recovery, at once.
				server.SetDown(false)
				e.set(says(inactive))
				if got := ask(t, c, "another", false); got != inactive {
					t.Errorf("after the outage: %s", got)
				}
			})
		})
	}
}

// checkOutage holds err against the contract of errors.
func checkOutage(t *testing.T, err error, after time.Duration) {
	t.Helper()
	if err == nil {
		t.Fatal("an answer")
	}
	if !strings.HasPrefix(err.Error(), "introspection: ") {
		t.Errorf("%q does not say whose error it is", err)
	}
	for what, private := range map[string]string{"token": token, "secret": secret, "Basic": "Basic", "answer": "private-subject", "html": "<html>"} {
		if strings.Contains(err.Error(), private) {
			t.Errorf("the error holds the %s: %v", what, err)
		}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		t.Errorf("%v passes for the end of the caller's context", err)
	}
	var waits interface{ RetryAfter() time.Duration }
	if got := errors.As(err, &waits); got && waits.RetryAfter() != after || !got && after != 0 {
		t.Errorf("%v: has RetryAfter: %v, want %v", err, got, after)
	}
}

func TestOutage_ATimeoutIsWhatTheConfigurationSays(t *testing.T) {
	t.Parallel()
	for timeout, want := range map[time.Duration]time.Duration{0: 5 * time.Second, 300 * time.Millisecond: 300 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			c, _ := inBubble(t, newEndpoint(send("", hang)), introspection.Config{Timeout: timeout})
			start := time.Now()
			_, err := c.Introspect(t.Context(), token, false)
			checkOutage(t, err, 0)
			if took := time.Since(start); took != want || !strings.Contains(err.Error(), want.String()) {
				t.Errorf("%v after %v, want %v", err, took, want)
			}
		})
	}
}

// Other time limits than Timeout look no more like the caller's own.
func TestOutage_LimitsOfTheCallersFunctionsAreNotItsContext(t *testing.T) {
	t.Parallel()
	late := introspection.AuthFunc("orders-api", func(req *http.Request, _ url.Values) error {
		<-req.Context().Done()
		return req.Context().Err()
	})
	for name, row := range map[string]struct {
		auth  introspection.Authenticator
		limit time.Duration // of the http.Client
	}{
		"http.Client.Timeout": {introspection.Basic("orders-api", secret), time.Second},
		"authentication":      {late, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := memhttp.New(newEndpoint(send("", hang)))
				defer server.Close()
				client := server.Client()
				client.Timeout = row.limit
				c := newClient(t, introspection.Config{Client: client, Auth: row.auth})
				_, err := c.Introspect(t.Context(), token, false)
				checkOutage(t, err, 0)
				synctest.Wait()
			})
		})
	}
}

// The same once more with a real socket that nobody listens on.
func TestOutage_RefusedOnLoopbackAndRecovery(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	c := newClient(t, introspection.Config{URL: "http://" + address + "/introspect"})
	_, err = c.Introspect(t.Context(), token, false)
	checkOutage(t, err, 0)
	if listener, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: says(active)}
	defer server.Close()
	go server.Serve(listener)
	if got := ask(t, c, token, false); got != active {
		t.Errorf("after the outage: %s", got)
	}
}

// HTTP/2 puts all requests on one connection, and would do so for minutes after that
// was lost without a word.
func TestOutage_AConnectionThatDiedSilentlyIsNotUsedForEver(t *testing.T) {
	t.Parallel()
	i, err := rehearsal.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	transport := i.Transport()
	defer transport.CloseIdleConnections()
	c := newClient(t, introspection.Config{URL: i.IntrospectionURL, Client: &http.Client{Transport: transport}, Timeout: time.Second})
	works := func() bool {
		_, err := c.Introspect(t.Context(), i.Opaque(), false)
		return err == nil
	}
	for range 10 { // as many as a busy machine needs
		if works() {
			break
		}
	}
	for _, fault := range []rehearsal.Fault{rehearsal.Silent, rehearsal.None} { // the connection stays silent, the server does not
		if err := i.Break(t.Context(), rehearsal.Introspection, fault); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		if works() {
			return
		}
	}
	t.Error("ten questions have got no answer")
}

func TestOutage_RefusedCredentialsAreLoggedOnce(t *testing.T) {
	t.Parallel()
	log := new(logged)
	e := newEndpoint(status(401, ""))
	c := onLoopback(t, e, introspection.Config{Logger: log.logger()})
	for i, row := range []struct {
		answer http.HandlerFunc
		ok     bool
		lines  int
	}{{status(401, ""), false, 1}, {status(403, ""), false, 1}, {status(500, ""), false, 1}, {status(401, ""), false, 1}, {says(active), true, 1}, {status(403, ""), false, 2}} {
		e.set(row.answer)
		if _, err := c.Introspect(t.Context(), token, true); (err == nil) != row.ok {
			t.Errorf("step %d: %v", i, err)
		}
		if lines := log.lines(); len(lines) != row.lines || !strings.Contains(lines[0], "level=ERROR") || !strings.Contains(lines[0], "refuses this client's authentication") {
			t.Errorf("step %d: logged %q", i, lines)
		}
	}
	for _, private := range []string{token, secret} {
		if strings.Contains(strings.Join(log.lines(), ""), private) {
			t.Error("a token or secret is in the log")
		}
	}
}
