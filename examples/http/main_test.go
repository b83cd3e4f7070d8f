package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/countermark/countermark/examples/internal/demo"
)

const audience = "https://api.example.com"

func TestAPI_WhoGetsIn(t *testing.T) {
	t.Parallel()
	issuer := startIssuer(t)
	api := startAPI(t, issuer.URL)
	reader, writer := token(t, issuer, "reader"), token(t, issuer, "writer")
	elsewhere := token(t, issuer, "elsewhere")
	for name, row := range map[string]struct {
		method, path, token string
		status              int
		body                string // "" for whatever a refusal says
	}{
		"orders, no token":             {"GET", "/orders", "", 401, ""},
		"orders":                       {"GET", "/orders", reader, 200, "orders of reader\n"},
		"orders, no such scope":        {"GET", "/orders", writer, 403, ""},
		"orders, for another audience": {"GET", "/orders", elsewhere, 401, ""},
		"orders, made up":              {"GET", "/orders", "made-up", 401, ""},
		"hello, no token":              {"GET", "/hello", "", 200, "hello, whoever you are\n"},
		"hello":                        {"GET", "/hello", reader, 200, "hello, reader\n"},
		"hello, made up":               {"GET", "/hello", "made-up", 401, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, body := call(t, row.method, api+row.path, row.token)
			if status != row.status || row.body != "" && body != row.body {
				t.Errorf("%d %q, want %d %q", status, body, row.status, row.body)
			}
		})
	}
}

func TestAPI_IsReadyOnceItHasTheKeys(t *testing.T) {
	t.Parallel()
	issuer := startIssuer(t)
	handler, keys, err := newHandler(issuer.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = keys.Close() }()
	srv := httptest.NewServer(handler)
	defer srv.Close()
	if err := keys.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status, body := call(t, "GET", srv.URL+"/readyz", ""); status != 200 {
		t.Errorf("%d %q", status, body)
	}
}

// An API starts without its issuer, and says so to clients and probes.
func TestAPI_WithoutItsIssuerNobodyIsToldThatATokenIsBad(t *testing.T) {
	t.Parallel()
	issuer := startIssuer(t)
	good := token(t, issuer, "reader")
	issuer.Stop()
	api := startAPI(t, issuer.URL)
	for path, shown := range map[string]string{"/orders": good, "/hello": good, "/readyz": ""} {
		if status, body := call(t, "GET", api+path, shown); status != 503 {
			t.Errorf("%s: %d %q", path, status, body)
		}
	}
}

func startIssuer(t *testing.T) *demo.Issuer {
	t.Helper()
	issuer, err := demo.StartIssuer(t.Context(),
		demo.Client("reader", "orders:read", audience),
		demo.Client("writer", "orders:write", audience),
		demo.Client("elsewhere", "orders:read", "https://other.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(issuer.Stop)
	return issuer
}

func startAPI(t *testing.T, issuer string) (url string) {
	t.Helper()
	handler, keys, err := newHandler(issuer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return srv.URL
}

func token(t *testing.T, issuer *demo.Issuer, client string) string {
	t.Helper()
	token, err := issuer.Token(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func call(t *testing.T, method, url, token string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(content)
}
