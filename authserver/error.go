package authserver

import (
	"errors"
	"net/http"
)

// Error codes of RFC 6749 section 5.2, RFC 8707 section 2, RFC 9449 section 5 and,
// for failures of the server itself, RFC 6749 section 4.1.2.1.
const (
	invalidRequest         = "invalid_request"
	invalidClient          = "invalid_client"
	invalidGrant           = "invalid_grant"
	unauthorizedClient     = "unauthorized_client"
	unsupportedGrantType   = "unsupported_grant_type"
	invalidScope           = "invalid_scope"
	invalidTarget          = "invalid_target"
	invalidDPoPProof       = "invalid_dpop_proof"
	useDPoPNonce           = "use_dpop_nonce"
	serverError            = "server_error"
	temporarilyUnavailable = "temporarily_unavailable"
)

// Error codes of RFC 6750 section 3.1.
const (
	invalidToken      = "invalid_token"
	insufficientScope = "insufficient_scope"
)

// Error codes of an authorization response: RFC 6749 section 4.1.2.1, OpenID
// Connect Core section 3.1.2.6, RFC 9101 section 6.
const (
	accessDenied            = "access_denied"
	unsupportedResponseType = "unsupported_response_type"
	loginRequired           = "login_required"
	consentRequired         = "consent_required"
	requestNotSupported     = "request_not_supported"
	requestURINotSupported  = "request_uri_not_supported"
	invalidRequestURI       = "invalid_request_uri"
)

// Error codes of RFC 8628 section 3.5, besides access_denied.
const (
	authorizationPending = "authorization_pending"
	slowDown             = "slow_down"
	expiredToken         = "expired_token"
)

// A refusal is the answer to a request that gets no other: an error response of
// RFC 6749 section 5.2.
type refusal struct {
	status      int
	code        string
	description string // a constant, without " and \; nothing of the request
	cause       error  // for the log alone, as is the next one
	tried       string // the ID of a registered client whose secret was not the right one
	detail      string // for who sent client metadata alone: what is wrong with it
	scheme      string // that an access token has to be shown by, if it came by another
	again       string // where in the issuer a person may begin again, if that is known
}

// refuse returns a refusal with the status that goes with code.
func refuse(code, description string) *refusal {
	status := http.StatusBadRequest
	switch code {
	case invalidClient:
		status = http.StatusUnauthorized
	case serverError:
		status = http.StatusInternalServerError
	case temporarilyUnavailable:
		status = http.StatusServiceUnavailable
	}
	return refuseWith(status, code, description)
}

func refuseWith(status int, code, description string) *refusal {
	return &refusal{status: status, code: code, description: description}
}

// storeFailed is the refusal when the store could not do its part: the request
// may be fine, so that the client should come again.
func storeFailed(err error) *refusal {
	r := refuse(temporarilyUnavailable, "the store of the server cannot answer now")
	r.cause = err
	return r
}

// Error returns what the log may say.
func (r *refusal) Error() string {
	text := r.code + ": " + r.description
	if r.cause != nil {
		text += ": " + r.cause.Error()
	}
	return text
}

// report tells of the refusal that err stands for and returns it. The client is
// nil as long as it is not known for sure.
func (s *Server) report(req *http.Request, c *client, err error) *refusal {
	r, ok := errors.AsType[*refusal](err)
	if !ok {
		r = refuse(serverError, "the server failed")
		r.cause = err
	}
	event := Event{Type: EventRefused, Path: req.URL.Path, Status: r.status, Error: r.code, Reason: r.description, Cause: r.cause}
	event.ClientID = r.tried
	if c != nil { // an unknown client_id may be anything, a secret in the wrong field included
		event.ClientID = c.ClientID
	}
	s.emit(req.Context(), event)
	return r
}

// writeError answers with the error response that err stands for and tells of it.
func (s *Server) writeError(w http.ResponseWriter, req *http.Request, c *client, err error) {
	r := s.report(req, c, err)
	switch {
	case r.code == invalidClient:
		w.Header().Set("WWW-Authenticate", `Basic realm="`+s.issuer+`"`)
	case r.status == http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	}
	writeJSON(w, r.status, map[string]string{"error": r.code, "error_description": r.description})
}
