package authserver

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/countermark/countermark/internal/jose"
)

// A SigningKey signs tokens. It prints without the key.
type SigningKey struct {
	// ID is the kid by which the key is found in the key set, at most 255
	// printable ASCII characters. Empty means the key's SHA-256 thumbprint (RFC
	// 7638).
	ID string
	// Algorithm is the JWS algorithm that the key is used with: ES256, RS256,
	// PS256, EdDSA and their kin. Empty means the one that goes with the curve,
	// and RS256 for RSA.
	Algorithm string
	// Signer holds the private key, here or in a KMS or HSM. Its public key is a
	// *ecdsa.PublicKey, *rsa.PublicKey (2048 to 8192 bits) or ed25519.PublicKey.
	// It is safe for concurrent use. Required.
	Signer crypto.Signer `json:"-"`
}

// GenerateKey returns a new key for a JWS algorithm: ES256, RS256 (2048 bits),
// PS256, EdDSA and their kin.
func GenerateKey(algorithm string) (SigningKey, error) {
	var signer crypto.Signer
	var err error
	switch {
	case algorithm == "ES256":
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case algorithm == "ES384":
		signer, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case algorithm == "ES512":
		signer, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case jose.Same(algorithm, "EdDSA"):
		_, signer, err = ed25519.GenerateKey(rand.Reader)
	default:
		if _, known := jose.Lookup(algorithm); !known { // what is left is RSA's
			return SigningKey{}, fmt.Errorf("authserver: GenerateKey: %q is not supported (supported: %s)",
				algorithm, strings.Join(jose.Algorithms(), ", "))
		}
		signer, err = rsa.GenerateKey(rand.Reader, jose.MinRSABits)
	}
	if err != nil {
		return SigningKey{}, fmt.Errorf("authserver: GenerateKey: %w", err)
	}
	return SigningKey{Algorithm: algorithm, Signer: signer}, nil
}

// String names the key and its algorithm.
func (k SigningKey) String() string { return "authserver.SigningKey(" + k.Algorithm + " " + k.ID + ")" }

// Format writes String, whatever the verb: without it, %d would show the key.
func (k SigningKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// LogValue is String, for log/slog.
func (k SigningKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

const maxKeyID = 255

// signingKey is a SigningKey that was checked, its defaults filled in.
type signingKey struct {
	SigningKey
	method    *jose.Method
	public    crypto.PublicKey
	published publishedJWK
}

// newSigningKey checks k, which an error calls by name. It signs nothing, since
// the key may be far away.
func newSigningKey(name string, k SigningKey) (signingKey, error) {
	public, err := jose.PublicKey(k.Signer)
	switch {
	case err != nil:
		return signingKey{}, fmt.Errorf("authserver: %s.Signer: %w", name, err)
	case len(k.ID) > maxKeyID || !printable(k.ID):
		return signingKey{}, fmt.Errorf("authserver: %s.ID: must be at most %d printable ASCII characters", name, maxKeyID)
	}
	fitting := jose.AlgorithmsFor(public)
	if len(fitting) == 0 {
		return signingKey{}, fmt.Errorf("authserver: %s.Signer: a %T of this curve or size is not supported", name, public)
	}
	if k.Algorithm == "" {
		k.Algorithm = fitting[0]
	}
	method, known := jose.Lookup(k.Algorithm)
	if !known || !method.Fits(public) {
		return signingKey{}, fmt.Errorf("authserver: %s.Algorithm: %q does not go with the key (%s do)",
			name, k.Algorithm, strings.Join(fitting, ", "))
	}
	jwk, err := newJWK(public)
	if err != nil {
		return signingKey{}, fmt.Errorf("authserver: %s.Signer: %w", name, err)
	}
	if k.ID == "" {
		k.ID = jwk.thumbprint()
	}
	return signingKey{
		SigningKey: k,
		method:     method,
		public:     public,
		published:  publishedJWK{jwk: jwk, Kid: k.ID, Alg: k.Algorithm, Use: "sig"},
	}, nil
}
