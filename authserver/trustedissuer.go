package authserver

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/countermark/countermark/internal/jose"
)

// A KeySource finds the keys of an issuer: those with a kid, or all if that is
// empty, that fit alg. None is an answer; an error means that it cannot tell now.
// It is safe for concurrent use. The Cache of package jwks is one.
type KeySource interface {
	Keys(ctx context.Context, kid, alg string) ([]crypto.PublicKey, error)
}

// A TrustedIssuer is somebody whose assertions get tokens here, within a policy
// (RFC 7521 section 4.1, RFC 7523 section 2.1). What is not allowed is refused:
// the zero value of each part of the policy allows nothing.
type TrustedIssuer struct {
	// Issuer is the iss of the assertions, compared byte for byte. It is not that
	// of the server itself, whose tokens are no assertions. Required.
	Issuer string
	// Keys finds the issuer's keys. Either it or JWKS is required.
	Keys KeySource
	// JWKS is the issuer's JWK Set, of public keys alone.
	JWKS json.RawMessage
	// Algorithms are the JWS algorithms that are accepted. Empty means all that
	// there are: the asymmetric ones.
	Algorithms []string
	// Subject returns the sub of the token for the sub of an assertion, which may
	// be the same; empty if the issuer may not speak for it. It keeps the names of
	// the issuer and of others apart; the client_id of a client is refused (RFC
	// 9068 section 5). An error means that it cannot tell now. It is safe for
	// concurrent use. Nil means that the issuer may speak for nobody.
	Subject func(ctx context.Context, sub string) (string, error)
	// Scope holds the scopes that there may be, separated by spaces, of those that
	// the client is registered for. A scope claim in an assertion narrows it
	// further. A request without scope gets what the claim says, and without both
	// all that it may have. Empty means none.
	Scope string
	// PublicClients lets public clients use the issuer's assertions, which is to
	// say anybody who has one. False means that a client must authenticate.
	PublicClients bool
	// PublicScope is Scope for public clients. Empty means none.
	PublicScope string
	// ClientID is the public client, of [Config.Clients], that a request is taken
	// to be of if it names none: golang.org/x/oauth2/jwt sends such requests, and
	// has a sub in them if its Config.Subject is set. Empty means that they are
	// refused.
	ClientID string
	// MaxLifetime is how far ahead the exp of an assertion may be; x/oauth2 makes
	// it an hour. 0 means 10 minutes.
	MaxLifetime time.Duration
	// AllowMissingID takes assertions without jti, which work as often as they
	// are sent until they expire; x/oauth2 makes such. False means that each has
	// one and works once.
	AllowMissingID bool
}

// trustedIssuer is a TrustedIssuer that was checked, its defaults filled in.
type trustedIssuer struct {
	TrustedIssuer
	scopes, publicScopes []string
	anonymous            *client // of ClientID; nil if there is none
}

// Keys implements [KeySource].
func (l keyList) Keys(_ context.Context, kid, alg string) ([]crypto.PublicKey, error) {
	return l.find(kid, alg), nil
}

// newTrustedIssuers checks the issuers and returns them by name. The clients of
// the configuration are known by then.
func (s *Server) newTrustedIssuers(list []TrustedIssuer) (map[string]*trustedIssuer, error) {
	issuers := make(map[string]*trustedIssuer, len(list))
	for i := range list {
		t, err := s.newTrustedIssuer(&list[i])
		if err == nil && issuers[t.Issuer] != nil {
			err = errors.New(".Issuer: another one has it too")
		}
		if err != nil {
			return nil, fmt.Errorf("authserver: Config.TrustedIssuers[%d]%w", i, err)
		}
		issuers[t.Issuer] = t
	}
	return issuers, nil
}

// newTrustedIssuer checks t. An error begins with a dot and the field.
func (s *Server) newTrustedIssuer(t *TrustedIssuer) (*trustedIssuer, error) {
	n := &trustedIssuer{TrustedIssuer: *t}
	n.Algorithms = slices.Clone(t.Algorithms)
	if len(n.Algorithms) == 0 {
		n.Algorithms = jose.Algorithms()
	}
	if n.MaxLifetime == 0 {
		n.MaxLifetime = defaultAssertionLifetime
	}
	var ok, publicOK bool
	n.scopes, ok = parseScope(t.Scope)
	n.publicScopes, publicOK = parseScope(t.PublicScope)
	switch {
	case t.Issuer == "":
		return nil, errors.New(".Issuer: required")
	case t.Issuer == s.issuer:
		return nil, errors.New(".Issuer: is this server, whose tokens are no assertions")
	case t.Keys != nil && isNil(t.Keys):
		return nil, fmt.Errorf(".Keys: is a nil %T", t.Keys)
	case (t.Keys == nil) == (t.JWKS == nil):
		return nil, errors.New(".Keys: either it or JWKS is required, and not both")
	case !ok:
		return nil, errors.New(".Scope: must be scope tokens with single spaces between (RFC 6749 section 3.3)")
	case !publicOK:
		return nil, errors.New(".PublicScope: must be scope tokens with single spaces between (RFC 6749 section 3.3)")
	case t.PublicScope != "" && !t.PublicClients:
		return nil, errors.New(".PublicScope: has no effect without PublicClients")
	case n.MaxLifetime < 0:
		return nil, errors.New(".MaxLifetime: must not be negative")
	}
	for i, alg := range n.Algorithms {
		if _, known := jose.Lookup(alg); !known {
			return nil, notSupported(fmt.Sprintf(".Algorithms[%d]", i), alg, jose.Algorithms())
		}
	}
	if t.JWKS != nil {
		keys, err := parseKeys(t.JWKS)
		if err != nil {
			return nil, fmt.Errorf(".JWKS: %w", err)
		}
		if len(keys) == 0 {
			return nil, errors.New(".JWKS: no key in it verifies signatures")
		}
		n.Keys = keys
	}
	if t.ClientID == "" {
		return n, nil
	}
	n.anonymous = s.clients[t.ClientID]
	switch {
	case n.anonymous == nil:
		return nil, errors.New(".ClientID: is not among Config.Clients")
	case !n.anonymous.public() || !n.anonymous.may(jwtBearer):
		return nil, errors.New(".ClientID: must be a public client with the grant type " + jwtBearer)
	case !t.PublicClients:
		return nil, errors.New(".ClientID: has no effect without PublicClients")
	default:
		return n, nil
	}
}
