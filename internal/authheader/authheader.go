// Package authheader reads the Authorization field of a request that shows an access
// token. Whoever read it in its own way would take for a token what others do not.
package authheader

import (
	"errors"
	"strings"
)

// The authentication schemes that carry an access token.
const (
	Bearer = "Bearer" // RFC 6750
	DPoP   = "DPoP"   // RFC 9449
)

// What is wrong with a field.
var (
	ErrRepeated = errors.New("more than one Authorization header")
	ErrNoToken  = errors.New("the scheme of Authorization is not followed by one token")
)

// Read reads the values of the Authorization field: one of Bearer (RFC 6750 section
// 2.1) or DPoP (RFC 9449 section 7.1), in any case, and one token. Another scheme
// counts as no credentials at all (RFC 6750 section 3.1), and both results are empty
// then. With ErrNoToken the scheme is there.
func Read(values []string) (scheme, token string, err error) {
	switch len(values) {
	case 0:
		return "", "", nil
	case 1:
	default:
		return "", "", ErrRepeated
	}
	name, token, _ := strings.Cut(strings.Trim(values[0], " \t"), " ") // RFC 9110 section 5.5, which gRPC leaves to us
	switch {
	case strings.EqualFold(name, Bearer):
		scheme = Bearer
	case strings.EqualFold(name, DPoP):
		scheme = DPoP
	default:
		return "", "", nil
	}
	token = strings.TrimLeft(token, " ")
	if !isToken68(token) {
		return scheme, "", ErrNoToken
	}
	return scheme, token, nil
}

// isToken68 is the grammar of RFC 9110 section 11.2, which RFC 6750 calls
// b64token.
func isToken68(s string) bool {
	body := strings.TrimRight(s, "=")
	if body == "" {
		return false
	}
	wrong := byte(0)
	for ; len(body) >= 8; body = body[8:] { // it is done for every request: a loop of one would take twice as long
		wrong |= notToken68[body[0]] | notToken68[body[1]] | notToken68[body[2]] | notToken68[body[3]] |
			notToken68[body[4]] | notToken68[body[5]] | notToken68[body[6]] | notToken68[body[7]]
	}
	for i := range len(body) {
		wrong |= notToken68[body[i]]
	}
	return wrong == 0
}

// notToken68 is 1 for what is no character of isToken68; the equals signs at its end
// are not looked for here.
var notToken68 = func() (not [256]byte) {
	for c := range not {
		if strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/", byte(c)) < 0 {
			not[c] = 1
		}
	}
	return not
}()
