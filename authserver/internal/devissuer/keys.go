package devissuer

import (
	"bytes"
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

const pemType = "PRIVATE KEY" // PKCS #8 (RFC 7468 section 10)

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

// readKeys reads PKCS #8 keys. The first one signs; any further ones are
// published, so that tokens of earlier runs stay good.
func readKeys(name string, warn func(format string, args ...any)) ([]authserver.SigningKey, error) {
	data, mode, err := readFile(name)
	if err != nil {
		return nil, err
	}
	if mode.Perm()&0o077 != 0 {
		warn("%s holds a private key, and its mode %o lets others at it", name, mode.Perm())
	}
	var keys []authserver.SigningKey
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		data = rest
		if block.Type != pemType {
			return nil, fmt.Errorf("%s: holds a PEM block %q; only %q is read (openssl pkcs8 -topk8 -nocrypt makes one)", name, block.Type, pemType)
		}
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: PEM block %d: %w", name, len(keys)+1, err)
		}
		signer, ok := key.(crypto.Signer)
		if !ok {
			return nil, fmt.Errorf("%s: PEM block %d: a %T cannot sign", name, len(keys)+1, key)
		}
		keys = append(keys, authserver.SigningKey{Signer: signer})
	}
	if len(keys) == 0 || len(bytes.TrimSpace(data)) > 0 {
		return nil, fmt.Errorf("%s: is not a file of PEM blocks %q; without the file, a new key is made", name, pemType)
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
	if err := errors.Join(pem.Encode(file, &pem.Block{Type: pemType, Bytes: der}), file.Close()); err != nil {
		return err
	}
	return os.Link(file.Name(), name)
}
