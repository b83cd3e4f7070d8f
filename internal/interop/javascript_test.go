package interop_test

import (
	"bytes"
	"crypto/x509"
	"testing"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/issuertest"
	"github.com/countermark/countermark/internal/tokentest"
)

// Whatever oauth4webapi and openid-client can do over http without OpenID Connect,
// against the devissuer command, but for what its configuration file cannot say.
func TestJavaScript_Devissuer(t *testing.T) {
	t.Parallel()
	for _, library := range []string{"oauth4webapi", "openid-client"} {
		t.Run(library, func(t *testing.T) {
			t.Parallel()
			node := findNode(t, library)
			parties := newParties(t)
			parties.startDevissuer(t)
			runNode(t, node, library+".mjs", parties)
		})
	}
}

// The rest: an issuer that wants nonces in DPoP proofs, and one that trusts another.
func TestJavaScript_NoncesAndAssertions(t *testing.T) {
	t.Parallel()
	node := findNode(t, "oauth4webapi")
	_ = findNode(t, "openid-client")
	parties := newParties(t)
	partnerKey := tokentest.NewKey(t, "partner", "ES256")
	parties.keep(t, partnerKey)
	parties.startServer(t, &authserver.Config{
		DPoPNonceKey:   bytes.Repeat([]byte("i"), 32),
		TrustedIssuers: []authserver.TrustedIssuer{{Issuer: "https://partner.example", JWKS: keySet(t, partnerKey), Scope: "orders:read", Subject: partner}},
	})
	runNode(t, node, "nonces-assertions.mjs", parties)
}

// Access tokens signed with each algorithm pass oauth4webapi's validateJwtAccessToken
// (RFC 9068).
func TestOauth4webapi_ValidatesAccessTokens(t *testing.T) {
	t.Parallel()
	node := findNode(t, "oauth4webapi")
	type issuer struct {
		Alg    string `json:"alg"`
		Issuer string `json:"issuer"`
	}
	var issuers []issuer
	for _, alg := range []string{"ES256", "ES384", "ES512", "RS256", "EdDSA"} {
		der, err := x509.MarshalPKCS8PrivateKey(tokentest.NewKey(t, "", alg).Private)
		if err != nil {
			t.Fatal(err)
		}
		process := issuertest.Start(t, devissuerFile, nil, "-keys", pemFile(t, "PRIVATE KEY", der))
		issuers = append(issuers, issuer{alg, process.Field(t, "Issuer")})
	}
	runNode(t, node, "validate.mjs", issuers)
}
