package authserver

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/countermark/countermark/internal/jose"
)

const (
	tokenPath      = "/token"
	introspectPath = "/introspect"
	revokePath     = "/revoke"
	jwksPath       = "/jwks"
)

// metadata is the document of RFC 8414 section 2. It lists what works and
// nothing else.
type metadata struct {
	Issuer        string   `json:"issuer"`
	TokenEndpoint string   `json:"token_endpoint"`
	JWKSURI       string   `json:"jwks_uri"`
	GrantTypes    []string `json:"grant_types_supported"`
	ResponseTypes []string `json:"response_types_supported"`
	AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`

	IntrospectionEndpoint    string   `json:"introspection_endpoint"`
	IntrospectionAuthMethods []string `json:"introspection_endpoint_auth_methods_supported"`
	RevocationEndpoint       string   `json:"revocation_endpoint"`
	RevocationAuthMethods    []string `json:"revocation_endpoint_auth_methods_supported"`

	DPoPAlgorithms         []string `json:"dpop_signing_alg_values_supported"`                    // RFC 9449 section 5.1
	CertificateBoundTokens bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"` // RFC 8705 section 3.3
}

func (s *Server) newMetadata(base string) metadata {
	return metadata{
		Issuer:        s.issuer,
		TokenEndpoint: base + tokenPath,
		JWKSURI:       base + jwksPath,
		GrantTypes:    grantTypes(),
		ResponseTypes: []string{}, // required, and without an authorization endpoint there are none
		AuthMethods:   authMethods,

		IntrospectionEndpoint:    base + introspectPath,
		IntrospectionAuthMethods: authMethods,
		RevocationEndpoint:       base + revokePath,
		RevocationAuthMethods:    authMethods,

		DPoPAlgorithms: jose.Algorithms(),
		// Without TLS, here or before, there are no certificates.
		CertificateBoundTokens: strings.HasPrefix(base, "https://") || s.clientCertificate != nil,
	}
}

// keySet is the JWK Set of RFC 7517 section 5.
func (s *Server) keySet() any {
	ring := s.keys.published(s.now())
	keys := make([]publishedJWK, len(ring))
	for i, k := range ring {
		keys[i] = k.published
	}
	return map[string]any{"keys": keys}
}

// document serves what anybody may read, and keep for cacheTime.
func document(content func() any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age="+strconv.Itoa(int(cacheTime/time.Second)))
		sendJSON(w, http.StatusOK, content())
	}
}

func sendJSON(w http.ResponseWriter, status int, v any) {
	body, _ := json.Marshal(v) //nolint:errchkjson // strings, numbers and booleans only
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
