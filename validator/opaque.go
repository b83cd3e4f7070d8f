package validator

import (
	"context"
	"errors"
	"slices"
)

// introspect is the policy for tokens that the issuer was asked about (RFC 7662
// section 2.2): the same as for a JWT once its signature is verified.
func (v *Validator) introspect(ctx context.Context, token string, fresh bool) (*Token, error) {
	p, err := v.ask(ctx, token, fresh)
	if err != nil {
		return nil, err
	}
	if !p.active {
		return nil, NewError(ErrInactive, "")
	}
	if err := p.lacks("the issuer's answer, which Config.AnswerMayLack can allow for, ", claimsRequired&^v.lacking); err != nil {
		return nil, err
	}
	if err := v.enforce(&p); err != nil {
		return nil, err
	}
	p.token.issuer = v.cfg.Issuer
	return p.token, nil
}

// lookAgain asks the issuer about t, a JWT that verified. The answer may take
// away, never add: where it speaks of scope, t keeps what both grant, and of two
// times of expiry the earlier.
func (v *Validator) lookAgain(ctx context.Context, token string, t *Token) (*Token, error) {
	if v.cfg.Introspector == nil {
		return nil, NewError(ErrUnavailable, "Requirement.Fresh needs Config.Introspector")
	}
	p, err := v.ask(ctx, token, true)
	if err != nil {
		return nil, err
	}
	if !p.active {
		return nil, NewError(ErrRevoked, "")
	}
	if err := v.enforce(&p); err != nil {
		return nil, err
	}
	if p.token.Bound() && (!t.Bound() || *p.token.bound != *t.bound) {
		return nil, NewError(ErrBinding, "the answer binds the token to another key")
	}
	narrowed := newToken()
	*narrowed.content = *t.content
	if p.has&claimScope != 0 {
		narrowed.scopes = slices.DeleteFunc(t.Scopes(), func(s string) bool { return !p.token.HasScope(s) })
	}
	if p.has&claimExpiry != 0 && p.token.expiry.Before(t.expiry) {
		narrowed.expiry = p.token.expiry
	}
	return narrowed, nil
}

// ask returns the issuer's answer. One that cannot be read is none.
func (v *Validator) ask(ctx context.Context, token string, fresh bool) (payload, error) {
	answer, err := v.cfg.Introspector.Introspect(ctx, token, fresh)
	if err != nil {
		return payload{}, unavailable(ctx, "introspection", err)
	}
	p, err := v.parse(string(answer), true)
	if err == nil && p.has&claimActive == 0 {
		err = errors.New("lacks active")
	}
	if err != nil {
		return payload{}, unavailable(ctx, "introspection answer", err)
	}
	return p, nil
}
