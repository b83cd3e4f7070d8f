package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/proctest"
	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

// A remembered token takes a KiB and a half at most, and keeps nothing else of the
// request alive that it came with.
//
//nolint:paralleltest // it measures the heap
func TestGuard_ARememberedTokenTakesAKiBAndAHalf(t *testing.T) {
	const tokens = 600
	key := tokentest.NewKey(t, "2026-11", "RS256")
	v := newValidator(t, func(c *validator.Config) { c.Keys = tokentest.Keys{key} })
	server := httptest.NewServer(middleware.New(v, nil).Require()(http.NotFoundHandler()))
	defer server.Close()
	show := func(n int) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+longToken(t, key, n))
		req.Header.Set("Cookie", strings.Repeat("c", 8<<10))
		res, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		if res.StatusCode != http.StatusNotFound {
			t.Fatalf("status %d", res.StatusCode)
		}
	}
	heap := func() int64 {
		server.CloseClientConnections()
		return proctest.Heap()
	}
	const first = 100 // which fill what is there once
	for n := range first {
		show(n)
	}
	before := heap()
	for n := range tokens {
		show(first + n)
	}
	each := (heap() - before) / tokens
	t.Logf("%d bytes each", each)
	if each > 1536 || each < 512 {
		t.Errorf("%d bytes each, 1536 at most are wanted (and 512 at least, or it does not remember)", each)
	}
	runtime.KeepAlive(v)
}

// longToken returns a token of about 900 bytes, another one for each n.
func longToken(tb testing.TB, key *tokentest.Key, n int) string {
	tb.Helper()
	token := key.Token(tb, nil, tokentest.Claims(time.Now(), map[string]any{
		"sub": "8f14e45f-ceea-467f-a8d0-1d2b9e5f5a10", "client_id": "web-frontend-3f9a", "jti": time.Unix(int64(n), 0).UTC().Format(time.RFC3339),
		"aud": []string{tokentest.Audience, tokentest.Issuer + "/userinfo"}, "scope": "openid profile orders:read orders:write",
		"tenant_id": "tenant-of-some-name-4711", "roles": []string{"buyer", "approver"},
	}))
	if len(token) < 880 || len(token) > 920 {
		tb.Fatalf("a token of %d bytes, about 900 are wanted", len(token))
	}
	return token
}
