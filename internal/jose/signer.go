package jose

import (
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"reflect"
)

// PublicKey returns the public key of a signer that somebody configured, which may be
// nil of its type or a key that is cut short: to ask these would panic.
func PublicKey(signer crypto.Signer) (crypto.PublicKey, error) {
	v := reflect.ValueOf(signer)
	if signer == nil || (v.Kind() == reflect.Pointer || v.Kind() == reflect.Slice) && v.IsNil() {
		return nil, errors.New("required")
	}
	if ed, ok := signer.(ed25519.PrivateKey); ok && len(ed) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("an ed25519.PrivateKey of %d bytes, not %d", len(ed), ed25519.PrivateKeySize)
	}
	return signer.Public(), nil
}
