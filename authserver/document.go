package authserver

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
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
	userinfoPath   = "/userinfo"

	authorizePath = "/authorize"
	signInPath    = "/login"
	consentPath   = "/consent"
	parPath       = "/par"
	devicePath    = "/device"
	logoutPath    = "/end_session"
	signOutPath   = "/logout"

	deviceAuthorizationPath = "/device_authorization"
)

// metadata is the document of RFC 8414 section 2. It lists what works and
// nothing else.
type metadata struct {
	*authorizationMetadata // nil where nobody can sign in

	Issuer        string   `json:"issuer"`
	TokenEndpoint string   `json:"token_endpoint"`
	JWKSURI       string   `json:"jwks_uri"`
	GrantTypes    []string `json:"grant_types_supported"`
	ResponseTypes []string `json:"response_types_supported"`
	AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`
	AuthAlgs      []string `json:"token_endpoint_auth_signing_alg_values_supported"`

	IntrospectionEndpoint    string   `json:"introspection_endpoint"`
	IntrospectionAuthMethods []string `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionAuthAlgs    []string `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	RevocationEndpoint       string   `json:"revocation_endpoint"`
	RevocationAuthMethods    []string `json:"revocation_endpoint_auth_methods_supported"`
	RevocationAuthAlgs       []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`

	RegistrationEndpoint string `json:"registration_endpoint,omitempty"` // RFC 7591
	DocumentsAsClients   bool   `json:"client_id_metadata_document_supported,omitempty"`

	DPoPAlgorithms         []string `json:"dpop_signing_alg_values_supported"`                    // RFC 9449 section 5.1
	CertificateBoundTokens bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"` // RFC 8705 section 3.3
}

// authorizationMetadata is the part about people who sign in.
type authorizationMetadata struct {
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	ResponseModes         []string `json:"response_modes_supported"`
	ChallengeMethods      []string `json:"code_challenge_methods_supported"`
	Prompts               []string `json:"prompt_values_supported"` // Initiating User Registration via OpenID Connect, section 4
	ACRValues             []string `json:"acr_values_supported"`    // OpenID Connect Discovery section 3
	IssuerInResponse      bool     `json:"authorization_response_iss_parameter_supported"`
	PushedEndpoint        string   `json:"pushed_authorization_request_endpoint"`
	DeviceEndpoint        string   `json:"device_authorization_endpoint"` // RFC 8628 section 4
	RequestParam          bool     `json:"request_parameter_supported"`
	RequestURIParam       bool     `json:"request_uri_parameter_supported"` // true where it is left out

	// OpenID Connect Discovery section 3.
	UserinfoEndpoint string   `json:"userinfo_endpoint"`
	EndSession       string   `json:"end_session_endpoint"` // RP-Initiated Logout section 2.1
	IDTokenAlgs      []string `json:"id_token_signing_alg_values_supported"`
	SubjectTypes     []string `json:"subject_types_supported"`
	Scopes           []string `json:"scopes_supported"` // those that have a meaning here; APIs have theirs
	Claims           []string `json:"claims_supported"`
}

func (s *Server) metadata() metadata {
	methods := s.authMethods()
	confidential := slices.DeleteFunc(slices.Clone(methods), func(m string) bool { return m == authNone })
	algs := slices.Concat(jose.Algorithms(), hmacAlgorithms())
	m := metadata{
		Issuer:        s.issuer,
		TokenEndpoint: s.base + tokenPath,
		JWKSURI:       s.base + jwksPath,
		GrantTypes:    s.grantTypes(),
		ResponseTypes: []string{}, // required, and without an authorization endpoint there are none
		AuthMethods:   methods,
		AuthAlgs:      algs,

		IntrospectionEndpoint:    s.base + introspectPath,
		IntrospectionAuthMethods: confidential,
		IntrospectionAuthAlgs:    algs,
		RevocationEndpoint:       s.base + revokePath,
		RevocationAuthMethods:    methods,
		RevocationAuthAlgs:       algs,

		DPoPAlgorithms: jose.Algorithms(),
		// Without TLS, here or before, there are no certificates.
		CertificateBoundTokens: strings.HasPrefix(s.base, "https://") || s.clientCertificate != nil,
	}
	if s.registration != nil {
		m.RegistrationEndpoint = s.base + registerPath
	}
	m.DocumentsAsClients = s.documents != nil
	if s.login != nil {
		m.ResponseTypes = []string{responseTypeCode}
		m.authorizationMetadata = &authorizationMetadata{
			AuthorizationEndpoint: s.base + authorizePath,
			ResponseModes:         responseModes,
			ChallengeMethods:      []string{challengeS256},
			Prompts:               promptValues,
			ACRValues:             []string{signInACR},
			IssuerInResponse:      true,
			PushedEndpoint:        s.base + parPath,
			DeviceEndpoint:        s.base + deviceAuthorizationPath,

			UserinfoEndpoint: s.userinfo(),
			EndSession:       s.base + logoutPath,
			IDTokenAlgs:      s.keys.algorithms(s.now()),
			SubjectTypes:     []string{"public"},
			Scopes:           []string{openIDScope},
			Claims:           []string{"acr", "aud", "auth_time", "exp", "iat", "iss", "nonce", "sub"},
		}
		if s.findUser != nil {
			for _, scope := range slices.Sorted(maps.Keys(scopeClaims)) {
				m.Scopes = append(m.Scopes, scope)
				m.Claims = append(m.Claims, scopeClaims[scope]...)
			}
		}
	}
	return m
}

// authMethods returns the ways of client authentication that work. Whether
// certificates of clients get here depends on the TLS server: that a client of
// the configuration relies on it says that they do.
func (s *Server) authMethods() []string {
	return slices.DeleteFunc(slices.Clone(authMethods), func(method string) bool {
		certificate := method == tlsPKI || method == tlsSelfSigned
		return certificate && !s.anyClient(func(c *client) bool { return c.TokenEndpointAuthMethod == method })
	})
}

func (s *Server) anyClient(is func(*client) bool) bool {
	for _, c := range s.clients {
		if is(c) {
			return true
		}
	}
	return false
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
