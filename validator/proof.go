package validator

import (
	"context"
	"errors"

	"github.com/countermark/countermark/internal/dpop"
)

// checkProof demands a DPoP proof by the key that the token is bound to, for this
// request and token (RFC 9449 section 4.3).
func (v *Validator) checkProof(t *Token, c *Credentials) (*dpop.Proof, error) {
	if c.Proof == "" {
		return nil, NewError(ErrProof, "none")
	}
	if c.Method == "" || c.URL == "" {
		return nil, NewError(ErrUnavailable, "Credentials.Method, Credentials.URL: required with a proof")
	}
	now := v.cfg.Now()
	proof, err := v.proofs.Check(&dpop.Request{
		Proof: c.Proof, Method: c.Method, URL: c.URL, Token: c.Token, Bound: &t.bound.thumbprint,
	}, now)
	switch {
	case errors.Is(err, dpop.ErrKey):
		return nil, NewError(ErrBinding, "not the DPoP key of the token")
	case errors.Is(err, dpop.ErrNonce):
		e := NewError(ErrNonce, "")
		e.Nonce = v.proofs.Nonces.At(now)
		return nil, e
	case err != nil:
		return nil, NewError(ErrProof, err.Error())
	default:
		return &proof, nil
	}
}

// spend refuses a proof that was used before (RFC 9449 section 11.1).
func (v *Validator) spend(ctx context.Context, proof *dpop.Proof) error {
	fresh, err := v.cfg.Replay.Add(ctx, proof.ID, proof.Until)
	if err != nil {
		return unavailable(ctx, "Config.Replay", err)
	}
	if !fresh {
		return NewError(ErrProof, "jti: used before")
	}
	return nil
}
