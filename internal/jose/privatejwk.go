package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"math/big"
	"slices"

	"github.com/countermark/countermark/internal/strictjson"
)

// A PrivateKey is a key pair as a JWK has it.
type PrivateKey struct {
	Kid, Alg string // empty if the JWK does not say
	Signer   crypto.Signer
}

var errPrivateJWK = errors.New("not a key pair of a known type, curve and size")

// ParsePrivateJWK reads a private key for signing (RFC 7517, RFC 7518 section 6,
// RFC 8037 section 2), whose public members must be there and go with it. Of an
// RSA key both primes must be there. An error holds nothing of the key.
func ParsePrivateJWK(data []byte) (PrivateKey, error) {
	var k struct {
		Kty    string          `json:"kty"`
		Crv    string          `json:"crv"`
		X      string          `json:"x"`
		Y      string          `json:"y"`
		N      string          `json:"n"`
		E      string          `json:"e"`
		D      string          `json:"d"`
		P      string          `json:"p"`
		Q      string          `json:"q"`
		Oth    json.RawMessage `json:"oth"`
		Kid    string          `json:"kid"`
		Alg    string          `json:"alg"`
		Use    *string         `json:"use"`
		KeyOps []string        `json:"key_ops"`
	}
	if err := strictjson.Unmarshal(data, &k); err != nil {
		return PrivateKey{}, err
	}
	var signer crypto.Signer
	var err error
	switch {
	case k.Kty == "oct":
		return PrivateKey{}, errors.New("a symmetric key; an issuer signs with a private one")
	case k.D == "":
		return PrivateKey{}, errors.New("lacks d: a public key cannot sign")
	case k.Use != nil && *k.Use != "sig" || k.KeyOps != nil && !slices.Contains(k.KeyOps, "sign"): // RFC 7517 sections 4.2, 4.3
		return PrivateKey{}, errors.New("use or key_ops: not for signing")
	case k.Kty == "EC":
		signer, err = privateEC(k.Crv, k.X, k.Y, k.D)
	case k.Kty == "OKP":
		signer, err = privateOKP(k.Crv, k.X, k.D)
	case k.Kty == "RSA" && k.Oth == nil: // RFC 7518 section 6.3.2.7: more than two primes
		signer, err = privateRSA(k.N, k.E, k.D, k.P, k.Q)
	default:
		err = errPrivateJWK
	}
	if err != nil {
		return PrivateKey{}, errPrivateJWK
	}
	return PrivateKey{Kid: k.Kid, Alg: k.Alg, Signer: signer}, nil
}

func privateEC(crv, x, y, d string) (crypto.Signer, error) {
	public, err := ecKey(crv, x, y)
	if err != nil {
		return nil, err
	}
	scalar, err := Decode(nil, d)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.ParseRawPrivateKey(public.Curve, scalar) // which wants it of full length
	if err != nil || !key.PublicKey.Equal(public) {
		return nil, errPrivateJWK
	}
	return key, nil
}

func privateOKP(crv, x, d string) (crypto.Signer, error) {
	public, err := okpKey(crv, x)
	if err != nil {
		return nil, err
	}
	seed, err := Decode(nil, d)
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, errPrivateJWK
	}
	key := ed25519.NewKeyFromSeed(seed)
	if !public.Equal(key.Public()) {
		return nil, errPrivateJWK
	}
	return key, nil
}

func privateRSA(n, e, d, p, q string) (crypto.Signer, error) {
	public, err := rsaKey(n, e)
	if err != nil {
		return nil, err
	}
	var numbers [3]*big.Int
	for i, text := range []string{d, p, q} {
		raw, err := Decode(nil, text)
		if err != nil || len(raw) == 0 || raw[0] == 0 { // RFC 7518 section 6.3.2
			return nil, errPrivateJWK
		}
		numbers[i] = new(big.Int).SetBytes(raw)
	}
	key := &rsa.PrivateKey{PublicKey: *public, D: numbers[0], Primes: numbers[1:]}
	if err := key.Validate(); err != nil {
		return nil, err
	}
	key.Precompute()
	return key, nil
}
