package validator

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/strictjson"
)

var errWrongType = errors.New("a registered member is of the wrong type")

// wrongType is the error for a registered member, so that its name may be told.
func wrongType(name string) error { return fmt.Errorf("%s is of the wrong type", name) }

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
	token     *Token
	has       claimSet // the claims that are there; of sub, client_id and jti, those not empty
	forUs     bool     // aud has one of Config.Audiences
	active    bool     // introspection only, as the next
	otherwise bool     // it says that it is about no access token
	isDPoP    bool     // it says that the token is bound
	notBefore time.Time
}

// parse reads the claims strictly: data is one JSON object, and what is
// registered is of its type. Only an answer has active.
//
// What the Token holds is parts of claims, or the policy's own.
func (v *Validator) parse(claims string, answer bool) (payload, error) {
	t := newToken()
	t.claims = claims
	p := payload{token: t}
	scopesFrom := len(v.cfg.ScopeClaims) // which of them has the scopes
	err := strictjson.Object(claims, func(name string, val strictjson.Value) error {
		if answer && val.IsNull() && describes(name) {
			return nil // some issuers write so what they do not know
		}
		var ok bool
		switch name {
		case "iss":
			t.issuer, ok = val.Text()
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
			t.audience = val
			p.forUs, ok = names(val, v.cfg.Audiences)
			p.has |= claimAudience
		case "exp":
			t.expiry, ok = p.date(claimExpiry, val)
		case "iat":
			t.issuedAt = val
			_, ok = p.date(claimIssuedAt, val)
		case "nbf":
			p.notBefore, ok = p.date(0, val)
		case "auth_time":
			t.authTime = val
			_, ok = p.date(0, val)
		case "cnf":
			ok = true
			t.bound = parseConfirmation(val)
		case "token_type", "token_use", "typ":
			ok = true
			if answer {
				p.kind(name, val)
			}
		case "active":
			p.active = val == "true"
			ok = !answer || p.active || val == "false"
			p.has |= claimActive
		default:
			ok = true
			if i := slices.Index(v.cfg.ScopeClaims, name); i >= 0 {
				var list []string
				if list, ok = scopes(val); i < scopesFrom {
					t.scopes, scopesFrom = list, i
					p.has |= claimScope
				}
			}
		}
		if !ok {
			return wrongType(name)
		}
		return nil
	})
	return p, err
}

// describes reports whether nothing is decided by a claim's being there: that
// alone may be null.
func describes(name string) bool {
	switch name {
	case "active", "iss", "aud", "exp", "nbf", "cnf":
		return false
	default:
		return true
	}
}

// kind notes what an answer says that its token is: token_type (RFC 7662 section
// 2.2, RFC 6749 section 7.1), or what Ory Hydra (token_use) and Keycloak (typ) say
// of refresh and ID tokens, about which an issuer may be asked as well.
func (p *payload) kind(name string, val strictjson.Value) {
	text, isText := val.Text()
	is := func(s string) bool { return strings.EqualFold(text, s) }
	switch name {
	case "token_type":
		p.isDPoP = is("DPoP")
		p.otherwise = p.otherwise || !p.isDPoP && !is("Bearer")
	case "token_use":
		p.otherwise = p.otherwise || !is("access_token") && !is("access")
	default: // a typ may mean anything
		p.otherwise = p.otherwise || isText && slices.ContainsFunc([]string{"ID", "Refresh", "Offline", "Logout"}, is)
	}
}

// lacks returns the refusal of a payload, which the log calls what, without one of
// the required claims.
func (p *payload) lacks(what string, required claimSet) error {
	for i, name := range claimNames {
		if required&^p.has&(1<<i) != 0 {
			return NewError(ErrMalformed, what+"lacks "+name)
		}
	}
	return nil
}

func (p *payload) text(claim claimSet, to *string, val strictjson.Value) (ok bool) {
	*to, ok = val.Text()
	if *to != "" {
		p.has |= claim
	}
	return ok
}

func (p *payload) date(claim claimSet, val strictjson.Value) (time.Time, bool) {
	p.has |= claim
	return jose.NumericDate(val)
}

// names reports whether an aud, which is a string or an array of strings (RFC 7519
// section 4.1.3), has one of ours.
func names(aud strictjson.Value, ours []string) (has, ok bool) {
	if text, ok := aud.Text(); ok {
		return slices.Contains(ours, text), true
	}
	ok = aud.Elements(func(e strictjson.Value) bool {
		text, isText := e.Text()
		has = has || isText && slices.Contains(ours, text)
		return isText
	})
	return has, ok
}

// scopes reads a string of words (RFC 6749 section 3.3) or an array.
func scopes(val strictjson.Value) ([]string, bool) {
	text, ok := val.Text()
	if !ok {
		return val.Texts()
	}
	list := make([]string, 0, 4)
	start := 0
	for i := range len(text) + 1 {
		if i < len(text) && text[i] != ' ' {
			continue
		}
		if i > start {
			list = append(list, text[start:i])
		}
		start = i + 1
	}
	return list, true
}
