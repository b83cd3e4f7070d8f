package validator_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/validator"
)

var benchAlgorithms = []string{"RS256", "ES256", "EdDSA"}

// BenchmarkValidate measures a token that is met for the first time, beside the
// signature alone, which no validator can do without.
func BenchmarkValidate(b *testing.B) {
	for _, alg := range benchAlgorithms {
		validate, signature := benchmarked(b, alg, -1)
		b.Run(alg+"/validate", func(b *testing.B) { measure(b, validate) })
		b.Run(alg+"/signature", func(b *testing.B) { measure(b, signature) })
	}
}

// BenchmarkValidate_Remembered measures a token that was met before.
func BenchmarkValidate_Remembered(b *testing.B) {
	for _, alg := range benchAlgorithms {
		validate, _ := benchmarked(b, alg, 0)
		b.Run(alg, func(b *testing.B) { measure(b, validate) })
	}
}

// BenchmarkValidate_Opaque measures what the policy costs on top of an
// introspector that has its answer at hand.
func BenchmarkValidate_Opaque(b *testing.B) {
	v := newValidator(b, func(c *validator.Config) { c.Keys, c.Introspector = nil, answers(goodAnswer(nil)) })
	measure(b, func() bool {
		_, err := v.Validate(b.Context(), opaque)
		return err == nil
	})
}

func measure(b *testing.B, f func() bool) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		if !f() {
			b.Fatal("refused")
		}
	}
}

// benchmarked returns a validation of a token, and the verification of its
// signature alone.
func benchmarked(tb testing.TB, alg string, cacheSize int) (validate, signature func() bool) {
	tb.Helper()
	token := minted(edits{"alg": alg}, nil)
	v := newValidator(tb, func(c *validator.Config) {
		c.Keys, c.CacheSize = careless{key(alg).Private.Public()}, cacheSize
	})
	validate = func() bool {
		_, err := v.Validate(tb.Context(), token)
		return err == nil
	}
	p := parts(token)
	sig := must(jose.Decode(nil, p[2]))
	input := []byte(join(p[0], p[1]))
	switch public := key(alg).Private.Public().(type) {
	case *rsa.PublicKey:
		return validate, func() bool {
			digest := sha256.Sum256(input)
			return rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], sig) == nil
		}
	case *ecdsa.PublicKey:
		return validate, func() bool {
			digest := sha256.Sum256(input)
			return ecdsa.Verify(public, digest[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
		}
	default:
		return validate, func() bool { return ed25519.Verify(public.(ed25519.PublicKey), input, sig) }
	}
}

// All that is not the signature costs a bounded number of allocations.
func TestValidate_Allocations(t *testing.T) {
	const more = 12
	for _, alg := range benchAlgorithms {
		validate, signature := benchmarked(t, alg, -1)
		all := testing.AllocsPerRun(50, func() { validate() })
		raw := testing.AllocsPerRun(50, func() { signature() })
		t.Logf("%s: %v allocations, %v of them for the signature", alg, all, raw)
		if all > raw+more {
			t.Errorf("%s: %v allocations, the signature alone takes %v", alg, all, raw)
		}
	}
}

// A token that was met before costs none.
func TestValidate_RememberedAllocatesNothing(t *testing.T) {
	for _, alg := range benchAlgorithms {
		validate, _ := benchmarked(t, alg, 0)
		if got := testing.AllocsPerRun(50, func() { validate() }); got != 0 {
			t.Errorf("%s: %v allocations", alg, got)
		}
	}
}

func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
