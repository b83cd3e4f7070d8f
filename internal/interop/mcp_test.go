package interop_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/devissuer"
	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/jwks"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

// The client of the Model Context Protocol's TypeScript SDK knows the server's
// address alone: it is told there who issues tokens (RFC 9728), gets them, and gets
// more of them when a tool wants more.
func TestMCP_TypeScriptSDK(t *testing.T) {
	t.Parallel()
	node := findNode(t, "@modelcontextprotocol/sdk")
	key := tokentest.NewKey(t, "robot", "ES256")
	der, err := x509.MarshalPKCS8PrivateKey(key.Private)
	if err != nil {
		t.Fatal(err)
	}
	m := newMCP(t)
	machine, person := []string{"client_credentials"}, []string{"authorization_code", "refresh_token"}
	p := &Parties{}
	p.config.Users = []devissuer.User{{Sub: "1", Username: "alice", Password: "wonderland"}}
	for _, c := range []authserver.Client{
		{ClientID: "assistant", TokenEndpointAuthMethod: "none", GrantTypes: person},
		{ClientID: "brief assistant", TokenEndpointAuthMethod: "none", GrantTypes: person[:1]},
		{ClientID: "robot", GrantTypes: machine},
		{ClientID: "signing robot", TokenEndpointAuthMethod: "private_key_jwt", JWKS: keySet(t, key), GrantTypes: machine},
	} {
		c.Scope, c.Audience = "tools:read tools:write", []string{m.URL}
		known := devissuer.Client{Client: c}
		switch c.ClientID {
		case "robot":
			known.ClientSecret = secret
		case "assistant", "brief assistant":
			known.RedirectURIs = []string{"http://127.0.0.1/callback"}
		}
		p.config.Clients = append(p.config.Clients, known)
	}
	p.runDevissuer(t)
	m.start(t, p.Issuer)
	runNode(t, node, "mcp.mjs", map[string]any{
		"issuer": p.Issuer, "server": m.URL, "secret": secret, "tests": []string{"a client that is registered", "a tool that wants more", "client credentials"},
		"key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
}

// An mcp is a server of the Model Context Protocol, in so far as its authorization
// goes.
type mcp struct {
	*httptest.Server
	URL string // the resource
}

// newMCP returns one that has an address, and does not serve yet.
func newMCP(t *testing.T) *mcp {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	t.Cleanup(s.Close)
	return &mcp{s, "http://" + s.Listener.Addr().String() + "/mcp"}
}

// start has it take the tokens of an issuer.
func (m *mcp) start(t *testing.T, issuer string) {
	t.Helper()
	keys, err := jwks.New(jwks.Config{Issuer: issuer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	v, err := validator.New(validator.Config{Issuer: issuer, Audiences: []string{m.URL}, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	metadata, err := middleware.NewResourceMetadata(middleware.ResourceConfig{
		Resource: m.URL, AuthorizationServers: []string{issuer}, ScopesSupported: []string{"tools:read", "tools:write"},
	})
	if err != nil {
		t.Fatal(err)
	}
	guard := middleware.New(v, &middleware.Options{Metadata: metadata})
	mux := http.NewServeMux()
	mux.Handle(metadata.Path(), metadata)
	mux.Handle("POST /mcp", guard.Require("tools:read")(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { serveMCP(guard, w, req) })))
	m.Config.Handler = mux
	m.Start()
}

// serveMCP answers one message, without a session or a stream.
func serveMCP(guard *middleware.Guard, w http.ResponseWriter, req *http.Request) {
	var message struct {
		ID     json.RawMessage
		Method string
		Params struct{ ProtocolVersion, Name string }
	}
	if err := json.NewDecoder(req.Body).Decode(&message); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var result any
	switch message.Method {
	case "initialize":
		result = map[string]any{
			"protocolVersion": message.Params.ProtocolVersion, "capabilities": map[string]any{"tools": map[string]any{}},
			"serverInfo": map[string]any{"name": "interop", "version": "1.0.0"},
		}
	case "tools/list":
		schema := map[string]any{"type": "object"}
		result = map[string]any{"tools": []any{
			map[string]any{"name": "whoami", "inputSchema": schema}, map[string]any{"name": "change", "inputSchema": schema},
		}}
	case "tools/call":
		token, _ := validator.TokenFromContext(req.Context())
		text := token.Subject()
		if message.Params.Name == "change" {
			if _, err := guard.Authorize(req, validator.Requirement{Scopes: []string{"tools:read", "tools:write"}}); err != nil {
				guard.Refuse(w, req, err)
				return
			}
			text = "changed"
		}
		result = map[string]any{"content": []any{map[string]any{"type": "text", "text": text}}}
	default: // a notification
		w.WriteHeader(http.StatusAccepted)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"jsonrpc": "2.0", "id": message.ID, "result": result})
}
