package validator

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"slices"
	"strings"

	"github.com/maypok86/otter/v2"

	"github.com/countermark/countermark/internal/jose"
)

const (
	defaultCacheSize = 10_000
	maxSignature     = (jose.MaxRSABits/8*8 + 5) / 6 // characters: no longer one verifies
)

// verified is a JWT whose signature verified.
type verified struct {
	payload
	header *header
	key    crypto.PublicKey // that verified it
}

// remembered is a verified JWT that is kept. Its own signature is not, so that
// nobody who reads the memory finds a token to use.
type remembered struct {
	verified
	encoded string // the payload part
}

// signatureHash names a JWT to the memory. It does not cover what is signed, which
// find compares: hashing that as well would cost more than all else.
type signatureHash [sha256.Size]byte

func hashSignature(j *jws) signatureHash { return jose.SHA256(j.signature) }

// memory is the verified JWTs of a Validator; only those that it accepted get
// there, so that tokens which somebody made up push nobody's out.
type memory struct {
	tokens *otter.Cache[signatureHash, *remembered] // nil: none
}

// newMemory has no goroutine: what upkeep there is runs on the one that causes it.
func newMemory(size int) memory {
	if size < 0 {
		return memory{}
	}
	return memory{otter.Must(&otter.Options[signatureHash, *remembered]{
		MaximumSize: size,
		Executor:    func(upkeep func()) { upkeep() },
	})}
}

// find returns the JWT that j is byte for byte, nil if it is not known.
func (m memory) find(id signatureHash, j *jws) *remembered {
	r, ok := m.tokens.GetIfPresent(id)
	if !ok || r.encoded != j.payload || r.header.text != j.header {
		return nil
	}
	return r
}

func (m memory) add(id signatureHash, j *jws, t verified) {
	m.tokens.Set(id, &remembered{t, strings.Clone(j.payload)}) // j may be a part of a request's header block
}

// recall finds a JWT that was verified before. It counts for as long only as the
// issuer has the key.
func (v *Validator) recall(ctx context.Context, id signatureHash, j *jws) (t verified, ok bool, err error) {
	r := v.memory.find(id, j)
	if r == nil {
		return t, false, nil
	}
	keys, err := v.keys(ctx, r.header)
	if err != nil || !slices.ContainsFunc(keys, r.verifiedBy) {
		return t, false, err
	}
	return r.verified, true, nil
}

// verifiedBy reports whether key is the one that verified t: the same pointer, as
// [KeySource] promises of a key that did not change, since comparing the numbers
// of RSA keys takes as long as all else.
func (t *verified) verifiedBy(key crypto.PublicKey) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		own, _ := t.key.(*rsa.PublicKey)
		return own == k
	case *ecdsa.PublicKey:
		own, _ := t.key.(*ecdsa.PublicKey)
		return own == k
	case ed25519.PublicKey:
		own, _ := t.key.(ed25519.PublicKey)
		return own.Equal(k)
	default:
		return false
	}
}
