package authserver

import (
	"context"
	"maps"
	"slices"
)

// grants are the grant types that work, each with what answers a token request
// of a client that is registered for it. The metadata lists them, and a client
// may register for no other.
var grants = map[string]func(*Server, context.Context, *request) (*tokenResponse, error){
	authorizationCodeGrant: (*Server).authorizationCode,
	"client_credentials":   (*Server).clientCredentials,
}

func grantTypes() []string { return slices.Sorted(maps.Keys(grants)) }

// grantTypes returns those that work at this server.
func (s *Server) grantTypes() []string {
	return slices.DeleteFunc(grantTypes(), func(g string) bool { return !s.has(g) })
}

// has reports whether a known grant type works at this server: a person has to be
// able to sign in for a code.
func (s *Server) has(grantType string) bool {
	return s.login != nil || grantType != authorizationCodeGrant
}

// token is the token endpoint (RFC 6749 section 3.2).
func (s *Server) token(ctx context.Context, r *request) (any, error) {
	grantType := r.form.Get("grant_type")
	answer, known := grants[grantType]
	switch {
	case grantType == "":
		return nil, refuse(invalidRequest, "grant_type is required")
	case !known || !s.has(grantType):
		return nil, refuse(unsupportedGrantType, "the grant type is not supported")
	case !r.client.may(grantType):
		return nil, refuse(unauthorizedClient, "the client is not registered for this grant type")
	default:
		return answer(s, ctx, r)
	}
}
