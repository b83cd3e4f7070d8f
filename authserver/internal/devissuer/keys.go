package devissuer

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/countermark/countermark/authserver"
)

// signingKeys returns the keys of a file, or a new key if there is no file: kept
// there, if it has a name.
func signingKeys(name string, warn func(format string, args ...any)) ([]authserver.SigningKey, error) {
	if name != "" {
		keys, err := readKeys(name, warn)
		if !errors.Is(err, fs.ErrNotExist) {
			return keys, err
		}
	}
	key, err := authserver.GenerateKey("ES256")
	if err != nil {
		return nil, err
	}
	if name != "" {
		if err := writeKey(name, key.Signer); err != nil {
			return nil, err
		}
	}
	return []authserver.SigningKey{key}, nil
}

// readKeys reads a file of keys. The first one signs; any further ones are
// published, so that tokens of earlier runs stay good.
func readKeys(name string, warn func(format string, args ...any)) ([]authserver.SigningKey, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		warn("%s holds a private key, and its mode %o lets others at it", name, mode)
	}
	data, err := os.ReadFile(name) //nolint:gosec // the file that the user names
	if err != nil {
		return nil, err
	}
	keys, err := authserver.ParseSigningKeys(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w (without the file, a new key is made)", name, err)
	}
	return keys, nil
}

func writeKey(name string, key crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the file that the user names
	if err != nil {
		return err
	}
	if err := errors.Join(pem.Encode(file, &pem.Block{Type: "PRIVATE KEY", Bytes: der}), file.Close()); err != nil {
		_ = os.Remove(name) // half a key is none
		return err
	}
	return nil
}
