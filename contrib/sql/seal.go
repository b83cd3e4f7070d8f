package sqlstore

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
)

const keySize = 32 // AES-256

// ParseKeyEncryptionKey reads [Options.KeyEncryptionKey] from text, as it stands
// in an environment variable: 32 random bytes in base64url without padding (43
// characters) or in hexadecimal (64), as openssl rand -hex 32 prints them.
func ParseKeyEncryptionKey(text string) ([]byte, error) {
	decode := hex.DecodeString
	if len(text) != hex.EncodedLen(keySize) {
		decode = base64.RawURLEncoding.Strict().DecodeString
	}
	key, err := decode(text)
	if err != nil || len(key) != keySize { // whose text would show some of it
		return nil, errors.New("sqlstore: ParseKeyEncryptionKey: must be 32 bytes in base64url without padding (43 characters) or in hex (64)")
	}
	return key, nil
}

// newSeal returns what encrypts private keys, nil without a key.
func newSeal(key []byte) (cipher.AEAD, error) {
	if key == nil {
		return nil, nil //nolint:nilnil // the zero value is no encryption key
	}
	if len(key) != keySize || [keySize]byte(key) == [keySize]byte{} {
		return nil, errors.New("sqlstore: Options.KeyEncryptionKey: must be 32 random bytes")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, failed("Options.KeyEncryptionKey", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// sealKey encrypts a private key. The kid is authenticated with it, so that no
// key can be put in another's place.
func sealKey(seal cipher.AEAD, kid string, signer crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return nil, fmt.Errorf("key %q: a %T has no private key that could be kept here", kid, signer)
	}
	defer clear(der)
	return seal.Seal(nil, nil, der, []byte(kid)), nil //nolint:gosec // the AEAD makes the nonce
}

func openKey(seal cipher.AEAD, kid string, sealed []byte) (crypto.Signer, error) {
	der, err := seal.Open(nil, nil, sealed, []byte(kid))
	if err != nil {
		return nil, fmt.Errorf("key %q: Options.KeyEncryptionKey is not the one that it was encrypted with", kid)
	}
	defer clear(der)
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("key %q: it is not PKCS#8", kid)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("key %q: a %T does not sign", kid, key)
	}
	return signer, nil
}
