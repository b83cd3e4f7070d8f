// Package dpop holds what an authorization server and a resource server share of
// RFC 9449: the judgement of a DPoP proof, and nonces that need no memory.
package dpop

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"time"

	"github.com/countermark/countermark/internal/jose"
)

const (
	maxProof = 8 << 10 // bytes

	// DefaultAge is how long after its iat a proof is good unless somebody says
	// otherwise.
	DefaultAge = time.Minute

	// ReplayMargin is how much longer than it passes a proof is to be remembered:
	// for a memory that is slow, or whose clock differs, at the very end of its
	// life.
	ReplayMargin = time.Minute
)

// Why a proof does not pass, where the answer differs from that to any other bad
// proof. Test with [errors.Is].
var (
	// ErrKey says that it is not by the key that was asked for.
	ErrKey = errors.New("another key than the one that is bound")
	// ErrNonce says that all is well, but for the nonce.
	ErrNonce = errors.New("nonce: not one of ours")
)

// A Policy is how proofs are judged.
type Policy struct {
	Age    time.Duration // how long after its iat a proof is good, Leeway apart
	Leeway time.Duration // how far clocks may differ
	Nonces *Nonces       // nil: none are asked for, and iat tells the age
}

// A Request is a proof, and what it must be for.
type Request struct {
	Proof       string
	Method, URL string             // of the request that the proof came with
	Token       string             // the access token that came along; empty: none, and no ath is asked for
	Bound       *[sha256.Size]byte // the thumbprint that the key must have; nil: any
}

// A Proof is one that passed, but for one thing: that it passes once is for the
// caller to see to.
type Proof struct {
	Thumbprint [sha256.Size]byte // of its key (RFC 7638)
	ID         [sha256.Size]byte // names the proof to a memory of those that were used
	Until      time.Time         // for how long it is to be remembered
}

// Check holds a DPoP proof against RFC 9449 section 4.3, in its order but for one
// step: the key is compared with the one that is asked for before it is used, so
// that no signature is computed with a stranger's key. That there is one proof is
// the transport's to check.
//
// An error says why for the log, and holds nothing of the proof.
func (p *Policy) Check(r *Request, now time.Time) (Proof, error) {
	// A well-formed JWT with all the claims.
	if len(r.Proof) > maxProof {
		return Proof{}, errors.New("too long")
	}
	header, part, signature, ok := jose.Split(r.Proof)
	if !ok {
		return Proof{}, errors.New("not a JWT")
	}
	h, err := jose.ParseHeader(header)
	if err != nil {
		return Proof{}, about("header", err)
	}
	says, err := parsePayload(part, r.Token != "")
	if err != nil {
		return Proof{}, about("payload", err)
	}

	// Type, algorithm, and the signature by the key that it carries: a public one,
	// and the one that is asked for.
	if h.Typ != "dpop+jwt" {
		return Proof{}, errors.New("typ: not dpop+jwt")
	}
	method, ok := jose.Lookup(h.Alg)
	if !ok {
		return Proof{}, errors.New("alg: not accepted")
	}
	key, thumbprint, err := jose.ParseJWK(h.JWK, h.Alg)
	if err != nil {
		return Proof{}, about("jwk", err)
	}
	if r.Bound != nil && subtle.ConstantTimeCompare(r.Bound[:], thumbprint[:]) != 1 {
		return Proof{}, ErrKey
	}
	raw, err := jose.Decode(nil, signature)
	if err != nil || method.Verify(r.Proof[:len(header)+1+len(part)], raw, key) != nil {
		return Proof{}, errors.New("wrong signature")
	}

	// This request, and no other, with this token.
	if says.htm != r.Method {
		return Proof{}, errors.New("htm: another method")
	}
	if !sameTarget(says.htu, r.URL) {
		return Proof{}, errors.New("htu: another URL")
	}
	if r.Token != "" && says.ath != jose.SHA256(r.Token) {
		return Proof{}, errors.New("ath: another token")
	}

	// Just now.
	end, err := p.end(&says, now)
	if err != nil {
		return Proof{}, err
	}
	return Proof{Thumbprint: thumbprint, ID: says.identity(thumbprint), Until: end.Add(ReplayMargin)}, nil
}

// Memory is how long after it passed a proof may have to be remembered.
func (p *Policy) Memory() time.Duration { return max(p.Age+2*p.Leeway, nonceLife) + ReplayMargin }

// end returns when a proof stops passing, and an error unless it passes now. A
// nonce of ours tells its age better than iat, which is the client's clock; what
// it says of its own life counts in any case (RFC 7519 section 4.1.4).
func (p *Policy) end(says *payload, now time.Time) (time.Time, error) {
	if !says.expiry.IsZero() && !now.Before(says.expiry.Add(p.Leeway)) {
		return time.Time{}, errors.New("exp: expired")
	}
	if says.notBefore.After(now.Add(p.Leeway)) {
		return time.Time{}, errors.New("nbf: not yet valid")
	}
	if p.Nonces != nil {
		if !p.Nonces.valid(says.nonce, now) {
			return time.Time{}, ErrNonce
		}
		return now.Add(nonceLife), nil
	}
	end := says.iat.Add(p.Age + p.Leeway)
	if !now.Before(end) {
		return time.Time{}, errors.New("iat: too long ago")
	}
	if says.iat.After(now.Add(p.Leeway)) {
		return time.Time{}, errors.New("iat: in the future")
	}
	return end, nil
}

func about(part string, err error) error { return errors.New(part + ": " + err.Error()) }
