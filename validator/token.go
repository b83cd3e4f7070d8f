package validator

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/strictjson"
)

// A Token is an access token that a [Validator] found good. Nobody else makes
// one and nobody can change one, so whoever holds a Token knows that it was
// validated, by policy, here. It may be shared between goroutines.
//
// The zero value has no claim and no scope. A nil *Token is read like it.
type Token struct {
	*content // a pointer, which is all that fmt prints of a Token in somebody's private field
}

// content is what a token says.
type content struct {
	issuer, subject, clientID, id, acr string

	audience, issuedAt, authTime strictjson.Value // read when they are asked for
	scopes                       []string
	expiry                       time.Time

	bound  *confirmation // nil for a bearer token
	claims string        // the JSON object that all of it stands in
}

// Issuer returns the iss claim (RFC 7519 section 4.1.1).
func (t *Token) Issuer() string { return t.get().issuer }

// Subject returns the sub claim (RFC 7519 section 4.1.2): the user or, if there
// is none, the client. It is unique only together with Issuer.
func (t *Token) Subject() string { return t.get().subject }

// ClientID returns the client_id claim (RFC 8693 section 4.3): to whom the token
// was issued. Empty if the token has none.
func (t *Token) ClientID() string { return t.get().clientID }

// ID returns the jti claim (RFC 7519 section 4.1.7). Empty if the token has none.
func (t *Token) ID() string { return t.get().id }

// Audiences returns the aud claim (RFC 7519 section 4.1.3), in a fresh slice.
func (t *Token) Audiences() []string {
	aud := t.get().audience
	if text, ok := aud.Text(); ok {
		return []string{text}
	}
	texts, _ := aud.Texts()
	return texts
}

// Scopes returns the scopes (RFC 6749 section 3.3), in a fresh slice.
func (t *Token) Scopes() []string { return slices.Clone(t.get().scopes) }

// HasScope reports whether scope was granted. Scopes are compared byte for byte.
func (t *Token) HasScope(scope string) bool { return slices.Contains(t.get().scopes, scope) }

// Expiry returns the exp claim (RFC 7519 section 4.1.4).
func (t *Token) Expiry() time.Time { return t.get().expiry }

// IssuedAt returns the iat claim (RFC 7519 section 4.1.6). Zero if the token has
// none.
func (t *Token) IssuedAt() time.Time { return date(t.get().issuedAt) }

// AuthTime returns the auth_time claim (RFC 9068 section 2.2.1): when the user
// signed in. Zero if the token has none.
func (t *Token) AuthTime() time.Time { return date(t.get().authTime) }

// ACR returns the acr claim (RFC 9068 section 2.2.1): the authentication context
// that the sign-in reached. Empty if the token has none.
func (t *Token) ACR() string { return t.get().acr }

// Bound reports whether the token was worth something only together with a key
// (RFC 7800), which the request showed: a DPoP key or a client certificate.
func (t *Token) Bound() bool { return t.get().bound != nil }

// String says nothing of the token: claims are the user's. Use the methods.
func (t *Token) String() string { return "validator.Token(redacted)" }

// Format writes String, whatever the verb.
func (t Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue is String, for log/slog.
func (t *Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// newToken makes a Token without content, in one piece.
func newToken() *Token {
	whole := new(struct {
		content
		token Token
	})
	whole.token.content = &whole.content
	return &whole.token
}

func (t *Token) get() *content {
	if t == nil || t.content == nil {
		return &content{}
	}
	return t.content
}

// date returns the time of a NumericDate that parse found good, or of none.
func date(v strictjson.Value) time.Time {
	d, _ := jose.NumericDate(v)
	return d
}

type contextKey struct{}

// ContextWithToken returns a context that carries t.
func ContextWithToken(ctx context.Context, t *Token) context.Context {
	return context.WithValue(ctx, contextKey{}, t)
}

// TokenFromContext returns the Token that ctx carries. The middlewares put it
// there; ok is false where none ran, or where one let a request without
// credentials pass.
func TokenFromContext(ctx context.Context) (t *Token, ok bool) {
	t, _ = ctx.Value(contextKey{}).(*Token)
	return t, t != nil
}
