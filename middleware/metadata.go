package middleware

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/countermark/countermark/internal/discovery"
	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/wire"
)

const wellKnown = "/.well-known/oauth-protected-resource"

// ResourceConfig is what an API says about itself in a [ResourceMetadata]. The
// fields are the members of RFC 9728 section 2; an empty one is left out.
type ResourceConfig struct {
	// Resource is the URL of the API as its clients write it: https, or http on a
	// loopback host, without query and fragment. A client compares it with the URL
	// that it used, and asks for tokens whose audience it is (RFC 8707), so it
	// belongs among the Audiences of the validator. Required.
	Resource string `json:"resource"`
	// AuthorizationServers are the issuers of tokens for the API. The RFC leaves
	// them optional; here at least one is required, since that is what clients
	// come for, those of the Model Context Protocol among them.
	AuthorizationServers []string `json:"authorization_servers"`
	// ScopesSupported are scopes to ask for. A client that no challenge gave better
	// advice may ask for all of them: leave out those that few should have.
	ScopesSupported []string `json:"scopes_supported,omitempty"`
	// ResourceName is the name of the API for people.
	ResourceName string `json:"resource_name,omitempty"`
	// ResourceDocumentation is the URL of a page for developers.
	ResourceDocumentation string `json:"resource_documentation,omitempty"`

	// TLSClientCertificateBoundAccessTokens says that the API takes tokens bound to
	// a client certificate (RFC 8705).
	TLSClientCertificateBoundAccessTokens bool `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	// DPoPBoundAccessTokensRequired says that the API takes no tokens but those
	// bound to a DPoP key (RFC 9449).
	DPoPBoundAccessTokensRequired bool `json:"dpop_bound_access_tokens_required,omitempty"`
	// DPoPSigningAlgValuesSupported are the JWS algorithms of DPoP proofs. Empty
	// says nothing about DPoP; or, with DPoPBoundAccessTokensRequired, means all
	// that a validator accepts.
	DPoPSigningAlgValuesSupported []string `json:"dpop_signing_alg_values_supported,omitempty"`
}

// ResourceMetadata tells clients what they need to know to get a token for an
// API: RFC 9728. It is an http.Handler for GET and HEAD, and for the preflight of
// a browser, whose pages on any site may read it:
//
//	mux.Handle(metadata.Path(), metadata) // without a guard, and for every method
//
// Challenges name it if it is the Guard's [Options.Metadata]. A page in a browser
// reads them only if the API's own CORS policy exposes WWW-Authenticate.
type ResourceMetadata struct {
	path, url string
	document  []byte
}

// NewResourceMetadata returns the metadata that cfg describes. An error names the
// field that is wrong.
func NewResourceMetadata(cfg ResourceConfig) (*ResourceMetadata, error) {
	resource, err := checkResource(&cfg)
	if err != nil {
		return nil, err
	}
	if cfg.DPoPBoundAccessTokensRequired && len(cfg.DPoPSigningAlgValuesSupported) == 0 {
		cfg.DPoPSigningAlgValuesSupported = jose.Algorithms()
	}
	document, err := json.Marshal(struct {
		ResourceConfig
		BearerMethodsSupported []string `json:"bearer_methods_supported"`
	}{cfg, []string{"header"}}) // a token in the body or the query is none
	if err != nil {
		return nil, fmt.Errorf("middleware: ResourceConfig: %w", err)
	}
	// Section 3.1: between host and path, and a path that is "/" counts as none.
	path := wellKnown
	if p := resource.EscapedPath(); p != "/" {
		path += p
	}
	return &ResourceMetadata{path: path, url: resource.Scheme + "://" + resource.Host + path, document: document}, nil
}

// checkResource returns c.Resource, parsed.
func checkResource(c *ResourceConfig) (*url.URL, error) {
	if c.Resource == "" {
		return nil, errors.New("middleware: ResourceConfig.Resource: required")
	}
	if err := discovery.CheckIssuer(c.Resource); err != nil { // an API is named as an issuer is
		return nil, fmt.Errorf("middleware: ResourceConfig.Resource: %w", err)
	}
	if len(c.AuthorizationServers) == 0 {
		return nil, errors.New("middleware: ResourceConfig.AuthorizationServers: at least one is required")
	}
	for i, issuer := range c.AuthorizationServers { // which may have a password in it
		if err := discovery.CheckIssuer(issuer); err != nil {
			return nil, fmt.Errorf("middleware: ResourceConfig.AuthorizationServers[%d]: %w", i, err)
		}
	}
	for _, scope := range c.ScopesSupported {
		if !wire.IsScope(scope) {
			return nil, fmt.Errorf("middleware: ResourceConfig.ScopesSupported: %q: not a scope-token of RFC 6749 section 3.3", scope)
		}
	}
	page, err := url.Parse(c.ResourceDocumentation)
	if c.ResourceDocumentation != "" && (err != nil || page.Scheme == "" || page.Host == "") {
		return nil, errors.New("middleware: ResourceConfig.ResourceDocumentation: not an absolute URL")
	}
	for _, alg := range c.DPoPSigningAlgValuesSupported {
		if _, ok := jose.Lookup(alg); !ok {
			return nil, fmt.Errorf("middleware: ResourceConfig.DPoPSigningAlgValuesSupported: %q is none of %s",
				alg, strings.Join(jose.Algorithms(), ", "))
		}
	}
	return url.Parse(c.Resource)
}

// Path is where the API has to serve the metadata: the well-known path, followed
// by that of the resource if it has one.
func (m *ResourceMetadata) Path() string { return m.path }

// URL is where clients find the metadata.
func (m *ResourceMetadata) URL() string { return m.url }

// ServeHTTP implements http.Handler.
func (m *ResourceMetadata) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if m.document == nil { // not made by NewResourceMetadata
		http.NotFound(w, req)
		return
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	switch req.Method {
	case http.MethodGet, http.MethodHead:
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", "public, max-age=900")
		_, _ = w.Write(m.document)
	case http.MethodOptions:
		h.Set("Access-Control-Allow-Methods", "GET, HEAD")
		h.Set("Access-Control-Allow-Headers", "*")
		h.Set("Access-Control-Max-Age", "900") // seconds
		w.WriteHeader(http.StatusNoContent)
	default:
		h.Set("Allow", "GET, HEAD, OPTIONS")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
	}
}
