package validator_test

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/fips140"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/validator"
)

func TestRFC8725_3_1_EveryAsymmetricAlgorithmByDefault(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			token := minted(edits{"alg": alg}, nil)
			keys := tokentest.Keys{key(alg)}
			accept(t, newValidator(t, func(c *validator.Config) { c.Keys = keys }), token)
			accept(t, newValidator(t, func(c *validator.Config) { c.Keys, c.Algorithms = keys, []string{alg} }), token)

			another := "RS256"
			if alg == another {
				another = "PS256"
			}
			v := newValidator(t, func(c *validator.Config) { c.Keys, c.Algorithms = keys, []string{another} })
			tok, err := v.Validate(t.Context(), token)
			wantRefused(t, tok, err, validator.ErrAlgorithm)
		})
	}
}

func TestRFC8725_3_1_OtherAlgorithmsAreRefused(t *testing.T) {
	t.Parallel()
	runRefusals(t, algorithmRefusals())
}

func algorithmRefusals() []refusal {
	rows := []refusal{
		header("absent", edits{"alg": nil}, validator.ErrMalformed),
		header("null", edits{"alg": null}, validator.ErrMalformed),
		header("number", edits{"alg": 256}, validator.ErrMalformed),
		header("array", edits{"alg": []string{"ES256"}}, validator.ErrMalformed),
		header("of another case as a name", edits{"alg": nil, "Alg": "ES256"}, validator.ErrMalformed),
	}
	for _, alg := range []string{"none", "None", "NONE", "nOnE", "none ", "\tnone", "none\x00", ""} {
		unsigned := func() string {
			p := parts(minted(edits{"alg": alg}, nil))
			return join(p[0], p[1], "")
		}
		rows = append(rows,
			refusal{name: "unsecured " + alg, token: unsigned, want: validator.ErrAlgorithm},
			header("signed "+alg, edits{"alg": alg}, validator.ErrAlgorithm))
	}
	for _, alg := range []string{"es256", "Es256", "ES256 ", " ES256", "ES256K", "ES257", "RS1", "HS256", "HS384", "HS512", "dir", "A256KW", "canary", "Ed448", "ES256\x00", "E\u017f256"} {
		rows = append(rows, header("alg "+alg, edits{"alg": alg}, validator.ErrAlgorithm))
	}
	return rows
}

// A key that everybody may know is no secret for an HMAC, in any of its forms
// (CVE-2026-48526 and its kin).
func TestRFC8725_3_1_PublicKeysAreNoHMACSecrets(t *testing.T) {
	t.Parallel()
	runRefusals(t, confusionRefusals())
}

func confusionRefusals() []refusal {
	var rows []refusal
	for name, signer := range map[string]crypto.Signer{"RSA": rsaKey(), "ECDSA": ecKey(), "Ed25519": edKey()} {
		public := signer.Public()
		pkix := must(x509.MarshalPKIXPublicKey(public))
		secrets := map[string][]byte{
			"PKIX DER":                 pkix,
			"PKIX PEM":                 pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkix}),
			"PKIX PEM without newline": bytes.TrimSpace(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkix})),
			"JWK":                      []byte(marshal(publicJWK(public))),
			"nothing":                  {},
			"zeros":                    make([]byte, 32),
		}
		switch k := public.(type) {
		case *rsa.PublicKey:
			secrets["PKCS #1 DER"] = x509.MarshalPKCS1PublicKey(k)
			secrets["PKCS #1 PEM"] = pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(k)})
			secrets["modulus"] = k.N.Bytes()
			secrets["encoded modulus"] = []byte(jose.Encode(k.N.Bytes()))
		case *ecdsa.PublicKey:
			secrets["point"] = must(k.Bytes())
		case ed25519.PublicKey:
			secrets["bytes"] = k
		}
		for form, secret := range secrets {
			rows = append(rows, refusal{
				name: name + " as " + form,
				token: func() string {
					p := parts(minted(edits{"alg": "HS256"}, nil))
					var sum []byte
					fips140.WithoutEnforcement(func() { // which would ask for a longer secret
						mac := hmac.New(sha256.New, secret)
						mac.Write([]byte(join(p[0], p[1])))
						sum = mac.Sum(nil)
					})
					return join(p[0], p[1], jose.Encode(sum))
				},
				policy: func(c *validator.Config) { c.Keys = careless{ecKey().Public(), public} },
				want:   validator.ErrAlgorithm,
			})
		}
	}
	return rows
}

func TestRFC8725_3_1_KeyAndAlgorithmBelongTogether(t *testing.T) {
	t.Parallel()
	runRefusals(t, keyRefusals())
}

// keyRefusals have a KeySource that returns a wrong key for the good signature
// behind it: the validator itself must see that the key is not for alg.
func keyRefusals() []refusal {
	var rows []refusal
	signedAs := func(name, says, by string) { // alg says one thing, and the key signed by another
		rows = append(rows, refusal{
			name: name,
			token: func() string {
				return mintedBy(key(by), edits{"alg": says}, nil)
			},
			policy: func(c *validator.Config) {
				c.Keys = careless{ecKey().Public(), key(by).Private.Public()} // the control needs the first
			},
			want: validator.ErrSignature,
		})
	}
	signedAs("RS256 that is a PS256", "RS256", "PS256")
	signedAs("PS256 that is an RS256", "PS256", "RS256")
	signedAs("RS256 that is an RS512", "RS256", "RS512")
	signedAs("PS384 that is a PS256", "PS384", "PS256")
	signedAs("RS256 that is an ES256", "RS256", "ES256")
	signedAs("RS256 that is an EdDSA", "RS256", "EdDSA")
	signedAs("ES256 that is an RS256", "ES256", "RS256")
	signedAs("ES256 that is an ES384", "ES256", "ES384")
	signedAs("ES384 that is an ES256", "ES384", "ES256")
	signedAs("ES512 that is an ES384", "ES512", "ES384")
	signedAs("EdDSA that is an ES256", "EdDSA", "ES256")

	curve := elliptic.P256().Params()
	for name, wrong := range map[string]crypto.PublicKey{
		"another key":           must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)).Public(),
		"nil":                   nil,
		"a nil pointer":         (*ecdsa.PublicKey)(nil),
		"a nil RSA pointer":     (*rsa.PublicKey)(nil),
		"an empty ECDSA key":    &ecdsa.PublicKey{},
		"a copy of the key":     *ecKey().Public().(*ecdsa.PublicKey),
		"the private key":       ecKey(),
		"bytes":                 must(x509.MarshalPKIXPublicKey(ecKey().Public())),
		"text":                  "canary",
		"an empty RSA key":      &rsa.PublicKey{},
		"an empty Ed25519 key":  ed25519.PublicKey{},
		"a point off its curve": point(big.NewInt(1), big.NewInt(1)),
		"the point at infinity": point(new(big.Int), new(big.Int)),
		"negative coordinates":  point(big.NewInt(-1), big.NewInt(-1)),
		"the base point":        point(curve.Gx, curve.Gy),
	} {
		rows = append(rows, refusal{
			name:   "key is " + name,
			change: func(c *validator.Config) { c.Keys = careless{wrong} },
			want:   validator.ErrSignature,
		})
	}
	return rows
}

// point is a P-256 key that need not be on its curve.
func point(x, y *big.Int) *ecdsa.PublicKey {
	return &ecdsa.PublicKey{Curve: elliptic.P256(), X: x, Y: y} //nolint:staticcheck // the replacements check the point
}

// Keys of other sizes than 2048 to 8192 bits are refused though the signature is
// good: short ones are weak, and long ones cost the verifier too much.
func TestRFC8725_3_5_RSAKeysOfIndecentSize(t *testing.T) {
	t.Parallel()
	p := parts(minted(edits{"alg": "RS256"}, nil))
	for _, row := range []struct {
		bits int
		want error
	}{
		{1024, validator.ErrSignature}, {2040, validator.ErrSignature}, {2048, nil},
		{8192, nil}, {8200, validator.ErrSignature},
	} {
		public, sig := signedByManyPrimes(t, row.bits, join(p[0], p[1]))
		v := newValidator(t, func(c *validator.Config) { c.Keys = careless{public} })
		tok, err := v.Validate(t.Context(), join(p[0], p[1], jose.Encode(sig)))
		if row.want == nil {
			if err != nil {
				t.Errorf("%d bits: %v", row.bits, err)
			}
			continue
		}
		wantRefused(t, tok, err, row.want)
	}
}

// signedByManyPrimes returns the RS256 signature of input and the key it is good
// for: one of many small primes, since two large ones take long to find.
func signedByManyPrimes(tb testing.TB, bits int, input string) (*rsa.PublicKey, []byte) {
	tb.Helper()
	one := big.NewInt(1)
	e, d := big.NewInt(65537), (*big.Int)(nil)
	n, phi := new(big.Int), new(big.Int)
	for n.BitLen() != bits || d == nil {
		n.Set(one)
		phi.Set(one)
		for left := bits; left > 0; left = bits - n.BitLen() {
			size := 256
			if left < 2*size {
				size = left
			}
			var prime *big.Int
			fips140.WithoutEnforcement(func() { prime = must(rand.Prime(rand.Reader, max(size, 32))) })
			n.Mul(n, prime)
			phi.Mul(phi, new(big.Int).Sub(prime, one))
		}
		d = new(big.Int).ModInverse(e, phi)
	}
	digest := sha256.Sum256([]byte(input))
	info := must(hex.DecodeString("003031300d060960864801650304020105000420")) // RFC 8017 section 9.2
	padded := slices.Concat([]byte{0, 1}, bytes.Repeat([]byte{0xff}, bits/8-2-len(info)-len(digest)), info, digest[:])
	sig := new(big.Int).Exp(new(big.Int).SetBytes(padded), d, n).FillBytes(make([]byte, bits/8))
	public := &rsa.PublicKey{N: n, E: 65537}
	fips140.WithoutEnforcement(func() {
		if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], sig); err != nil {
			tb.Errorf("the control: a signature of %d bits is not good: %v", bits, err)
		}
	})
	return public, sig
}

func TestRFC8725_3_3_EverySignatureIsVerified(t *testing.T) {
	t.Parallel()
	runRefusals(t, signatureRefusals())
}

func signatureRefusals() []refusal {
	sig := func(name string, change func([]byte) []byte) refusal {
		return changed(name, func(token string) string {
			p := parts(token)
			return join(p[0], p[1], jose.Encode(change(must(jose.Decode(nil, p[2])))))
		}, validator.ErrSignature)
	}
	order := elliptic.P256().Params().N
	return []refusal{
		sig("none", func([]byte) []byte { return nil }),
		sig("zeros (CVE-2022-21449)", func(s []byte) []byte { return make([]byte, len(s)) }),
		sig("r and s are the order", func([]byte) []byte { return append(order.Bytes(), order.Bytes()...) }),
		sig("s is zero", func(s []byte) []byte { return append(s[:32:32], make([]byte, 32)...) }),
		sig("a byte more", func(s []byte) []byte { return append(s, 0) }),
		sig("a byte less", func(s []byte) []byte { return s[:63] }),
		sig("twice", func(s []byte) []byte { return append(s, s...) }),
		sig("r and s exchanged", func(s []byte) []byte { return append(s[32:64:64], s[:32]...) }),
		sig("r and s with a leading zero each", func(s []byte) []byte {
			return append(append(append([]byte{0}, s[:32]...), 0), s[32:]...)
		}),
		sig("s with a leading zero", func(s []byte) []byte { return append(append(s[:32:32], 0), s[32:]...) }),
		sig("DER", func(s []byte) []byte { // RFC 7518 section 3.4: raw
			return must(asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(s[:32]), new(big.Int).SetBytes(s[32:])}))
		}),
		{
			name: "PSS with a salt of another length", // RFC 7518 section 3.5
			token: func() string {
				p := parts(minted(edits{"alg": "PS256"}, nil))
				digest := sha256.Sum256([]byte(join(p[0], p[1])))
				options := &rsa.PSSOptions{SaltLength: 20, Hash: crypto.SHA256}
				return join(p[0], p[1], jose.Encode(must(rsaKey().Sign(rand.Reader, digest[:], options))))
			},
			want: validator.ErrSignature,
		},
		claim("claims of one token under the signature of another", nil, validator.ErrSignature).forged(edits{"sub": "canary-root"}, nil),
		claim("header of one token under the signature of another", nil, validator.ErrSignature).forged(nil, edits{"canary": 1}),
	}
}

// forged is the row with the signature of a good token under other claims and
// another header.
func (r refusal) forged(claims, header edits) refusal {
	r.token = func() string {
		p := parts(minted(header, claims))
		return join(p[0], p[1], parts(minted(nil, nil))[2])
	}
	return r
}

// Every bit that is changed anywhere is noticed.
func TestRFC8725_3_3_EveryBitIsSigned(t *testing.T) {
	t.Parallel()
	v := newValidator(t, nil)
	good := minted(edits{"alg": "EdDSA"}, nil)
	accept(t, v, good)
	for i := range good {
		for bit := range 8 {
			bad := []byte(good)
			bad[i] ^= 1 << bit
			if _, err := v.Validate(t.Context(), string(bad)); err == nil {
				t.Fatalf("accepted with bit %d of byte %d turned", bit, i)
			}
		}
	}
}

func TestRFC8725_3_6_NothingIsDecompressed(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w := must(flate.NewWriter(&b, flate.BestCompression))
	w.Write([]byte(goodPayload()))
	w.Close()
	token := sign(key("ES256"), with(goodHeader(), `"zip":"DEF"`), b.String())
	tok, err := newValidator(t, nil).Validate(t.Context(), token)
	wantRefused(t, tok, err, validator.ErrMalformed)
}

func TestRFC8725_3_7_OnlyUTF8(t *testing.T) {
	t.Parallel()
	runRefusals(t, encodingRefusals())
}

func encodingRefusals() []refusal {
	utf16 := func(s string) string { return strings.Join(append(strings.Split(s, ""), ""), "\x00") }
	m := validator.ErrMalformed
	return []refusal{
		text("payload with an invalid byte in a value", goodHeader(), with(goodPayload(), "\"x\":\"canary\xff\""), m),
		text("payload with an invalid byte in a name", goodHeader(), with(goodPayload(), "\"canary\xff\":1"), m),
		text("payload with an overlong slash", goodHeader(), with(goodPayload(), "\"x\":\"\xc0\xaf\""), m),
		text("payload with an encoded surrogate", goodHeader(), with(goodPayload(), "\"x\":\"\xed\xa0\x80\""), m),
		text("payload with half an escaped surrogate", goodHeader(), with(goodPayload(), `"x":"\ud800"`), m),
		text("payload in Latin-1", goodHeader(), with(goodPayload(), "\"x\":\"caf\xe9\""), m),
		text("payload in UTF-16", goodHeader(), utf16(goodPayload()), m),
		text("payload with a byte order mark", goodHeader(), "\xef\xbb\xbf"+goodPayload(), m),
		text("header with an invalid byte", with(goodHeader(), "\"x\":\"canary\xff\""), goodPayload(), m),
		text("header in UTF-16", utf16(goodHeader()), goodPayload(), m),
		text("header with a byte order mark", "\xef\xbb\xbf"+goodHeader(), goodPayload(), m),
	}
}

func TestRFC8725_3_8_KeysOfAnotherIssuer(t *testing.T) {
	t.Parallel()
	other := tokentest.NewKey(t, kid, "ES256")
	v := newValidator(t, nil)
	tok, err := v.Validate(t.Context(), mintedBy(other, nil, nil))
	wantRefused(t, tok, err, validator.ErrSignature)
	other.ID = "canary-other"
	tok, err = v.Validate(t.Context(), mintedBy(other, nil, nil))
	wantRefused(t, tok, err, validator.ErrKey)
}

func TestRFC8725_3_10_KeyIDsArePassedOnAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"../../etc/passwd", "' OR 1=1 --", "http://canary.example/", "\x00", "k\u0435y", strings.Repeat("k", 4000), ""} {
		k := tokentest.NewKey(t, name, "ES256")
		v := newValidator(t, func(c *validator.Config) { c.Keys = tokentest.Keys{k} })
		accept(t, v, mintedBy(k, nil, nil))
	}
}

func TestRFC8725_3_10_KeysInTheHeaderAreNotTrusted(t *testing.T) {
	t.Parallel()
	runRefusals(t, headerKeyRefusals())
}

// headerKeyRefusals are tokens of a stranger who brings his key along.
func headerKeyRefusals() []refusal {
	stranger := func() *tokentest.Key { return &tokentest.Key{ID: kid, Alg: "ES256", Private: strangersKey()} }
	brings := func(name string, e edits, want error) refusal {
		return refusal{
			name:  name,
			token: func() string { return mintedBy(stranger(), e, nil) },
			want:  want,
		}
	}
	jwk := func() edits { return publicJWK(stranger().Private.Public()) }
	return []refusal{
		brings("jwk", edits{"jwk": jwk()}, validator.ErrSignature),
		brings("jwk and its kid", edits{"jwk": jwk(), "kid": "canary-stranger"}, validator.ErrKey),
		brings("jwk without kid", edits{"jwk": jwk(), "kid": nil}, validator.ErrSignature),
		brings("x5c", edits{"x5c": []string{"Y2FuYXJ5"}}, validator.ErrSignature),
		brings("kid of a wrong type", edits{"kid": jwk()}, validator.ErrMalformed),
		brings("kid null", edits{"kid": null}, validator.ErrMalformed),
	}
}

func TestRFC8725_3_10_NoURLInTheHeaderIsVisited(t *testing.T) {
	t.Parallel()
	stranger := tokentest.NewKey(t, kid, "ES256")
	var visits atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		visits.Add(1)
		w.Write([]byte(marshal(edits{"keys": []edits{publicJWK(stranger.Private.Public())}})))
	}))
	defer server.Close()
	v := newValidator(t, nil)
	for _, member := range []string{"jku", "x5u", "iss", "kid", "jwk"} {
		tok, err := v.Validate(t.Context(), mintedBy(stranger, edits{member: server.URL + "/keys"}, nil))
		want := validator.ErrSignature
		if member == "kid" {
			want = validator.ErrKey
		}
		wantRefused(t, tok, err, want)
	}
	accept(t, v, minted(edits{"jku": server.URL, "x5u": server.URL, "jwk": 1}, nil)) // a good one may have them
	if n := visits.Load(); n != 0 {
		t.Errorf("visited %d times", n)
	}
}
