package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"time"

	"github.com/countermark/countermark/internal/jose"
)

// A flaw is one thing that is wrong with a token that is good otherwise.
type flaw struct {
	name string
	// basic flaws are refused by every library that is worth measuring.
	basic bool
	make  func(iss *issuer) (token, error)
}

// flaws are those that a library may overlook: basic ones first, then those of the
// claims, then those of the form.
func flaws() []flaw {
	return []flaw{
		{"signature changed", true, tampered},
		{"claims changed after signing", true, forged},
		{"another issuer", true, claiming(object{"iss": issuerName + "/other"})},
		{"another audience", true, claiming(object{"aud": "https://other.example.com"})},
		{"expired", true, claiming(object{"exp": time.Now().Add(-time.Hour).Unix()})},
		{"`alg: none`", true, unsigned},
		{"HMAC with the public key as secret", true, confused},

		{"without `exp`", false, claiming(object{"exp": nil})},
		{"not yet valid (`nbf`)", false, claiming(object{"nbf": time.Now().Add(time.Hour).Unix()})},
		{"an ID token (`typ: JWT`)", false, heading(object{"typ": "JWT"})},
		{"without `client_id`, `sub` and `jti` (RFC 9068)", false, claiming(object{"client_id": nil, "sub": nil, "jti": nil})},
		{"bound to a DPoP key, shown as plain bearer", false, claiming(object{"cnf": object{"jkt": strings.Repeat("A", 43)}})},
		{"`AUD` in place of `aud`", false, claiming(object{"aud": nil, "AUD": audience})},
		{"`aud` twice, the wrong one first", false, audienceTwice},

		{"a `crit` extension that nobody knows", false, heading(object{"crit": []string{"ext"}, "ext": 1})},
		{"signed by the issuer's key for encryption", false, byCipherKey},
		{"line break in the signature", false, broken},
		{"stray bits at the end of the signature", false, strayBits},
		{"claims that are not UTF-8", false, notUTF8},
	}
}

func claiming(edits object) func(*issuer) (token, error) {
	return func(iss *issuer) (token, error) {
		k := iss.keys["RS256"]
		return k.sign(k.header(), with(iss.claims(), edits))
	}
}

func heading(edits object) func(*issuer) (token, error) {
	return func(iss *issuer) (token, error) {
		k := iss.keys["RS256"]
		return k.sign(with(k.header(), edits), iss.claims())
	}
}

var good = claiming(nil)

func tampered(iss *issuer) (token, error) {
	t, err := good(iss)
	if err != nil {
		return t, err
	}
	t.sig[len(t.sig)/2] ^= 1
	return token{raw: string(t.input) + "." + jose.Encode(t.sig)}, nil
}

func forged(iss *issuer) (token, error) {
	t, err := good(iss)
	if err != nil {
		return t, err
	}
	other, err := claiming(object{"scope": "admin"})(iss)
	if err != nil {
		return t, err
	}
	return token{raw: string(other.input) + "." + jose.Encode(t.sig)}, nil
}

func unsigned(iss *issuer) (token, error) {
	t, err := heading(object{"alg": "none"})(iss)
	return token{raw: string(t.input) + "."}, err
}

func confused(iss *issuer) (token, error) {
	t, err := heading(object{"alg": "HS256"})(iss)
	if err != nil {
		return t, err
	}
	der, err := x509.MarshalPKIXPublicKey(iss.keys["RS256"].signer.Public())
	if err != nil {
		return t, err
	}
	mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	mac.Write(t.input)
	return token{raw: string(t.input) + "." + jose.Encode(mac.Sum(nil))}, nil
}

func audienceTwice(iss *issuer) (token, error) {
	return rewritten(iss, `"aud":`, `"aud":"https://other.example.com","aud":`)
}

func notUTF8(iss *issuer) (token, error) {
	return rewritten(iss, `"tenant":"`, `"tenant":"`+"\xff")
}

// rewritten signs claims whose JSON was changed as text.
func rewritten(iss *issuer, from, to string) (token, error) {
	k := iss.keys["RS256"]
	header, err := json.Marshal(k.header())
	if err != nil {
		return token{}, err
	}
	claims, err := json.Marshal(iss.claims())
	if err != nil {
		return token{}, err
	}
	return k.signBytes(header, bytes.Replace(claims, []byte(from), []byte(to), 1))
}

func byCipherKey(iss *issuer) (token, error) {
	return iss.cipher.sign(iss.cipher.header(), iss.claims())
}

func broken(iss *issuer) (token, error) {
	t, err := good(iss)
	t.raw = t.raw[:len(t.raw)-8] + "\n" + t.raw[len(t.raw)-8:]
	return t, err
}

// strayBits sets bits of the last character that belong to no byte.
func strayBits(iss *issuer) (token, error) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	t, err := good(iss)
	last := len(t.raw) - 1
	t.raw = t.raw[:last] + string(alphabet[strings.IndexByte(alphabet, t.raw[last])|1])
	return t, err
}
