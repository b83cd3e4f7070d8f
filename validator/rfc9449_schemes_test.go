package validator_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/countermark/countermark/validator"
)

// wantSchemes demands the schemes of the challenge that goes with a refusal.
func wantSchemes(t *testing.T, e *validator.Error, schemes ...string) {
	t.Helper()
	if !slices.Equal(e.Schemes, schemes) {
		t.Errorf("challenged with %q, want %q", e.Schemes, schemes)
	}
}

func TestRFC9449_7_1_TheSchemeInAnyCase(t *testing.T) {
	t.Parallel()
	c := newClient()
	for _, scheme := range []string{"DPoP", "dpop", "DPOP", "dPoP"} {
		shown := c.shows(c.proof(nil, nil))
		shown.Scheme = scheme
		tok, err := newValidator(t, nil).Authorize(t.Context(), shown, validator.Requirement{})
		if err != nil {
			t.Errorf("%s: %v", scheme, err)
		} else if !tok.Bound() {
			t.Errorf("%s: the token is not bound", scheme)
		}
	}
}

// Section 7.2: a bound token is never a bearer token, whatever else is shown.
func TestRFC9449_7_2_ABoundTokenAsBearer(t *testing.T) {
	t.Parallel()
	c := newClient()
	v := newValidator(t, nil)
	for _, scheme := range []string{"Bearer", "bearer", "BEARER", ""} {
		for name, proof := range map[string]string{"alone": "", "with a good proof": c.proof(nil, nil)} {
			t.Run(scheme+" "+name, func(t *testing.T) {
				t.Parallel()
				shown := c.shows(proof)
				shown.Scheme = scheme
				tok, err := v.Authorize(t.Context(), shown, validator.Requirement{})
				wantSchemes(t, wantRefused(t, tok, err, validator.ErrBinding), "DPoP")
			})
		}
	}
	tok, err := v.Validate(t.Context(), c.token)
	wantSchemes(t, wantRefused(t, tok, err, validator.ErrBinding), "DPoP")
}

// Section 7.1: a token that is not bound is no DPoP token, and a proof by whoever
// has it proves nothing.
func TestRFC9449_7_1_AnUnboundTokenAsDPoP(t *testing.T) {
	t.Parallel()
	c := newClient()
	c.token = minted(nil, nil)
	v := newValidator(t, nil)
	accept(t, v, c.token)
	for name, proof := range map[string]string{"alone": "", "with a good proof": c.proof(nil, nil)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tok, err := judgeProof(t, v, c, proof)
			wantSchemes(t, wantRefused(t, tok, err, validator.ErrBinding), "DPoP")
		})
	}
}

// A scheme that carries no access token is none, whatever comes with it.
func TestRFC9449_7_1_OtherSchemes(t *testing.T) {
	t.Parallel()
	c := newClient()
	for _, scheme := range []string{"Basic", "DPoP ", " DPoP", "DPoPs", "Bearer DPoP", "MAC"} {
		shown := c.shows(c.proof(nil, nil))
		shown.Scheme = scheme
		tok, err := newValidator(t, nil).Authorize(t.Context(), shown, validator.Requirement{})
		wantSchemes(t, wantRefused(t, tok, err, validator.ErrNoToken))
	}
}

// A client that speaks DPoP is answered in DPoP, whatever was wrong.
func TestRFC9449_7_1_TheChallengeIsOfTheClientsScheme(t *testing.T) {
	t.Parallel()
	c := newClient()
	good := c.shows(c.proof(nil, nil))
	for name, row := range map[string]struct {
		show    func(*validator.Credentials)
		require validator.Requirement
		want    error
	}{
		"no token":      {show: func(c *validator.Credentials) { c.Token = "" }, want: validator.ErrNoToken},
		"a bad token":   {show: func(c *validator.Credentials) { c.Token = "x" }, want: validator.ErrMalformed},
		"a bad proof":   {show: func(c *validator.Credentials) { c.Proof = "x" }, want: validator.ErrProof},
		"lack of scope": {require: validator.Requirement{Scopes: []string{"canary:admin"}}, want: validator.ErrScope},
		"step-up":       {require: validator.Requirement{ACR: []string{"gold"}}, want: validator.ErrStepUp},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shown := good
			if row.show != nil {
				row.show(&shown)
			}
			v := newValidator(t, nil)
			tok, err := v.Authorize(t.Context(), shown, row.require)
			wantSchemes(t, wantRefused(t, tok, err, row.want), "DPoP")

			many := must(validator.NewIssuers(validator.IssuersConfig{Validators: []*validator.Validator{newValidator(t, nil)}}))
			tok, err = many.Authorize(t.Context(), shown, row.require)
			wantSchemes(t, wantRefused(t, tok, err, row.want), "DPoP")
		})
	}
}

// The refusal that a Check returns may be one for all requests: it stays as it is.
func TestRFC9449_7_1_TheChecksOwnErrorIsNotChanged(t *testing.T) {
	t.Parallel()
	own := validator.NewError(validator.ErrStepUp, "")
	v := newValidator(t, func(c *validator.Config) { c.Check = failing{own}.check })
	c := newClient()
	tok, err := judgeProof(t, v, c, c.proof(nil, nil))
	wantSchemes(t, wantRefused(t, tok, err, validator.ErrStepUp), "DPoP")
	wantSchemes(t, own)
}

// With RequireBinding, a bearer token is not enough, and clients are told what is.
func TestRequireBinding(t *testing.T) {
	t.Parallel()
	v := newValidator(t, func(c *validator.Config) { c.RequireBinding = true })
	c := newClient()

	tok, err := v.Validate(t.Context(), minted(nil, nil))
	wantSchemes(t, wantRefused(t, tok, err, validator.ErrBinding), "Bearer", "DPoP")
	tok, err = v.Authorize(t.Context(), validator.Credentials{}, validator.Requirement{})
	wantSchemes(t, wantRefused(t, tok, err, validator.ErrNoToken), "Bearer", "DPoP")
	tok, err = v.Authorize(t.Context(), validator.Credentials{Token: minted(nil, nil), Certificate: certificate("client")}, validator.Requirement{})
	wantSchemes(t, wantRefused(t, tok, err, validator.ErrBinding), "Bearer", "DPoP")

	tok, err = v.Validate(t.Context(), c.token) // which bearer can never help
	wantSchemes(t, wantRefused(t, tok, err, validator.ErrBinding), "DPoP")

	if _, err := judgeProof(t, v, c, c.proof(nil, nil)); err != nil {
		t.Errorf("a DPoP-bound token: %v", err)
	}
	bound := validator.Credentials{Token: certificateBound(certificate("client")), Certificate: certificate("client")}
	if _, err := v.Authorize(t.Context(), bound, validator.Requirement{}); err != nil {
		t.Errorf("a certificate-bound token: %v", err)
	}
}

// Section 6.2: opaque tokens are bound by what the issuer says of them.
func TestRFC9449_6_2_OpaqueTokens(t *testing.T) {
	t.Parallel()
	c := newClient()
	c.token = opaque
	asked := func(answer edits) *validator.Validator {
		return newValidator(t, func(cfg *validator.Config) { cfg.Introspector = answers(goodAnswer(answer)) })
	}
	bound := edits{"cnf": edits{"jkt": thumbprint(c.jwk)}, "token_type": "DPoP"}

	if _, err := judgeProof(t, asked(bound), c, c.proof(nil, nil)); err != nil {
		t.Error(err)
	}
	tok, err := judgeProof(t, asked(nil), c, c.proof(nil, nil))
	wantRefused(t, tok, err, validator.ErrBinding)
	tok, err = asked(bound).Validate(t.Context(), c.token)
	wantRefused(t, tok, err, validator.ErrBinding)
	tok, err = judgeProof(t, asked(bound), c, c.proof(nil, edits{"ath": hashOf("another")}))
	wantRefused(t, tok, err, validator.ErrProof)
	tok, err = judgeProof(t, asked(edits{"cnf": edits{"jkt": thumbprint(proofJWK(thiefsKey().Public()))}}), c, c.proof(nil, nil))
	wantRefused(t, tok, err, validator.ErrBinding)
}

// A JWT that the issuer is asked about again stays bound, and is never bound to
// another key by the answer.
func TestRFC9449_6_2_AFreshAnswerAboutABoundJWT(t *testing.T) {
	t.Parallel()
	c := newClient()
	for name, row := range map[string]struct {
		cnf  any
		want error
	}{
		"silent":          {nil, nil},
		"the same key":    {edits{"jkt": thumbprint(c.jwk)}, nil},
		"another key":     {edits{"jkt": thumbprint(proofJWK(thiefsKey().Public()))}, validator.ErrBinding},
		"a certificate":   {edits{"x5t#S256": thumbprint(c.jwk)}, validator.ErrBinding},
		"what nobody has": {edits{"kid": "1"}, validator.ErrBinding},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newValidator(t, func(cfg *validator.Config) { cfg.Introspector = answers(goodAnswer(edits{"cnf": row.cnf})) })
			tok, err := v.Authorize(t.Context(), c.shows(c.proof(nil, nil)), validator.Requirement{Fresh: true})
			switch {
			case row.want != nil:
				wantRefused(t, tok, err, row.want)
			case err != nil || !tok.Bound():
				t.Errorf("%v; the token is bound: %v", err, tok.Bound())
			}
		})
	}
	v := newValidator(t, func(cfg *validator.Config) {
		cfg.Introspector = answers(goodAnswer(edits{"cnf": edits{"jkt": thumbprint(c.jwk)}}))
	})
	tok, err := v.Authorize(t.Context(), validator.Credentials{Token: minted(nil, nil)}, validator.Requirement{Fresh: true})
	wantRefused(t, tok, err, validator.ErrBinding)
}

// Issuers passes proofs on, to the one validator that the token is for.
func TestIssuers_DPoP(t *testing.T) {
	t.Parallel()
	c := newClient()
	tenant := newValidator(t, nil)
	for name, cfg := range map[string]validator.IssuersConfig{
		"fixed": {Validators: []*validator.Validator{newValidator(t, nil)}},
		"resolved": {Resolve: func(context.Context, string, *validator.Validator) (*validator.Validator, error) {
			return tenant, nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			many := must(validator.NewIssuers(cfg))
			defer many.Close()
			shown := c.shows(c.proof(nil, nil))
			if _, err := many.Authorize(t.Context(), shown, validator.Requirement{}); err != nil {
				t.Fatal(err)
			}
			tok, err := many.Authorize(t.Context(), shown, validator.Requirement{})
			wantRefused(t, tok, err, validator.ErrProof)
			tok, err = many.Validate(t.Context(), c.token)
			wantRefused(t, tok, err, validator.ErrBinding)
		})
	}
}

// Of several issuers that all refuse plain bearer tokens, nobody's challenge says
// so too.
func TestIssuers_RequireBinding(t *testing.T) {
	t.Parallel()
	strict := newValidator(t, func(c *validator.Config) { c.RequireBinding = true })
	lax := newValidator(t, func(c *validator.Config) { c.Issuer = "https://lax.example" })
	resolve := func(context.Context, string, *validator.Validator) (*validator.Validator, error) { return nil, nil }
	for name, row := range map[string]struct {
		cfg  validator.IssuersConfig
		want []string
	}{
		"all":           {validator.IssuersConfig{Validators: []*validator.Validator{strict}}, []string{"Bearer", "DPoP"}},
		"not all":       {validator.IssuersConfig{Validators: []*validator.Validator{strict, lax}}, nil},
		"nobody knows":  {validator.IssuersConfig{Validators: []*validator.Validator{strict}, Resolve: resolve}, nil},
		"nor of opaque": {validator.IssuersConfig{Validators: []*validator.Validator{strict}, OpaqueRule: func(string) *validator.Validator { return nil }}, nil},
	} {
		s := must(validator.NewIssuers(row.cfg))
		for _, c := range []validator.Credentials{{}, {Token: minted(nil, edits{"iss": "https://canary.example"})}} {
			_, err := s.Authorize(t.Context(), c, validator.Requirement{})
			e, ok := errors.AsType[*validator.Error](err)
			if !ok || !slices.Equal(e.Schemes, row.want) {
				t.Errorf("%s: %v with schemes %q", name, err, e.Schemes)
			}
		}
	}
}
