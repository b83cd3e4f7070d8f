package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"github.com/golang-jwt/jwt/v5"
)

// RSA keys of other sizes are refused: shorter ones are too weak (RFC 7518
// section 3.3), longer ones cost a verifier too much.
const (
	MinRSABits = 2048
	MaxRSABits = 8192
)

// ErrSignature says that a signature does not fit what was signed.
var ErrSignature = errors.New("signature does not verify")

// A Method is one signature algorithm. It differs from golang-jwt's own methods
// where those are lax: it signs through any [crypto.Signer], a PSS salt has the
// length of the hash (RFC 7518 section 3.5), an ECDSA algorithm has one curve
// (section 3.4), and an RSA key has a decent size.
//
// A Method is immutable and safe for concurrent use.
type Method struct {
	name   string
	hash   crypto.Hash
	family family
	curve  elliptic.Curve // ECDSA only
}

var _ jwt.SigningMethod = (*Method)(nil)

type family int

const (
	pkcs1v15 family = iota
	pss
	ecdsaRaw
	eddsa
)

var methods = []*Method{
	{name: "RS256", hash: crypto.SHA256, family: pkcs1v15},
	{name: "RS384", hash: crypto.SHA384, family: pkcs1v15},
	{name: "RS512", hash: crypto.SHA512, family: pkcs1v15},
	{name: "PS256", hash: crypto.SHA256, family: pss},
	{name: "PS384", hash: crypto.SHA384, family: pss},
	{name: "PS512", hash: crypto.SHA512, family: pss},
	{name: "ES256", hash: crypto.SHA256, family: ecdsaRaw, curve: elliptic.P256()},
	{name: "ES384", hash: crypto.SHA384, family: ecdsaRaw, curve: elliptic.P384()},
	{name: "ES512", hash: crypto.SHA512, family: ecdsaRaw, curve: elliptic.P521()},
	{name: "EdDSA", family: eddsa},   // RFC 8037; here always Ed25519
	{name: "Ed25519", family: eddsa}, // RFC 9864, the same by its full name
}

// Lookup returns the method that the JWS name alg stands for. Names are
// compared byte for byte.
func Lookup(alg string) (*Method, bool) {
	for _, m := range methods {
		if m.name == alg {
			return m, true
		}
	}
	return nil, false
}

// Algorithms returns the names of all methods.
func Algorithms() []string { return names(func(*Method) bool { return true }) }

// AlgorithmsFor returns the names of the methods that key can be used with,
// none if it is of an unknown type, curve or size.
func AlgorithmsFor(key crypto.PublicKey) []string {
	return names(func(m *Method) bool { return m.Fits(key) })
}

func names(want func(*Method) bool) []string {
	var list []string
	for _, m := range methods {
		if want(m) {
			list = append(list, m.name)
		}
	}
	return list
}

// Same reports whether two names stand for one algorithm, as EdDSA and Ed25519
// do here.
func Same(a, b string) bool {
	ma, _ := Lookup(a)
	mb, _ := Lookup(b)
	return a == b || ma != nil && mb != nil && ma.family == eddsa && mb.family == eddsa
}

// Alg returns the method's JWS name.
func (m *Method) Alg() string { return m.name }

// Fits reports whether the type, curve and size of key are the method's.
func (m *Method) Fits(key crypto.PublicKey) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return (m.family == pkcs1v15 || m.family == pss) && k != nil && k.N != nil &&
			k.N.BitLen() >= MinRSABits && k.N.BitLen() <= MaxRSABits
	case *ecdsa.PublicKey:
		return m.family == ecdsaRaw && k != nil && k.Curve == m.curve
	case ed25519.PublicKey:
		return m.family == eddsa && len(k) == ed25519.PublicKeySize
	default:
		return false
	}
}

// Sign signs the signing input. The key is a [crypto.Signer] whose public key
// Fits.
func (m *Method) Sign(signingInput string, key any) ([]byte, error) {
	signer, ok := key.(crypto.Signer)
	if !ok || !m.Fits(signer.Public()) {
		return nil, fmt.Errorf("%T is no key for %s", key, m.name)
	}
	input, opts := []byte(signingInput), crypto.SignerOpts(m.hash)
	if m.family == pss {
		opts = m.pssOptions()
	}
	switch m.family {
	case eddsa:
		return signer.Sign(rand.Reader, input, opts)
	case pss, pkcs1v15:
		return signer.Sign(rand.Reader, m.digest(new(digestRoom), input), opts)
	default:
		der, err := signer.Sign(rand.Reader, m.digest(new(digestRoom), input), opts)
		if err != nil {
			return nil, err
		}
		var rs struct{ R, S *big.Int }
		if rest, err := asn1.Unmarshal(der, &rs); err != nil || len(rest) > 0 || max(rs.R.BitLen(), rs.S.BitLen()) > m.size()*8 {
			return nil, fmt.Errorf("%T made no DER signature for %s", key, m.name)
		}
		raw := make([]byte, 2*m.size())
		rs.R.FillBytes(raw[:m.size()])
		rs.S.FillBytes(raw[m.size():])
		return raw, nil
	}
}

// HalfHash returns the left half of the hash of text in base64url, as ID tokens
// have it of an access token (OpenID Connect Core section 3.1.3.6). It is the hash
// of the method; Ed25519 has SHA-512 in it.
func (m *Method) HalfHash(text string) string {
	digest := m.digest(new(digestRoom), []byte(text))
	return Encode(digest[:len(digest)/2])
}

func (m *Method) pssOptions() *rsa.PSSOptions {
	return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: m.hash}
}

// size is the length of r and of s in an ECDSA signature.
func (m *Method) size() int { return (m.curve.Params().BitSize + 7) / 8 }
