package countermark_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/introspection"
	"github.com/countermark/countermark/jwks"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

const (
	e2eSecret = "a-secret-of-the-end-to-end-tests"
	e2eAPI    = "https://api.example.com"
)

// town is an issuer that can be switched off and on, and an API that trusts it.
type town struct {
	issuer string
	auth   *authserver.Server
	api    *httptest.Server
	server *http.Server // of the issuer, when it is on
	keys   atomic.Int64 // how often the key set was asked for
}

// direct has connections of its own: those of the default client close with any
// httptest.Server.
var direct = &http.Client{Transport: &http.Transport{}}

// quietAddress is one that nobody listens at, and that nobody is given who asks for
// any: those are above.
func quietAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprint("127.0.0.1:", 20_000+mathrand.IntN(12_000))
		if listener, err := net.Listen("tcp", addr); err == nil {
			_ = listener.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

// newTown starts the API; the issuer is off. Introspected tokens are remembered
// for ttl.
func newTown(t *testing.T, ttl time.Duration) *town {
	t.Helper()
	w := &town{issuer: "http://" + quietAddress(t)}
	var err error
	client := func(id, strategy string) authserver.Client {
		return authserver.Client{
			ClientID: id, SecretHash: authserver.HashOf(e2eSecret), GrantTypes: []string{"client_credentials"},
			Scope: "orders:read", Audience: []string{e2eAPI}, AccessTokenStrategy: strategy,
		}
	}
	api := client("api", "")
	api.GrantTypes, api.Scope = nil, ""
	w.auth, err = authserver.New(authserver.Config{
		Issuer: w.issuer, Clients: []authserver.Client{client("jwt", "jwt"), client("opaque", "opaque"), api}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := jwks.New(jwks.Config{Issuer: w.issuer, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	asking, err := introspection.New(introspection.Config{Issuer: w.issuer, Auth: introspection.Basic("api", e2eSecret), TTL: ttl})
	if err != nil {
		t.Fatal(err)
	}
	v, err := validator.New(validator.Config{Issuer: w.issuer, Audiences: []string{e2eAPI}, Keys: keys, Introspector: asking})
	if err != nil {
		t.Fatal(err)
	}
	guard := middleware.New(v, nil)
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	mux := http.NewServeMux()
	mux.Handle("GET /orders", guard.Require("orders:read")(ok))
	mux.Handle("POST /payments", guard.RequireWith(validator.Requirement{Scopes: []string{"orders:read"}, Fresh: true})(ok))
	w.api = httptest.NewServer(mux)
	t.Cleanup(func() {
		w.api.Close()
		w.off()
		_ = keys.Close()
	})
	return w
}

func (w *town) on(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", strings.TrimPrefix(w.issuer, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	w.server = &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/jwks" {
			w.keys.Add(1)
		}
		w.auth.ServeHTTP(rw, r)
	})}
	go func() { _ = w.server.Serve(listener) }()
}

func (w *town) off() {
	if w.server != nil {
		_ = w.server.Close()
	}
}

func (w *town) rotate(t *testing.T) {
	t.Helper()
	key, err := authserver.GenerateKey("ES256")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.auth.RotateKeys(t.Context(), key, authserver.RotateNow); err != nil {
		t.Fatal(err)
	}
}

func (w *town) post(t *testing.T, path, client string, form url.Values, answer any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(client, e2eSecret)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := direct.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s answered %s", path, resp.Status)
	}
	if answer != nil {
		if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *town) token(t *testing.T, client string) string {
	t.Helper()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	w.post(t, "/token", client, url.Values{"grant_type": {"client_credentials"}}, &answer)
	return answer.AccessToken
}

func (w *town) revoke(t *testing.T, client, token string) {
	t.Helper()
	w.post(t, "/revoke", client, url.Values{"token": {token}}, nil)
}

func (w *town) call(ctx context.Context, t *testing.T, method, path, token string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, w.api.URL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := direct.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// within calls until the status is want, and fails if that takes longer than
// limit. Any status but want and those of meanwhile fails, too.
func (w *town) within(t *testing.T, limit time.Duration, token string, want int, meanwhile ...int) {
	t.Helper()
	start := time.Now()
	for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C { // garbage once the test ends
		switch got := w.call(t.Context(), t, http.MethodGet, "/orders", token); {
		case got == want:
			t.Logf("%d after %v", want, time.Since(start).Round(time.Millisecond))
			return
		case !slices.Contains(meanwhile, got) || time.Since(start) > limit:
			t.Fatalf("%d after %v; want %d within %v", got, time.Since(start), want, limit)
		}
	}
}

func TestE2E_AnIssuerThatIsDownAtStartThenComesThenDies(t *testing.T) {
	t.Parallel()
	w := newTown(t, 0)
	w.on(t)
	token := w.token(t, "jwt") // from before
	w.off()
	if got := w.call(t.Context(), t, http.MethodGet, "/orders", token); got != http.StatusServiceUnavailable {
		t.Fatalf("%d while the issuer is down, want 503", got)
	}
	w.on(t)
	w.within(t, 2500*time.Millisecond, token, http.StatusOK, http.StatusServiceUnavailable)
	w.off()
	if got := w.call(t.Context(), t, http.MethodGet, "/orders", token); got != http.StatusOK {
		t.Fatalf("%d after the issuer died, want 200 by its known keys", got)
	}
}

func TestE2E_ARotationIsAcceptedWithinASecond(t *testing.T) {
	t.Parallel()
	w := newTown(t, 0)
	w.on(t)
	w.within(t, time.Second, w.token(t, "jwt"), http.StatusOK)
	w.rotate(t)
	w.within(t, time.Second, w.token(t, "jwt"), http.StatusOK, http.StatusServiceUnavailable)
	if got := w.keys.Load(); got != 2 {
		t.Errorf("the key set was fetched %d times, want 2", got)
	}
}

func TestE2E_ARotationIsAcceptedWithinFiveSecondsAndAFetchUnderAttack(t *testing.T) {
	t.Parallel()
	w := newTown(t, 0)
	w.on(t)
	w.within(t, time.Second, w.token(t, "jwt"), http.StatusOK)
	ctx, stop := context.WithCancel(t.Context())
	attack := make(chan struct{})
	go func() {
		defer close(attack)
		key := tokentest.NewKey(t, "", "ES256")
		for tick := time.NewTicker(100 * time.Millisecond); ; {
			forged := key.Token(t, map[string]any{"kid": rand.Text()}, tokentest.Claims(time.Now(), map[string]any{"iss": w.issuer}))
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, w.api.URL+"/orders", http.NoBody)
			req.Header.Set("Authorization", "Bearer "+forged)
			if resp, err := direct.Do(req); err == nil {
				_ = resp.Body.Close()
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	time.Sleep(time.Second) // of attack, which empties the bucket
	w.rotate(t)
	// A set that was confirmed a moment ago says 401 while no fetch may begin.
	w.within(t, 6*time.Second, w.token(t, "jwt"), http.StatusOK, http.StatusUnauthorized, http.StatusServiceUnavailable)
	stop()
	<-attack
	if got := w.keys.Load(); got > 16 {
		t.Errorf("the key set was fetched %d times in less than a minute, want 16 at most", got)
	}
}

func TestE2E_TenThousandValidationsOfOneOpaqueTokenMakeOneRequest(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	endpoint := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		rw.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(rw, `{"active":true,"iss":"https://issuer.example","aud":%q,"exp":%d}`, e2eAPI, time.Now().Add(time.Minute).Unix())
	}))
	defer endpoint.Close()
	asking, err := introspection.New(introspection.Config{URL: endpoint.URL, Auth: introspection.Basic("api", e2eSecret)})
	if err != nil {
		t.Fatal(err)
	}
	v, err := validator.New(validator.Config{Issuer: "https://issuer.example", Audiences: []string{e2eAPI}, Introspector: asking})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var good atomic.Int64
	for range 10_000 {
		all.Go(func() {
			if _, err := v.Validate(t.Context(), "one-opaque-token"); err == nil {
				good.Add(1)
			}
		})
	}
	all.Wait()
	if good.Load() != 10_000 || asked.Load() != 1 {
		t.Errorf("%d of 10,000 were good, with %d requests; want all with 1", good.Load(), asked.Load())
	}
}

func TestE2E_ARevocationBitesAtOnceWhereItIsAskedFor(t *testing.T) {
	t.Parallel()
	const ttl = 3 * time.Second
	for _, client := range []string{"jwt", "opaque"} {
		t.Run(client, func(t *testing.T) {
			t.Parallel()
			w := newTown(t, ttl)
			w.on(t)
			token := w.token(t, client)
			asked := time.Now()
			if got := w.call(t.Context(), t, http.MethodGet, "/orders", token); got != http.StatusOK {
				t.Fatalf("%d before the revocation", got)
			}
			w.revoke(t, client, token)
			if client == "opaque" { // the answer is remembered for its time, and no longer
				w.within(t, time.Until(asked.Add(ttl+time.Second)), token, http.StatusUnauthorized, http.StatusOK)
				token = w.token(t, client)
				w.revoke(t, client, token)
			}
			if got := w.call(t.Context(), t, http.MethodPost, "/payments", token); got != http.StatusUnauthorized {
				t.Errorf("%d at the next request after the revocation, want 401", got)
			}
		})
	}
}
