package dpop

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"time"

	"github.com/countermark/countermark/internal/jose"
)

const (
	// MinNonceKey is how long a key is at least, in bytes.
	MinNonceKey = 32

	noncePeriod = time.Minute
	nonceLife   = 2 * noncePeriod // at most: the period of issue, and the next
)

// Nonces makes DPoP nonces (RFC 9449 section 9) that need no memory: each is a
// keyed hash of the minute it was made in, so every replica with the key knows it.
type Nonces struct{ mac func() hash.Hash } // a function, which prints without its key

// NewNonces returns the nonces of a key, which is copied.
func NewNonces(key []byte) *Nonces {
	key = bytes.Clone(key)
	return &Nonces{mac: func() hash.Hash { return hmac.New(sha256.New, key) }}
}

// At returns the nonce of the period that now is in.
func (n *Nonces) At(now time.Time) string { return n.of(now.Unix() / int64(noncePeriod/time.Second)) }

// valid reports whether nonce is of this period or the one before.
func (n *Nonces) valid(nonce string, now time.Time) bool {
	period := now.Unix() / int64(noncePeriod/time.Second)
	return hmac.Equal([]byte(nonce), []byte(n.of(period))) || hmac.Equal([]byte(nonce), []byte(n.of(period-1)))
}

func (n *Nonces) of(period int64) string {
	mac := n.mac()
	mac.Write(binary.BigEndian.AppendUint64([]byte("DPoP nonce"), uint64(period))) //nolint:gosec // a bijection
	return jose.Encode(mac.Sum(nil)[:16])
}
