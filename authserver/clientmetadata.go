package authserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/countermark/countermark/internal/strictjson"
)

// What a client may say of itself at most.
const (
	maxRedirectURIs = 20   // and as many after logout
	maxRedirectURI  = 1024 // bytes
	maxClientName   = 100  // characters
)

// clientMetadata is what a client says of itself (RFC 7591 section 2), in a
// registration or in a document. Other members are ignored, those included by
// which a client would give itself more than the specifications know of.
type clientMetadata struct {
	ClientName              string          `json:"client_name"`
	RedirectURIs            []string        `json:"redirect_uris"`
	PostLogoutRedirectURIs  []string        `json:"post_logout_redirect_uris"`
	GrantTypes              []string        `json:"grant_types"`
	ResponseTypes           []string        `json:"response_types"`
	Scope                   *string         `json:"scope"`
	TokenEndpointAuthMethod string          `json:"token_endpoint_auth_method"`
	AuthSigningAlg          string          `json:"token_endpoint_auth_signing_alg"`
	JWKS                    json.RawMessage `json:"jwks"`
	JWKSURI                 string          `json:"jwks_uri"`

	DPoPBoundAccessTokens        bool `json:"dpop_bound_access_tokens"`
	CertificateBoundAccessTokens bool `json:"tls_client_certificate_bound_access_tokens"`
	RequirePushedRequests        bool `json:"require_pushed_authorization_requests"`

	// Checked for their type; not kept, not shown and not fetched.
	ClientURI       string   `json:"client_uri"`
	LogoURI         string   `json:"logo_uri"`
	TermsURI        string   `json:"tos_uri"`
	PolicyURI       string   `json:"policy_uri"`
	Contacts        []string `json:"contacts"`
	SoftwareID      string   `json:"software_id"`
	SoftwareVersion string   `json:"software_version"`

	// Of a document, or of a change of a registration (RFC 7592 section 2.2).
	ClientID     string          `json:"client_id"`
	ClientSecret json.RawMessage `json:"client_secret"`
	SecretExpiry json.RawMessage `json:"client_secret_expires_at"`
	IssuedAt     json.RawMessage `json:"client_id_issued_at"`
	AccessToken  json.RawMessage `json:"registration_access_token"`
	ClientURL    json.RawMessage `json:"registration_client_uri"`
}

// parseClientMetadata reads what a client says of itself. An error begins with the
// member that is wrong, unless that is for the JSON itself to say.
func parseClientMetadata(data []byte) (*clientMetadata, error) {
	m := &clientMetadata{}
	if err := strictjson.Unmarshal(data, m); err != nil {
		return nil, err
	}
	for _, raw := range []*json.RawMessage{&m.JWKS, &m.ClientSecret, &m.SecretExpiry, &m.IssuedAt, &m.AccessToken, &m.ClientURL} {
		if strictjson.Value(*raw).IsNull() {
			*raw = nil // as if it were not there (RFC 7591 section 2)
		}
	}
	if err := checkSizes("redirect_uris", m.RedirectURIs); err != nil {
		return nil, err
	}
	if err := checkSizes("post_logout_redirect_uris", m.PostLogoutRedirectURIs); err != nil {
		return nil, err
	}
	switch {
	case utf8.RuneCountInString(m.ClientName) > maxClientName:
		return nil, fmt.Errorf("client_name: has more than %d characters", maxClientName)
	case strings.ContainsFunc(m.ClientName, func(r rune) bool { return !unicode.IsPrint(r) }):
		return nil, errors.New("client_name: has characters that do not print, or that change how others do")
	case m.ClientName != "" && !strings.ContainsFunc(m.ClientName, isSeen):
		return nil, errors.New("client_name: has no letter and no digit that people see; leave it out if there is none")
	}
	if len(m.GrantTypes) == 0 {
		m.GrantTypes = []string{authorizationCodeGrant}
	}
	return m, nil
}

func checkSizes(name string, uris []string) error {
	switch {
	case len(uris) > maxRedirectURIs:
		return fmt.Errorf("%s: are more than %d", name, maxRedirectURIs)
	case slices.ContainsFunc(uris, func(u string) bool { return len(u) > maxRedirectURI }):
		return fmt.Errorf("%s: one has more than %d bytes", name, maxRedirectURI)
	default:
		return nil
	}
}

// client returns the client that m describes, with all resources of the policy. It
// is not yet checked.
func (m *clientMetadata) client(id string, p *clientPolicy) *Client {
	c := &Client{
		ClientID: id, ClientName: m.ClientName, GrantTypes: m.GrantTypes, Audience: p.audience,
		RedirectURIs: m.RedirectURIs, PostLogoutRedirectURIs: m.PostLogoutRedirectURIs,
		TokenEndpointAuthMethod: m.TokenEndpointAuthMethod, TokenEndpointAuthSigningAlg: m.AuthSigningAlg, JWKS: m.JWKS, JWKSURI: m.JWKSURI,
		DPoPBoundAccessTokens: m.DPoPBoundAccessTokens, TLSClientCertificateBoundAccessTokens: m.CertificateBoundAccessTokens,
		RequirePushedRequests: m.RequirePushedRequests,
	}
	if c.Scope = strings.Join(p.scopes, " "); m.Scope != nil {
		c.Scope = *m.Scope
	}
	return c
}

// isSeen reports whether r is a letter or a digit, of any script, that is not blank,
// as the fillers of Hangul and of Egyptian hieroglyphs are.
func isSeen(r rune) bool {
	const fullBlank, halfBlank = '\U00013441', '\U00013442'
	blank := unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) || r == fullBlank || r == halfBlank
	return unicode.In(r, unicode.L, unicode.N) && !blank
}

// legible writes an error as an error_description may be (RFC 6749 section 5.2).
func legible(err error) string {
	const most = 300
	text := strings.Map(func(r rune) rune {
		switch {
		case r == '"' || r == '\\':
			return '\''
		case r < ' ' || r > '~':
			return '?'
		default:
			return r
		}
	}, err.Error())
	return text[:min(len(text), most)]
}
