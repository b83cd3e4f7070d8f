package validator_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/fips140"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"strings"
	"sync"
	"testing"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/validator"
)

// A proof may be signed with any asymmetric algorithm, and its token is bound to
// the key by its RFC 7638 thumbprint.
func TestRFC9449_4_3_EveryAlgorithm(t *testing.T) {
	t.Parallel()
	for _, alg := range jose.Algorithms() {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			c := newClientWith(alg, key(alg).Private, nil)
			if _, err := newValidator(t, nil).Authorize(t.Context(), c.shows(c.proof(nil, nil)), validator.Requirement{}); err != nil {
				t.Error(err)
			}
		})
	}
}

// What is said of a key beside the key itself is no part of its thumbprint.
func TestRFC9449_4_2_OtherMembersOfTheKey(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		alg string
		jwk edits
	}{
		"kid":                       {"ES256", edits{"kid": "1"}},
		"use sig":                   {"ES256", edits{"use": "sig"}},
		"as a browser exports it":   {"ES256", edits{"key_ops": []string{"verify"}, "ext": true}},
		"key_ops for signing too":   {"ES256", edits{"key_ops": []string{"sign", "verify"}}},
		"its own algorithm":         {"ES256", edits{"alg": "ES256"}},
		"its algorithm's full name": {"EdDSA", edits{"alg": "Ed25519"}},
		"unknown members":           {"RS256", edits{"x5t": "abc", "canary": edits{"d": 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClientWith(row.alg, key(row.alg).Private, nil)
			shown := c.shows(c.proof(edits{"jwk": but(c.jwk, row.jwk)}, nil))
			if _, err := newValidator(t, nil).Authorize(t.Context(), shown, validator.Requirement{}); err != nil {
				t.Error(err)
			}
		})
	}
}

// Check 7 of section 4.3, and what makes a key one: RFC 7518 section 6, RFC 8037
// section 2. The token is bound to the bad key, and but for that the signature is
// good, as far as one can be made.
func TestRFC9449_4_3_7_BadKeys(t *testing.T) {
	t.Parallel()
	rows := []proofRefusal{
		proofHeader("jwk absent", edits{"jwk": nil}, "jwk"),
		proofHeader("jwk null", edits{"jwk": null}, "jwk"),
		proofHeader("jwk no object", edits{"jwk": "canary"}, "jwk"),
		proofHeader("jwk an array", edits{"jwk": []any{proofJWK(clientsKey().Public())}}, "jwk"),
		proofHeader("jwk empty", edits{"jwk": edits{}}, "jwk"),
		proofHeader("kid alone", edits{"jwk": nil, "kid": kid}, "jwk"),
		proofHeader("jku alone", edits{"jwk": nil, "jku": "https://client.example/jwks"}, "jwk"),
		{name: "symmetric, with HMAC", proof: func(c *client) string {
			return c.proof(edits{"alg": "HS256", "jwk": edits{"kty": "oct", "k": "c2VjcmV0"}}, nil)
		}, why: "alg"},
		proofHeader("symmetric", edits{"jwk": edits{"kty": "oct"}}, "jwk"),

		badKey("use enc", "ES256", ecKey(), edits{"use": "enc"}),
		badKey("use no text", "ES256", ecKey(), edits{"use": []string{"sig"}}),
		badKey("key_ops for signing alone", "ES256", ecKey(), edits{"key_ops": []string{"sign"}}),
		badKey("key_ops no array", "ES256", ecKey(), edits{"key_ops": "verify"}),
		badKey("for another algorithm", "RS256", rsaKey(), edits{"alg": "PS256"}),
		badKey("alg no text", "ES256", ecKey(), edits{"alg": 7}),

		badKey("kty absent", "ES256", ecKey(), edits{"kty": nil}),
		badKey("kty in lower case", "ES256", ecKey(), edits{"kty": "ec"}),
		badKey("kty of another kind", "ES256", ecKey(), edits{"kty": "RSA"}),
		badKey("kty no text", "ES256", ecKey(), edits{"kty": 7}),
		badKey("crv absent", "ES256", ecKey(), edits{"crv": nil}),
		badKey("crv another", "ES256", ecKey(), edits{"crv": "P-384"}),
		badKey("crv of a coin", "ES256", ecKey(), edits{"crv": "secp256k1"}),
		badKey("x absent", "ES256", ecKey(), edits{"x": nil}),
		badKey("x empty", "ES256", ecKey(), edits{"x": ""}),
		badKey("x no text", "ES256", ecKey(), edits{"x": 7}),
		badKey("y absent", "ES256", ecKey(), edits{"y": nil}),
		badKey("a point off the curve", "ES256", ecKey(), edits{"x": proofJWK(clientsKey().Public())["x"]}),
		badKey("x and y swapped", "ES256", ecKey(), edits{"x": proofJWK(ecKey().Public())["y"], "y": proofJWK(ecKey().Public())["x"]}),
		badKey("the point at infinity", "ES256", ecKey(), edits{"x": jose.Encode(make([]byte, 32)), "y": jose.Encode(make([]byte, 32))}),
		badKey("x padded", "ES256", ecKey(), edits{"x": proofJWK(ecKey().Public())["x"].(string) + "="}),
		badKey("x with stray bits", "ES256", ecKey(), edits{"x": strayBits(proofJWK(ecKey().Public())["x"].(string))}),
		badKey("y with stray bits", "ES256", ecKey(), edits{"y": strayBits(proofJWK(ecKey().Public())["y"].(string))}),
		badKey("y with a line break", "ES256", ecKey(), edits{"y": proofJWK(ecKey().Public())["y"].(string) + "\n"}),
		badKey("x of 31 bytes", "ES256", shortPoint(), edits{"x": recoded(shortPoint().Public(), "x", 1, 0)}),
		badKey("x of 33 bytes", "ES256", ecKey(), edits{"x": recoded(ecKey().Public(), "x", 0, 1)}),
		badKey("y of 33 bytes", "ES256", ecKey(), edits{"y": recoded(ecKey().Public(), "y", 0, 1)}),
		badKey("y with the last byte of x", "ES256", ecKey(), edits{"x": jose.Encode(xy(ecKey())[:31]), "y": jose.Encode(xy(ecKey())[31:])}),

		badKey("OKP for agreement", "EdDSA", edKey(), edits{"crv": "X25519"}),
		badKey("OKP too long", "EdDSA", edKey(), edits{"x": recoded(edKey().Public(), "x", 0, 1)}),
		badKey("OKP too short", "EdDSA", edKey(), edits{"x": recoded(edKey().Public(), "x", 1, 0)}),
		badKey("OKP with stray bits", "EdDSA", edKey(), edits{"x": strayBits(proofJWK(edKey().Public())["x"].(string))}),

		badKey("n absent", "RS256", rsaKey(), edits{"n": nil}),
		badKey("n with a leading zero", "RS256", rsaKey(), edits{"n": recoded(rsaKey().Public(), "n", 0, 1)}),
		badKey("e absent", "RS256", rsaKey(), edits{"e": nil}),
		badKey("e with a leading zero", "RS256", rsaKey(), edits{"e": "AAEAAQ"}),
		badKey("e even", "RS256", rsaKey(), edits{"e": "AQAC"}),
		badKey("e one", "RS256", rsaKey(), edits{"e": "AQ"}),
		badKey("e zero", "RS256", rsaKey(), edits{"e": ""}),
		badKey("e beyond 31 bits", "RS256", rsaKey(), edits{"e": "gAAAAQ"}),
		badKey("e beyond 64 bits", "RS256", rsaKey(), edits{"e": jose.Encode([]byte{1, 0, 0, 0, 0, 0, 0, 0, 1})}),
	}
	for member, value := range map[string]any{
		"d": "AQAB", "p": "AQAB", "q": "AQAB", "dp": "AQAB", "dq": "AQAB", "qi": "AQAB", "oth": []any{}, "k": "AQAB",
	} {
		rows = append(rows, badKey("private member "+member, "RS256", rsaKey(), edits{member: value}))
	}
	rows = append(rows, badKey("private member of a curve", "ES256", ecKey(), edits{"d": jose.Encode(make([]byte, 32))}),
		badKey("private member, null", "ES256", ecKey(), edits{"d": null}))
	runProofRefusals(t, append(rows, shortRSA(t)))
}

// badKey is the refusal of a client whose JWK is edited, and whose token is bound
// to what came of it.
func badKey(name, alg string, private crypto.Signer, jwk edits) proofRefusal {
	return proofRefusal{name: name, client: func() *client { return newClientWith(alg, private, jwk) }, why: "jwk"}
}

// shortRSA is the refusal of a key of 1024 bits, with which our own methods do not
// sign either.
func shortRSA(t *testing.T) proofRefusal {
	t.Helper()
	private := tokentest.WeakRSA(t)
	r := badKey("RSA of 1024 bits", "RS256", private, nil)
	r.proof = func(c *client) string {
		input := join(jose.Encode([]byte(c.header(nil))), jose.Encode([]byte(c.payload(nil))))
		digest := sha256.Sum256([]byte(input))
		var signature []byte
		fips140.WithoutEnforcement(func() { signature = must(rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, digest[:])) })
		return join(input, jose.Encode(signature))
	}
	return r
}

// shortPoint is a key whose x begins with a zero, so that it fits 31 bytes.
var shortPoint = sync.OnceValue(func() crypto.Signer {
	for {
		private := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		if must(private.PublicKey.Bytes())[1] == 0 {
			return private
		}
	}
})

// xy is x and y of a key, one behind the other.
func xy(private crypto.Signer) []byte { return must(private.Public().(*ecdsa.PublicKey).Bytes())[1:] }

// recoded is a number of a JWK without its first cut bytes, behind some zeros.
func recoded(public crypto.PublicKey, member string, cut, zeros int) string {
	number := must(jose.Decode(nil, proofJWK(public)[member].(string)))
	return jose.Encode(append(make([]byte, zeros), number[cut:]...))
}

// strayBits is base64url of the same bytes for a lenient reader, whose last
// character has bits that stand for nothing.
func strayBits(text string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, text[len(text)-1])
	return text[:len(text)-1] + alphabet[last|1:][:1]
}
