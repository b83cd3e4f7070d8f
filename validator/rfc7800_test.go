package validator_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/validator"
)

// A token with a cnf that cannot be confirmed here is refused, whatever is shown:
// as bearer, with a proof, with a certificate. RFC 7800 section 3.1 lets a
// recipient ignore members that it does not know, but then it would take a bound
// token for one that is bound to less.
func TestRFC7800_3_1_WhatNobodyHereCanConfirm(t *testing.T) {
	t.Parallel()
	jkt, x5t := thumbprint(proofJWK(clientsKey().Public())), x5t(certificate("client"))
	for name, cnf := range map[string]string{
		"null":                         `null`,
		"text":                         `"` + jkt + `"`,
		"a number":                     `0`,
		"false":                        `false`,
		"an array":                     `[]`,
		"an array of one":              `[{"jkt":"` + jkt + `"}]`,
		"empty":                        `{}`,
		"a key":                        `{"jwk":` + marshal(proofJWK(clientsKey().Public())) + `}`,
		"an encrypted key":             `{"jwe":"x"}`,
		"a key's name":                 `{"kid":"1"}`,
		"a key's URL":                  `{"jku":"https://client.example/jwks"}`,
		"a member of nobody's":         `{"canary":"` + jkt + `"}`,
		"jkt in another case":          `{"JKT":"` + jkt + `"}`,
		"x5t#S256 in another case":     `{"x5t#s256":"` + x5t + `"}`,
		"x5t, by SHA-1":                `{"x5t":"` + x5t + `"}`,
		"jkt and an unknown member":    `{"jkt":"` + jkt + `","kid":"1"}`,
		"an unknown member and jkt":    `{"kid":"1","jkt":"` + jkt + `"}`,
		"both":                         `{"jkt":"` + jkt + `","x5t#S256":"` + x5t + `"}`,
		"both, the other way round":    `{"x5t#S256":"` + x5t + `","jkt":"` + jkt + `"}`,
		"jkt empty":                    `{"jkt":""}`,
		"jkt null":                     `{"jkt":null}`,
		"jkt no text":                  `{"jkt":["` + jkt + `"]}`,
		"jkt too short":                `{"jkt":"` + jkt[:42] + `"}`,
		"jkt a byte short":             `{"jkt":"` + hashOf("")[:40] + `AA"}`,
		"jkt a byte long":              `{"jkt":"` + jkt + `A"}`,
		"jkt of SHA-512":               `{"jkt":"` + strings.Repeat("A", 86) + `"}`,
		"jkt padded":                   `{"jkt":"` + jkt + `="}`,
		"jkt with stray bits":          `{"jkt":"` + strayBits(jkt) + `"}`,
		"jkt in base64":                `{"jkt":"` + strings.Repeat("+/", 21) + `8"}`,
		"jkt with a line break":        `{"jkt":"` + jkt[:20] + `\n` + jkt[20:] + `"}`,
		"x5t#S256 empty":               `{"x5t#S256":""}`,
		"x5t#S256 no text":             `{"x5t#S256":{}}`,
		"x5t#S256 padded":              `{"x5t#S256":"` + x5t + `="}`,
		"x5t#S256 with stray bits":     `{"x5t#S256":"` + strayBits(x5t) + `"}`,
		"x5t#S256 in hexadecimal":      `{"x5t#S256":"` + strings.Repeat("0f", 32) + `"}`,
		"within another member":        `{"cnf":{"jkt":"` + jkt + `"}}`,
		"x5t#S256 and an empty member": `{"x5t#S256":"` + x5t + `","":""}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient()
			payload := with(goodPayload(), `"cnf":`+cnf)
			c.token = sign(key("ES256"), goodHeader(), payload)
			for _, shown := range []validator.Credentials{
				{Token: c.token},
				{Token: c.token, Certificate: certificate("client")},
				c.shows(c.proof(nil, nil)),
			} {
				tok, err := newValidator(t, nil).Authorize(t.Context(), shown, validator.Requirement{})
				wantRefused(t, tok, err, validator.ErrBinding)
			}
			v := newValidator(t, func(cfg *validator.Config) { cfg.Introspector = answers(with(goodAnswer(nil), `"cnf":`+cnf)) })
			tok, err := v.Validate(t.Context(), opaque)
			wantRefused(t, tok, err, validator.ErrBinding)
		})
	}
}

// A cnf that two readers could read in two ways makes the whole token malformed.
func TestRFC7800_3_1_TwoMembersOfOneName(t *testing.T) {
	t.Parallel()
	for name, claims := range map[string]string{
		"two cnf":                  `"cnf":{},"cnf":{}`,
		"two cnf of another case":  `"cnf":{},"CNF":{}`,
		"two jkt":                  `"cnf":{"jkt":"a","jkt":"b"}`,
		"two jkt, one is escaped":  `"cnf":{"jkt":"a","\u006akt":"b"}`,
		"two jkt, by the Kelvin K": "\"cnf\":{\"jkt\":\"a\",\"j\u212at\":\"b\"}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tok, err := newValidator(t, nil).Validate(t.Context(), sign(key("ES256"), goodHeader(), with(goodPayload(), claims)))
			wantRefused(t, tok, err, validator.ErrMalformed)
		})
	}
}

// Bound says so of tokens with a cnf, and of no others.
func TestRFC7800_3_1_Bound(t *testing.T) {
	t.Parallel()
	if accept(t, newValidator(t, nil), minted(nil, nil)).Bound() {
		t.Error("a bearer token says that it is bound")
	}
	if new(validator.Token).Bound() || (*validator.Token)(nil).Bound() {
		t.Error("no token says that it is bound")
	}
}

// A thumbprint that lacks its last byte is not filled up with a zero.
func TestRFC7800_3_1_AThumbprintCutShort(t *testing.T) {
	t.Parallel()
	for {
		private := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		hash := must(jose.Decode(nil, thumbprint(proofJWK(private.Public()))))
		if hash[31] != 0 {
			continue
		}
		c := newClientWith("ES256", private, nil)
		c.token = minted(nil, edits{"cnf": edits{"jkt": jose.Encode(hash[:31])}})
		tok, err := newValidator(t, nil).Authorize(t.Context(), c.shows(c.proof(nil, nil)), validator.Requirement{})
		wantRefused(t, tok, err, validator.ErrBinding)
		return
	}
}
