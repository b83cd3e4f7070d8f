package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/fips140"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// opaque hides the type of a private key, as a KMS does.
type opaque struct{ crypto.Signer }

func testKeys(t testing.TB) map[string]crypto.Signer {
	t.Helper()
	keys := map[string]crypto.Signer{}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		if keys[name], err = ecdsa.GenerateKey(curve, rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"} {
		keys[name] = rsaKey
	}
	keys["EdDSA"], keys["Ed25519"] = edKey, edKey
	return keys
}

func TestMethod_EveryAlgorithmSignsAndVerifies(t *testing.T) {
	t.Parallel()
	keys := testKeys(t)
	if len(keys) != len(Algorithms()) {
		t.Fatalf("%d keys for %d algorithms", len(keys), len(Algorithms()))
	}
	for name, key := range keys {
		m, ok := Lookup(name)
		if !ok {
			t.Fatalf("no %s", name)
		}
		sig, err := m.Sign("header.payload", opaque{key})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := m.Verify("header.payload", sig, key.Public()); err != nil {
			t.Errorf("%s: own signature: %v", name, err)
		}
		if theirs := jwt.GetSigningMethod(name); theirs != nil {
			if err := theirs.Verify("header.payload", sig, key.Public()); err != nil {
				t.Errorf("%s: golang-jwt does not take our signature: %v", name, err)
			}
		}
		for i := range sig {
			bad := slices.Clone(sig)
			bad[i] ^= 1
			if err := m.Verify("header.payload", bad, key.Public()); !errors.Is(err, ErrSignature) {
				t.Fatalf("%s: bit of byte %d turned: %v", name, i, err)
			}
		}
		for what, bad := range map[string][]byte{"empty": nil, "short": sig[1:], "cut": sig[:len(sig)-1], "long": append(slices.Clone(sig), 0), "zero": make([]byte, len(sig))} {
			if err := m.Verify("header.payload", bad, key.Public()); err == nil {
				t.Errorf("%s: %s signature accepted", name, what)
			}
		}
		if err := m.Verify("header.payloae", sig, key.Public()); err == nil {
			t.Errorf("%s: signature of another text accepted", name)
		}
	}
}

func TestMethod_KeysOfOtherKindsAreRefused(t *testing.T) {
	t.Parallel()
	keys := testKeys(t)
	for name, key := range keys {
		for other := range keys {
			m, _ := Lookup(other)
			sameFamily := Same(name, other) || name[1] == 'S' && other[1] == 'S' && name[0] != 'E' && other[0] != 'E'
			if m.Fits(key.Public()) != sameFamily {
				t.Errorf("%s takes a key for %s: %v", other, name, !sameFamily)
			}
		}
	}
	m, _ := Lookup("RS256")
	for what, key := range map[string]any{"nil": nil, "bytes": []byte("secret"), "a nil key": (*rsa.PublicKey)(nil), "an empty key": &rsa.PublicKey{}, "a value": rsa.PublicKey{}} {
		if err := m.Verify("a.b", []byte("x"), key); err == nil {
			t.Errorf("%s accepted as a key", what)
		}
		if _, err := m.Sign("a.b", key); err == nil {
			t.Errorf("%s signs", what)
		}
	}
}

func TestLookup_NeverNoneOrHMAC(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "none", "None", "HS256", "HS384", "HS512", "rs256", "ES256K", "RSA1_5", "dir", "RS256 "} {
		if _, ok := Lookup(name); ok {
			t.Errorf("%q is a method", name)
		}
	}
}

func TestMethod_Section3_5_SaltHasTheLengthOfTheHash(t *testing.T) {
	t.Parallel()
	key := testKeys(t)["PS256"]
	sum := sha256.Sum256([]byte("a.b"))
	m, _ := Lookup("PS256")
	// With FIPS 140-3 the automatic salt is no longer than the hash.
	for salt, ok := range map[int]bool{1: false, 20: false, 31: false, 32: true, 33: false, rsa.PSSSaltLengthAuto: fips140.Enabled()} {
		var sig []byte
		var err error
		fips140.WithoutEnforcement(func() { // which asks the same of who signs
			sig, err = key.Sign(rand.Reader, sum[:], &rsa.PSSOptions{SaltLength: salt, Hash: crypto.SHA256})
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Verify("a.b", sig, key.Public()) == nil; got != ok {
			t.Errorf("salt of %d accepted: %v", salt, got)
		}
	}
}

func TestMethod_Section3_3_RSASize(t *testing.T) {
	t.Parallel()
	m, _ := Lookup("RS256")
	for bits, ok := range map[int]bool{1024: false, 2047: false, 2048: true, 8192: true, 8193: false} {
		n := new(big.Int).SetBit(big.NewInt(1), bits-1, 1)
		if got := m.Fits(&rsa.PublicKey{N: n, E: 65537}); got != ok {
			t.Errorf("%d bits accepted: %v", bits, got)
		}
	}
}

func TestSame(t *testing.T) {
	t.Parallel()
	if !Same("EdDSA", "Ed25519") || !Same("RS256", "RS256") || Same("RS256", "PS256") || Same("", "none") || !Same("HS256", "HS256") {
		t.Error("Same is wrong")
	}
	if got := strings.Join(AlgorithmsFor(testKeys(t)["EdDSA"].Public()), " "); got != "EdDSA Ed25519" {
		t.Error(got)
	}
}
