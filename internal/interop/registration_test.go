package interop_test

import (
	"log/slog"
	"maps"
	"testing"

	"github.com/countermark/countermark/authserver"
)

// openid-client and oauth4webapi register clients with an initial access token (RFC
// 7591), which get tokens then.
func TestRegistration_JavaScript(t *testing.T) {
	t.Parallel()
	node := findNode(t, "openid-client")
	const token = "initial-access-token-0123456789abcdef"
	issuer := startWith(t, &authserver.Config{
		Users: alice(),
		Registration: &authserver.Registration{
			InitialAccessTokens: []authserver.Hash{authserver.HashOf(token)},
			Policy: authserver.ClientPolicy{
				Scope: "orders:read", Audience: []string{audience}, AuthMethods: []string{"none", "client_secret_basic", "client_secret_post"},
			},
		},
		Logger: slog.New(slog.DiscardHandler),
	})
	runNode(t, node, "registration.mjs", map[string]string{"issuer": issuer, "initialAccessToken": token})
}

// The conformance suite of the Model Context Protocol finds nothing missing in a
// server that takes client ID metadata documents.
func TestMCP_ConformanceWithDocuments(t *testing.T) {
	t.Parallel()
	const resource = "https://mcp.example.com/mcp"
	node := findNode22(t, "@modelcontextprotocol/conformance")
	policy := authserver.ClientPolicy{Scope: "tools:read", Audience: []string{resource}}
	issuer := startWith(t, &authserver.Config{
		Users: alice(),
		Clients: []authserver.Client{{
			ClientID: "assistant", TokenEndpointAuthMethod: "none", GrantTypes: []string{"authorization_code"},
			RedirectURIs: []string{"http://127.0.0.1/callback"}, Scope: "tools:read", Audience: []string{resource},
		}},
		ClientIDMetadataDocuments: &authserver.ClientIDMetadataDocuments{Policy: policy},
		Logger:                    slog.New(slog.DiscardHandler),
	})
	checks := conform(t, node, issuer, map[string]any{"clientId": "assistant", "resource": resource})
	want := map[string]string{
		"authorization-server-metadata": "SUCCESS", "authorization-server-metadata-cimd": "SUCCESS", "authorization-code-grant": "SUCCESS",
	}
	if !maps.Equal(checks, want) {
		t.Errorf("%v, want %v", checks, want)
	}
}

// alice is who signs in.
func alice() []authserver.User {
	return []authserver.User{{Subject: "1", Username: "alice", PasswordHash: authserver.HashPassword("wonderland")}}
}
