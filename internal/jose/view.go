package jose

import (
	"crypto/sha256"
	"unsafe"
)

// SHA256 returns the hash of text, without a copy of it.
func SHA256(text string) [sha256.Size]byte { return sha256.Sum256(view(text)) }

// view returns text as bytes, which must not be changed, nor kept. Of its own the
// compiler makes a copy for functions that it cannot look into, such as those that
// hash in assembly, and here that would cost as much as all checks together.
func view(text string) []byte {
	return unsafe.Slice(unsafe.StringData(text), len(text)) //nolint:gosec // for readers alone, see above
}

// textOf returns b as a string. Nobody may change b afterwards.
func textOf(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // as strings.Builder does
}
