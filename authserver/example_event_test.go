package authserver_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/countermark/countermark/authserver"
)

// Middleware before the server puts into the context what only it knows, such as
// the address of the client, and the audit trail finds it there.
func ExampleEvent() {
	type address struct{}
	srv, err := authserver.New(authserver.Config{
		Issuer: "https://issuer.example.com",
		Clients: []authserver.Client{{
			ClientID:   "shop",
			SecretHash: authserver.HashOf("FSF3OIaZ9fYsXHVGJCUx9A"),
			GrantTypes: []string{"client_credentials"},
			Audience:   []string{"https://api.example.com"},
		}},
		Audit: func(ctx context.Context, e authserver.Event) {
			fmt.Printf("%v: %s %q %q\n", ctx.Value(address{}), e.Type, e.ClientID, e.Error)
		},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		srv.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), address{}, r.RemoteAddr)))
	})

	for _, secret := range []string{"FSF3OIaZ9fYsXHVGJCUx9A", "a guess"} {
		req := httptest.NewRequest(http.MethodPost, "https://issuer.example.com/token", strings.NewReader("grant_type=client_credentials"))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth("shop", secret)
		handler.ServeHTTP(httptest.NewRecorder(), req)
	}
	// Output:
	// 192.0.2.1:1234: token issued "shop" ""
	// 192.0.2.1:1234: request refused "shop" "invalid_client"
}
