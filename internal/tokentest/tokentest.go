// Package tokentest makes access tokens for tests, good ones and any others.
package tokentest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/fips140"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/jose"
)

// What the tokens of this package say unless told otherwise.
const (
	Issuer   = "https://issuer.example"
	Audience = "https://api.example.com"
)

// A Key signs tokens.
type Key struct {
	ID, Alg string
	Private crypto.Signer
}

// NewKey makes a key for the JWS algorithm alg.
func NewKey(tb testing.TB, id, alg string) *Key {
	tb.Helper()
	var private crypto.Signer
	var err error
	switch alg {
	case "ES256":
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		private, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA", "Ed25519":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return &Key{ID: id, Alg: alg, Private: private}
}

// WeakRSA makes an RSA key of 1024 bits, which no method takes.
func WeakRSA(tb testing.TB) *rsa.PrivateKey {
	tb.Helper()
	var private *rsa.PrivateKey
	var err error
	fips140.WithoutEnforcement(func() { private, err = rsa.GenerateKey(rand.Reader, 1024) }) //nolint:gosec // weak on purpose
	if err != nil {
		tb.Fatal(err)
	}
	return private
}

// Claims are those of a good RFC 9068 token, changed by edits; an edit to nil
// removes the claim.
func Claims(now time.Time, edits map[string]any) map[string]any {
	return edited(map[string]any{
		"iss": Issuer, "aud": Audience, "sub": "user-1", "client_id": "client-1", "jti": "token-1",
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "scope": "orders:read",
	}, edits)
}

// Token signs a JWT with the given claims and the header of a good token,
// changed by edits as Claims are.
func (k *Key) Token(tb testing.TB, headerEdits, claims map[string]any) string {
	tb.Helper()
	header, err := json.Marshal(edited(map[string]any{"alg": k.Alg, "kid": k.ID, "typ": "at+jwt"}, headerEdits))
	if err != nil {
		tb.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		tb.Fatal(err)
	}
	return k.Sign(tb, string(header), string(payload))
}

// Sign signs whatever header and payload are, with the key's algorithm.
func (k *Key) Sign(tb testing.TB, header, payload string) string {
	tb.Helper()
	m, ok := jose.Lookup(k.Alg)
	if !ok {
		tb.Fatalf("no method %q", k.Alg)
	}
	input := jose.Encode([]byte(header)) + "." + jose.Encode([]byte(payload))
	sig, err := m.Sign(input, k.Private)
	if err != nil {
		tb.Fatal(err)
	}
	return input + "." + jose.Encode(sig)
}

// Keys is a source of keys that do not change.
type Keys []*Key

// Keys returns the public keys that kid and alg name.
func (s Keys) Keys(_ context.Context, kid, alg string) ([]crypto.PublicKey, error) {
	var found []crypto.PublicKey
	for _, k := range s {
		if (kid == "" || k.ID == kid) && jose.Same(k.Alg, alg) {
			found = append(found, k.Private.Public())
		}
	}
	return found, nil
}

func edited(m, edits map[string]any) map[string]any {
	maps.Copy(m, edits)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	return m
}
