package attack_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"slices"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/validator"
)

// signatureRows are about what a signature is: RFC 7518 sections 3.3 to 3.5, RFC
// 8032 section 5.1.7, RFC 8725 section 3.3.
func signatureRows(m *mint) []row {
	var rows []row
	by := func(key *tokentest.Key, name string, change func([]byte) []byte) {
		rows = append(rows, attack(key.Alg+": "+name, m.resigned(key, change), validator.ErrSignature))
	}
	forAll := []*tokentest.Key{m.issuer, m.p384, m.p521, m.ed, m.rsa, m.pss}
	for _, key := range forAll {
		by(key, "zeros (CVE-2022-21449)", func(s []byte) []byte { return make([]byte, len(s)) })
		by(key, "a byte more", func(s []byte) []byte { return append(s, 0) })
		by(key, "a byte before", func(s []byte) []byte { return slices.Concat([]byte{0}, s) })
		by(key, "a byte less", func(s []byte) []byte { return s[:len(s)-1] })
		by(key, "a bit turned", func(s []byte) []byte { s[len(s)/2] ^= 1; return s })
	}
	by(m.issuer, "twice", func(s []byte) []byte { return slices.Concat(s, s) })
	by(m.issuer, "half", func(s []byte) []byte { return s[:32] })
	rows = append(rows, ecdsaRows(m)...)

	// RFC 8032 section 5.1.7: S is less than the order of the group.
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	by(m.ed, "S and the order", func(s []byte) []byte {
		scalar := slices.Clone(s[32:])
		slices.Reverse(scalar)
		sum := new(big.Int).Add(new(big.Int).SetBytes(scalar), order).FillBytes(make([]byte, 32))
		slices.Reverse(sum)
		return slices.Concat(s[:32], sum)
	})
	by(m.ed, "as long as one of Ed448", func(s []byte) []byte { return append(s, make([]byte, 114-len(s))...) })
	by(m.ed, "the neutral point and zero", func([]byte) []byte { return append([]byte{1}, make([]byte, 63)...) })

	n := m.rsa.Private.Public().(*rsa.PublicKey).N
	for _, key := range []*tokentest.Key{m.rsa, m.pss} {
		by(key, "one", func(s []byte) []byte { return big.NewInt(1).FillBytes(make([]byte, len(s))) })
		by(key, "the modulus", func(s []byte) []byte { return n.FillBytes(make([]byte, len(s))) })
		by(key, "the modulus less one", func(s []byte) []byte { return new(big.Int).Sub(n, big.NewInt(1)).FillBytes(make([]byte, len(s))) })
		by(key, "and the modulus", func(s []byte) []byte { return new(big.Int).Add(new(big.Int).SetBytes(s), n).Bytes() })
	}
	p := parts(m.tokenBy(m.rsa, nil, nil))
	digest := sha1.Sum([]byte(join(p[0], p[1])))
	signature, err := rsa.SignPKCS1v15(rand.Reader, m.rsa.Private.(*rsa.PrivateKey), 0, digest[:])
	if err != nil {
		m.tb.Fatal(err)
	}
	rows = append(rows, attack("RS256: a bare SHA-1 digest", join(p[0], p[1], jose.Encode(signature)), validator.ErrSignature))

	good, other := parts(m.good), parts(m.tokenWith(edits{"x": 1}, edits{"sub": "canary-root"}))
	return append(rows,
		attack("another payload under a good signature", join(good[0], other[1], good[2]), validator.ErrSignature),
		attack("another header under a good signature", join(other[0], good[1], good[2]), validator.ErrSignature),
		attack("another token under a good signature", join(other[0], other[1], good[2]), validator.ErrSignature),
		attack("the signature of another token", join(good[0], good[1], other[2]), validator.ErrSignature),
		attack("the dot moved into the payload", join(good[0]+good[1][:4], good[1][4:], good[2]), validator.ErrMalformed),
		attack("by a stranger's key of the same name", m.tokenBy(m.stranger, nil, nil), validator.ErrSignature),
	)
}

// ecdsaRows are about two numbers of 32 bytes.
func ecdsaRows(m *mint) []row {
	order := elliptic.P256().Params().N
	whole := func(r, s *big.Int) []byte {
		return slices.Concat(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32)))
	}
	var rows []row
	numbers := func(name string, change func(r, s *big.Int) []byte) {
		token := m.resigned(m.issuer, func(sig []byte) []byte {
			return change(new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
		})
		rows = append(rows, attack("ES256: "+name, token, validator.ErrSignature))
	}
	zero, one, most := new(big.Int), big.NewInt(1), new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
	numbers("r is zero", func(_, s *big.Int) []byte { return whole(zero, s) })
	numbers("s is zero", func(r, _ *big.Int) []byte { return whole(r, zero) })
	numbers("r is the order", func(_, s *big.Int) []byte { return whole(order, s) })
	numbers("s is the order", func(r, _ *big.Int) []byte { return whole(r, order) })
	numbers("both are the order", func(_, _ *big.Int) []byte { return whole(order, order) })
	numbers("both are one", func(_, _ *big.Int) []byte { return whole(one, one) })
	numbers("both are the greatest number", func(_, _ *big.Int) []byte { return whole(most, most) })
	numbers("r is the prime of the field", func(_, s *big.Int) []byte { return whole(elliptic.P256().Params().P, s) })
	numbers("r is negated", func(r, s *big.Int) []byte { return whole(new(big.Int).Sub(order, r), s) })
	numbers("exchanged", func(r, s *big.Int) []byte { return whole(s, r) })
	numbers("r and the order, in 33 bytes each", func(r, s *big.Int) []byte {
		return slices.Concat(new(big.Int).Add(r, order).FillBytes(make([]byte, 33)), s.FillBytes(make([]byte, 33)))
	})
	numbers("in 33 bytes each", func(r, s *big.Int) []byte {
		return slices.Concat(r.FillBytes(make([]byte, 33)), s.FillBytes(make([]byte, 33)))
	})
	numbers("in 66 bytes each", func(r, s *big.Int) []byte {
		return slices.Concat(r.FillBytes(make([]byte, 66)), s.FillBytes(make([]byte, 66)))
	})
	numbers("DER", func(r, s *big.Int) []byte {
		der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
		if err != nil {
			m.tb.Fatal(err)
		}
		return der
	})

	// Whoever has (r, s) can write (r, n-s), which is a signature of the same text by
	// the same key, so nothing is forged by it. It is let in; the memory takes it for
	// another token, and what it says is the same.
	malleable := m.resigned(m.issuer, func(sig []byte) []byte {
		return whole(new(big.Int).SetBytes(sig[:32]), new(big.Int).Sub(order, new(big.Int).SetBytes(sig[32:])))
	})
	rows = append(rows, row{name: "ES256: s is negated", brings: bearer(malleable), want: passes()})

	point := func(x, y *big.Int) *ecdsa.PublicKey {
		return &ecdsa.PublicKey{Curve: elliptic.P256(), X: x, Y: y} //nolint:staticcheck // the replacements check the point
	}
	return append(rows,
		m.replacedKey("empty", &ecdsa.PublicKey{}),
		m.replacedKey("a point off its curve", point(one, one)),
		m.replacedKey("the point at infinity", point(zero, zero)),
		m.replacedKey("the base point", point(elliptic.P256().Params().Gx, elliptic.P256().Params().Gy)))
}

// replacedKey is a good token after the issuer's key became public.
func (m *mint) replacedKey(name string, public *ecdsa.PublicKey) row {
	r := attack("ES256: key is "+name, m.good, validator.ErrSignature)
	r.then = func(h *house) {
		h.setKeys(tokentest.Keys{{ID: m.issuer.ID, Alg: "ES256", Private: publicOnly{public}}})
	}
	return r
}

// publicOnly is a key that signs nothing.
type publicOnly struct{ public crypto.PublicKey }

func (p publicOnly) Public() crypto.PublicKey { return p.public }

func (publicOnly) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.ErrUnsupported
}
