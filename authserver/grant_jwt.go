package authserver

import (
	"context"
	"net/url"
	"slices"
)

const assertionRefused = "the assertion is not accepted"

// jwtBearer is the grant by which the assertion of a trusted issuer gets a token
// for its subject (RFC 7521 section 4.1, RFC 7523 section 2.1). There is no
// refresh token: the assertion is what lasts.
func (s *Server) jwtBearer(ctx context.Context, r *request) (*tokenResponse, error) {
	text := r.form.Get("assertion")
	if text == "" {
		return nil, refuse(invalidRequest, "assertion is required")
	}
	a, err := parseAssertion(text)
	if err != nil {
		return nil, failed(invalidGrant, assertionRefused, err)
	}
	issuer, err := s.vouched(ctx, a)
	if err != nil {
		return nil, err
	}

	// RFC 7523 section 3, items 2 to 7.
	if !slices.Contains(a.audience, s.issuer) && !slices.Contains(a.audience, s.base+tokenPath) {
		return nil, refuse(invalidGrant, "the aud of the assertion must name the issuer or its token endpoint")
	}
	if err := a.checkTimes(invalidGrant, s.now(), issuer.MaxLifetime); err != nil {
		return nil, err
	}
	if a.id == "" && !issuer.AllowMissingID {
		return nil, refuse(invalidGrant, "the assertion lacks jti")
	}
	if r.client.public() && !issuer.PublicClients {
		return nil, refuse(unauthorizedClient, "the assertions of this issuer are for clients that authenticate")
	}
	subject, err := issuer.subject(ctx, a)
	if err != nil {
		return nil, err
	}
	switch taken, err := s.isClient(ctx, subject); {
	case err != nil:
		return nil, err
	case taken:
		return nil, refuse(invalidGrant, "the issuer may not speak for a client")
	}
	scope, err := issuer.scope(r, a)
	if err != nil {
		return nil, err
	}
	audience, err := r.audience()
	if err != nil {
		return nil, err
	}
	if a.id != "" {
		fresh, err := s.once(ctx, AssertionID, assertionKey(a.issuer, a.id), a.remembered())
		switch {
		case err != nil:
			return nil, err
		case !fresh:
			return nil, refuse(invalidGrant, "the assertion was used before")
		}
	}
	return s.issue(ctx, r, &authorization{Subject: subject, ClientID: r.client.ClientID, Scope: scope, Audience: audience})
}

// vouched returns the trusted issuer that signed an assertion. The type keeps out
// what an issuer signs for another purpose, such as access tokens (RFC 8725
// section 3.11).
func (s *Server) vouched(ctx context.Context, a *assertion) (*trustedIssuer, error) {
	issuer, known := s.issuers[a.issuer]
	switch {
	case !known:
		return nil, failed(invalidGrant, assertionRefused, errAssertionIssuer)
	case a.typ != "" && a.typ != "jwt":
		return nil, failed(invalidGrant, assertionRefused, errAssertionType)
	case !slices.Contains(issuer.Algorithms, a.alg):
		return nil, failed(invalidGrant, assertionRefused, errAssertionAlg)
	}
	keys, err := issuer.Keys.Keys(ctx, a.kid, a.alg)
	if err != nil {
		return nil, failed(temporarilyUnavailable, "the keys of the issuer of the assertion cannot be had now", err)
	}
	if err := a.verify(keys); err != nil {
		return nil, failed(invalidGrant, assertionRefused, err)
	}
	return issuer, nil
}

// subject returns whom the token is for.
func (t *trustedIssuer) subject(ctx context.Context, a *assertion) (string, error) {
	switch {
	case a.subject == "":
		return "", refuse(invalidGrant, "the assertion lacks sub")
	case t.Subject == nil:
		return "", refuse(invalidGrant, "the issuer may not speak for the sub of the assertion")
	}
	subject, err := t.Subject(ctx, a.subject)
	switch {
	case err != nil:
		return "", failed(temporarilyUnavailable, "the sub of the assertion cannot be judged now", err)
	case subject == "":
		return "", refuse(invalidGrant, "the issuer may not speak for the sub of the assertion")
	default:
		return subject, nil
	}
}

// scope returns the scope to grant: what the request or else the assertion asks
// for, within what issuer, assertion and client may have.
func (t *trustedIssuer) scope(r *request, a *assertion) (string, error) {
	allowed := unattended(common(r.client.scopes, t.scopes))
	if r.client.public() {
		allowed = unattended(common(r.client.scopes, t.publicScopes))
	}
	const beyond = "scope goes beyond what the client may have of the issuer of the assertion"
	if a.scope != "" {
		asserted, err := narrow(a.scope, allowed, beyond)
		if err != nil {
			return "", err
		}
		allowed, _ = parseScope(asserted)
	}
	return narrow(r.form.Get("scope"), allowed, beyond)
}

// anonymous returns the client of a request that names none: the one that the
// issuer of its assertion has for such.
func (s *Server) anonymous(form url.Values) (*client, error) {
	if form.Get("grant_type") == jwtBearer {
		a, err := parseAssertion(form.Get("assertion"))
		if err != nil {
			return nil, failed(invalidClient, authRequired, err)
		}
		if issuer, known := s.issuers[a.issuer]; known && issuer.anonymous != nil {
			return issuer.anonymous, nil
		}
	}
	return nil, refuse(invalidClient, authRequired)
}
