package validator

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/strictjson"
)

const (
	maxProof        = 8 << 10 // bytes
	defaultProofAge = time.Minute
	maxProofAge     = time.Hour

	// replayMargin is how much longer than it passes a proof is remembered: for a
	// ReplayCache that is slow, or whose clock differs, at the very end of its life.
	replayMargin = time.Minute
)

// checkProof holds the DPoP proof against RFC 9449 section 4.3, in its order but
// for one step: the key is compared with the token's before it is used, so that
// no signature is computed with a stranger's key. That there is one proof is the
// transport's to check.
func (v *Validator) checkProof(ctx context.Context, t *Token, c *Credentials) error {
	if c.Proof == "" {
		return NewError(ErrProof, "none")
	}
	if c.Method == "" || c.URL == "" {
		return NewError(ErrUnavailable, "Credentials.Method, Credentials.URL: required with a proof")
	}

	// A well-formed JWT with all the claims.
	if len(c.Proof) > maxProof {
		return NewError(ErrProof, "too long")
	}
	j, ok := parseJWS(c.Proof)
	if !ok {
		return NewError(ErrProof, "not a JWT")
	}
	h, err := parseHeader(j.header)
	if err != nil {
		return NewError(ErrProof, "header: "+err.Error())
	}
	p, err := parseProof(j.payload)
	if err != nil {
		return NewError(ErrProof, "payload: "+err.Error())
	}

	// Type, algorithm, and the signature by the key that it carries: a public one,
	// and the one that the token is bound to.
	if h.typ != "dpop+jwt" {
		return NewError(ErrProof, "typ: not dpop+jwt")
	}
	method, ok := jose.Lookup(h.alg)
	if !ok {
		return NewError(ErrProof, "alg: not accepted")
	}
	key, thumbprint, err := parseJWK(h.jwk, h.alg)
	if err != nil {
		return NewError(ErrProof, "jwk: "+err.Error())
	}
	if !t.bound.is(thumbprint) {
		return NewError(ErrBinding, "not the DPoP key of the token")
	}
	signature, err := jose.Decode(nil, j.signature)
	if err != nil || method.Verify(j.input, signature, key) != nil {
		return NewError(ErrProof, "wrong signature")
	}

	// This request, and no other, with this token.
	if p.htm != c.Method {
		return NewError(ErrProof, "htm: another method")
	}
	if !sameTarget(p.htu, c.URL) {
		return NewError(ErrProof, "htu: another URL")
	}
	if p.ath != sha256.Sum256([]byte(c.Token)) {
		return NewError(ErrProof, "ath: another token")
	}

	// Just now.
	end, err := v.proofEnd(&p)
	if err != nil {
		return err
	}

	// For the first time (section 11.1).
	fresh, err := v.cfg.Replay.Add(ctx, p.identity(thumbprint), end.Add(replayMargin))
	if err != nil {
		return unavailable(ctx, "Config.Replay", err)
	}
	if !fresh {
		return NewError(ErrProof, "jti: used before")
	}
	return nil
}

// proofEnd returns when p stops passing, and an error unless it passes now. A
// nonce of ours tells its age better than iat, which is the client's clock; what
// it says of its own life counts in any case (RFC 7519 section 4.1.4).
func (v *Validator) proofEnd(p *proof) (time.Time, error) {
	now := v.cfg.Now()
	if !p.expiry.IsZero() && !now.Before(p.expiry.Add(v.cfg.Leeway)) {
		return time.Time{}, NewError(ErrProof, "exp: expired")
	}
	if p.notBefore.After(now.Add(v.cfg.Leeway)) {
		return time.Time{}, NewError(ErrProof, "nbf: not yet valid")
	}
	if v.nonces != nil {
		if !v.nonces.valid(p.nonce, now) {
			e := NewError(ErrNonce, "")
			e.Nonce = v.nonces.at(now)
			return time.Time{}, e
		}
		return now.Add(nonceLife), nil
	}
	end := p.iat.Add(v.cfg.ProofAge + v.cfg.Leeway)
	if !now.Before(end) {
		return time.Time{}, NewError(ErrProof, "iat: too long ago")
	}
	if p.iat.After(now.Add(v.cfg.Leeway)) {
		return time.Time{}, NewError(ErrProof, "iat: in the future")
	}
	return end, nil
}

// proof is the payload of a DPoP proof (RFC 9449 section 4.2).
type proof struct {
	jti, htm, htu, nonce string
	ath                  [sha256.Size]byte
	iat                  time.Time

	expiry, notBefore time.Time // zero as a rule: the RFC asks for neither
}

func parseProof(payload string) (proof, error) {
	var p proof
	data, err := jose.Decode(nil, payload)
	if err != nil {
		return p, err
	}
	var ath string
	err = strictjson.Object(data, func(name []byte, val strictjson.Value) error {
		ok := true
		switch string(name) {
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
			p.iat, ok = numericDate(val)
		case "exp":
			p.expiry, ok = numericDate(val)
		case "nbf":
			p.notBefore, ok = numericDate(val)
		}
		if !ok {
			return errWrongType
		}
		return nil
	})
	if err != nil {
		return p, err
	}
	if p.jti == "" || p.htm == "" || p.htu == "" || ath == "" || p.iat.IsZero() {
		return p, errors.New("lacks one of jti, htm, htu, iat, ath")
	}
	hash, err := jose.Decode(nil, ath)
	if err != nil || len(hash) != len(p.ath) {
		return p, errWrongType
	}
	copy(p.ath[:], hash)
	return p, nil
}

// identity names the proof for the replay cache: its key, its target and its
// jti, with lengths, so that no two proofs share one.
func (p *proof) identity(thumbprint [sha256.Size]byte) [sha256.Size]byte {
	b := append([]byte(nil), thumbprint[:]...)
	for _, part := range []string{p.htm, p.htu, p.jti} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part))) //nolint:gosec // at most maxProof
		b = append(b, part...)
	}
	return sha256.Sum256(b)
}

// sameTarget compares two URLs without query and fragment, after the
// normalisation of RFC 3986 section 6.2.2 and 6.2.3 that RFC 9449 section 4.3
// asks for: case of scheme, host and escapes, default port, empty path.
func sameTarget(a, b string) bool {
	a, b = target(a), target(b)
	if a == b {
		return a != ""
	}
	a, b = normalized(a), normalized(b)
	return a == b && a != ""
}

func target(raw string) string {
	if end := strings.IndexAny(raw, "?#"); end >= 0 {
		return raw[:end]
	}
	return raw
}

// normalized returns the normal form of a URL, or "" if raw is none.
func normalized(raw string) string {
	u, err := url.Parse(raw) // which has the scheme in lower case
	if err != nil || u.User != nil {
		return ""
	}
	port := u.Port()
	host := strings.TrimSuffix(strings.Map(lowerASCII, u.Host), ":"+port)
	if u.Scheme == "" || host == "" {
		return ""
	}
	if port != "" && (u.Scheme != "https" || port != "443") && (u.Scheme != "http" || port != "80") {
		host += ":" + port
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	return u.Scheme + "://" + host + normalizedEscapes(path)
}

func lowerASCII(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}

// normalizedEscapes writes escapes in upper case, and unreserved characters
// without.
func normalizedEscapes(path string) string {
	if strings.IndexByte(path, '%') < 0 {
		return path
	}
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' || i+2 >= len(path) {
			b.WriteByte(path[i])
			continue
		}
		escape := path[i : i+3]
		i += 2
		if c, err := url.PathUnescape(escape); err == nil && isUnreserved(c[0]) {
			b.WriteByte(c[0])
			continue
		}
		b.WriteString(strings.ToUpper(escape))
	}
	return b.String()
}

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}
