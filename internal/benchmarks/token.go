package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/countermark/countermark/internal/jose"
)

// object is a JSON object. Its members are written in the order of their names.
type object = map[string]any

// A token is an access token (RFC 9068), with the parts that a bare verification
// starts from.
type token struct {
	raw   string
	input []byte // what was signed
	sig   []byte
}

// claims are those of a good token, of the size that tokens in use have: 900 bytes
// with an RS256 signature.
func (iss *issuer) claims() object {
	iss.sequence++
	now := time.Now()
	return object{
		"iss": issuerName, "aud": audience, "client_id": "s6BhdRkqt3-web", "scope": scope,
		"sub": "7f9c2ba4-e88f-4d1e-a5ad-5be2f1c7d1f6", "jti": fmt.Sprintf("b1946ac9-2492-4d23-84c6-%012x", iss.sequence),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(), "auth_time": now.Add(-time.Hour).Unix(),
		"roles": []string{"clerk", "auditor"}, "tenant": "north-7",
	}
}

// header is that of a good token.
func (k *key) header() object { return object{"alg": k.alg, "kid": k.id, "typ": "at+jwt"} }

// with returns a copy of o with the edits; nil takes a member out.
func with(o, edits object) object {
	changed := maps.Clone(o)
	maps.Copy(changed, edits)
	maps.DeleteFunc(changed, func(_ string, v any) bool { return v == nil })
	return changed
}

// sign returns the token with this header and these claims.
func (k *key) sign(header, claims object) (token, error) {
	h, err := json.Marshal(header)
	if err != nil {
		return token{}, err
	}
	c, err := json.Marshal(claims)
	if err != nil {
		return token{}, err
	}
	return k.signBytes(h, c)
}

// signBytes is sign for JSON that no encoder would write.
func (k *key) signBytes(header, claims []byte) (token, error) {
	input := jose.Encode(header) + "." + jose.Encode(claims)
	sig, err := k.signature([]byte(input))
	return token{raw: input + "." + jose.Encode(sig), input: []byte(input), sig: sig}, err
}

// signature signs as RFC 7518 and RFC 8037 say.
func (k *key) signature(input []byte) ([]byte, error) {
	digest := sha256.Sum256(input)
	switch private := k.signer.(type) {
	case *rsa.PrivateKey:
		return rsa.SignPKCS1v15(nil, private, crypto.SHA256, digest[:])
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, private, digest[:])
		if err != nil {
			return nil, err
		}
		sig := make([]byte, 64)
		r.FillBytes(sig[:32])
		s.FillBytes(sig[32:])
		return sig, nil
	case ed25519.PrivateKey:
		return ed25519.Sign(private, input), nil
	default:
		return nil, fmt.Errorf("no signature by a %T", private)
	}
}

// verifyRaw is the limit: the hash and the verification that no library can do
// without, of what is already split and decoded.
func (k *key) verifyRaw() func(t *token) error {
	bad := fmt.Errorf("%s: wrong signature", k.alg)
	switch public := k.signer.Public().(type) {
	case *rsa.PublicKey:
		return func(t *token) error {
			digest := sha256.Sum256(t.input)
			return rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], t.sig)
		}
	case *ecdsa.PublicKey:
		return func(t *token) error {
			digest := sha256.Sum256(t.input)
			if !ecdsa.Verify(public, digest[:], new(big.Int).SetBytes(t.sig[:32]), new(big.Int).SetBytes(t.sig[32:])) {
				return bad
			}
			return nil
		}
	default:
		edwards, _ := public.(ed25519.PublicKey)
		return func(t *token) error {
			if !ed25519.Verify(edwards, t.input, t.sig) {
				return bad
			}
			return nil
		}
	}
}

// tokens returns n new tokens, signed on all cores.
func (iss *issuer) tokens(alg string, n int) ([]token, error) {
	k, made := iss.keys[alg], make([]token, n)
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range made {
		claims := iss.claims()
		group.Go(func() error {
			var err error
			made[i], err = k.sign(k.header(), claims)
			return err
		})
	}
	return made, group.Wait()
}

// size tells how long a token is, for people.
func (t *token) size() string { return strconv.Itoa(len(t.raw)) + " bytes" }
