package validator

import (
	"context"
	"errors"
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
	if err := p.lacks(claimsRequired &^ v.lacking); err != nil {
		return nil, err
	}
	if err := v.enforce(&p); err != nil {
		return nil, err
	}
	p.token.issuer = v.cfg.Issuer
	return p.token, nil
}

// lookAgain asks the issuer about a JWT that verified. The answer may take away,
// never add: where it speaks of scope, the scope must do as well.
func (v *Validator) lookAgain(ctx context.Context, token string, r Requirement) error {
	if v.cfg.Introspector == nil {
		return NewError(ErrUnavailable, "Requirement.Fresh needs Config.Introspector")
	}
	p, err := v.ask(ctx, token, true)
	if err != nil {
		return err
	}
	if !p.active {
		return NewError(ErrRevoked, "")
	}
	if p.has&claimScope != 0 {
		narrowed := Requirement{Scopes: r.Scopes, AnyScope: r.AnyScope}
		if err := narrowed.met(p.token, v.cfg.Now(), 0); err != nil {
			return err
		}
	}
	return v.enforce(&p)
}

// ask returns the issuer's answer. One that cannot be read is none.
func (v *Validator) ask(ctx context.Context, token string, fresh bool) (payload, error) {
	answer, err := v.cfg.Introspector.Introspect(ctx, token, fresh)
	if err != nil {
		return payload{}, unavailable(ctx, "introspection", err)
	}
	p, err := v.parse(answer, true)
	if err == nil && p.has&claimActive == 0 {
		err = errors.New("lacks active")
	}
	if err != nil {
		return payload{}, unavailable(ctx, "introspection answer", err)
	}
	return p, nil
}
