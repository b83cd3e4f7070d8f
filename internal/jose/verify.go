package jose

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
)

// Verify checks sig over the signing input. The key is a *rsa.PublicKey,
// *ecdsa.PublicKey or ed25519.PublicKey that Fits.
func (m *Method) Verify(signingInput string, sig []byte, key any) error {
	if !m.Fits(key) {
		return fmt.Errorf("%T is no key for %s", key, m.name)
	}
	input, ok := view(signingInput), false
	switch k := key.(type) {
	case *rsa.PublicKey:
		if m.family == pss {
			ok = rsa.VerifyPSS(k, m.hash, m.digest(new(digestRoom), input), sig, m.pssOptions()) == nil
			break
		}
		var digest digestRoom
		ok = rsa.VerifyPKCS1v15(k, m.hash, m.digest(&digest, input), sig) == nil
	case *ecdsa.PublicKey:
		var digest digestRoom
		if len(sig) == 2*m.size() { // RFC 7518 section 3.4: raw, of exact length
			var der [maxDER]byte
			ok = ecdsa.VerifyASN1(k, m.digest(&digest, input), appendDER(der[:0], sig))
		}
	case ed25519.PublicKey:
		ok = len(sig) == ed25519.SignatureSize && ed25519.Verify(k, input, sig)
	}
	if !ok {
		return ErrSignature
	}
	return nil
}

// digestRoom has room for the longest digest.
type digestRoom [sha512.Size]byte

// digest returns the hash of input, in room. Of Ed25519 it is the one that is
// part of it.
func (m *Method) digest(room *digestRoom, input []byte) []byte {
	switch m.hash {
	case crypto.SHA256:
		sum := sha256.Sum256(input)
		return append(room[:0], sum[:]...)
	case crypto.SHA384:
		sum := sha512.Sum384(input)
		return append(room[:0], sum[:]...)
	default:
		sum := sha512.Sum512(input)
		return append(room[:0], sum[:]...)
	}
}

// maxDER is the length of a signature by P-521 in DER: two integers of 66 bytes
// and a sign, their headers, and that of the sequence.
const maxDER = 3 + 2*(2+1+66)

// appendDER appends to dst the raw signature (RFC 7518 section 3.4) in the form
// that crypto/ecdsa reads (RFC 3279 section 2.2.3).
func appendDER(dst, raw []byte) []byte {
	var room [maxDER]byte
	both := appendInteger(room[:0], raw[:len(raw)/2])
	both = appendInteger(both, raw[len(raw)/2:])
	dst = append(dst, 0x30)
	if len(both) >= 0x80 {
		dst = append(dst, 0x81)
	}
	dst = append(dst, byte(len(both))) //nolint:gosec // less than maxDER
	return append(dst, both...)
}

// appendInteger appends an INTEGER of less than 128 bytes, not negative.
func appendInteger(dst, magnitude []byte) []byte {
	magnitude = bytes.TrimLeft(magnitude, "\x00")
	sign := 0
	if len(magnitude) == 0 || magnitude[0] >= 0x80 {
		sign = 1
	}
	dst = append(dst, 0x02, byte(sign+len(magnitude))) //nolint:gosec // less than 128
	return append(append(dst, make([]byte, sign)...), magnitude...)
}
