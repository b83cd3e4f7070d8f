package authserver

import (
	"crypto"
	"crypto/hmac"
	_ "crypto/sha256" // of hmacs
	_ "crypto/sha512"
	"maps"
	"slices"
)

// hmacs are the hashes of the HMAC algorithms (RFC 7518 section 3.2). They are
// for client_secret_jwt and nothing else, which is why they are not in
// internal/jose: what looks for a method there cannot find one of these.
var hmacs = map[string]crypto.Hash{"HS256": crypto.SHA256, "HS384": crypto.SHA384, "HS512": crypto.SHA512}

func hmacAlgorithms() []string { return slices.Sorted(maps.Keys(hmacs)) }

// verifyHMAC reports whether mac is that of input under secret. A secret shorter
// than the hash is too weak for the algorithm.
func verifyHMAC(alg, input string, mac []byte, secret Secret) bool {
	hash, known := hmacs[alg]
	if !known || len(secret) < hash.Size() {
		return false
	}
	h := hmac.New(hash.New, []byte(secret))
	h.Write([]byte(input))
	return hmac.Equal(mac, h.Sum(nil))
}
