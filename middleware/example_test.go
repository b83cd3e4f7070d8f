package middleware_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

// orders shows who asks: the guard has put the token there.
func orders(w http.ResponseWriter, req *http.Request) {
	t, _ := validator.TokenFromContext(req.Context())
	fmt.Fprintln(w, "orders of", t.Subject())
}

func Example() {
	// In a program, Keys comes from package jwks instead: see there.
	v, err := validator.New(validator.Config{
		Issuer:       "https://issuer.example",
		Audiences:    []string{"https://api.example.com"},
		Introspector: issuer{},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	auth := middleware.New(v, nil)

	mux := http.NewServeMux()
	mux.Handle("GET /orders", auth.Require("orders:read")(http.HandlerFunc(orders)))
	mux.Handle("DELETE /orders/{id}", auth.Require("orders:write")(http.HandlerFunc(orders)))
	srv := httptest.NewServer(mux)
	defer srv.Close()

	show(srv, "GET", "/orders", "")
	show(srv, "GET", "/orders", "2YotnFZFEjr1zCsicMWpAA")
	show(srv, "DELETE", "/orders/7", "2YotnFZFEjr1zCsicMWpAA")
	show(srv, "GET", "/orders", "made-up")
	// Output:
	// GET /orders: 401 Bearer realm="api", scope="orders:read"
	// GET /orders: 200 orders of alice
	// DELETE /orders/7: 403 Bearer realm="api", error="insufficient_scope", error_description="insufficient scope", scope="orders:write"
	// GET /orders: 401 Bearer realm="api", error="invalid_token", error_description="not active"
}

// A middleware of one's own has the guard judge, and answers in its own words.
func ExampleGuard_Authorize() {
	v, err := validator.New(validator.Config{
		Issuer:       "https://issuer.example",
		Audiences:    []string{"https://api.example.com"},
		Introspector: issuer{},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	auth := middleware.New(v, nil)

	require := func(scope string, next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, req *http.Request) {
			t, err := auth.Authorize(req, validator.Requirement{Scopes: []string{scope}})
			if err != nil {
				status := auth.Challenge(w.Header(), err)
				auth.Log(req, status, err)
				w.Header().Set("Content-Type", "application/problem+json") // RFC 9457
				w.WriteHeader(status)
				_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "title": http.StatusText(status)})
				return
			}
			next(w, req.WithContext(validator.ContextWithToken(req.Context(), t)))
		}
	}

	srv := httptest.NewServer(require("orders:read", orders))
	defer srv.Close()
	resp, err := http.Get(srv.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Printf("%s%s %v\n", body, resp.Header.Get("WWW-Authenticate"), err)
	// Output:
	// {"status":401,"title":"Unauthorized"}
	// Bearer realm="api", scope="orders:read" <nil>
}

// issuer stands in for one that is asked about its tokens.
type issuer struct{}

func (issuer) Introspect(_ context.Context, token string, _ bool) ([]byte, error) {
	if token != "2YotnFZFEjr1zCsicMWpAA" {
		return []byte(`{"active":false}`), nil
	}
	return []byte(`{"active":true, "iss":"https://issuer.example", "aud":"https://api.example.com",
		"exp":4102444800, "sub":"alice", "scope":"orders:read"}`), nil
}

// show sends a request and prints what came back.
func show(srv *httptest.Server, method, path, token string) {
	req, err := http.NewRequest(method, srv.URL+path, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := srv.Client().Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		fmt.Println(err)
		return
	}
	if challenge := resp.Header.Get("WWW-Authenticate"); challenge != "" {
		body = []byte(challenge + "\n")
	}
	fmt.Printf("%s %s: %d %s", method, path, resp.StatusCode, body)
}
