// Package wire is what the transports share: how credentials are read, and how a
// refusal is told. One door that did it in its own way would be a hole in all.
package wire

import (
	"strings"

	"github.com/countermark/countermark/validator"
)

// The authentication schemes that carry an access token.
const (
	Bearer = "Bearer" // RFC 6750
	DPoP   = "DPoP"   // RFC 9449
)

// Credentials reads the values of the Authorization field: one of Bearer (RFC
// 6750 section 2.1) or DPoP (RFC 9449 section 7.1), in any case, and one token.
// Another scheme counts as no credentials at all (RFC 6750 section 3.1).
func Credentials(authorization []string) (validator.Credentials, error) {
	if len(authorization) == 0 {
		return validator.Credentials{}, nil
	}
	if len(authorization) > 1 {
		return validator.Credentials{}, validator.NewError(validator.ErrRequest, "more than one Authorization header")
	}
	name, token, _ := strings.Cut(trimOWS(authorization[0]), " ")
	var scheme string
	switch {
	case strings.EqualFold(name, Bearer):
		scheme = Bearer
	case strings.EqualFold(name, DPoP):
		scheme = DPoP
	default:
		return validator.Credentials{}, nil
	}
	token = strings.TrimLeft(token, " ")
	if !isToken68(token) {
		e := validator.NewError(validator.ErrRequest, "the scheme of Authorization is not followed by one token")
		e.Schemes = []string{scheme}
		return validator.Credentials{}, e
	}
	return validator.Credentials{Scheme: scheme, Token: token}, nil
}

// Proof reads the values of the DPoP field: at most one (RFC 9449 section 4.3,
// first check), and empty if there is none.
func Proof(values []string) (string, error) {
	switch len(values) {
	case 0:
		return "", nil
	case 1:
		return trimOWS(values[0]), nil
	default:
		e := validator.NewError(validator.ErrProof, "more than one DPoP header")
		e.Schemes = []string{DPoP}
		return "", e
	}
}

// trimOWS cuts off what is around a field's value (RFC 9110 section 5.5). HTTP
// servers do so by themselves, gRPC does not.
func trimOWS(value string) string { return strings.Trim(value, " \t") }

// isToken68 is the grammar of RFC 9110 section 11.2, which RFC 6750 calls
// b64token.
func isToken68(s string) bool {
	body := strings.TrimRight(s, "=")
	for i := range len(body) {
		switch c := body[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("-._~+/", c) >= 0:
		default:
			return false
		}
	}
	return body != ""
}
