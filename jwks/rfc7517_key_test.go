package jwks_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/jwks"
)

// algsOf returns the algorithms that the key of kid may be used with.
func algsOf(t *testing.T, c *jwks.Cache, kid string) (algs []string) {
	t.Helper()
	for _, alg := range append(jose.Algorithms(), "none", "HS256", "") {
		keys, err := c.Keys(t.Context(), kid, alg)
		if err != nil {
			t.Fatal(err)
		}
		if len(keys) > 0 {
			algs = append(algs, alg)
		}
	}
	return algs
}

func certificate(t *testing.T, public crypto.PublicKey, signer crypto.Signer) string {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, signer)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

// rsaJWK is a key of so many bits that nobody has the private part of.
func rsaJWK(bits int) jwk {
	n := new(big.Int).SetBit(big.NewInt(1), bits-1, 1)
	return jwk{"kid": "x", "kty": "RSA", "n": b64(n.Bytes()), "e": "AQAB"}
}

const (
	rsaAlgs = "RS256 RS384 RS512 PS256 PS384 PS512"
	edAlgs  = "EdDSA Ed25519"
)

func TestSet_KeyIsUsedForWhatItIsMeant(t *testing.T) {
	t.Parallel()
	r := jwkOf(t, "x", &rsaKey().PublicKey)
	e := ecJWK(t, "x")
	d := jwkOf(t, "x", newEd(t))
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x5c := certificate(t, &rsaKey().PublicKey, other)
	x5cOther := certificate(t, &other.PublicKey, other)
	n := r["n"].(string)
	raw, err := base64.RawURLEncoding.DecodeString(n)
	if err != nil {
		t.Fatal(err)
	}

	for name, row := range map[string]struct {
		key    jwk
		algs   string // none: the key is not used
		reason string // in the log; none: nothing is logged
	}{
		// The algorithms of a key (sections 4.1 and 4.4; RFC 7518 section 3, RFC 8037, RFC 9864).
		"RSA":              {r, rsaAlgs, ""},
		"RSA of 8192 bits": {rsaJWK(8192), rsaAlgs, ""},
		"RSA with a zero":  {r.with(jwk{"n": b64(append([]byte{0}, raw...))}), rsaAlgs, ""}, // RFC 7518 section 6.3.1.1 knows of them
		"P-256":            {e, "ES256", ""},
		"P-384":            {jwkOf(t, "x", newEC(t, elliptic.P384())), "ES384", ""},
		"P-521":            {jwkOf(t, "x", newEC(t, elliptic.P521())), "ES512", ""},
		"Ed25519":          {d, edAlgs, ""},
		"alg":              {r.with(jwk{"alg": "PS384"}), "PS384", ""},
		"alg EdDSA":        {d.with(jwk{"alg": "EdDSA"}), edAlgs, ""},
		"alg Ed25519":      {d.with(jwk{"alg": "Ed25519"}), edAlgs, ""},
		"alg of EC":        {e.with(jwk{"alg": "ES256"}), "ES256", ""},
		"alg of others":    {e.with(jwk{"alg": "ES384"}), "", "alg"},
		"alg of a kty":     {r.with(jwk{"alg": "ES256"}), "", "alg"},
		"alg none":         {r.with(jwk{"alg": "none"}), "", "alg"},
		"alg HS256":        {r.with(jwk{"alg": "HS256"}), "", "alg"},
		"alg in lower":     {r.with(jwk{"alg": "rs256"}), "", "alg"},
		"alg encryption":   {r.with(jwk{"alg": "RSA-OAEP-256"}), "", "alg"},
		"alg not text":     {r.with(jwk{"alg": 1}), "", "member alg"},

		// What it is meant for (sections 4.2 and 4.3).
		"use sig":                  {e.with(jwk{"use": "sig"}), "ES256", ""},
		"use enc":                  {e.with(jwk{"use": "enc"}), "", ""},
		"use unknown":              {e.with(jwk{"use": "Sig"}), "", ""},
		"use empty":                {e.with(jwk{"use": ""}), "", ""},
		"use not text":             {e.with(jwk{"use": []string{"sig"}}), "", "member use"},
		"key_ops verify":           {e.with(jwk{"key_ops": []string{"verify"}}), "ES256", ""},
		"key_ops more":             {e.with(jwk{"key_ops": []string{"x-new", "verify"}}), "ES256", ""},
		"key_ops sign":             {e.with(jwk{"key_ops": []string{"sign"}}), "", ""},
		"key_ops empty":            {e.with(jwk{"key_ops": []string{}}), "", ""},
		"key_ops not array":        {e.with(jwk{"key_ops": "verify"}), "", "member key_ops"},
		"use and key_ops":          {e.with(jwk{"use": "sig", "key_ops": []string{"verify"}}), "ES256", ""},
		"use sig, key_ops encrypt": {e.with(jwk{"use": "sig", "key_ops": []string{"encrypt"}}), "", ""},
		"use enc, key_ops verify":  {e.with(jwk{"use": "enc", "key_ops": []string{"verify"}}), "", ""},
		"encryption on X25519":     {d.with(jwk{"crv": "X25519", "use": "enc"}), "", ""},

		// Kinds of keys that are not verified with (section 4.1; RFC 7518 section 6.1).
		"no kty":        {e.with(jwk{"kty": nil}), "", "kty"},
		"unknown kty":   {jwk{"kid": "x", "kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"}, "", "kty"},
		"kty in lower":  {e.with(jwk{"kty": "ec"}), "", "kty"},
		"kty not text":  {e.with(jwk{"kty": []any{nil}}), "", "member kty"},
		"oct":           {jwk{"kid": "x", "kty": "oct", "k": "AAAA"}, "", "secret"},
		"oct without k": {jwk{"kid": "x", "kty": "oct"}, "", "kty"},
		"no crv":        {e.with(jwk{"crv": nil}), "", "crv"},
		"secp256k1":     {e.with(jwk{"crv": "secp256k1"}), "", "crv"},
		"P-224":         {jwkOf(t, "x", newEC(t, elliptic.P224())), "", "crv"},
		"X25519":        {d.with(jwk{"crv": "X25519"}), "", "crv"},
		"Ed448":         {d.with(jwk{"crv": "Ed448"}), "", "crv"},
		"not an object": {nil, "", "not an object"},

		// Secret members (section 8.1.1; RFC 7518 sections 6.2.2, 6.3.2 and 6.4).
		"d of EC":                 {e.with(jwk{"d": "AAAA"}), "", "secret"},
		"d of OKP":                {d.with(jwk{"d": "AAAA"}), "", "secret"},
		"d of a key for another":  {e.with(jwk{"d": "AAAA", "use": "enc"}), "", "secret"},
		"d of a wrong type":       {e.with(jwk{"d": []any{nil}}), "", "secret"},
		"p":                       {r.with(jwk{"p": "AAAA"}), "", "secret"},
		"q":                       {r.with(jwk{"q": "AAAA"}), "", "secret"},
		"dp":                      {r.with(jwk{"dp": "AAAA"}), "", "secret"},
		"dq":                      {r.with(jwk{"dq": "AAAA"}), "", "secret"},
		"qi":                      {r.with(jwk{"qi": "AAAA"}), "", "secret"},
		"oth":                     {r.with(jwk{"oth": []any{}}), "", "secret"},
		"k of a key that is none": {e.with(jwk{"k": "AAAA"}), "", "secret"},

		// RSA (RFC 7518 sections 3.3 and 6.3.1).
		"RSA of 2047 bits":     {rsaJWK(2047), "", "modulus"},
		"RSA of 8193 bits":     {rsaJWK(8193), "", "modulus"},
		"an even modulus":      {r.with(jwk{"n": b64(append(raw[:len(raw)-1:len(raw)-1], raw[len(raw)-1]&^1))}), "", "modulus"},
		"exponent 0":           {r.with(jwk{"e": "AA"}), "", "exponent"},
		"exponent 1":           {r.with(jwk{"e": "AQ"}), "", "exponent"},
		"exponent 2":           {r.with(jwk{"e": "Ag"}), "", "exponent"},
		"exponent 3":           {r.with(jwk{"e": "Aw"}), rsaAlgs, ""},
		"exponent 65536":       {r.with(jwk{"e": "AQAA"}), "", "exponent"},
		"exponent 2^31-1":      {r.with(jwk{"e": "f____w"}), rsaAlgs, ""},
		"exponent 2^32-1":      {r.with(jwk{"e": "_____w"}), "", "exponent"},
		"exponent of 65 bits":  {r.with(jwk{"e": "AQAAAAAAAAAB"}), "", "exponent"},
		"no exponent":          {r.with(jwk{"e": nil}), "", "its e"},
		"an empty exponent":    {r.with(jwk{"e": ""}), "", "exponent"},
		"exponent as a number": {r.with(jwk{"e": 65537}), "", "member e"},
		"no modulus":           {r.with(jwk{"n": nil}), "", "its n"},

		// Misspelt values (RFC 7515 section 2).
		"padding":         {r.with(jwk{"n": n + "=="}), "", "its n"},
		"white space":     {r.with(jwk{"n": n[:64] + "\n" + n[64:]}), "", "its n"},
		"other alphabet":  {r.with(jwk{"e": "+/AB"}), "", "its e"},
		"stray bits":      {r.with(jwk{"e": "AR"}), "", "its e"},
		"space around it": {e.with(jwk{"x": " " + e["x"].(string)}), "", "its x"},

		// Points (RFC 7518 section 6.2.1, RFC 8037 section 2).
		"off the curve":      {e.with(jwk{"x": e["y"], "y": e["x"]}), "", "point"},
		"the point 0, 0":     {e.with(jwk{"x": b64(make([]byte, 32)), "y": b64(make([]byte, 32))}), "", "point"},
		"of another curve":   {e.with(jwk{"crv": "P-384"}), "", "point"},
		"a short coordinate": {e.with(jwk{"x": "AAAA"}), "", "point"},
		"a long coordinate":  {e.with(jwk{"x": b64(make([]byte, 33))}), "", "point"},
		"no y":               {e.with(jwk{"y": nil}), "", "its y"},
		"a short Ed25519":    {d.with(jwk{"x": b64(make([]byte, 31))}), "", "point"},

		// x5c (section 4.7).
		"x5c":                    {r.with(jwk{"x5c": []string{x5c}}), rsaAlgs, ""},
		"x5c, a chain":           {r.with(jwk{"x5c": []string{x5c, x5cOther}}), rsaAlgs, ""},
		"x5c of another key":     {r.with(jwk{"x5c": []string{x5cOther}}), "", "another key"},
		"x5c, a chain reversed":  {r.with(jwk{"x5c": []string{x5cOther, x5c}}), "", "another key"},
		"x5c empty":              {r.with(jwk{"x5c": []string{}}), "", "x5c"},
		"x5c not an array":       {r.with(jwk{"x5c": x5c}), "", "member x5c"},
		"x5c not a certificate":  {r.with(jwk{"x5c": []string{"AAAA"}}), "", "x5c"},
		"x5c, garbage behind it": {r.with(jwk{"x5c": []string{x5c, "AAAA"}}), "", "x5c"},
		"x5c in base64url":       {r.with(jwk{"x5c": []string{strings.TrimRight(x5c, "=") + "_-"}}), "", "x5c"},
		"x5c with line breaks":   {r.with(jwk{"x5c": []string{x5c[:64] + "\r\n" + x5c[64:]}}), "", "x5c"},

		// Members that mean nothing here (section 4).
		"unknown members": {r.with(jwk{"x5t": "AAAA", "x5u": "https://a.example", "exp": 1, "new": jwk{"a": []any{nil}}}), rsaAlgs, ""},
		"kid not text":    {r.with(jwk{"kid": 7}), "", "member kid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			good := ecJWK(t, "good")
			body := setOf(t, row.key, good)
			if row.key == nil {
				body = strings.Replace(body, "null", "[7]", 1)
			}
			c, log := serve(t, body)
			mustFind(t, c, "good", "ES256")
			if row.algs != "" || row.reason == "" {
				if got := strings.Join(algsOf(t, c, "x"), " "); got != row.algs {
					t.Errorf("may be used with %q, want %q", got, row.algs)
				}
			}
			if _, hasKid := row.key["kid"].(string); row.algs == "" && hasKid {
				mustLack(t, c, "x", "ES256")
			}
			switch text := log.String(); {
			case row.reason == "" && text != "":
				t.Errorf("logged: %s", text)
			case row.reason != "" && (strings.Count(text, "key skipped") != 1 || !strings.Contains(text, row.reason)):
				t.Errorf("logged: %q, want one line with %q", text, row.reason)
			}
			for _, secret := range slices.Collect(maps.Values(row.key)) {
				if s, ok := secret.(string); ok && len(s) >= 20 && strings.Contains(log.String(), s) {
					t.Error("key material in the log")
				}
			}
		})
	}
}
