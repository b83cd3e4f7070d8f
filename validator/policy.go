package validator

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"

	"github.com/countermark/countermark/internal/jose"
)

// Authorize judges the credentials of a request and whether they meet the
// requirement r. An error is an [*Error].
func (v *Validator) Authorize(ctx context.Context, c Credentials, r Requirement) (*Token, error) {
	t, err := v.authorize(ctx, &c, &r)
	if err != nil {
		return nil, c.challenged(err, v.ready() && v.cfg.RequireBinding)
	}
	return t, nil
}

func (v *Validator) authorize(ctx context.Context, c *Credentials, r *Requirement) (*Token, error) {
	if !v.ready() {
		return nil, NewError(ErrUnavailable, "not made by New")
	}
	if err := c.missing(r); err != nil {
		return nil, err
	}
	if r.AuthMaxAge < 0 {
		return nil, NewError(ErrUnavailable, "Requirement.AuthMaxAge is negative")
	}
	t, verified, err := v.judge(ctx, c.Token, r.Fresh)
	if err != nil {
		return nil, err
	}
	proof, err := v.checkBinding(t, c)
	if err != nil {
		return nil, err
	}
	if verified && r.Fresh {
		if t, err = v.lookAgain(ctx, c.Token, t); err != nil {
			return nil, err
		}
	}
	if err := r.met(t, v.cfg.Now, v.cfg.Leeway); err != nil {
		return nil, err
	}
	if c.isDPoP() { // spent last: what was refused for other reasons may come again
		if err := v.spend(ctx, proof); err != nil {
			return nil, err
		}
	}
	if v.cfg.Check != nil {
		if err := v.cfg.Check(ctx, t); err != nil {
			return nil, checkError(ctx, err)
		}
	}
	return t, nil
}

// judge finds out whether the token is good: verified says by its signature, and
// not by asking.
func (v *Validator) judge(ctx context.Context, token string, fresh bool) (t *Token, verified bool, err error) {
	if len(token) > maxToken {
		return nil, false, tooLong()
	}
	j, isJWT := parseJWS(token)
	switch {
	case isJWT && v.cfg.Keys != nil:
		t, err = v.verify(ctx, &j)
		return t, true, err
	case v.cfg.Introspector != nil:
		if isJWT && v.isTypedOtherwise(j.header) {
			return nil, false, NewError(ErrType, "")
		}
		t, err = v.introspect(ctx, token, fresh)
		return t, false, err
	default:
		return nil, false, NewError(ErrMalformed, "not a JWT")
	}
}

// verify is the policy for JWTs. Whether a signature verified may be remembered; all
// else is judged each time.
func (v *Validator) verify(ctx context.Context, j *jws) (*Token, error) {
	at := v.memory.place(j)
	t, err := v.recall(ctx, &at)
	known := t != nil
	if !known && err == nil {
		var anew verified
		anew, err = v.verifyAnew(ctx, j)
		t = &anew
	}
	if err == nil {
		err = v.enforce(&t.payload) // the audience and the time
	}
	if err != nil {
		return nil, err
	}
	if !known {
		v.memory.add(&at, t)
	}
	return t.token, nil
}

// verifyAnew is RFC 9068 section 4 in its order, but for one step. The issuer is
// compared before its keys are asked for, so that a stranger's token costs no
// fetch (RFC 8725 section 3.8); the comparison counts because the signature is
// verified with that issuer's keys alone.
func (v *Validator) verifyAnew(ctx context.Context, j *jws) (t verified, err error) {
	// The type: nothing but an access token (RFC 8725 section 3.11).
	header, known, err := v.header(j.header)
	if err != nil {
		return t, err
	}
	t.header = header
	if !slices.Contains(v.cfg.Types, t.header.Typ) {
		return t, NewError(ErrType, "")
	}

	// The issuer.
	claims, err := jose.DecodeText(j.payload)
	if err != nil {
		return t, malformed("payload", err)
	}
	if t.payload, err = v.parse(claims, false); err != nil {
		return t, malformed("payload", err)
	}
	required := claimsRequired
	if t.header.Typ == "at+jwt" {
		required = claimsRequiredRFC9068
	}
	if err := t.lacks("", required); err != nil {
		return t, err
	}
	if t.token.issuer != v.cfg.Issuer {
		return t, NewError(ErrIssuer, "")
	}

	// The signature, by an algorithm that the policy names (RFC 8725 section 3.1)
	// and a key of the issuer that is for it.
	if t.key, err = v.verifySignature(ctx, t.header, j); err != nil {
		return t, err
	}
	if !known {
		v.headers.add(t.header)
	}
	return t, nil
}

// isTypedOtherwise reports whether a JWT that is not verified here says that it is
// something else than an access token. Many issuers type theirs as "JWT" or not at
// all; it is the issuer who is asked.
func (v *Validator) isTypedOtherwise(encoded string) bool {
	h, err := jose.ParseHeader(encoded)
	return err == nil && h.Typ != "" && h.Typ != "jwt" && !slices.Contains(v.cfg.Types, h.Typ)
}

// verifySignature returns the key that made the signature.
func (v *Validator) verifySignature(ctx context.Context, h *header, j *jws) (crypto.PublicKey, error) {
	if h.method == nil {
		return nil, NewError(ErrAlgorithm, "")
	}
	var room [512]byte // on the stack, for all but the largest RSA keys
	signature, err := jose.Decode(room[:0], j.signature)
	if err != nil {
		return nil, malformed("signature", err)
	}
	keys, err := v.keys(ctx, h)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, NewError(ErrKey, "")
	}
	for _, key := range keys {
		if h.method.Verify(j.input(), signature, key) == nil {
			return key, nil
		}
	}
	return nil, NewError(ErrSignature, "")
}

// keys returns the issuer's keys for a JWT.
func (v *Validator) keys(ctx context.Context, h *header) ([]crypto.PublicKey, error) {
	keys, err := v.cfg.Keys.Keys(ctx, h.Kid, h.Alg)
	if err != nil {
		return nil, unavailable(ctx, "keys", err)
	}
	return keys[:min(len(keys), maxKeys)], nil
}

// enforce holds verified claims against the policy: what they say counts,
// whether or not they had to say it.
func (v *Validator) enforce(p *payload) error {
	t, now := p.token, v.cfg.Now()
	switch {
	case p.otherwise:
		return NewError(ErrType, "the answer is about another kind of token")
	case p.isDPoP && t.bound == nil:
		return NewError(ErrBinding, "the answer does not name the key")
	case p.has&claimIssuer != 0 && t.issuer != v.cfg.Issuer:
		return NewError(ErrIssuer, "")
	case p.has&claimAudience != 0 && !p.forUs:
		return NewError(ErrAudience, "")
	case p.has&claimExpiry != 0 && !now.Before(t.expiry.Add(v.cfg.Leeway)): // RFC 7519 section 4.1.4: on or after
		return NewError(ErrExpired, "")
	case now.Add(v.cfg.Leeway).Before(p.notBefore):
		return NewError(ErrNotYetValid, "")
	default:
		return nil
	}
}

// ready reports whether New made v.
func (v *Validator) ready() bool { return v != nil && v.cfg.Now != nil }

func tooLong() error { return NewError(ErrMalformed, fmt.Sprintf("longer than %d bytes", maxToken)) }

func malformed(part string, err error) error {
	return NewError(ErrMalformed, part+": "+err.Error())
}

// checkError is the refusal for an error of Config.Check.
func checkError(ctx context.Context, err error) error {
	e, ok := errors.AsType[*Error](err)
	switch {
	case ok && e == nil:
		return NewError(ErrForbidden, "Config.Check returned a nil *Error")
	case ok && e.Status >= 400 && e.Status <= 599:
		return e
	}
	if ctx.Err() != nil || errors.Is(err, ErrUnavailable) {
		return unavailable(ctx, "Config.Check", err)
	}
	for _, o := range outcomes {
		if errors.Is(err, o.why) {
			e := NewError(o.why, "Config.Check")
			e.cause = err
			return e
		}
	}
	e = NewError(ErrForbidden, "Config.Check")
	e.cause = err
	return e
}
