package wire

import (
	"strings"

	"github.com/countermark/countermark/internal/authheader"
	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/validator"
)

// A Space is what every challenge of an API names.
type Space struct {
	Realm    string // RFC 9110 section 11.5
	Metadata string // the URL of the resource's metadata, RFC 9728 section 5.1; empty for none
}

// Challenges returns the values of WWW-Authenticate that go with e, one for each
// scheme (RFC 6750 section 3, RFC 9449 section 7.1); none where other credentials
// would not help.
func (s *Space) Challenges(e *validator.Error) []string {
	if !hasChallenge(e) {
		return nil
	}
	schemes := e.Schemes
	if len(schemes) == 0 {
		schemes = []string{authheader.Bearer}
	}
	values := make([]string, len(schemes))
	for i, scheme := range schemes {
		values[i] = s.challenge(scheme, e)
	}
	return values
}

func (s *Space) challenge(scheme string, e *validator.Error) string {
	var b strings.Builder
	b.WriteString(Printable(scheme) + " realm=")
	quote(&b, s.Realm)
	param := func(name, value string) {
		b.WriteString(", " + name + "=")
		quote(&b, value)
	}
	for name, value := range Params(e) {
		param(name, value)
	}
	if s.Metadata != "" {
		param("resource_metadata", s.Metadata)
	}
	if scheme == authheader.DPoP {
		param("algs", strings.Join(jose.Algorithms(), " "))
	}
	return b.String()
}

// quote writes a quoted-string (RFC 9110 section 5.6.4).
func quote(b *strings.Builder, value string) {
	b.WriteByte('"')
	for _, c := range []byte(Printable(value)) {
		if c == '"' || c == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	b.WriteByte('"')
}
