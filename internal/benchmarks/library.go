package main

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/countermark/countermark/jwks"
	"github.com/countermark/countermark/validator"
)

// leeway is what all are given that take one, so that all decide alike.
const leeway = 30 * time.Second

// verify decides about a token: nil means that it is good. Its caller may read the
// scope then: a library that hands over bytes decodes them here.
type verify func(token string) error

// A library decides about tokens. Its keys come over HTTP and are at hand when it
// is measured.
type library struct {
	name, module string
	// open sets the library up for one algorithm, as strictly as its options allow.
	open func(ctx context.Context, iss *issuer, alg string) (verify, error)
	note string // on how it was set up
}

// libraries are those that are compared, ours first.
func libraries() []library {
	return []library{
		{
			name: "Countermark", module: "github.com/countermark/countermark",
			open: func(ctx context.Context, iss *issuer, _ string) (verify, error) {
				v, err := iss.validator(ctx, withoutMemory)
				return validating(ctx, v), err
			},
			note: "defaults; with \"memory off\" `Config.CacheSize` is negative",
		},
		{name: "golang-jwt, static key", module: "github.com/golang-jwt/jwt/v5", open: openGolangJWT, note: "one key in the program, no key set"},
		{name: "golang-jwt and keyfunc", module: "github.com/MicahParks/keyfunc/v3", open: openKeyfunc},
		{name: "go-oidc", module: "github.com/coreos/go-oidc/v3", open: openGoOIDC, note: "it is made for ID tokens"},
		{name: "auth0/go-jwt-middleware", module: "github.com/auth0/go-jwt-middleware/v2", open: openAuth0},
		{name: "jwx", module: "github.com/lestrrat-go/jwx/v3", open: openJWX},
		{name: "hashicorp/cap", module: "github.com/hashicorp/cap", open: openCap},
	}
}

// validator returns a Validator for the issuer's tokens, whose keys are at hand.
func (iss *issuer) validator(ctx context.Context, edits ...func(*validator.Config)) (*validator.Validator, error) {
	keys, err := jwks.New(jwks.Config{URL: iss.jwksURL, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = keys.Close() })
	if err := keys.Refresh(ctx); err != nil {
		return nil, err
	}
	cfg := validator.Config{Issuer: issuerName, Audiences: []string{audience}, Keys: keys, Leeway: leeway}
	for _, edit := range edits {
		edit(&cfg)
	}
	return validator.New(cfg)
}

// withoutMemory has a Validator verify every token anew.
func withoutMemory(c *validator.Config) { c.CacheSize = -1 }

func validating(ctx context.Context, v *validator.Validator) verify {
	return func(token string) error {
		_, err := v.Validate(ctx, token)
		return err
	}
}

// version returns the version of a module that is built into the program.
func version(module string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, dep := range info.Deps {
		if dep.Path == module && dep.Replace == nil {
			return dep.Version
		}
	}
	return "this checkout"
}
