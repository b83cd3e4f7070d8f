package validator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Why a token was refused. Test with [errors.Is]; what a client may be told
// stands in [Error].
var (
	ErrNoToken     = errors.New("no access token")                  // 401, without a code (RFC 6750 section 3.1)
	ErrRequest     = errors.New("malformed request")                // 400 invalid_request: two tokens, bad grammar
	ErrMalformed   = errors.New("malformed token")                  // 401 invalid_token, as all down to ErrBinding
	ErrType        = errors.New("wrong type of token")              // the JOSE header's typ, RFC 8725 section 3.11
	ErrAlgorithm   = errors.New("signature algorithm not accepted") // RFC 8725 section 3.1
	ErrKey         = errors.New("no key of the issuer fits")        // the issuer was asked, and has none
	ErrSignature   = errors.New("wrong signature")
	ErrIssuer      = errors.New("wrong issuer")
	ErrAudience    = errors.New("meant for another audience")
	ErrExpired     = errors.New("expired")
	ErrNotYetValid = errors.New("not yet valid")
	ErrInactive    = errors.New("not active")                                // what introspection says of an opaque token
	ErrRevoked     = errors.New("revoked")                                   // what it says of a JWT that verified
	ErrBinding     = errors.New("bound to a key that was not shown")         // cnf, RFC 7800
	ErrScope       = errors.New("insufficient scope")                        // 403 insufficient_scope
	ErrForbidden   = errors.New("forbidden")                                 // 403, without a code: Config.Check said no
	ErrStepUp      = errors.New("insufficient user authentication")          // 401 insufficient_user_authentication, RFC 9470
	ErrProof       = errors.New("invalid DPoP proof")                        // 401 invalid_dpop_proof, RFC 9449 section 7.1
	ErrNonce       = errors.New("a DPoP proof with our nonce is needed")     // 401 use_dpop_nonce, RFC 9449 section 9
	ErrUnavailable = errors.New("cannot find out whether the token is good") // 503, no challenge: a 401 would be a lie
)

// Error is what every refusal of this package is: why, for the log, and what
// the client is told. Neither holds a token or a claim's value.
type Error struct {
	// Status is the HTTP status of the answer.
	Status int
	// Code is the error code of RFC 6750 section 3.1 or RFC 9470 section 3;
	// empty if the answer has none.
	Code string
	// Scopes are those that the request needs: all of them, for a challenge
	// that asks for the right token. Set on ErrScope and ErrNoToken.
	Scopes []string
	// ACR and MaxAge are what the user's authentication must meet. Set on
	// ErrStepUp.
	ACR    []string
	MaxAge time.Duration
	// Schemes are those to challenge the client with: Bearer, DPoP or both. Nil
	// means Bearer.
	Schemes []string
	// Nonce is for the DPoP-Nonce header (RFC 9449 section 9). Set on ErrNonce.
	Nonce string
	// RetryAfter is how long to wait before the same request may succeed; zero
	// if nobody knows. Set on ErrUnavailable.
	RetryAfter time.Duration

	why    error
	detail string
	cause  error
}

// NewError returns the refusal for why, which is one of this package's
// sentinels. The detail goes to the log with it; it must hold no secret.
//
// It is for those who put a validator behind a transport of their own, and for
// [Config.Check]. A why that is no sentinel makes an [ErrForbidden].
func NewError(why error, detail string) *Error {
	for i := range outcomes {
		if o := &outcomes[i]; o.why == why { //nolint:errorlint // the sentinel itself
			return &Error{Status: o.status, Code: o.code, why: why, detail: detail}
		}
	}
	return &Error{Status: http.StatusForbidden, why: ErrForbidden, detail: detail, cause: why}
}

var outcomes = [...]struct {
	why    error
	status int
	code   string
}{
	{ErrNoToken, http.StatusUnauthorized, ""},
	{ErrRequest, http.StatusBadRequest, "invalid_request"},
	{ErrMalformed, http.StatusUnauthorized, "invalid_token"},
	{ErrType, http.StatusUnauthorized, "invalid_token"},
	{ErrAlgorithm, http.StatusUnauthorized, "invalid_token"},
	{ErrKey, http.StatusUnauthorized, "invalid_token"},
	{ErrSignature, http.StatusUnauthorized, "invalid_token"},
	{ErrIssuer, http.StatusUnauthorized, "invalid_token"},
	{ErrAudience, http.StatusUnauthorized, "invalid_token"},
	{ErrExpired, http.StatusUnauthorized, "invalid_token"},
	{ErrNotYetValid, http.StatusUnauthorized, "invalid_token"},
	{ErrInactive, http.StatusUnauthorized, "invalid_token"},
	{ErrRevoked, http.StatusUnauthorized, "invalid_token"},
	{ErrBinding, http.StatusUnauthorized, "invalid_token"},
	{ErrScope, http.StatusForbidden, "insufficient_scope"},
	{ErrForbidden, http.StatusForbidden, ""},
	{ErrStepUp, http.StatusUnauthorized, "insufficient_user_authentication"},
	{ErrProof, http.StatusUnauthorized, "invalid_dpop_proof"},
	{ErrNonce, http.StatusUnauthorized, "use_dpop_nonce"},
	{ErrUnavailable, http.StatusServiceUnavailable, ""},
}

// Error returns the reason, for a log.
func (e *Error) Error() string {
	if e == nil {
		return "validator: no refusal: a nil *Error"
	}
	text := "validator: refused"
	if e.why != nil {
		text = "validator: " + e.why.Error()
	}
	if e.detail != "" {
		text += ": " + e.detail
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Description is a constant text for the client, in the characters of RFC 6750
// section 3 (error_description); empty where there is no Code.
func (e *Error) Description() string {
	if e.Code == "" || e.why == nil {
		return ""
	}
	return e.why.Error()
}

// Unwrap returns the sentinel, and what lay beneath if something did.
func (e *Error) Unwrap() []error {
	switch {
	case e == nil:
		return nil
	case e.cause == nil:
		return []error{e.why}
	default:
		return []error{e.why, e.cause}
	}
}

// unavailable is the refusal when whoever knows could not be asked: cause is
// their error. If it is the caller who left, that alone is said, by the error of
// ctx and its cause.
func unavailable(ctx context.Context, detail string, cause error) *Error {
	e := NewError(ErrUnavailable, detail)
	e.cause = cause
	if ctx.Err() != nil {
		e.cause = ctx.Err()
		if why := context.Cause(ctx); !errors.Is(why, e.cause) {
			e.cause = fmt.Errorf("%w: %w", e.cause, why)
		}
		return e
	}
	if errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded) {
		e.cause = errors.New(cause.Error()) // their context ended, which must not look like the caller's
	}
	if later, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](cause); ok {
		e.RetryAfter = max(later.RetryAfter(), 0)
	}
	return e
}
