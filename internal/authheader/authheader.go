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
	for i := range len(body) {
		if !token68[body[i]] {
			return false
		}
	}
	return body != ""
}

// token68 has the characters of isToken68, but for the equals signs at its end.
var token68 = func() (is [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/") {
		is[c] = true
	}
	return is
}()
