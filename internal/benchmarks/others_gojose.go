package main

import (
	"context"
	"net/url"
	"time"

	auth0jwks "github.com/auth0/go-jwt-middleware/v2/jwks"
	auth0 "github.com/auth0/go-jwt-middleware/v2/validator"
	"github.com/coreos/go-oidc/v3/oidc"
	capjwt "github.com/hashicorp/cap/jwt"
)

// These verify with go-jose.

func openGoOIDC(ctx context.Context, iss *issuer, alg string) (verify, error) {
	verifier := oidc.NewVerifier(issuerName, oidc.NewRemoteKeySet(ctx, iss.jwksURL), &oidc.Config{
		ClientID: audience, SupportedSigningAlgs: []string{alg},
	})
	return func(token string) error {
		verified, err := verifier.Verify(ctx, token)
		if err != nil {
			return err
		}
		var extra scoped
		return verified.Claims(&extra)
	}, nil
}

// scoped is what an API reads of a token beside the registered claims.
type scoped struct {
	ClientID string `json:"client_id"`
	Scope    string `json:"scope"`
}

// Validate has nothing to add: what is compared are the checks of the libraries.
func (*scoped) Validate(context.Context) error { return nil }

func openAuth0(_ context.Context, iss *issuer, alg string) (verify, error) {
	name, err := url.Parse(issuerName)
	if err != nil {
		return nil, err
	}
	set, err := url.Parse(iss.jwksURL)
	if err != nil {
		return nil, err
	}
	keys := auth0jwks.NewCachingProvider(name, time.Hour, auth0jwks.WithCustomJWKSURI(set))
	v, err := auth0.New(keys.KeyFunc, auth0.SignatureAlgorithm(alg), issuerName, []string{audience},
		auth0.WithAllowedClockSkew(leeway),
		auth0.WithCustomClaims(func() auth0.CustomClaims { return new(scoped) }),
	)
	if err != nil {
		return nil, err
	}
	return func(token string) error {
		_, err := v.ValidateToken(context.Background(), token)
		return err
	}, nil
}

func openCap(ctx context.Context, iss *issuer, alg string) (verify, error) {
	keys, err := capjwt.NewJSONWebKeySet(ctx, iss.jwksURL, "")
	if err != nil {
		return nil, err
	}
	v, err := capjwt.NewValidator(keys)
	if err != nil {
		return nil, err
	}
	expected := capjwt.Expected{
		Issuer: issuerName, Audiences: []string{audience}, SigningAlgorithms: []capjwt.Alg{capjwt.Alg(alg)},
		NotBeforeLeeway: leeway, ExpirationLeeway: -1, ClockSkewLeeway: leeway,
	}
	return func(token string) error {
		_, err := v.Validate(ctx, token, expected)
		return err
	}, nil
}
