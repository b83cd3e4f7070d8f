package interop_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/countermark/countermark/authserver"
)

// The client of the Model Context Protocol's TypeScript SDK that nobody registered
// registers itself (RFC 7591), or is a client ID metadata document.
func TestMCP_TypeScriptSDKOnboarding(t *testing.T) {
	t.Parallel()
	node := findNode(t, "@modelcontextprotocol/sdk")
	document := serveClientDocument(t)
	for name, edit := range map[string]func(*authserver.Config, authserver.ClientPolicy){
		"a client that registers itself": func(c *authserver.Config, policy authserver.ClientPolicy) {
			anybody := func(context.Context, string) (bool, error) { return true, nil }
			c.Registration = &authserver.Registration{Authorize: anybody, Policy: policy}
		},
		"a client that is a metadata document": func(c *authserver.Config, policy authserver.ClientPolicy) {
			c.ClientIDMetadataDocuments = &authserver.ClientIDMetadataDocuments{Policy: policy}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMCP(t)
			cfg := &authserver.Config{Users: alice(), Logger: slog.New(slog.DiscardHandler)}
			edit(cfg, authserver.ClientPolicy{Scope: "tools:read tools:write", Audience: []string{m.URL}})
			issuer := startWith(t, cfg)
			m.start(t, issuer)
			runNode(t, node, "mcp.mjs", map[string]any{"issuer": issuer, "server": m.URL, "clientMetadataUrl": document, "tests": []string{name}})
		})
	}
}

// serveClientDocument serves a client ID metadata document, and returns its URL.
// The SDK takes https alone, so the whole process trusts the certificate: TestMain
// sees to that.
func serveClientDocument(t *testing.T) (id string) {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"client_id": id, "client_name": "A client", "redirect_uris": []string{"http://127.0.0.1:49152/callback"},
			"token_endpoint_auth_method": "none", "grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
		})
	}))
	t.Cleanup(s.Close)
	id = s.URL + "/client.json"
	return id
}
