package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// A dpopKey is a client's, to sign proofs with.
type dpopKey struct {
	private *ecdsa.PrivateKey
	public  map[string]string // a JWK (RFC 7517)
}

func newDPoPKey() (*dpopKey, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	point, err := private.PublicKey.Bytes() // 4, x, y
	if err != nil {
		return nil, err
	}
	return &dpopKey{private: private, public: map[string]string{
		"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:]),
	}}, nil
}

// proof makes the proof for one request (RFC 9449 section 4.2), with the token that
// goes with it and the server's nonce; either may be empty.
func (k *dpopKey) proof(method string, target *url.URL, token, nonce string) (string, error) {
	claims := jwt.MapClaims{
		"jti": rand.Text(), "iat": time.Now().Unix(),
		"htm": method, "htu": target.Scheme + "://" + target.Host + target.EscapedPath(), // neither query nor fragment
	}
	if token != "" {
		hash := sha256.Sum256([]byte(token))
		claims["ath"] = encode(hash[:])
	}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	proof := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	proof.Header["typ"], proof.Header["jwk"] = "dpop+jwt", k.public
	return proof.SignedString(k.private)
}

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }
