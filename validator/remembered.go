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
	threeBlocks      = 3*sha256.BlockSize - 9        // bytes, which SHA-256 hashes in three blocks
)

// verified is a JWT whose signature verified.
type verified struct {
	payload
	header *header
	key    crypto.PublicKey // that verified it
}

// remembered is a verified JWT that is kept, but for the end of its signature, so
// that nobody who reads the memory finds a token to use.
type remembered struct {
	verified
	text string // between the header and that end
}

// memory is the verified JWTs of a Validator. Only those that it accepted get there,
// so that tokens which somebody made up push nobody's out.
type memory struct {
	tokens *otter.Cache[[sha256.Size]byte, *remembered] // by the hash of that end; nil: none
}

// A place is where a JWT is in the memory, if it is: nothing less than the JWT itself.
type place struct {
	header, text string
	end          [sha256.Size]byte
	ok           bool // there is a memory, and the JWT could be there
}

// place hashes the end of the signature: all of it, but with RSA, where that would
// take longer than all else together, half of it at least. What comes before is
// compared. From one half nobody finds the other, not even for a public exponent of
// 3, where two thirds would have to be known (Coppersmith, 1997).
func (m memory) place(j *jws) place {
	length := len(j.signature)
	if m.tokens == nil || length > maxSignature {
		return place{}
	}
	hashed := max(length/2, min(length, threeBlocks))
	return place{
		header: j.header,
		text:   j.token[len(j.header)+1 : len(j.token)-hashed],
		end:    jose.SHA256(j.signature[length-hashed:]),
		ok:     true,
	}
}

// find returns the JWT that is at, nil if there is none.
func (m memory) find(at *place) *remembered {
	if !at.ok {
		return nil
	}
	r, ok := m.tokens.GetIfPresent(at.end)
	if !ok || r.text != at.text || r.header.text != at.header {
		return nil
	}
	return r
}

func (m memory) add(at *place, t *verified) {
	if at.ok {
		m.tokens.Set(at.end, &remembered{*t, strings.Clone(at.text)}) // which may be a part of a request's header block
	}
}

// recall returns the JWT that is at, nil if it has to be verified: it counts for as
// long only as the issuer has its key.
func (v *Validator) recall(ctx context.Context, at *place) (*verified, error) {
	r := v.memory.find(at)
	if r == nil {
		return nil, nil //nolint:nilnil // documented
	}
	keys, err := v.keys(ctx, r.header)
	if err != nil || !slices.ContainsFunc(keys, r.verifiedBy) {
		return nil, err
	}
	return &r.verified, nil
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
