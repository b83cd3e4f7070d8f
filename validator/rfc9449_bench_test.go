package validator_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"math/big"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/validator"
)

// forgetful is a ReplayCache that costs nothing: one proof has to do for all.
type forgetful struct{}

func (forgetful) Add(context.Context, [32]byte, time.Time) (bool, error) { return true, nil }

// BenchmarkAuthorize_DPoP measures a request with a proof, beside the same without
// one and beside the verification of the proof's signature alone. The token is
// opaque, and its answer at hand, so that all else is the proof's.
func BenchmarkAuthorize_DPoP(b *testing.B) {
	proof, bearer, signature := dpopBenchmarked(b)
	b.Run("proof", func(b *testing.B) { measure(b, proof) })
	b.Run("bearer", func(b *testing.B) { measure(b, bearer) })
	b.Run("signature", func(b *testing.B) { measure(b, signature) })
}

func dpopBenchmarked(tb testing.TB) (proof, bearer, signature func() bool) {
	tb.Helper()
	c := newClient()
	c.token = opaque
	authorize := func(answer edits, shown validator.Credentials) func() bool {
		v := newValidator(tb, func(cfg *validator.Config) {
			cfg.Introspector, cfg.Replay = answers(goodAnswer(answer)), forgetful{}
		})
		return func() bool {
			_, err := v.Authorize(tb.Context(), shown, validator.Requirement{})
			return err == nil
		}
	}
	shown := c.shows(c.proof(nil, nil))
	proof = authorize(edits{"cnf": edits{"jkt": thumbprint(c.jwk)}}, shown)
	bearer = authorize(nil, validator.Credentials{Token: opaque})

	p := parts(shown.Proof)
	sig, input := must(jose.Decode(nil, p[2])), []byte(join(p[0], p[1]))
	public := clientsKey().Public().(*ecdsa.PublicKey)
	return proof, bearer, func() bool {
		digest := sha256.Sum256(input)
		return ecdsa.Verify(public, digest[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
	}
}

// All of a proof that is not its signature costs a bounded number of allocations.
func TestAuthorize_DPoPAllocations(t *testing.T) {
	more := 15.0
	if raceDetector() { // which keeps the compiler from sparing some copies
		more += 10
	}
	proof, bearer, signature := dpopBenchmarked(t)
	all := testing.AllocsPerRun(50, func() { proof() })
	token := testing.AllocsPerRun(50, func() { bearer() })
	raw := testing.AllocsPerRun(50, func() { signature() })
	t.Logf("%v allocations, %v of them for the token and %v for the signature", all, token, raw)
	if all > token+raw+more {
		t.Errorf("%v allocations; the token takes %v and the signature alone %v", all, token, raw)
	}
}
