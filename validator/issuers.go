package validator

import (
	"context"
	"errors"
	"fmt"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/strictjson"
)

// IssuersConfig says which issuers are trusted. At least one of its fields is
// required.
type IssuersConfig struct {
	// Validators are the issuers that are known beforehand, one Validator each.
	Validators []*Validator

	// Resolve finds the Validator of an issuer that is not among Validators: a
	// tenant. The issuer is what a token says of itself, any string at all, so
	// Resolve looks it up among those it trusts and never derives trust from its
	// form. For one that is not among them it returns ErrIssuer, or no Validator
	// and no error; any other error means that it could not find out.
	//
	// It is called once at a time for an issuer, with a context that no caller
	// ends, and its Validator is kept for as long as it is in use, at most 1,000
	// of them. After 5 minutes the issuer is looked up again, while the old
	// Validator goes on, and is handed to Resolve as current (otherwise nil):
	// return current if nothing changed, so that its keys and caches stay. If the
	// lookup fails, the old one goes on for an hour more. Issuers owns what Resolve
	// returned: when it goes, its Keys and its Introspector are closed if they have
	// a method Close() error, unless its successor has them too, and returning that
	// Validator again is an error. So is one with the Keys of another issuer's. Each
	// remembers tokens of its own: where there are many, mind Config.CacheSize.
	//
	// For issuers that are not kept, 32 calls are made at once; those that find
	// nobody are limited to 100, and then 100 a second, all together. An unknown
	// issuer is remembered for 5 seconds.
	Resolve func(ctx context.Context, issuer string, current *Validator) (*Validator, error)

	// Opaque judges tokens that are no JWT and so name no issuer; nil refuses
	// them. OpaqueRule, if not nil, comes first: it picks the Validator by the
	// token's form, such as a prefix, and returns nil to leave it to Opaque.
	Opaque     *Validator
	OpaqueRule func(token string) *Validator
}

// Issuers judges tokens of several issuers. A JWT is routed by the issuer that
// it names, unverified, and then judged in full by that issuer's Validator: its
// keys, its audiences, its policy. Nothing of one issuer is ever consulted for a
// token that names another. Safe for concurrent use.
type Issuers struct {
	fixed map[string]*Validator
	// bindingRequired says that all who are known beforehand refuse plain bearer
	// tokens, for challenges that are nobody's in particular.
	bindingRequired bool

	tenants *tenants // nil without Resolve
	opaque  func(token string) *Validator
}

// NewIssuers returns an Issuers for cfg. It does no I/O.
func NewIssuers(cfg IssuersConfig) (*Issuers, error) {
	if len(cfg.Validators) == 0 && cfg.Resolve == nil && cfg.Opaque == nil && cfg.OpaqueRule == nil {
		return nil, errors.New("validator: IssuersConfig: at least one of Validators, Resolve, Opaque and OpaqueRule is required")
	}
	s := &Issuers{fixed: make(map[string]*Validator, len(cfg.Validators))}
	for i, v := range cfg.Validators {
		if !v.ready() {
			return nil, fmt.Errorf("validator: IssuersConfig.Validators[%d]: not made by New", i)
		}
		if s.fixed[v.cfg.Issuer] != nil {
			return nil, fmt.Errorf("validator: IssuersConfig.Validators[%d]: a second one for issuer %q", i, v.cfg.Issuer)
		}
		s.fixed[v.cfg.Issuer] = v
	}
	if cfg.Opaque != nil && !cfg.Opaque.ready() {
		return nil, errors.New("validator: IssuersConfig.Opaque: not made by New")
	}
	if cfg.Opaque != nil && cfg.Opaque.cfg.Introspector == nil {
		return nil, errors.New("validator: IssuersConfig.Opaque: has no Config.Introspector, without which it refuses them all")
	}
	s.bindingRequired = cfg.Resolve == nil && cfg.OpaqueRule == nil && (cfg.Opaque == nil || cfg.Opaque.cfg.RequireBinding)
	for _, v := range s.fixed {
		s.bindingRequired = s.bindingRequired && v.cfg.RequireBinding
	}
	if cfg.Resolve != nil {
		s.tenants = newTenants(cfg.Resolve)
	}
	s.opaque = func(token string) *Validator {
		if cfg.OpaqueRule != nil {
			if v := cfg.OpaqueRule(token); v != nil {
				return v
			}
		}
		return cfg.Opaque
	}
	return s, nil
}

// Validate judges a plain bearer token. An error is an [*Error].
func (s *Issuers) Validate(ctx context.Context, token string) (*Token, error) {
	return s.Authorize(ctx, Credentials{Token: token}, Requirement{})
}

// Authorize judges the credentials of a request and whether they meet the
// requirement r, as the issuer's Validator does. An error is an [*Error].
func (s *Issuers) Authorize(ctx context.Context, c Credentials, r Requirement) (*Token, error) {
	t, err := s.authorize(ctx, c, r)
	if err != nil {
		return nil, c.challenged(err, s != nil && s.bindingRequired)
	}
	return t, nil
}

// Close closes the keys and introspectors of the issuers that Resolve brought,
// each after its last judgement in progress, and refuses their tokens from then
// on. Those of Validators and Opaque are the caller's to close.
func (s *Issuers) Close() error {
	if s == nil || s.tenants == nil {
		return nil
	}
	return s.tenants.close()
}

func (s *Issuers) authorize(ctx context.Context, c Credentials, r Requirement) (*Token, error) {
	if s == nil || s.opaque == nil {
		return nil, NewError(ErrUnavailable, "not made by NewIssuers")
	}
	if err := c.missing(&r); err != nil {
		return nil, err
	}
	if len(c.Token) > maxToken {
		return nil, tooLong()
	}
	j, isJWT := parseJWS(c.Token)
	if !isJWT {
		if v := s.opaque(c.Token); v != nil {
			return v.Authorize(ctx, c, r)
		}
		return nil, NewError(ErrMalformed, "not a JWT")
	}
	issuer, err := unverifiedIssuer(j.payload)
	if err != nil {
		return nil, malformed("payload", err)
	}
	if v := s.fixed[issuer]; v != nil {
		return v.Authorize(ctx, c, r)
	}
	if s.tenants == nil {
		return nil, NewError(ErrIssuer, "")
	}
	tenant, err := s.tenants.acquire(ctx, issuer)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tenant.release() }() // nobody here could mend a failed Close
	return tenant.validator.Authorize(ctx, c, r)
}

// unverifiedIssuer returns the iss of a payload, which must be unambiguous.
func unverifiedIssuer(payload string) (issuer string, err error) {
	text, err := jose.DecodeText(payload)
	if err != nil {
		return "", err
	}
	ok := false
	err = strictjson.Object(text, func(name string, v strictjson.Value) error {
		if name == "iss" {
			issuer, ok = v.Text()
		}
		return nil
	})
	if err == nil && (!ok || issuer == "") {
		err = errors.New("lacks iss")
	}
	return issuer, err
}
