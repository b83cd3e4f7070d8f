package middleware_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

// A server of the Model Context Protocol says where tokens for it come from.
func ExampleResourceMetadata() {
	metadata, err := middleware.NewResourceMetadata(middleware.ResourceConfig{
		Resource:             "https://api.example.com/mcp",
		AuthorizationServers: []string{"https://issuer.example"},
		ScopesSupported:      []string{"tools:read"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := validator.New(validator.Config{
		Issuer:       "https://issuer.example",
		Audiences:    []string{"https://api.example.com/mcp"}, // the resource
		Introspector: issuer{},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	auth := middleware.New(v, &middleware.Options{Metadata: metadata})

	mux := http.NewServeMux()
	mux.Handle(metadata.Path(), metadata)
	mux.Handle("/mcp", auth.Require("tools:read")(http.HandlerFunc(orders)))

	for _, url := range []string{"https://api.example.com/mcp", metadata.URL()} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, url, nil))
		fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"), w.Header().Get("Content-Type"))
		fmt.Println(w.Body)
	}
	// Output:
	// 401 Bearer realm="api", scope="tools:read", resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/mcp" text/plain; charset=utf-8
	// Unauthorized
	//
	// 200  application/json
	// {"resource":"https://api.example.com/mcp","authorization_servers":["https://issuer.example"],"scopes_supported":["tools:read"],"bearer_methods_supported":["header"]}
}
