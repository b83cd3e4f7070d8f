package interop_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// Tokens end: a JWT and an opaque token with their time, an opaque one when it is
// revoked too (RFC 7009).
func TestOIDCProvider_End(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	for _, kind := range []string{"ES256/2", "opaque/2"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			api, token := p.guard(t, kind), p.token(t, kind)
			if got := show(t, api, token); got != "machine" {
				t.Fatal(got)
			}
			if got := eventually(t, api, token, 10*time.Second, "401"); !strings.HasPrefix(got, invalidToken) {
				t.Errorf("expired: %s", got)
			}
		})
	}
	t.Run("revoked", func(t *testing.T) {
		t.Parallel()
		api, token := p.guard(t, "opaque"), p.token(t, "opaque")
		if got := show(t, api, token); got != "machine" {
			t.Fatal(got)
		}
		p.revoke(t, token)
		if got := show(t, api, token); !strings.HasPrefix(got, invalidToken) {
			t.Errorf("revoked: %s", got)
		}
	})
}

func (p *provider) revoke(t *testing.T, token string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.issuer+"/token/revocation", strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("machine", url.QueryEscape(secret))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
}

// The issuer changes its keys in two steps while requests go on: the new key joins,
// signs, and the old one is withdrawn. New tokens pass within seconds, old ones for as
// long as their key is known to be there, and not for a request less.
func TestOIDCProvider_KeyRotation(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	api := p.guard(t, "ES256")
	oldest := p.token(t, "ES256")
	if got := show(t, api, oldest); got != "machine" {
		t.Fatal(got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var traffic sync.WaitGroup
	defer traffic.Wait()
	defer cancel()
	refused := make(chan string, 1)
	traffic.Go(func() {
		for ctx.Err() == nil {
			if got := show(t, api, oldest); got != "machine" {
				refused <- got
				return
			}
		}
	})

	p.useKeys(t, "second first")
	second := p.token(t, "ES256")
	if got := eventually(t, api, second, 5*time.Second, "machine"); got != "machine" {
		t.Fatalf("a token of the new key: %s", got)
	}
	select {
	case got := <-refused:
		t.Fatalf("a token of the old key, which is still there: %s", got)
	default:
	}

	p.useKeys(t, "third second") // an unknown key has the set read again, for the third time within seconds: that waits a little
	third := p.token(t, "ES256")
	if got := eventually(t, api, third, 10*time.Second, "machine"); got != "machine" {
		t.Fatalf("a token of the newest key: %s", got)
	}
	if got := show(t, api, second); got != "machine" {
		t.Errorf("a token of the key before: %s", got)
	}
	select {
	case got := <-refused:
		if !strings.HasPrefix(got, invalidToken) {
			t.Errorf("a token of the key that was withdrawn: %s", got)
		}
	case <-time.After(5 * time.Second):
		t.Error("a token of the key that was withdrawn still passes")
	}
}

// eventually shows a token until the answer begins with prefix or the time is up,
// and returns the last answer.
func eventually(t *testing.T, api *httptest.Server, token string, within time.Duration, prefix string) string {
	t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(within); ; <-again.C {
		if got := show(t, api, token); strings.HasPrefix(got, prefix) || time.Now().After(deadline) {
			return got
		}
	}
}
