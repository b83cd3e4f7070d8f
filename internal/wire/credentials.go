// Package wire is what the transports share: how credentials are read, and how a
// refusal is told. One door that did it in its own way would be a hole in all.
package wire

import (
	"strings"

	"github.com/countermark/countermark/internal/authheader"
	"github.com/countermark/countermark/validator"
)

// Credentials reads the values of the Authorization field.
func Credentials(authorization []string) (validator.Credentials, error) {
	scheme, token, err := authheader.Read(authorization)
	if err != nil {
		e := validator.NewError(validator.ErrRequest, err.Error())
		if scheme != "" {
			e.Schemes = []string{scheme}
		}
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
		return strings.Trim(values[0], " \t"), nil // as with Authorization
	default:
		e := validator.NewError(validator.ErrProof, "more than one DPoP header")
		e.Schemes = []string{authheader.DPoP}
		return "", e
	}
}
