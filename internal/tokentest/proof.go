package tokentest

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"maps"
	"math/big"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/jose"
)

// ProofClaims are those of a good DPoP proof (RFC 9449 section 4.2) for a request
// that shows token, changed by edits as Claims are.
func ProofClaims(now time.Time, method, url, token string, edits map[string]any) map[string]any {
	ath := sha256.Sum256([]byte(token))
	return edited(map[string]any{
		"jti": rand.Text(), "htm": method, "htu": url, "iat": now.Unix(), "ath": jose.Encode(ath[:]),
	}, edits)
}

// Proof signs a DPoP proof with the given claims and the header of a good one,
// changed by edits as Claims are.
func (k *Key) Proof(tb testing.TB, headerEdits, claims map[string]any) string {
	tb.Helper()
	header := map[string]any{"typ": "dpop+jwt", "kid": nil, "jwk": k.JWK(tb)}
	maps.Copy(header, headerEdits)
	return k.Token(tb, header, claims)
}

// JWK returns the public key (RFC 7517).
func (k *Key) JWK(tb testing.TB) map[string]any {
	tb.Helper()
	switch public := k.Private.Public().(type) {
	case *ecdsa.PublicKey:
		point, err := public.Bytes() // 4, x, y: SEC 1 section 2.3.3
		if err != nil {
			tb.Fatal(err)
		}
		x, y := point[1:1+len(point)/2], point[1+len(point)/2:]
		return map[string]any{"kty": "EC", "crv": public.Params().Name, "x": jose.Encode(x), "y": jose.Encode(y)}
	case ed25519.PublicKey:
		return map[string]any{"kty": "OKP", "crv": "Ed25519", "x": jose.Encode(public)}
	case *rsa.PublicKey:
		return map[string]any{"kty": "RSA", "n": jose.Encode(public.N.Bytes()), "e": jose.Encode(big.NewInt(int64(public.E)).Bytes())}
	default:
		tb.Fatalf("no JWK for a %T", public)
		return nil
	}
}

// Thumbprint returns the SHA-256 thumbprint of the public key (RFC 7638), which is
// the jkt that binds a token to it.
func (k *Key) Thumbprint(tb testing.TB) string {
	tb.Helper()
	canonical, err := json.Marshal(k.JWK(tb)) // the required members alone, in order: section 3.2
	if err != nil {
		tb.Fatal(err)
	}
	sum := sha256.Sum256(canonical)
	return jose.Encode(sum[:])
}
