package attack_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"hash"
	"slices"
	"strings"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/validator"
)

// algorithmRows are about who says how a signature is made: RFC 8725 sections 2.1
// and 3.1.
func algorithmRows(m *mint) []row {
	payload := m.payloadText(edits{"sub": "canary-root"})
	var rows []row
	for name, alg := range map[string]string{
		"none":               "none",
		"None":               "None",
		"NONE":               "NONE",
		"nOnE":               "nOnE",
		"none and a space":   "none ",
		"a tab and none":     "\tnone",
		"none and NUL":       "none\x00",
		"none in Cyrillic":   "n\u043ene",
		"nothing":            "",
		"none in full width": "\uff4eone",
	} {
		input := unsigned(text(edits{"alg": alg, "kid": "canary-kid", "typ": "at+jwt"}), payload)
		rows = append(rows, attack("alg "+name+", no signature", input+".", validator.ErrAlgorithm))
	}
	none := unsigned(`{"alg":"none","typ":"at+jwt"}`, payload)
	rows = append(rows,
		attack("alg none under the signature of a good token", join(none, parts(m.good)[2]), validator.ErrAlgorithm),
		attack("alg none, two parts", none, validator.ErrInactive), // no JWS: the issuer is asked, and does not know it
		attack("alg none without typ", join(unsigned(`{"alg":"none"}`, payload), ""), validator.ErrType),
		attack("the signature removed", join(parts(m.good)[0], parts(m.good)[1], ""), validator.ErrSignature),
		attack("the signature removed, dot and all", join(parts(m.good)[0], parts(m.good)[1]), validator.ErrInactive),
	)
	for _, alg := range []string{
		"es256", "ES256 ", " ES256", "ES256\x00", "ES257", "ES256K", "ES25", "RS1", "RSA", "dir", "RSA-OAEP", "A256KW", "PBES2-HS256+A128KW",
		"ECDH-ES", "Ed448", "ESP256", "MLDSA65", "sha256", "E\u017f256", "ES256,none", "canary",
	} {
		rows = append(rows, m.header("alg "+text(alg), edits{"alg": alg}, validator.ErrAlgorithm))
	}
	for name, alg := range map[string]any{
		"absent": nil,
		"null":   null,
		"number": 256,
		"array":  []string{"ES256"},
		"object": edits{"alg": "ES256"},
		"true":   true,
	} {
		rows = append(rows, m.header("alg "+name, edits{"alg": alg}, validator.ErrMalformed))
	}
	rows = append(rows, hmacRows(m)...)
	return append(rows, m.carelessly(mixupRows(m))...)
}

// hmacRows take what everybody may know for a secret: RFC 8725 section 2.1.
func hmacRows(m *mint) []row {
	var rows []row
	hmacBy := func(name, alg, says string, newHash func() hash.Hash, secret []byte, why error) {
		input := unsigned(text(edits{"alg": says, "kid": m.rsa.ID, "typ": "at+jwt"}), m.payloadText(edits{"sub": "canary-root"}))
		mac := hmac.New(newHash, secret)
		mac.Write([]byte(input))
		rows = append(rows, attack(alg+" by "+name, join(input, jose.Encode(mac.Sum(nil))), why))
	}
	for name, key := range map[string]*tokentest.Key{"RSA": m.rsa, "EC": m.issuer, "Ed25519": m.ed} {
		public := key.Private.Public()
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			m.tb.Fatal(err)
		}
		block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
		secrets := map[string][]byte{
			"PEM": block, "PEM without its last line break": bytes.TrimSpace(block), "PEM with CRLF": bytes.ReplaceAll(block, []byte("\n"), []byte("\r\n")),
			"DER": der, "JWK": []byte(text(key.JWK(m.tb))), "thumbprint": []byte(key.Thumbprint(m.tb)),
		}
		if k, ok := public.(*rsa.PublicKey); ok {
			pkcs1 := x509.MarshalPKCS1PublicKey(k)
			secrets["PKCS #1 DER"] = pkcs1
			secrets["PKCS #1 PEM"] = pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: pkcs1})
			secrets["modulus"] = k.N.Bytes()
			hmacBy("RSA PEM", "HS384", "HS384", sha512.New384, block, validator.ErrAlgorithm)
			hmacBy("RSA PEM", "HS512", "HS512", sha512.New, block, validator.ErrAlgorithm)
			hmacBy("RSA PEM", "HS256 that says RS256", "RS256", sha256.New, block, validator.ErrSignature)
		}
		for form, secret := range secrets {
			hmacBy(name+" "+form, "HS256", "HS256", sha256.New, secret, validator.ErrAlgorithm)
		}
	}
	hmacBy("an empty secret", "HS256", "HS256", sha256.New, nil, validator.ErrAlgorithm)
	hmacBy("zeros", "HS256", "HS256", sha256.New, make([]byte, 32), validator.ErrAlgorithm)
	hmacBy("the kid", "HS256", "HS256", sha256.New, []byte(m.rsa.ID), validator.ErrAlgorithm)
	hmacBy("the word secret", "HS256", "HS256", sha256.New, []byte("secret"), validator.ErrAlgorithm)
	return rows
}

// mixupRows name one algorithm and are signed by another, with a source of keys
// that does not tell them apart.
func mixupRows(m *mint) []row {
	var rows []row
	by := map[string]*tokentest.Key{
		"RS256": m.rsa,
		"RS384": {ID: m.rsa.ID, Alg: "RS384", Private: m.rsa.Private},
		"RS512": {ID: m.rsa.ID, Alg: "RS512", Private: m.rsa.Private},
		"PS256": m.pss,
		"PS384": {ID: m.rsa.ID, Alg: "PS384", Private: m.rsa.Private},
		"PS512": {ID: m.rsa.ID, Alg: "PS512", Private: m.rsa.Private},
		"ES256": m.issuer,
		"ES384": m.p384,
		"ES512": m.p521,
		"EdDSA": m.ed,
	}
	for pair := range strings.FieldsSeq("RS256/PS256 PS256/RS256 RS256/RS384 RS256/RS512 RS512/RS256 PS256/PS384 PS384/PS512 PS512/RS512 " +
		"RS256/ES256 ES256/RS256 ES256/ES384 ES256/ES512 ES384/ES256 ES384/ES512 ES512/ES384 ES256/EdDSA EdDSA/ES256 EdDSA/RS256 RS256/EdDSA") {
		says, is, _ := strings.Cut(pair, "/")
		rows = append(rows, attack(says+" that is "+is, m.tokenBy(by[is], edits{"alg": says}, nil), validator.ErrSignature))
	}
	for name, key := range map[string]*tokentest.Key{ // a good signature by a good key, but of another curve: RFC 7518 section 3.4
		"ES384 by a key of P-256": {ID: m.issuer.ID, Alg: "ES384", Private: m.issuer.Private},
		"ES512 by a key of P-256": {ID: m.issuer.ID, Alg: "ES512", Private: m.issuer.Private},
		"ES512 by a key of P-384": {ID: m.p384.ID, Alg: "ES512", Private: m.p384.Private},
	} {
		rows = append(rows, attack(name, m.tokenOfAnotherCurve(key), validator.ErrSignature))
	}
	rows = append(rows, attack("RS256 by a key of 1024 bits", m.weakToken(), validator.ErrSignature))
	digest := func(input string) []byte { sum := sha256.Sum256([]byte(input)); return sum[:] }
	for name, salt := range map[string]int{"a salt of a byte": 1, "a salt of 20 bytes": 20, "a salt of 64 bytes": 64, "the longest salt": 222} {
		p := parts(m.tokenBy(m.pss, nil, nil)) // RFC 7518 section 3.5: as long as the hash
		signature, err := m.rsa.Private.Sign(rand.Reader, digest(join(p[0], p[1])), &rsa.PSSOptions{SaltLength: salt, Hash: crypto.SHA256})
		if err != nil {
			m.tb.Fatal(err)
		}
		rows = append(rows, attack("PS256 with "+name, join(p[0], p[1], jose.Encode(signature)), validator.ErrSignature))
	}
	return rows
}

// tokenOfAnotherCurve has a signature as long as those of the key's algorithm, by
// its hash.
func (m *mint) tokenOfAnotherCurve(key *tokentest.Key) string {
	input := unsigned(text(edits{"alg": key.Alg, "kid": key.ID, "typ": "at+jwt"}), m.payloadText(nil))
	hash, size := crypto.SHA384, 48
	if key.Alg == "ES512" {
		hash, size = crypto.SHA512, 66
	}
	h := hash.New()
	h.Write([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, key.Private.(*ecdsa.PrivateKey), h.Sum(nil))
	if err != nil {
		m.tb.Fatal(err)
	}
	return join(input, jose.Encode(slices.Concat(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size)))))
}

// weakToken has a good signature by an RSA key of the issuer that is too short.
func (m *mint) weakToken() string {
	input := unsigned(text(edits{"alg": "RS256", "kid": m.weak.ID, "typ": "at+jwt"}), m.payloadText(nil))
	digest := sha256.Sum256([]byte(input))
	signature, err := m.weak.Private.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		m.tb.Fatal(err)
	}
	return join(input, jose.Encode(signature))
}
