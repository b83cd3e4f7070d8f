package authserver

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"

	"github.com/countermark/countermark/internal/strictjson"
)

// maxExchanges is how often what came of an exchange may be exchanged again, and
// so how long a chain of actors gets.
const maxExchanges = 5

// tokenExchange is the grant by which an API that was sent an access token gets
// one for the next API, on behalf of the same subject (RFC 8693). The new token
// can do no more and lives no longer than the one that it is made of, and ends
// with it. It says who acts for the subject, unless the client may impersonate.
func (s *Server) tokenExchange(ctx context.Context, r *request) (*tokenResponse, error) {
	if err := checkExchange(r); err != nil {
		return nil, err
	}
	subject, err := s.exchangeable(ctx, r, "subject_token")
	switch {
	case err != nil:
		return nil, err
	case !subject.meantFor(r.client.TokenExchangeAudience):
		return nil, refuse(invalidRequest, "subject_token is not meant for the client")
	case len(subject.grants()) > maxExchanges:
		return nil, refuse(invalidRequest, "subject_token was exchanged too often")
	}
	acting := &actor{Subject: r.client.ClientID, Actor: subject.Actor}
	until := subject.ExpiresAt.Time
	if r.form.Get("actor_token") != "" {
		as, err := s.exchangeable(ctx, r, "actor_token")
		switch {
		case err != nil:
			return nil, err
		case as.ClientID != r.client.ClientID:
			return nil, refuse(invalidRequest, "actor_token was issued to another client")
		case as.Actor != nil:
			return nil, refuse(invalidRequest, "actor_token is of somebody who acts for somebody else")
		case as.ExpiresAt.Before(until):
			until = as.ExpiresAt.Time
		}
		acting.Subject = as.Subject
	}
	if !s.mayAct(subject, acting, r.client) {
		return nil, refuse(invalidRequest, "the may_act of subject_token does not name who would act")
	}
	if r.client.TokenExchangeImpersonation && r.form.Get("actor_token") == "" {
		acting = subject.Actor
	}
	held, _ := parseScope(subject.Scope)
	scope, err := narrow(r.form.Get("scope"), unattended(common(held, r.client.scopes)),
		"scope goes beyond that of subject_token or what the client is registered for")
	if err != nil {
		return nil, err
	}
	audience, err := r.exchangeAudience()
	if err != nil {
		return nil, err
	}
	answer, err := s.issue(ctx, r, &authorization{
		Subject:  subject.Subject,
		ClientID: r.client.ClientID,
		Scope:    scope,
		Audience: audience,
		AuthTime: subject.AuthTime,
		ACR:      subject.ACR,
		Actor:    acting,
		until:    until,
		grant:    subject.grant() + "." + rand.Text(), // its own, so that revoking it does not end the subject's
	})
	if err != nil {
		return nil, err
	}
	answer.IssuedTokenType = accessTokenKind
	return answer, nil
}

// checkExchange checks the parameters of RFC 8693 section 2.1. Access tokens are
// all that is taken and given: an ID token is no authorization.
func checkExchange(r *request) error {
	requested := r.form.Get("requested_token_type")
	actor, actorKind := r.form.Get("actor_token"), r.form.Get("actor_token_type")
	switch {
	case r.form.Get("subject_token") == "":
		return refuse(invalidRequest, "subject_token is required")
	case r.form.Get("subject_token_type") != accessTokenKind:
		return refuse(invalidRequest, "subject_token_type must be "+accessTokenKind)
	case actor != "" && actorKind != accessTokenKind:
		return refuse(invalidRequest, "actor_token_type must be "+accessTokenKind)
	case actor == "" && actorKind != "":
		return refuse(invalidRequest, "actor_token_type is for an actor_token")
	case requested != "" && requested != accessTokenKind:
		return refuse(invalidRequest, "requested_token_type must be "+accessTokenKind)
	default:
		return nil
	}
}

// exchangeable returns the claims of a parameter that is a live access token of
// this server. Of one that is bound to a key the request shows the key, to which
// the new token is then bound.
func (s *Server) exchangeable(ctx context.Context, r *request, parameter string) (*claims, error) {
	c, err := s.read(ctx, r.form.Get(parameter))
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, refuse(invalidRequest, parameter+" is not a live access token of this issuer")
	case err != nil:
		return nil, err
	case r.holds(c.Confirmation) != nil:
		return nil, refuse(invalidRequest, parameter+" is bound to a key that the request does not show")
	default:
		return c, nil
	}
}

// mayAct reports whether the may_act of a token, if it has one, names who would
// act (RFC 8693 section 4.4). One that is not understood names nobody.
func (s *Server) mayAct(subject *claims, acting *actor, c *client) bool {
	if subject.MayAct == nil {
		return true
	}
	var only struct {
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		ClientID string `json:"client_id"`
	}
	return strictjson.UnmarshalKnown(subject.MayAct, &only) == nil && only.Subject == acting.Subject &&
		(only.Issuer == "" || only.Issuer == s.issuer) && (only.ClientID == "" || only.ClientID == c.ClientID)
}

// exchangeAudience returns the aud of the token to issue: what resource and
// audience name, each of which the client is registered for.
func (r *request) exchangeAudience() ([]string, error) {
	named := slices.DeleteFunc(slices.Clone(r.form["audience"]), func(a string) bool { return a == "" })
	for _, a := range named {
		if !slices.Contains(r.client.Audience, a) {
			return nil, refuse(invalidTarget, "audience is not one that the client is registered for")
		}
	}
	if len(named) == 0 {
		return r.audience()
	}
	if slices.ContainsFunc(r.form["resource"], func(a string) bool { return a != "" }) {
		resources, err := r.audience()
		if err != nil {
			return nil, err
		}
		named = append(named, resources...)
	}
	slices.Sort(named)
	return slices.Compact(named), nil
}
