package authserver

import (
	"crypto"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/countermark/countermark/internal/dpop"
	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/strictjson"
)

const (
	maxAssertion = 16 << 10         // bytes
	leeway       = 30 * time.Second // for the clocks of others

	// defaultAssertionLifetime is how far ahead the exp of an assertion may be.
	defaultAssertionLifetime = 10 * time.Minute
)

// An assertion is a JWT that somebody else signed (RFC 7523 section 3), taken
// apart. Nothing of it is verified.
type assertion struct {
	input         string // what is signed
	signature     []byte
	alg, kid, typ string // typ in lower case, without application/

	issuer, subject, id string
	audience            []string
	scope               string    // empty is as if it were not there
	expiry              time.Time // this one and the next two are zero if they are not there
	notBefore, issuedAt time.Time
}

// Errors about assertions are constants: they go to the log, and nothing of an
// assertion does.
var (
	errAssertionSize   = errors.New("assertion: too large")
	errAssertionParts  = errors.New("assertion: not a signed JWT in compact form")
	errAssertionHeader = errors.New("assertion: malformed header")
	errAssertionClaims = errors.New("assertion: malformed claims")
	errAssertionParty  = errors.New("assertion: iss and sub are not the client")
	errAssertionClient = errors.New("assertion: no such client, or it is registered for another method")
	errAssertionAlg    = errors.New("assertion: alg is not one that is accepted")
	errAssertionKey    = errors.New("assertion: no key with this kid and alg")
	errAssertionSig    = errors.New("assertion: the signature does not verify")
	errAssertionType   = errors.New("assertion: wrong typ")
	errAssertionIssuer = errors.New("assertion: the issuer is not trusted")
)

// parseAssertion reads a JWT strictly: one reading, or an error.
func parseAssertion(text string) (*assertion, error) {
	if len(text) > maxAssertion {
		return nil, errAssertionSize
	}
	header, payload, signature, ok := jose.Split(text)
	if !ok {
		return nil, errAssertionParts
	}
	a := &assertion{input: text[:len(header)+1+len(payload)]}
	var err error
	if a.signature, err = jose.Decode(nil, signature); err != nil {
		return nil, errAssertionParts
	}
	if !readMembers(header, a.headerMember) || a.alg == "" {
		return nil, errAssertionHeader
	}
	if !readMembers(payload, a.claim) {
		return nil, errAssertionClaims
	}
	a.typ = strings.TrimPrefix(strings.ToLower(a.typ), "application/") // RFC 7515 section 4.1.9
	return a, nil
}

// readMembers reports whether part is one JSON object whose members member takes.
func readMembers(part string, member func(name string, v strictjson.Value) bool) bool {
	text, err := jose.DecodeText(part)
	return err == nil && strictjson.Object(text, func(name string, v strictjson.Value) error {
		if !member(name, v) {
			return errAssertionClaims
		}
		return nil
	}) == nil
}

// headerMember reads RFC 7515 section 4.1. A key that the header brings along or
// points to is not looked at.
func (a *assertion) headerMember(name string, v strictjson.Value) (ok bool) {
	switch name {
	case "alg":
		a.alg, ok = v.Text()
	case "kid":
		a.kid, ok = v.Text()
	case "typ":
		a.typ, ok = v.Text()
	case "crit": // section 4.1.11: none is understood here
		return false
	case "b64": // RFC 7797 section 3: true changes nothing
		return v == "true"
	default:
		return true
	}
	return ok
}

func (a *assertion) claim(name string, v strictjson.Value) (ok bool) {
	switch name {
	case "iss":
		a.issuer, ok = v.Text()
	case "sub":
		a.subject, ok = v.Text()
	case "jti":
		a.id, ok = v.Text()
	case "scope":
		a.scope, ok = v.Text()
	case "aud":
		if text, isText := v.Text(); isText {
			a.audience = []string{text}
			return true
		}
		a.audience, ok = v.Texts()
	case "exp":
		a.expiry, ok = numericDate(v)
	case "nbf":
		a.notBefore, ok = numericDate(v)
	case "iat":
		a.issuedAt, ok = numericDate(v)
	default:
		return true
	}
	return ok
}

// numericDate reads RFC 7519 section 2, from after 1970 to 9999: what is beyond
// is an overflow or a mistake in units.
func numericDate(v strictjson.Value) (time.Time, bool) {
	const last = 253402300799
	f, err := strconv.ParseFloat(string(v), 64)
	if !v.IsNumber() || err != nil || f <= 0 || f > last {
		return time.Time{}, false
	}
	sec, frac := math.Modf(f)
	return time.Unix(int64(sec), int64(frac*1e9)), true
}

// verify returns an error unless one of keys made the signature, by the
// algorithm that the header names.
func (a *assertion) verify(keys []crypto.PublicKey) error {
	method, known := jose.Lookup(a.alg)
	if !known {
		return errAssertionAlg
	}
	if len(keys) == 0 {
		return errAssertionKey
	}
	for _, key := range keys {
		if method.Verify(a.input, a.signature, key) == nil {
			return nil
		}
	}
	return errAssertionSig
}

// checkTimes refuses with code unless the assertion is good now and not for much
// longer (RFC 7523 section 3, items 4 to 6).
func (a *assertion) checkTimes(code string, now time.Time, lifetime time.Duration) error {
	switch {
	case a.expiry.IsZero():
		return refuse(code, "the assertion lacks exp")
	case !now.Before(a.expiry.Add(leeway)):
		return refuse(code, "the assertion has expired")
	case a.expiry.After(now.Add(lifetime + leeway)):
		return refuse(code, "the exp of the assertion is too far ahead: at most "+strconv.Itoa(int(lifetime/time.Second))+" seconds")
	case a.notBefore.After(now.Add(leeway)):
		return refuse(code, "the assertion is not good yet")
	case a.issuedAt.After(now.Add(leeway)):
		return refuse(code, "the iat of the assertion is in the future")
	default:
		return nil
	}
}

// remembered is how long a used assertion is remembered: longer than it is good,
// for a server that is slow, or whose clock is behind, at the very end.
func (a *assertion) remembered() time.Time { return a.expiry.Add(leeway + dpop.ReplayMargin) }

// failed is the refusal of what nobody has proved to have sent: the cause is for
// the log alone.
func failed(code, description string, cause error) *refusal {
	r := refuse(code, description)
	r.cause = cause
	return r
}

// assertionKey is the key of an assertion's jti, which only together with who
// wrote it is unique (RFC 7519 section 4.1.7).
func assertionKey(party, id string) Hash {
	return HashOf(party + "\x00" + id) // no party has a NUL in its name
}
