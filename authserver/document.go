package authserver

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
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
}

func newMetadata(issuer, base string) metadata {
	return metadata{
		Issuer:        issuer,
		TokenEndpoint: base + tokenPath,
		JWKSURI:       base + jwksPath,
		GrantTypes:    grantTypes(),
		ResponseTypes: []string{}, // required, and without an authorization endpoint there are none
		AuthMethods:   authMethods,

		IntrospectionEndpoint:    base + introspectPath,
		IntrospectionAuthMethods: authMethods,
		RevocationEndpoint:       base + revokePath,
		RevocationAuthMethods:    authMethods,
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
