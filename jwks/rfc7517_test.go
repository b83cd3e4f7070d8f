package jwks_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/jwks"
)

// serve returns a cache of the set that body is, and what it logs.
func serve(t testing.TB, body string) (*jwks.Cache, *record) {
	t.Helper()
	var log record
	c, _ := newCache(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/jwk-set+json")
		_, _ = io.WriteString(w, body)
	}), jwks.Config{Logger: log.logger()})
	return c, &log
}

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

func TestSet_Section4_5_DuplicateKid(t *testing.T) {
	t.Parallel()
	first, second := newEC(t, elliptic.P256()), newEC(t, elliptic.P256())
	a, b := jwkOf(t, "x", first), jwkOf(t, "x", second)
	for name, row := range map[string]struct {
		keys []jwk
		want *ecdsa.PublicKey
		logs string
	}{
		"the first stays":                  {[]jwk{a, b}, first, "same kid"},
		"in another order":                 {[]jwk{b, a}, second, "same kid"},
		"of another kty":                   {[]jwk{a, jwkOf(t, "x", newEd(t))}, first, "same kid"},
		"a key for encryption is no rival": {[]jwk{b.with(jwk{"use": "enc"}), a}, first, ""},
		"a bad key is no rival":            {[]jwk{b.with(jwk{"x": "AAAA"}), a}, first, "point"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, log := serve(t, setOf(t, row.keys...))
			if got := mustFind(t, c, "x", "ES256").(*ecdsa.PublicKey); !got.Equal(row.want) {
				t.Error("the other one was taken")
			}
			mustLack(t, c, "x", "EdDSA")
			if text := log.String(); (row.logs == "") != (text == "") || !strings.Contains(text, row.logs) {
				t.Error(text)
			}
		})
	}
}

func TestSet_Section5(t *testing.T) {
	t.Parallel()
	key := setOf(t, ecJWK(t, "a"))
	key = key[len(`{"keys":[`) : len(key)-2]
	many := func(n int) string { return `{"keys":[` + strings.Repeat(key+",", n-1) + key + `]}` }
	for name, row := range map[string]struct {
		body string
		good bool
	}{
		"a set":                    {`{"keys":[` + key + `]}`, true},
		"members to ignore":        {`{"issuer":"x","keys":[` + key + `],"z":{}}`, true},
		"white space":              {" {\n\"keys\" : [\t" + key + "\r] } \n", true},
		"1,000 keys":               {many(1000), true},
		"1,001 keys":               {many(1001), false},
		"512 KiB":                  {`{"keys":[` + key + `]` + strings.Repeat(" ", 512<<10-len(key)-11) + `}`, true},
		"512 KiB and a byte":       {`{"keys":[` + key + `]` + strings.Repeat(" ", 512<<10-len(key)-10) + `}`, false},
		"no keys":                  {`{}`, false},
		"keys null":                {`{"keys":null}`, false},
		"keys an object":           {`{"keys":{"a":` + key + `}}`, false},
		"Keys":                     {`{"Keys":[` + key + `]}`, false},
		"keys twice":               {`{"keys":[],"keys":[` + key + `]}`, false},
		"keys and Keys":            {`{"keys":[` + key + `],"Keys":[]}`, false},
		"a key alone":              {key, false},
		"an array":                 {`[` + key + `]`, false},
		"something behind it":      {`{"keys":[` + key + `]}x`, false},
		"cut":                      {`{"keys":[` + key + `]`, false},
		"invalid UTF-8":            {`{"keys":[` + key + `],"a":"` + "\xff" + `"}`, false},
		"a member of a key twice":  {`{"keys":[` + strings.Replace(key, `{`, `{"kid":"b",`, 1) + `]}`, false},
		"a member in another case": {`{"keys":[` + strings.Replace(key, `{`, `{"KID":"b",`, 1) + `]}`, false},
		"an escaped name":          {`{"\u006beys":[` + key + `]}`, true},
		"nothing":                  {``, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := serve(t, row.body)
			if row.good {
				mustFind(t, c, "a", "ES256")
			} else {
				mustFail(t, c, "a", "ES256")
			}
		})
	}
}

func TestSet_WithoutUsableKeysIsAnAnswer(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"none": `{"keys":[]}`, "bad ones": `{"keys":[{"kty":"oct","k":"AAAA"}]}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, log := serve(t, body)
			mustLack(t, c, "a", "ES256")
			mustLack(t, c, "", "ES256")
			if c.Ready() == nil {
				t.Error("ready, without a key")
			}
			if !strings.Contains(log.String(), "no usable key") {
				t.Error(log.String())
			}
		})
	}
}

func TestSet_ContentType(t *testing.T) {
	t.Parallel()
	for contentType, good := range map[string]bool{
		"application/jwk-set+json": true, "application/json; charset=utf-8": true, "application/octet-stream": true,
		"text/plain": true, "text/html; charset=utf-8": false, "application/xhtml+xml": false,
	} {
		t.Run(contentType, func(t *testing.T) {
			t.Parallel()
			body := setOf(t, ecJWK(t, "a"))
			c, _ := newCache(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", contentType)
				_, _ = io.WriteString(w, body)
			}), jwks.Config{})
			if good {
				mustFind(t, c, "a", "ES256")
			} else {
				mustFail(t, c, "a", "ES256")
			}
		})
	}
}

func TestSet_BadKeysAreReportedOncePerChange(t *testing.T) {
	t.Parallel()
	var log record
	i := newIssuer(t, ecJWK(t, "a"), jwk{"kid": "bad", "kty": "new"})
	c, _ := newCache(t, i, jwks.Config{Logger: log.logger()})
	count := func(want int) {
		t.Helper()
		if err := c.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(log.String(), "key skipped"); n != want {
			t.Errorf("%d lines, want %d: %s", n, want, log.String())
		}
	}
	count(1)
	count(1)
	i.publish(t, jwk{"kid": "worse", "kty": "oct", "k": "AAAA"}, jwk{"kid": "bad", "kty": "new"}, ecJWK(t, "b"))
	count(2)
	if !strings.Contains(log.String(), "kid=worse") || !strings.Contains(log.String(), "level=WARN") {
		t.Error(log.String())
	}
}

func TestKeys_WithoutKid(t *testing.T) {
	t.Parallel()
	var keys []jwk
	for n := range 12 {
		keys = append(keys, ecJWK(t, fmt.Sprint(n)))
	}
	keys = append(keys, jwkOf(t, "r", &rsaKey().PublicKey).with(jwk{"alg": "PS256"}), jwkOf(t, "", newEd(t)).with(jwk{"kid": nil}), jwkOf(t, "", newEd(t)))
	c, _ := serve(t, setOf(t, keys...))
	for alg, want := range map[string]int{"ES256": 8, "PS256": 1, "RS256": 0, "EdDSA": 2, "Ed25519": 2, "ES384": 0, "none": 0, "": 0} {
		found, err := c.Keys(t.Context(), "", alg)
		if err != nil || len(found) != want || cap(found) != want {
			t.Errorf("%s: %d keys (room for %d), %v; want %d", alg, len(found), cap(found), err, want)
		}
	}
	found, err := c.Keys(t.Context(), "", "ES256")
	if err != nil {
		t.Fatal(err)
	}
	for n, k := range found {
		if k != mustFind(t, c, fmt.Sprint(n), "ES256") {
			t.Errorf("key %d is not the set's", n)
		}
	}
}

func TestKeys_ResultHasNoRoomToAppend(t *testing.T) {
	t.Parallel()
	c, _ := serve(t, setOf(t, ecJWK(t, "a")))
	keys, err := c.Keys(t.Context(), "a", "ES256")
	if err != nil || len(keys) != 1 || cap(keys) != 1 {
		t.Errorf("%d keys, room for %d, %v", len(keys), cap(keys), err)
	}
}

// The keys of appendix A.1, of which the first is for encryption, and the one of
// RFC 8037 appendix A.2.
func TestSet_AppendixA1(t *testing.T) {
	t.Parallel()
	c, log := serve(t, `{"keys":[
		{"kty":"EC", "crv":"P-256", "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
		 "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM", "use":"enc", "kid":"1"},
		{"kty":"RSA", "n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs`+
		`tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbI`+
		`SD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
		 "e":"AQAB", "alg":"RS256", "kid":"2011-04-29"},
		{"kty":"OKP", "crv":"Ed25519", "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`)
	if k := mustFind(t, c, "2011-04-29", "RS256").(*rsa.PublicKey); k.N.BitLen() != 2048 || k.E != 65537 {
		t.Errorf("%d bits, exponent %d", k.N.BitLen(), k.E)
	}
	mustLack(t, c, "1", "ES256")
	mustFind(t, c, "", "EdDSA")
	if log.String() != "" {
		t.Error(log.String())
	}
}
