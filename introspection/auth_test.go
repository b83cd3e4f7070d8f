package introspection_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/countermark/countermark/introspection"
)

func TestBearer_AsksForATokenEachTime(t *testing.T) {
	t.Parallel()
	e := newEndpoint(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("client_id") != "" {
			t.Error("client_id is sent")
		}
		says(`{"active":true,"auth":"`+r.Header.Get("Authorization")+`"}`)(w, r)
	})
	calls := 0
	c := onLoopback(t, e, introspection.Config{Auth: introspection.Bearer("orders-api", func(ctx context.Context) (string, error) {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("the context has no deadline")
		}
		calls++
		return fmt.Sprint("token-", calls), nil
	})})
	expect(t, c, e, true, `{"active":true,"auth":"Bearer token-1"}`, 1)
	expect(t, c, e, true, `{"active":true,"auth":"Bearer token-2"}`, 2)
}

func TestAuthFunc_AddsToHeaderAndForm(t *testing.T) {
	t.Parallel()
	type traceKey struct{}
	c := onLoopback(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Signature") != "s" || r.FormValue("signed") != "yes" || r.FormValue("token") != token {
			t.Errorf("%v %v", r.Header, r.PostForm)
		}
		says(active)(w, r)
	}), introspection.Config{Auth: introspection.AuthFunc("orders-api", func(req *http.Request, form url.Values) error {
		if req.Context().Value(traceKey{}) != "trace" {
			t.Error("the caller's context values are lost")
		}
		if req.Method != http.MethodPost || req.URL.Path != "/introspect" || form.Get("token") != token {
			t.Errorf("%s %s", req.Method, req.URL)
		}
		req.Header.Set("X-Signature", "s")
		form.Set("signed", "yes")
		return nil
	})})
	if _, err := c.Introspect(context.WithValue(t.Context(), traceKey{}, "trace"), token, false); err != nil {
		t.Error(err)
	}
}

func TestAuth_ThatFailsSendsNothing(t *testing.T) {
	t.Parallel()
	broken := errors.New("vault sealed")
	for name, auth := range map[string]introspection.Authenticator{
		"bearer":       introspection.Bearer("orders-api", func(context.Context) (string, error) { return "", broken }),
		"empty bearer": introspection.Bearer("orders-api", func(context.Context) (string, error) { return "", nil }),
		"function":     introspection.AuthFunc("orders-api", func(*http.Request, url.Values) error { return broken }),
		"a line feed":  introspection.Bearer("orders-api", func(context.Context) (string, error) { return "a\r\nX: " + secret, nil }),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEndpoint(says(active))
			c := onLoopback(t, e, introspection.Config{Auth: auth, Retries: 0})
			_, err := c.Introspect(t.Context(), token, false)
			if err == nil || e.asked.Load() != 0 {
				t.Errorf("%v after %d questions", err, e.asked.Load())
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("the error holds the secret: %v", err)
			}
			if wraps := name == "bearer" || name == "function"; wraps && !errors.Is(err, broken) {
				t.Errorf("%v does not wrap what the function returned", err)
			}
		})
	}
}

func TestAuthenticator_PrintsNoSecret(t *testing.T) {
	t.Parallel()
	for name, auth := range map[string]introspection.Authenticator{
		"basic": introspection.Basic("orders-api", secret), "post": introspection.Post("orders-api", secret),
		"secret JWT": introspection.SecretJWT("orders-api", secret),
	} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
			if text := fmt.Sprintf(format, introspection.Config{Auth: auth}); strings.Contains(text, secret) {
				t.Errorf("%s: %s prints %s", name, format, text)
			}
		}
	}
}
