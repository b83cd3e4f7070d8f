package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"math/big"
	"slices"

	"github.com/countermark/countermark/internal/strictjson"
)

var errJWK = errors.New("not a public key of a known type, curve and size, for this algorithm")

// ParseJWK reads a public key (RFC 7517, RFC 7518 section 6, RFC 8037 section 2)
// and its SHA-256 thumbprint (RFC 7638). The key must be for verifying, and for
// the algorithm alg; a private one is refused.
func ParseJWK(text, alg string) (crypto.PublicKey, [sha256.Size]byte, error) {
	var kty, crv, x, y, n, e string
	err := strictjson.Object(text, func(name string, val strictjson.Value) error {
		ok := true
		switch name {
		case "kty":
			kty, ok = val.Text()
		case "crv":
			crv, ok = val.Text()
		case "x":
			x, ok = val.Text()
		case "y":
			y, ok = val.Text()
		case "n":
			n, ok = val.Text()
		case "e":
			e, ok = val.Text()
		case "use": // RFC 7517 section 4.2
			ok = val.Is("sig")
		case "key_ops": // section 4.3
			ops, _ := val.Texts()
			ok = slices.Contains(ops, "verify")
		case "alg": // section 4.4
			own, _ := val.Text()
			ok = Same(own, alg)
		case "d", "p", "q", "dp", "dq", "qi", "oth", "k":
			return errors.New("a private or symmetric key")
		}
		if !ok {
			return errJWK
		}
		return nil
	})
	if err != nil {
		return nil, [sha256.Size]byte{}, err
	}
	var key crypto.PublicKey
	var canonical string // RFC 7638 section 3.2: the required members, in order; base64url needs no escapes
	switch kty {
	case "EC":
		key, err = ecKey(crv, x, y)
		canonical = `{"crv":"` + crv + `","kty":"EC","x":"` + x + `","y":"` + y + `"}`
	case "OKP":
		key, err = okpKey(crv, x)
		canonical = `{"crv":"` + crv + `","kty":"OKP","x":"` + x + `"}`
	case "RSA":
		key, err = rsaKey(n, e)
		canonical = `{"e":"` + e + `","kty":"RSA","n":"` + n + `"}`
	default:
		err = errJWK
	}
	if err != nil {
		return nil, [sha256.Size]byte{}, err
	}
	return key, SHA256(canonical), nil
}

func ecKey(crv, x, y string) (*ecdsa.PublicKey, error) {
	var curve elliptic.Curve
	switch crv {
	case "P-256":
		curve = elliptic.P256()
	case "P-384":
		curve = elliptic.P384()
	case "P-521":
		curve = elliptic.P521()
	default:
		return nil, errJWK
	}
	size := (curve.Params().BitSize + 7) / 8
	point := make([]byte, 1, 1+2*size)
	point[0] = 4 // uncompressed, SEC 1 section 2.3.3
	point, err := Decode(point, x)
	if err != nil || len(point) != 1+size { // RFC 7518 section 6.2.1.2: of full length
		return nil, errJWK
	}
	if point, err = Decode(point, y); err != nil {
		return nil, errJWK
	}
	key, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil, errJWK
	}
	return key, nil
}

func okpKey(crv, x string) (ed25519.PublicKey, error) {
	key, err := Decode(nil, x)
	if err != nil || crv != "Ed25519" || len(key) != ed25519.PublicKeySize {
		return nil, errJWK
	}
	return ed25519.PublicKey(key), nil
}

func rsaKey(n, e string) (*rsa.PublicKey, error) {
	modulus, err := Decode(nil, n)
	if err != nil || len(modulus) == 0 || modulus[0] == 0 { // RFC 7518 section 6.3.1.1: no leading zeros
		return nil, errJWK
	}
	exponent, err := Decode(nil, e)
	if err != nil || len(exponent) == 0 || exponent[0] == 0 {
		return nil, errJWK
	}
	exp := new(big.Int).SetBytes(exponent)
	if exp.Bit(0) == 0 || exp.BitLen() > 31 || exp.Int64() < 3 {
		return nil, errJWK
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: int(exp.Int64())}
	if AlgorithmsFor(key) == nil {
		return nil, errJWK
	}
	return key, nil
}
