package dpop

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/strictjson"
)

var errWrongType = errors.New("a registered member is of the wrong type")

// A payload is that of a DPoP proof (RFC 9449 section 4.2), nothing of it judged.
type payload struct {
	jti, htm, htu, nonce string
	ath                  [sha256.Size]byte // only if it was asked for
	iat                  time.Time

	expiry, notBefore time.Time // zero as a rule: the RFC asks for neither
}

// parsePayload reads the payload part of a proof. What is required is there, and
// of its type; ath is required and read if the proof goes with a token.
func parsePayload(part string, withToken bool) (payload, error) {
	var p payload
	text, err := jose.DecodeText(part)
	if err != nil {
		return p, err
	}
	var ath string
	err = strictjson.Object(text, func(name string, val strictjson.Value) error {
		ok := true
		switch name {
		case "jti":
			p.jti, ok = val.Text()
		case "htm":
			p.htm, ok = val.Text()
		case "htu":
			p.htu, ok = val.Text()
		case "nonce":
			p.nonce, ok = val.Text()
		case "ath":
			ath, ok = val.Text()
		case "iat":
			p.iat, ok = jose.NumericDate(val)
		case "exp":
			p.expiry, ok = jose.NumericDate(val)
		case "nbf":
			p.notBefore, ok = jose.NumericDate(val)
		}
		if !ok {
			return errWrongType
		}
		return nil
	})
	if err != nil {
		return p, err
	}
	if p.jti == "" || p.htm == "" || p.htu == "" || p.iat.IsZero() || withToken && ath == "" {
		return p, errors.New("lacks one of jti, htm, htu, iat, ath")
	}
	if !withToken {
		return p, nil
	}
	hash, err := jose.Decode(nil, ath)
	if err != nil || len(hash) != len(p.ath) {
		return p, errWrongType
	}
	copy(p.ath[:], hash)
	return p, nil
}

// identity names the proof for whoever remembers it: its key, its target and its
// jti, with lengths, so that no two proofs share one.
func (p *payload) identity(thumbprint [sha256.Size]byte) [sha256.Size]byte {
	b := append([]byte(nil), thumbprint[:]...)
	for _, part := range []string{p.htm, p.htu, p.jti} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part))) //nolint:gosec // at most maxProof
		b = append(b, part...)
	}
	return sha256.Sum256(b)
}
