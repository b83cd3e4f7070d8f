package validator_test

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/validator"
)

var certificates sync.Map

// certificate is the self-signed certificate of that name, made when first
// needed; all of them have one key.
func certificate(name string) *x509.Certificate {
	if known, ok := certificates.Load(name); ok {
		return known.(*x509.Certificate)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der := must(x509.CreateCertificate(rand.Reader, template, template, clientsKey().Public(), clientsKey()))
	known, _ := certificates.LoadOrStore(name, must(x509.ParseCertificate(der)))
	return known.(*x509.Certificate)
}

// x5t is the thumbprint of a certificate (RFC 8705 section 3.1).
func x5t(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return jose.Encode(sum[:])
}

func certificateBound(c *x509.Certificate) string {
	return minted(nil, edits{"cnf": edits{"x5t#S256": x5t(c)}})
}

// The certificate of appendix A, and the thumbprint that the RFC gives for it.
func TestRFC8705_A_TheExamplePasses(t *testing.T) {
	t.Parallel()
	const pemText = `
-----BEGIN CERTIFICATE-----
MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAx
ODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqG
SM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ
/Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwID
SQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOV
bUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY=
-----END CERTIFICATE-----`
	block, _ := pem.Decode([]byte(pemText))
	shown := validator.Credentials{
		Token:       minted(nil, edits{"cnf": edits{"x5t#S256": "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}}),
		Certificate: must(x509.ParseCertificate(block.Bytes)),
	}
	if _, err := newValidator(t, nil).Authorize(t.Context(), shown, validator.Requirement{}); err != nil {
		t.Error(err)
	}
}

func TestRFC8705_3_TheCertificateOfTheToken(t *testing.T) {
	t.Parallel()
	own := certificate("client")
	for name, row := range map[string]struct {
		scheme string
		shown  *x509.Certificate
		ok     bool
	}{
		"its own":                   {"Bearer", own, true},
		"its own, no scheme":        {"", own, true},
		"its own, in lower case":    {"bearer", own, true},
		"none":                      {"Bearer", nil, false},
		"another":                   {"Bearer", certificate("thief"), false},
		"an empty one":              {"Bearer", new(x509.Certificate), false},
		"its own, but by DPoP":      {"DPoP", own, false},
		"none, and by DPoP":         {"DPoP", nil, false},
		"another of the same key":   {"Bearer", certificate("client's other"), false},
		"its own, parsed once more": {"Bearer", must(x509.ParseCertificate(own.Raw)), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shown := validator.Credentials{Scheme: row.scheme, Token: certificateBound(own), Certificate: row.shown}
			tok, err := newValidator(t, nil).Authorize(t.Context(), shown, validator.Requirement{})
			switch {
			case !row.ok:
				wantRefused(t, tok, err, validator.ErrBinding)
			case err != nil:
				t.Error(err)
			case !tok.Bound():
				t.Error("the token is not bound")
			}
		})
	}
}

// A certificate makes no DPoP-bound token pass, nor does a proof a
// certificate-bound one.
func TestRFC8705_3_NoKeyInThePlaceOfAnother(t *testing.T) {
	t.Parallel()
	v := newValidator(t, nil)
	c := newClient()
	shown := c.shows("")
	shown.Scheme, shown.Certificate = "Bearer", certificate("client")
	tok, err := v.Authorize(t.Context(), shown, validator.Requirement{})
	wantRefused(t, tok, err, validator.ErrBinding)

	c.token = certificateBound(certificate("client"))
	for _, certificate := range []*x509.Certificate{nil, certificate("client")} {
		shown = c.shows(c.proof(nil, nil))
		shown.Certificate = certificate
		tok, err = v.Authorize(t.Context(), shown, validator.Requirement{})
		wantRefused(t, tok, err, validator.ErrBinding)
	}
}

// A client with a certificate may have a token that is not bound to it.
func TestRFC8705_3_ACertificateForNothing(t *testing.T) {
	t.Parallel()
	shown := validator.Credentials{Token: minted(nil, nil), Certificate: certificate("client")}
	tok, err := newValidator(t, nil).Authorize(t.Context(), shown, validator.Requirement{})
	if err != nil {
		t.Fatal(err)
	}
	if tok.Bound() {
		t.Error("the token says that it is bound")
	}
}

// Section 3.2: opaque tokens are bound by what the issuer says of them.
func TestRFC8705_3_2_OpaqueTokens(t *testing.T) {
	t.Parallel()
	v := newValidator(t, func(c *validator.Config) {
		c.Introspector = answers(goodAnswer(edits{"cnf": edits{"x5t#S256": x5t(certificate("client"))}}))
	})
	shown := validator.Credentials{Token: opaque, Certificate: certificate("client")}
	if _, err := v.Authorize(t.Context(), shown, validator.Requirement{}); err != nil {
		t.Error(err)
	}
	for _, other := range []*x509.Certificate{nil, certificate("thief")} {
		shown.Certificate = other
		tok, err := v.Authorize(t.Context(), shown, validator.Requirement{})
		wantRefused(t, tok, err, validator.ErrBinding)
	}
}
