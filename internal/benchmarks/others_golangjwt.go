package main

import (
	"context"
	"errors"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

// accessClaims are what an API reads of a token, for libraries that decode into
// a type of the program's.
type accessClaims struct {
	jwt.RegisteredClaims

	ClientID string `json:"client_id"`
	Scope    string `json:"scope"`
}

// golangJWT sets golang-jwt up with every option that refuses something.
func golangJWT(alg string, keys jwt.Keyfunc) verify {
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{alg}),
		jwt.WithIssuer(issuerName),
		jwt.WithAudience(audience),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(leeway),
		jwt.WithStrictDecoding(),
	)
	return func(token string) error {
		_, err := parser.ParseWithClaims(token, &accessClaims{}, keys)
		return err
	}
}

func openGolangJWT(_ context.Context, iss *issuer, alg string) (verify, error) {
	public := iss.keys[alg].signer.Public()
	return golangJWT(alg, func(*jwt.Token) (any, error) { return public, nil }), nil
}

// openKeyfunc takes keys for signatures alone.
func openKeyfunc(ctx context.Context, iss *issuer, alg string) (verify, error) {
	remote, err := keyfunc.NewDefaultCtx(ctx, []string{iss.jwksURL})
	if err != nil {
		return nil, err
	}
	keys, err := keyfunc.New(keyfunc.Options{Ctx: ctx, Storage: remote.Storage(), UseWhitelist: []jwkset.USE{jwkset.UseSig}})
	if err != nil {
		return nil, err
	}
	if found, err := keys.Storage().KeyReadAll(ctx); err != nil || len(found) == 0 {
		return nil, errors.Join(errors.New("keyfunc: no keys"), err)
	}
	return golangJWT(alg, keys.Keyfunc), nil
}
