// Package discovery finds an issuer's endpoints in its metadata (RFC 8414,
// OpenID Connect Discovery 1.0).
package discovery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/countermark/countermark/internal/fetch"
	"github.com/countermark/countermark/internal/strictjson"
)

// Limit is how many bytes a metadata document may have.
const Limit = 512 << 10

// Metadata is what a resource server needs of an issuer's metadata.
type Metadata struct {
	Issuer                string `json:"issuer"`
	JWKSURI               string `json:"jwks_uri"`
	IntrospectionEndpoint string `json:"introspection_endpoint"`
	// MTLS holds the endpoints for clients that use mutual TLS, where they
	// differ (RFC 8705 section 5).
	MTLS struct {
		IntrospectionEndpoint string `json:"introspection_endpoint"`
	} `json:"mtls_endpoint_aliases"`
}

// CheckIssuer returns an error unless issuer is a URL that can be discovered:
// https (or http on loopback), without query and fragment (RFC 8414 section 2).
func CheckIssuer(issuer string) error {
	if err := fetch.CheckURL(issuer); err != nil {
		return err
	}
	if strings.Contains(issuer, "?") {
		return errors.New("must not have a query")
	}
	return nil
}

// Fetch returns the metadata of issuer. It asks the three places where such a
// document may be (OpenID Connect Discovery section 4.1, RFC 8414 sections 3.1
// and 5), the next one only if one has nothing (a 4xx status). The document's issuer
// is the one asked for, byte for byte (RFC 8414 section 3.3).
func Fetch(ctx context.Context, client *http.Client, issuer string) (Metadata, error) {
	var none error
	for _, u := range locations(issuer) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, http.NoBody)
		if err != nil {
			return Metadata{}, fmt.Errorf("issuer metadata: %w", err)
		}
		req.Header.Set("Accept", "application/json")
		body, _, err := fetch.JSON(client, req, Limit)
		if status := (*fetch.StatusError)(nil); errors.As(err, &status) && status.Code/100 == 4 && status.Code != http.StatusTooManyRequests {
			none = err
			continue
		}
		if err != nil {
			return Metadata{}, fmt.Errorf("issuer metadata: %w", err)
		}
		return parse(body, issuer)
	}
	return Metadata{}, fmt.Errorf("issuer metadata: %w", none)
}

func parse(body []byte, issuer string) (Metadata, error) {
	var m Metadata
	if err := strictjson.Unmarshal(body, &m); err != nil {
		return Metadata{}, fmt.Errorf("issuer metadata: %w", err)
	}
	if m.Issuer != issuer {
		return Metadata{}, errors.New("issuer metadata: its issuer is not the configured one, byte for byte")
	}
	for name, u := range map[string]string{
		"jwks_uri":               m.JWKSURI,
		"introspection_endpoint": m.IntrospectionEndpoint,
		"mtls_endpoint_aliases.introspection_endpoint": m.MTLS.IntrospectionEndpoint,
	} {
		if u == "" {
			continue
		}
		if err := fetch.CheckURL(u); err != nil {
			return Metadata{}, fmt.Errorf("issuer metadata: %s: %w", name, err)
		}
		if isHTTPS(issuer) && !isHTTPS(u) { // a loopback host of ours is none of a remote issuer's
			return Metadata{}, fmt.Errorf("issuer metadata: %s: must use https, as the issuer does", name)
		}
	}
	return m, nil
}

func isHTTPS(u string) bool { return len(u) > 5 && strings.EqualFold(u[:5], "https") }

func locations(issuer string) []string {
	const oidc, oauth = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"
	bare := strings.TrimSuffix(issuer, "/")
	u, err := url.Parse(issuer)
	if err != nil {
		return nil // CheckIssuer refused it
	}
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	host := u.Scheme + "://" + u.Host
	if path == "" {
		return []string{bare + oidc, bare + oauth}
	}
	return []string{bare + oidc, host + oauth + path, host + oidc + path}
}
