package validator

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
	minNonceKey = 32 // bytes
	noncePeriod = time.Minute
	nonceLife   = 2 * noncePeriod // at most: the period of issue, and the next
)

// nonces makes DPoP nonces (RFC 9449 section 9) that need no memory: each is a
// keyed hash of the minute it was made in, so every replica with the key knows it.
type nonces struct{ mac func() hash.Hash } // a function, which prints without its key

func newNonces(key []byte) *nonces {
	key = bytes.Clone(key)
	return &nonces{mac: func() hash.Hash { return hmac.New(sha256.New, key) }}
}

// at returns the nonce of the period that now is in.
func (n *nonces) at(now time.Time) string { return n.of(now.Unix() / int64(noncePeriod/time.Second)) }

// valid reports whether nonce is of this period or the one before.
func (n *nonces) valid(nonce string, now time.Time) bool {
	period := now.Unix() / int64(noncePeriod/time.Second)
	return hmac.Equal([]byte(nonce), []byte(n.of(period))) || hmac.Equal([]byte(nonce), []byte(n.of(period-1)))
}

func (n *nonces) of(period int64) string {
	mac := n.mac()
	mac.Write(binary.BigEndian.AppendUint64([]byte("DPoP nonce"), uint64(period))) //nolint:gosec // a bijection
	return jose.Encode(mac.Sum(nil)[:16])
}
