package middleware_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

const issuerURL = "https://issuer.example"

func newMetadata(tb testing.TB, cfg middleware.ResourceConfig) *middleware.ResourceMetadata {
	tb.Helper()
	if cfg.AuthorizationServers == nil {
		cfg.AuthorizationServers = []string{issuerURL}
	}
	m, err := middleware.NewResourceMetadata(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func TestRFC9728_Section2_TheMembersAreTheFields(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		cfg  middleware.ResourceConfig
		want string
	}{
		"the least": { // section 3.2: a member without a value is left out
			middleware.ResourceConfig{Resource: "https://api.example.com", AuthorizationServers: []string{issuerURL}},
			`{"resource":"https://api.example.com","authorization_servers":["https://issuer.example"],"bearer_methods_supported":["header"]}`,
		},
		"all": {
			middleware.ResourceConfig{
				Resource:                              "https://api.example.com/mcp",
				AuthorizationServers:                  []string{issuerURL, "https://other.example/tenant"},
				ScopesSupported:                       []string{"tools:read", "tools:call"},
				ResourceName:                          "Orders & more",
				ResourceDocumentation:                 "https://docs.example.com/orders#tokens",
				TLSClientCertificateBoundAccessTokens: true,
				DPoPBoundAccessTokensRequired:         true,
				DPoPSigningAlgValuesSupported:         []string{"ES256"},
			},
			`{"resource":"https://api.example.com/mcp","authorization_servers":["https://issuer.example","https://other.example/tenant"],
			"scopes_supported":["tools:read","tools:call"],"resource_name":"Orders & more",
			"resource_documentation":"https://docs.example.com/orders#tokens","tls_client_certificate_bound_access_tokens":true,
			"dpop_bound_access_tokens_required":true,"dpop_signing_alg_values_supported":["ES256"],"bearer_methods_supported":["header"]}`,
		},
		"DPoP by whatever a validator accepts": {
			middleware.ResourceConfig{Resource: "https://a.example", AuthorizationServers: []string{issuerURL}, DPoPBoundAccessTokensRequired: true},
			`{"resource":"https://a.example","authorization_servers":["https://issuer.example"],"dpop_bound_access_tokens_required":true,
			"dpop_signing_alg_values_supported":["` + strings.Join(jose.Algorithms(), `","`) + `"],"bearer_methods_supported":["header"]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			newMetadata(t, row.cfg).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
			var got, want any
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(row.want), &want); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s\nwant %s", w.Body, row.want)
			}
		})
	}
}

func TestRFC9728_Section3_WhereItIs(t *testing.T) {
	t.Parallel()
	const wellKnown = "/.well-known/oauth-protected-resource"
	for resource, want := range map[string]struct{ path, url string }{
		"https://api.example.com":          {wellKnown, "https://api.example.com" + wellKnown},
		"https://api.example.com/":         {wellKnown, "https://api.example.com" + wellKnown},
		"https://api.example.com/mcp":      {wellKnown + "/mcp", "https://api.example.com" + wellKnown + "/mcp"},
		"https://api.example.com/mcp/":     {wellKnown + "/mcp/", "https://api.example.com" + wellKnown + "/mcp/"},
		"https://api.example.com/a/b":      {wellKnown + "/a/b", "https://api.example.com" + wellKnown + "/a/b"},
		"https://api.example.com:8443/mcp": {wellKnown + "/mcp", "https://api.example.com:8443" + wellKnown + "/mcp"},
		"https://api.example.com/a%2Fb":    {wellKnown + "/a%2Fb", "https://api.example.com" + wellKnown + "/a%2Fb"},
		"https://api.example.com/{id}":     {wellKnown + "/%7Bid%7D", "https://api.example.com" + wellKnown + "/%7Bid%7D"},
		"http://127.0.0.1:8080/mcp":        {wellKnown + "/mcp", "http://127.0.0.1:8080" + wellKnown + "/mcp"},
		"http://localhost/mcp":             {wellKnown + "/mcp", "http://localhost" + wellKnown + "/mcp"},
		"https://[2001:db8::1]/mcp":        {wellKnown + "/mcp", "https://[2001:db8::1]" + wellKnown + "/mcp"},
	} {
		m := newMetadata(t, middleware.ResourceConfig{Resource: resource})
		if m.Path() != want.path || m.URL() != want.url {
			t.Errorf("%s: %s at %s, want %s at %s", resource, m.Path(), m.URL(), want.path, want.url)
		}
		// The path is a pattern of ServeMux, and matches itself alone.
		mux := http.NewServeMux()
		mux.Handle(m.Path(), m)
		for sent, status := range map[string]int{m.URL(): 200, strings.Replace(m.URL(), "oauth", "other", 1): 404} {
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, sent, nil))
			if w.Code != status {
				t.Errorf("GET %s: %d, want %d", sent, w.Code, status)
			}
		}
	}
}

// Section 3.2, and what a client in a browser needs: the MCP SDK for TypeScript
// sends MCP-Protocol-Version, which takes a preflight.
func TestRFC9728_Section3_2_TheAnswer(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(newMetadata(t, middleware.ResourceConfig{Resource: "https://api.example.com"}))
	defer srv.Close()
	read := map[string]string{
		"Content-Type": "application/json", "Cache-Control": "public, max-age=900", "Access-Control-Allow-Origin": "*",
	}
	refused := map[string]string{"Allow": "GET, HEAD, OPTIONS", "Access-Control-Allow-Origin": "*"}
	for method, row := range map[string]struct {
		status  int
		header  map[string]string
		hasBody bool
	}{
		"GET":  {200, read, true},
		"HEAD": {200, read, false},
		"OPTIONS": {204, map[string]string{
			"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "GET, HEAD", "Access-Control-Allow-Headers": "*",
		}, false},
		"POST":   {405, refused, true},
		"PUT":    {405, refused, true},
		"DELETE": {405, refused, true},
		"get":    {405, refused, true},
	} {
		req, err := http.NewRequestWithContext(t.Context(), method, srv.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != row.status || (len(body) > 0) != row.hasBody {
			t.Errorf("%s: %d with %d bytes, %v", method, resp.StatusCode, len(body), err)
		}
		for name, want := range row.header {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %s: %q, want %q", method, name, got, want)
			}
		}
	}
}

// Section 3.3: a client compares it byte for byte.
func TestRFC9728_Section3_3_TheResourceIsAsItWasWritten(t *testing.T) {
	t.Parallel()
	for _, resource := range []string{"https://api.example.com/", "https://API.example.com", "https://api.example.com:443/a%2fb"} {
		w := httptest.NewRecorder()
		newMetadata(t, middleware.ResourceConfig{Resource: resource}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		var got struct {
			Resource string `json:"resource"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Resource != resource {
			t.Errorf("%q became %q, %v", resource, got.Resource, err)
		}
	}
}

func TestRFC9728_Section5_1_ChallengesNameIt(t *testing.T) {
	t.Parallel()
	const named = `, resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/mcp"`
	scoped := func(why error, scopes ...string) *validator.Error {
		e := validator.NewError(why, "")
		e.Scopes = scopes
		return e
	}
	both := validator.NewError(validator.ErrBinding, "")
	both.Schemes = []string{"DPoP", "Bearer"}
	const binding = `realm="api", error="invalid_token", error_description="bound to a key that was not shown"`
	for name, row := range map[string]struct {
		err  error
		want []string
	}{
		"no token":    {scoped(validator.ErrNoToken, "a", "b"), []string{`Bearer realm="api", scope="a b"` + named}},
		"bad token":   {scoped(validator.ErrExpired), []string{`Bearer realm="api", error="invalid_token", error_description="expired"` + named}},
		"bad request": {scoped(validator.ErrRequest), []string{challengeRequest + named}},
		"scope": {
			scoped(validator.ErrScope, "a"),
			[]string{`Bearer realm="api", error="insufficient_scope", error_description="insufficient scope", scope="a"` + named},
		},
		"both schemes": {both, []string{"DPoP " + binding + named + `, algs="` + strings.Join(jose.Algorithms(), " ") + `"`, "Bearer " + binding + named}},
		"forbidden":    {scoped(validator.ErrForbidden), nil},
		"unavailable":  {scoped(validator.ErrUnavailable), nil},
	} {
		h := http.Header{}
		m := newMetadata(t, middleware.ResourceConfig{Resource: "https://api.example.com/mcp"})
		middleware.New(nil, &middleware.Options{Metadata: m}).Challenge(h, row.err)
		if got := h["Www-Authenticate"]; !reflect.DeepEqual(got, row.want) {
			t.Errorf("%s: %q\nwant %q", name, got, row.want)
		}
	}
}

func TestResourceConfig_AnErrorNamesTheField(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		edit func(*middleware.ResourceConfig)
		want string
	}{
		"no resource":         {func(c *middleware.ResourceConfig) { c.Resource = "" }, "Resource: required"},
		"http":                {func(c *middleware.ResourceConfig) { c.Resource = "http://api.example.com" }, "Resource: must use https (http is for loopback hosts)"},
		"no URL":              {func(c *middleware.ResourceConfig) { c.Resource = "https://api.example.com/%zz" }, "Resource: not a URL"},
		"a URN":               {func(c *middleware.ResourceConfig) { c.Resource = "urn:orders" }, "Resource: not an absolute URL"},
		"a query":             {func(c *middleware.ResourceConfig) { c.Resource += "?tenant=7" }, "Resource: must not have a query"},
		"a fragment":          {func(c *middleware.ResourceConfig) { c.Resource += "#mcp" }, "Resource: must not have a fragment"},
		"no issuer":           {func(c *middleware.ResourceConfig) { c.AuthorizationServers = nil }, "AuthorizationServers: at least one is required"},
		"an issuer over http": {func(c *middleware.ResourceConfig) { c.AuthorizationServers[0] = "http://i.example" }, "AuthorizationServers[0]: must use https (http is for loopback hosts)"},
		"an empty scope":      {func(c *middleware.ResourceConfig) { c.ScopesSupported = []string{"a", ""} }, `ScopesSupported: "": not a scope-token of RFC 6749 section 3.3`},
		"two scopes in one":   {func(c *middleware.ResourceConfig) { c.ScopesSupported = []string{"a b"} }, `ScopesSupported: "a b": not a scope-token of RFC 6749 section 3.3`},
		"a quoted scope":      {func(c *middleware.ResourceConfig) { c.ScopesSupported = []string{`"a"`} }, `ScopesSupported: "\"a\"": not a scope-token of RFC 6749 section 3.3`},
		"no absolute page":    {func(c *middleware.ResourceConfig) { c.ResourceDocumentation = "/docs" }, "ResourceDocumentation: not an absolute URL"},
		"HMAC": {
			func(c *middleware.ResourceConfig) { c.DPoPSigningAlgValuesSupported = []string{"HS256"} },
			`DPoPSigningAlgValuesSupported: "HS256" is none of ` + strings.Join(jose.Algorithms(), ", "),
		},
	} {
		cfg := middleware.ResourceConfig{Resource: "https://api.example.com", AuthorizationServers: []string{issuerURL}}
		row.edit(&cfg)
		if _, err := middleware.NewResourceMetadata(cfg); err == nil || err.Error() != "middleware: ResourceConfig."+row.want {
			t.Errorf("%s: %v, want %s", name, err, row.want)
		}
	}
}

func TestResourceMetadata_ZeroValueIsNotThere(t *testing.T) {
	t.Parallel()
	h, w := http.Header{}, httptest.NewRecorder()
	m := new(middleware.ResourceMetadata)
	m.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil))
	middleware.New(nil, &middleware.Options{Metadata: m}).Challenge(h, validator.NewError(validator.ErrNoToken, ""))
	if w.Code != http.StatusNotFound || h.Get("WWW-Authenticate") != challengeBare {
		t.Errorf("%d, challenge %q", w.Code, h.Get("WWW-Authenticate"))
	}
}
