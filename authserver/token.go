package authserver

import (
	"context"
	"maps"
	"slices"
	"time"
)

// Names, which gosec takes for credentials.
const (
	jwtBearer     = "urn:ietf:params:oauth:grant-type:jwt-bearer"     //nolint:gosec // RFC 7523 section 2.1
	deviceGrant   = "urn:ietf:params:oauth:grant-type:device_code"    // RFC 8628 section 3.4
	tokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange" //nolint:gosec // RFC 8693 section 2.1

	accessTokenKind = "urn:ietf:params:oauth:token-type:access_token" //nolint:gosec // RFC 8693 section 3
)

// answerTimeout bounds the work of a token request.
const answerTimeout = 10 * time.Second

// grants are the grant types that work, each with what answers a token request
// of a client that is registered for it. The metadata lists them, and a client
// may register for no other.
var grants = map[string]func(*Server, context.Context, *request) (*tokenResponse, error){
	authorizationCodeGrant: (*Server).authorizationCode,
	"client_credentials":   (*Server).clientCredentials,
	refreshTokenGrant:      (*Server).refreshAccess,
	deviceGrant:            (*Server).deviceCode,
	jwtBearer:              (*Server).jwtBearer,
	tokenExchange:          (*Server).tokenExchange,
}

func grantTypes() []string { return slices.Sorted(maps.Keys(grants)) }

// grantTypes returns those that work at this server.
func (s *Server) grantTypes() []string {
	return slices.DeleteFunc(grantTypes(), func(g string) bool { return !s.has(g) })
}

// refuseGrant is the refusal of a known grant type that is not among the client's.
func refuseGrant(grantType string) *refusal {
	return refuse(unauthorizedClient, "grant_types of the client lacks "+grantType)
}

// has reports whether a known grant type works at this server: for a code, of
// a device too, somebody has to be able to sign in, and for an assertion somebody
// has to be trusted.
func (s *Server) has(grantType string) bool {
	switch grantType {
	case authorizationCodeGrant, deviceGrant, refreshTokenGrant:
		return s.login != nil
	case jwtBearer:
		return len(s.issuers) > 0
	default:
		return true
	}
}

// token is the token endpoint (RFC 6749 section 3.2).
func (s *Server) token(ctx context.Context, r *request) (any, error) {
	grantType := r.form.Get("grant_type")
	answer, known := grants[grantType]
	switch {
	case grantType == "":
		return nil, refuse(invalidRequest, "grant_type is required")
	case !known || !s.has(grantType):
		return nil, refuse(unsupportedGrantType, "grant_type must be one of grant_types_supported in the metadata")
	case !r.client.may(grantType):
		return nil, refuseGrant(grantType)
	}
	// What is spent for a client that hangs up meanwhile must not be lost.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTimeout)
	defer cancel()
	if err := s.bind(ctx, r); err != nil {
		return nil, err
	}
	return answer(s, ctx, r)
}
