package validator

import (
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Credentials are what a request shows. They print redacted.
type Credentials struct {
	// Scheme is the authentication scheme, in any case: Bearer (RFC 6750), which
	// empty means too, or DPoP (RFC 9449).
	Scheme string
	// Token is the access token.
	Token string `json:"-"`

	// Proof is the DPoP proof, and Method and URL are the request's, as the
	// client sees it: they must be what the proof names. Needed with DPoP only.
	Proof       string `json:"-"`
	Method, URL string
	// Certificate is the client's, if the TLS handshake verified that the client
	// has its key (RFC 8705). Nil means none.
	Certificate *x509.Certificate `json:"-"`
}

// String says that there is a token, never which.
func (c Credentials) String() string {
	if c.Token == "" {
		return "validator.Credentials(none)"
	}
	return "validator.Credentials(redacted)"
}

// Format writes String, whatever the verb: without it, %d would show the token.
func (c Credentials) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue is String, for log/slog.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

// missing returns the refusal of credentials without an access token; those of
// a scheme that is not for one count so too (RFC 6750 section 3.1).
func (c *Credentials) missing(r *Requirement) error {
	if c.Token != "" && (c.Scheme == "" || strings.EqualFold(c.Scheme, "Bearer") || c.isDPoP()) {
		return nil
	}
	e := NewError(ErrNoToken, "")
	e.Scopes = r.wanted()
	return e
}

func (c *Credentials) isDPoP() bool { return strings.EqualFold(c.Scheme, "DPoP") }

// A Requirement is what an operation asks of a token beyond its being good. The
// zero value asks nothing more.
type Requirement struct {
	// Scopes must all be there; of AnyScope, one, unless it is empty. Scopes are
	// compared byte for byte (RFC 6749 section 3.3).
	Scopes, AnyScope []string
	// ACR lists authentication contexts, one of which the user's sign-in must
	// have reached; AuthMaxAge is how long ago it may have been (RFC 9470). Empty
	// and zero ask nothing; a negative AuthMaxAge refuses everybody, as
	// ErrUnavailable.
	ACR        []string
	AuthMaxAge time.Duration
	// Fresh has the issuer asked about the token now, past every cache, so that
	// a revocation bites at this very request. A JWT keeps of its scopes those
	// that the answer has, if it speaks of any, and the earlier expiry; Claims
	// reads what the JWT says. It needs Config.Introspector.
	Fresh bool
}

// met returns the refusal of a token that does not meet r.
func (r *Requirement) met(t *Token, now func() time.Time, leeway time.Duration) error {
	for _, s := range r.Scopes {
		if !t.HasScope(s) {
			return r.scopeError()
		}
	}
	if len(r.AnyScope) > 0 && !slices.ContainsFunc(r.AnyScope, t.HasScope) {
		return r.scopeError()
	}
	acrMet := len(r.ACR) == 0 || t.acr != "" && slices.Contains(r.ACR, t.acr)
	ageMet := r.AuthMaxAge == 0
	if !ageMet && t.authTime != "" {
		age := now().Sub(t.AuthTime())
		ageMet = age-leeway <= r.AuthMaxAge && age >= -leeway
	}
	if !acrMet || !ageMet {
		e := NewError(ErrStepUp, "")
		e.ACR, e.MaxAge = slices.Clone(r.ACR), r.AuthMaxAge
		return e
	}
	return nil
}

func (r *Requirement) scopeError() error {
	e := NewError(ErrScope, "")
	if slices.ContainsFunc(r.Scopes, notOne) || slices.ContainsFunc(r.AnyScope, notOne) {
		e.detail = "one of the Requirement's scopes is empty or has a space: give each its own place"
	}
	e.Scopes = r.wanted()
	return e
}

// wanted is what a client should ask for: every scope, or the first of those of
// which one is enough.
func (r *Requirement) wanted() []string {
	wanted := slices.Clone(r.Scopes)
	if len(r.AnyScope) > 0 && !slices.ContainsFunc(r.AnyScope, func(s string) bool { return slices.Contains(wanted, s) }) {
		wanted = append(wanted, r.AnyScope[0])
	}
	return wanted
}

// notOne reports whether s does not look like one scope. It may be one, of a claim
// that is an array.
func notOne(s string) bool { return s == "" || strings.Contains(s, " ") }
