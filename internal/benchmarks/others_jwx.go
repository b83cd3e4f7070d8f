package main

import (
	"context"

	"github.com/lestrrat-go/httprc/v3"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"
)

// openJWX accepts the algorithms that the keys say they are for. It verifies and
// validates in two steps: jwt.Parse, which does both, takes no option that has crit
// looked at (jws.WithCritValidation).
func openJWX(ctx context.Context, iss *issuer, _ string) (verify, error) {
	cache, err := jwk.NewCache(ctx, httprc.NewClient())
	if err != nil {
		return nil, err
	}
	if err := cache.Register(ctx, iss.jwksURL); err != nil { // which waits for the keys
		return nil, err
	}
	keys, err := cache.CachedSet(iss.jwksURL)
	if err != nil {
		return nil, err
	}
	verifying := []jws.VerifyOption{jws.WithKeySet(keys), jws.WithCritValidation(true), jws.WithCompact()}
	validating := []jwt.ParseOption{
		jwt.WithVerify(false), jwt.WithValidate(true), jwt.WithPedantic(true), jwt.WithStrictStringClaims(true),
		jwt.WithIssuer(issuerName), jwt.WithAudience(audience), jwt.WithAcceptableSkew(leeway),
	}
	for _, name := range []string{"exp", "iat", "sub", "jti", "client_id"} { // RFC 9068 section 2.2
		validating = append(validating, jwt.WithRequiredClaim(name))
	}
	return func(token string) error {
		payload, err := jws.Verify([]byte(token), verifying...)
		if err != nil {
			return err
		}
		_, err = jwt.Parse(payload, validating...)
		return err
	}, nil
}
