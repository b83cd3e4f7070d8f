package validator

import (
	"errors"
	"strings"
	"time"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/strictjson"
)

var errWrongType = errors.New("a registered member is of the wrong type")

// claimSet is a set of registered claims.
type claimSet uint16

const (
	claimIssuer claimSet = 1 << iota
	claimAudience
	claimExpiry
	claimSubject
	claimClientID
	claimIssuedAt
	claimID
	claimScope
	claimActive

	// RFC 7519 requires none of its claims; RFC 9068 section 2.2 all of these.
	claimsRequired        = claimIssuer | claimAudience | claimExpiry
	claimsRequiredRFC9068 = claimsRequired | claimSubject | claimClientID | claimIssuedAt | claimID
)

var claimNames = [...]string{"iss", "aud", "exp", "sub", "client_id", "iat", "jti", "scope", "active"}

// payload is what a JWT's payload or an introspection answer says, each claim of
// its right type and none of them judged yet.
type payload struct {
	token      *Token
	has        claimSet // the claims that are there; of sub, client_id and jti, those not empty
	active     bool     // introspection only
	notBefore  time.Time
	scopesFrom int // which of Config.ScopeClaims holds the scopes
}

// parse reads the claims strictly: data is one JSON object, and what is
// registered is of its type. Only an answer has active.
func (v *Validator) parse(data []byte, answer bool) (payload, error) {
	t := &Token{&content{claims: string(data)}} // a copy, which the texts are parts of
	p := payload{token: t, scopesFrom: len(v.cfg.ScopeClaims)}
	err := strictjson.Object(data, func(name []byte, val strictjson.Value) error {
		var ok bool
		switch string(name) {
		case "iss":
			t.issuer, ok = v.cfg.Issuer, val.Is(v.cfg.Issuer) // spares a copy
			if !ok {
				t.issuer, ok = val.TextOf(t.claims)
			}
			p.has |= claimIssuer
		case "sub":
			ok = p.text(claimSubject, &t.subject, val)
		case "client_id":
			ok = p.text(claimClientID, &t.clientID, val)
		case "jti":
			ok = p.text(claimID, &t.id, val)
		case "acr":
			ok = p.text(0, &t.acr, val)
		case "aud":
			t.audiences, ok = v.audiences(val)
			p.has |= claimAudience
		case "exp":
			ok = p.date(claimExpiry, &t.expiry, val)
		case "iat":
			ok = p.date(claimIssuedAt, &t.issuedAt, val)
		case "nbf":
			ok = p.date(0, &p.notBefore, val)
		case "auth_time":
			ok = p.date(0, &t.authTime, val)
		case "cnf":
			ok = true
			t.bound = parseConfirmation(val)
		case "active":
			p.active = string(val) == "true"
			ok = !answer || p.active || string(val) == "false"
			p.has |= claimActive
		default:
			ok = true
		}
		for i, claim := range v.cfg.ScopeClaims {
			if !ok || string(name) != claim {
				continue
			}
			var list []string
			if list, ok = scopes(val, t.claims); i < p.scopesFrom {
				t.scopes, p.scopesFrom = list, i
				p.has |= claimScope
			}
		}
		if !ok {
			return errWrongType
		}
		return nil
	})
	return p, err
}

// lacks returns the refusal of a payload without one of the required claims.
func (p *payload) lacks(required claimSet) error {
	for i, name := range claimNames {
		if required&^p.has&(1<<i) != 0 {
			return NewError(ErrMalformed, "lacks "+name)
		}
	}
	return nil
}

func (p *payload) text(claim claimSet, to *string, val strictjson.Value) (ok bool) {
	*to, ok = val.TextOf(p.token.claims)
	if *to != "" {
		p.has |= claim
	}
	return ok
}

func (p *payload) date(claim claimSet, to *time.Time, val strictjson.Value) (ok bool) {
	*to, ok = jose.NumericDate(val)
	p.has |= claim
	return ok
}

// audiences reads a string or an array of strings (RFC 7519 section 4.1.3).
func (v *Validator) audiences(val strictjson.Value) ([]string, bool) {
	for i, ours := range v.cfg.Audiences {
		if val.Is(ours) {
			return v.cfg.Audiences[i : i+1 : i+1], true // spares a copy
		}
	}
	if text, ok := val.Text(); ok {
		return []string{text}, true
	}
	return val.Texts()
}

// scopes reads a string of words (RFC 6749 section 3.3) or an array.
func scopes(val strictjson.Value, doc string) ([]string, bool) {
	text, ok := val.TextOf(doc)
	if !ok {
		return val.Texts()
	}
	list := make([]string, 0, strings.Count(text, " ")+1)
	for word := range strings.SplitSeq(text, " ") {
		if word != "" {
			list = append(list, word)
		}
	}
	return list, true
}
