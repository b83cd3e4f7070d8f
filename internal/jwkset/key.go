package jwkset

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/strictjson"
)

// A Key is one that verifies signatures.
type Key struct {
	KID         string             // "" if it has none
	Algorithms  []string           // what it may be used with
	Public      []crypto.PublicKey // it alone: what a lookup returns
	Certificate []byte             // the first of its x5c, in DER; nil if it has none
	Identity    string             // equal for keys that are the same in KID, Algorithms and Public

	typed bool // has a kty, as every JWK (RFC 7517 section 4.1)
}

// errOtherUse is about a key that is good, but not for verifying signatures.
var errOtherUse = errors.New("for another use")

// parseKey reads one key of a set (RFC 7517 section 4). The key is not nil: with
// an error it has the kid and typed at most. No error tells anything of the key itself.
func parseKey(v strictjson.Value) (*Key, error) {
	m, err := readMembers(v)
	k := &Key{KID: strings.Clone(m.text["kid"]), typed: m.text["kty"] != ""} // a part of the whole set as it came
	if err != nil {
		return k, err
	}
	if err := m.forVerifying(); err != nil {
		return k, err
	}
	material, err := m.material()
	if err != nil {
		return k, err
	}
	public, err := parseMaterial(m.text["kty"], material)
	if err != nil {
		return k, err
	}
	k.Algorithms = jose.AlgorithmsFor(public)
	if alg, ok := m.text["alg"]; ok {
		k.Algorithms = slices.DeleteFunc(k.Algorithms, func(fit string) bool { return !jose.Same(fit, alg) })
		if len(k.Algorithms) == 0 {
			return k, errors.New("its alg is not one for such a key")
		}
	}
	if k.Certificate, err = m.certificate(public); err != nil {
		return k, err
	}
	k.Public = []crypto.PublicKey{public}
	k.Identity = strings.Join(slices.Concat([]string{k.KID}, k.Algorithms, []string{string(material)}), "\x00")
	return k, nil
}

// members are the members of a JWK that matter here.
type members struct {
	text    map[string]string
	ops     []string
	hasOps  bool
	x5c     []string
	hasX5C  bool
	private bool
}

func readMembers(v strictjson.Value) (members, error) {
	m := members{text: make(map[string]string)}
	var wrong error
	err := strictjson.Object(string(v), func(name string, v strictjson.Value) error {
		ok := true
		switch name {
		case "kty", "kid", "use", "alg", "crv", "n", "e", "x", "y":
			m.text[name], ok = v.Text()
		case "key_ops":
			m.hasOps = true
			m.ops, ok = v.Texts()
		case "x5c":
			m.hasX5C = true
			m.x5c, ok = v.Texts()
		case "d", "p", "q", "dp", "dq", "qi", "oth", "k":
			m.private = true
		}
		if !ok {
			wrong = fmt.Errorf("member %s is of a wrong type", name)
		}
		return nil
	})
	if err == nil {
		err = wrong
	}
	return m, err
}

// forVerifying returns an error unless the issuer means the key for verifying
// signatures (RFC 7517 sections 4.2 and 4.3).
func (m members) forVerifying() error {
	use, hasUse := m.text["use"]
	switch {
	case m.private: // also a key for another use: the issuer should know
		return errors.New("it has secret members")
	case hasUse && use != "sig", m.hasOps && !slices.Contains(m.ops, "verify"):
		return errOtherUse
	default:
		return nil
	}
}

// material returns the members that make the key as JSON, just those and in the
// order of RFC 7638 section 3.2.
func (m members) material() ([]byte, error) {
	var names []string
	kty, crv := m.text["kty"], m.text["crv"]
	switch {
	case kty == "RSA":
		names = []string{"n", "e"}
	case kty == "EC" && (crv == "P-256" || crv == "P-384" || crv == "P-521"):
		names = []string{"x", "y"}
	case kty == "OKP" && crv == "Ed25519":
		names = []string{"x"}
	case kty == "EC", kty == "OKP":
		return nil, errors.New("its crv is not supported")
	default:
		return nil, errors.New("its kty is not supported")
	}
	material := map[string]string{"kty": kty}
	if kty != "RSA" {
		material["crv"] = crv
	}
	for _, name := range names {
		value, ok := m.text[name]
		if _, err := jose.Decode(nil, value); err != nil || !ok {
			return nil, fmt.Errorf("its %s is not canonical base64url", name)
		}
		material[name] = value
	}
	return json.Marshal(material) // sorts by name
}

// parseMaterial makes the key. What jwx refuses depends on settings that are
// global to the program, so what matters is checked here too.
func parseMaterial(kty string, material []byte) (crypto.PublicKey, error) {
	var public any // jwx knows no other type here
	parsed, err := jwk.ParseKey(material)
	if err == nil {
		err = jwk.Export(parsed, &public)
	}
	ok := err == nil && len(jose.AlgorithmsFor(public)) > 0
	if k, isRSA := public.(*rsa.PublicKey); ok && isRSA { // crypto/rsa verifies nothing with others
		ok = k.N.Bit(0) == 1 && k.E&1 == 1 && k.E >= 3 && k.E <= math.MaxInt32
	}
	switch {
	case ok:
		return public, nil
	case kty == "RSA":
		return nil, fmt.Errorf("an RSA key has an odd modulus of %d to %d bits and an odd exponent from 3 to 2^31-1",
			jose.MinRSABits, jose.MaxRSABits)
	default:
		return nil, errors.New("it is not a point of its curve")
	}
}

// certificate returns the first certificate of x5c, nil if there is no x5c. It
// is an error unless that is a chain of certificates of which the first is for
// the key (RFC 7517 section 4.7). Nothing else is asked of them: it is the key
// set that vouches for the key.
func (m members) certificate(public crypto.PublicKey) ([]byte, error) {
	if m.hasX5C && len(m.x5c) == 0 {
		return nil, errors.New("its x5c is empty")
	}
	var first []byte
	for i, text := range m.x5c {
		der, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil || strings.ContainsAny(text, "\r\n") { // encoding/base64 skips them
			return nil, errors.New("its x5c is not canonical base64")
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, errors.New("its x5c is not a chain of certificates")
		}
		if i > 0 {
			continue
		}
		if k, ok := certificate.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !k.Equal(public) {
			return nil, errors.New("the certificate in its x5c is for another key")
		}
		first = der
	}
	return first, nil
}
