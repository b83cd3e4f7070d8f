package middleware_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/jwks"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

// A client of the Model Context Protocol is given the URL of a server and nothing
// else. It takes resource_metadata and scope from challenges, the issuer from the
// metadata, the token endpoint from the issuer's; and it starts over when a
// challenge asks for more scope.
func TestResourceMetadata_AClientThatIsGivenTheURLAloneGetsIn(t *testing.T) {
	t.Parallel()
	api := http.NewServeMux()
	srv := httptest.NewServer(api)
	defer srv.Close()
	resource := srv.URL + "/mcp"
	issuer := startIssuer(t, resource)

	keys, err := jwks.New(jwks.Config{Issuer: issuer})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = keys.Close() }()
	v, err := validator.New(validator.Config{Issuer: issuer, Audiences: []string{resource}, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	metadata := newMetadata(t, middleware.ResourceConfig{Resource: resource, AuthorizationServers: []string{issuer}})
	auth := middleware.New(v, &middleware.Options{Metadata: metadata})
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	api.Handle(metadata.Path(), metadata)
	api.Handle("GET /mcp", auth.Require("tools:read")(ok))
	api.Handle("POST /mcp", auth.Require("tools:read", "tools:call")(ok))

	c := &discoverer{TB: t, resource: resource}
	for _, row := range []struct {
		method string
		status int
	}{
		{http.MethodGet, 401}, {http.MethodGet, 200}, // now with the scope that the challenge named
		{http.MethodPost, 403}, {http.MethodPost, 200}, {http.MethodGet, 200},
	} {
		if status := c.call(row.method); status != row.status {
			t.Fatalf("%s with a token for %q: %d, want %d", row.method, c.scope, status, row.status)
		}
	}
}

func startIssuer(tb testing.TB, resource string) string {
	tb.Helper()
	var server *authserver.Server
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { server.ServeHTTP(w, r) }))
	tb.Cleanup(srv.Close)
	server, err := authserver.New(authserver.Config{
		Issuer: srv.URL,
		Clients: []authserver.Client{{
			ClientID: "agent", SecretHash: authserver.HashOf("secret-of-the-agent"), GrantTypes: []string{"client_credentials"},
			Scope: "tools:read tools:call", Audience: []string{resource, "https://other.example"},
		}},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return srv.URL
}

// discoverer calls a resource, and heeds the challenge of a refusal.
type discoverer struct {
	testing.TB

	resource, scope, token string
}

func (c *discoverer) call(method string) (status int) {
	c.Helper()
	req, err := http.NewRequestWithContext(c.Context(), method, c.resource, nil)
	if err != nil {
		c.Fatal(err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp := c.do(req, nil)
	if challenge := resp.Header.Get("WWW-Authenticate"); challenge != "" {
		c.scope = c.param(challenge, "scope")
		c.getToken(c.param(challenge, "resource_metadata"))
	}
	return resp.StatusCode
}

// param reads a challenge as simply as clients do.
func (c *discoverer) param(challenge, name string) string {
	c.Helper()
	m := regexp.MustCompile(name + `="([^"]+)"`).FindStringSubmatch(challenge)
	if m == nil || !strings.HasPrefix(challenge, "Bearer ") {
		c.Fatalf("no %s in %q", name, challenge)
	}
	return m[1]
}

func (c *discoverer) getToken(metadataURL string) {
	c.Helper()
	var about struct {
		Resource string   `json:"resource"`
		Issuers  []string `json:"authorization_servers"`
	}
	c.get(metadataURL, &about)
	if about.Resource != c.resource { // RFC 9728 section 3.3
		c.Fatalf("metadata of %q, not of %q", about.Resource, c.resource)
	}
	var issuer struct {
		TokenEndpoint string `json:"token_endpoint"`
	}
	c.get(about.Issuers[0]+"/.well-known/oauth-authorization-server", &issuer)
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {c.scope}, "resource": {about.Resource}}
	req, err := http.NewRequestWithContext(c.Context(), http.MethodPost, issuer.TokenEndpoint, strings.NewReader(form.Encode()))
	if err != nil {
		c.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("agent", "secret-of-the-agent")
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	c.do(req, &answer)
	c.token = answer.AccessToken
}

func (c *discoverer) get(u string, into any) {
	c.Helper()
	req, err := http.NewRequestWithContext(c.Context(), http.MethodGet, u, nil)
	if err != nil {
		c.Fatal(err)
	}
	req.Header.Set("Mcp-Protocol-Version", "2025-11-25")
	c.do(req, into)
}

func (c *discoverer) do(req *http.Request, into any) *http.Response {
	c.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.Fatal(err)
	}
	if into == nil {
		return resp
	}
	if err := json.Unmarshal(body, into); err != nil || resp.StatusCode != http.StatusOK {
		c.Fatalf("%s: %d %s, %v", req.URL, resp.StatusCode, body, err)
	}
	return resp
}
