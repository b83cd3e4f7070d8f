package authserver

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/strictjson"
)

const pemType = "PRIVATE KEY" // PKCS #8 (RFC 7468 section 10)

// ParseSigningKeys reads the private keys of a file, one at least, in their order:
//
//   - PEM blocks "PRIVATE KEY" (PKCS #8), with text between them if need be, or
//   - a private JWK, or a JWK Set of such (RFC 7517), of which kid and alg are taken.
//
// Keys are EC, RSA or Ed25519. An error says which key is wrong, and holds
// nothing of it.
func ParseSigningKeys(data []byte) ([]SigningKey, error) {
	parse := parsePEM
	if text := bytes.TrimLeft(data, " \t\r\n"); len(text) > 0 && text[0] == '{' {
		parse = parseJWKs
	}
	keys, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("authserver: ParseSigningKeys: %w", err)
	}
	return keys, nil
}

func parsePEM(data []byte) ([]SigningKey, error) {
	var keys []SigningKey
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		data = rest
		name := fmt.Sprintf("PEM block %d", len(keys)+1)
		if block.Type != pemType {
			return nil, fmt.Errorf("%s: its type must be %q (openssl pkcs8 -topk8 -nocrypt makes one of a key in another form)", name, pemType)
		}
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		signer, ok := key.(crypto.Signer)
		if !ok {
			return nil, fmt.Errorf("%s: a %T cannot sign", name, key)
		}
		keys = append(keys, SigningKey{Signer: signer})
	}
	if len(keys) == 0 || len(bytes.TrimSpace(data)) > 0 {
		return nil, fmt.Errorf("neither PEM blocks %q and nothing after them, nor a JWK or a JWK Set", pemType)
	}
	return keys, nil
}

func parseJWKs(data []byte) ([]SigningKey, error) {
	var set strictjson.Value
	err := strictjson.Object(string(data), func(name string, v strictjson.Value) error {
		if name == "keys" {
			set = v
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if set == "" {
		key, err := parseJWK(data)
		if err != nil {
			return nil, fmt.Errorf("JWK: %w", err)
		}
		return []SigningKey{key}, nil
	}
	var keys []SigningKey
	isArray := set.Elements(func(v strictjson.Value) bool {
		var key SigningKey
		if key, err = parseJWK([]byte(v)); err != nil {
			err = fmt.Errorf("keys[%d]: %w", len(keys), err)
			return false
		}
		keys = append(keys, key)
		return true
	})
	switch {
	case err != nil:
		return nil, err
	case !isArray || len(keys) == 0:
		return nil, errors.New("keys: must be an array of one key at least")
	default:
		return keys, nil
	}
}

func parseJWK(data []byte) (SigningKey, error) {
	k, err := jose.ParsePrivateJWK(data)
	if err != nil {
		return SigningKey{}, err
	}
	return SigningKey{ID: k.Kid, Algorithm: k.Alg, Signer: k.Signer}, nil
}
