package echoauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/labstack/echo/v4"

	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/middleware/echoauth"
	"github.com/countermark/countermark/validator"
)

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

	e := echo.New()
	orders := e.Group("/orders", echoauth.Require(auth, "orders:read"))
	orders.GET("", func(c echo.Context) error {
		token, _ := validator.TokenFromContext(c.Request().Context())
		return c.String(http.StatusOK, "orders of "+token.Subject()+"\n")
	})

	show(e, "")
	show(e, "2YotnFZFEjr1zCsicMWpAA")
	// Output:
	// 401 {"message":"Unauthorized"}
	// 200 orders of alice
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
func show(e *echo.Echo, token string) {
	req := httptest.NewRequest(http.MethodGet, "/orders", nil)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	e.ServeHTTP(w, req)
	fmt.Print(w.Code, " ", w.Body)
}
