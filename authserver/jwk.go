package authserver

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"

	"github.com/countermark/countermark/internal/jose"
)

// A jwk has the required members of a public key alone, in the order in which
// RFC 7638 section 3.3 hashes them (RFC 7518 section 6, RFC 8037 section 2).
type jwk struct {
	Crv string `json:"crv,omitempty"`
	E   string `json:"e,omitempty"`
	Kty string `json:"kty"`
	N   string `json:"n,omitempty"`
	X   string `json:"x,omitempty"`
	Y   string `json:"y,omitempty"`
}

// A publishedJWK is a jwk as the key set has it (RFC 7517 section 4).
type publishedJWK struct {
	jwk
	Kid string `json:"kid"`
	Alg string `json:"alg"`
	Use string `json:"use"`
}

func newJWK(key crypto.PublicKey) (jwk, error) {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		if k.X == nil || k.Y == nil { //nolint:staticcheck // deprecated for arithmetic; without them Bytes panics
			return jwk{}, errors.New("public key: has no point")
		}
		point, err := k.Bytes() // 4, x, y
		if err != nil {
			return jwk{}, fmt.Errorf("public key: %w", err)
		}
		n := (len(point) - 1) / 2
		return jwk{Kty: "EC", Crv: k.Params().Name, X: jose.Encode(point[1 : 1+n]), Y: jose.Encode(point[1+n:])}, nil
	case *rsa.PublicKey:
		return jwk{Kty: "RSA", N: jose.Encode(k.N.Bytes()), E: jose.Encode(big.NewInt(int64(k.E)).Bytes())}, nil
	case ed25519.PublicKey:
		return jwk{Kty: "OKP", Crv: "Ed25519", X: jose.Encode(k)}, nil
	default:
		return jwk{}, fmt.Errorf("public key: a %T is not supported", key)
	}
}

func (k jwk) thumbprint() string {
	canonical, _ := json.Marshal(k) //nolint:errchkjson // strings only
	sum := sha256.Sum256(canonical)
	return jose.Encode(sum[:])
}
