package devissuer

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

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
		err := writeKey(name, key.Signer)
		if errors.Is(err, fs.ErrExist) { // another start was faster
			return readKeys(name, warn)
		}
		if err != nil {
			return nil, err
		}
	}
	return []authserver.SigningKey{key}, nil
}

// readKeys reads a file of keys. The first one signs; any further ones are
// published, so that tokens of earlier runs stay good.
func readKeys(name string, warn func(format string, args ...any)) ([]authserver.SigningKey, error) {
	data, mode, err := readFile(name)
	if err != nil {
		return nil, err
	}
	if mode.Perm()&0o077 != 0 {
		warn("%s holds a private key, and its mode %o lets others at it", name, mode.Perm())
	}
	keys, err := authserver.ParseSigningKeys(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w (without the file, a new key is made)", name, err)
	}
	return keys, nil
}

// writeKey makes a key file, whole and for its owner alone. It is fs.ErrExist if
// there is one: of two at once, one is first.
func writeKey(name string, key crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*") // mode 600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	if err := errors.Join(pem.Encode(file, &pem.Block{Type: "PRIVATE KEY", Bytes: der}), file.Close()); err != nil {
		return err
	}
	return os.Link(file.Name(), name)
}
