package authserver

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A ClientPolicy is what a client may have at most that nobody here registered: one
// that says itself what it is. To the people who are asked it is a stranger: they
// are asked each time. It holds when the client asks, so that a narrower policy
// narrows those that are there.
type ClientPolicy struct {
	// Scope holds the scopes, separated by spaces, and is what a client has that
	// names none. Empty means none.
	Scope string
	// Audience are the resources that every such client may get tokens for.
	// Required.
	Audience []string
	// GrantTypes are those of the grants in which a person decides:
	// authorization_code, refresh_token and
	// urn:ietf:params:oauth:grant-type:device_code. Empty means the first two.
	GrantTypes []string
	// AuthMethods are how a client may authenticate: none, private_key_jwt, and in
	// a Registration client_secret_basic and client_secret_post. Empty means all of
	// them but the last.
	AuthMethods []string
}

var personalGrants = []string{authorizationCodeGrant, refreshTokenGrant, deviceGrant}

// clientPolicy is a ClientPolicy that was checked, its defaults filled in.
type clientPolicy struct {
	scopes, audience, grants, methods []string
}

// newClientPolicy checks p, whose AuthMethods are among methods. An error begins
// with what follows the field of Config.
func newClientPolicy(p *ClientPolicy, methods []string) (*clientPolicy, error) {
	n := &clientPolicy{audience: slices.Clone(p.Audience), grants: slices.Clone(p.GrantTypes), methods: slices.Clone(p.AuthMethods)}
	var ok bool
	if n.scopes, ok = parseScope(p.Scope); !ok {
		return nil, errors.New(".Policy.Scope: must be scope tokens with single spaces between, 256 at most (RFC 6749 section 3.3)")
	}
	if len(n.audience) == 0 {
		return nil, errors.New(".Policy.Audience: required: without a resource a client gets no token")
	}
	for i, a := range n.audience {
		if err := checkAudience(a); err != nil {
			return nil, fmt.Errorf(".Policy.Audience[%d]: %w", i, err)
		}
	}
	if len(n.grants) == 0 {
		n.grants = []string{authorizationCodeGrant, refreshTokenGrant}
	}
	for i, g := range n.grants {
		if !slices.Contains(personalGrants, g) {
			return nil, fmt.Errorf(".Policy.GrantTypes[%d]: must be one in which a person decides (%s); others are for clients that you register",
				i, strings.Join(personalGrants, ", "))
		}
	}
	if len(n.methods) == 0 {
		n.methods = slices.DeleteFunc(slices.Clone(methods), func(m string) bool { return m == secretPost })
	}
	for i, m := range n.methods {
		if !slices.Contains(methods, m) {
			return nil, fmt.Errorf(".Policy.AuthMethods[%d]: must be one of %s", i, strings.Join(methods, ", "))
		}
	}
	return n, nil
}

// hold takes from c what goes beyond the policy, whoever wrote it down.
func (p *clientPolicy) hold(c *client) {
	c.scopes = common(c.scopes, p.scopes)
	c.Scope = strings.Join(c.scopes, " ")
	c.Audience = common(c.Audience, p.audience)
	c.GrantTypes = common(c.GrantTypes, p.grants)
	if !slices.Contains(p.methods, c.TokenEndpointAuthMethod) {
		c.GrantTypes = nil
	}
	c.TokenExchangeAudience = nil // whose tokens it would see; there is no such grant here
	if len(c.GrantTypes) == 0 {
		c.Audience = nil // or it would be a resource server, which sees the tokens of others
	}
}

// openOnboarding makes what it takes for clients to come by themselves, if any can.
func (s *Server) openOnboarding(cfg *Config, local bool) error {
	nobody := errors.New(": is for clients that have people sign in: set Users or Login")
	if cfg.Registration != nil {
		var err error
		if s.registration, err = newRegistration(cfg.Registration, s.store); err == nil && s.login == nil {
			err = nobody
		}
		if err != nil {
			return fmt.Errorf("authserver: Config.Registration%w", err)
		}
	}
	if cfg.ClientIDMetadataDocuments != nil {
		var err error
		if s.documents, err = newDocuments(cfg.ClientIDMetadataDocuments, local); err == nil && s.login == nil {
			err = nobody
		}
		if err != nil {
			return fmt.Errorf("authserver: Config.ClientIDMetadataDocuments%w", err)
		}
		s.documents.egress, s.documents.now = newEgress(local), s.now
	}
	return nil
}
