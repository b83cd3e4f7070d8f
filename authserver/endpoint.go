package authserver

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxBody     = 64 << 10         // bytes of a form
	maxParams   = 64               // parameters of a form
	bodyTimeout = 10 * time.Second // for the body of a request to arrive whole

	formType = "application/x-www-form-urlencoded"
)

// A request is a form from a client that proved who it is.
type request struct {
	form   url.Values // each name once, except resource
	client *client
	http   *http.Request // for what is no parameter
	header http.Header   // of the answer

	// confirmation is the key that the sender proved to hold and that tokens are
	// bound to. It is there before a grant is asked.
	confirmation *confirmation
}

// An endpoint is the policy of one endpoint: a form in, JSON out. What it
// returns is sent with status 200, or, if it is an error, as a refusal.
type endpoint func(ctx context.Context, r *request) (any, error)

// form serves an endpoint: all that the endpoints have in common is here.
func (s *Server) form(handle endpoint) http.HandlerFunc { return s.formWith(http.StatusOK, handle) }

// formWith is form for an endpoint whose success has another status.
func (s *Server) formWith(success int, handle endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer, c, err := s.exchange(w, r, handle)
		if err != nil {
			s.writeError(w, r, c, err)
			return
		}
		writeJSON(w, success, answer)
	}
}

// exchange returns the answer to r and, as soon as it is known, who sent it.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request, handle endpoint) (any, *client, error) {
	form, err := readForm(w, r)
	if err != nil {
		return nil, nil, err
	}
	c, err := s.authenticate(r, form)
	if err != nil {
		return nil, nil, err
	}
	answer, err := handle(r.Context(), &request{form: form, client: c, http: r, header: w.Header()})
	return answer, c, err
}

// readForm reads the parameters of a POST (RFC 6749 sections 3.2 and appendix
// B), none twice.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	form, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	if err := onceEach(form); err != nil {
		return nil, err
	}
	return form, nil
}

// readBody reads the parameters of a POST, from the body alone, so that no secret
// is in a URL.
func readBody(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if r.URL.RawQuery != "" {
		return nil, refuse(invalidRequest, "parameters belong in the body, not in the URL")
	}
	body, err := readAll(w, r, formType, maxBody)
	if err != nil {
		return nil, err
	}
	return parseParams(string(body))
}

// readAll reads a body of one media type and at most limit bytes.
func readAll(w http.ResponseWriter, r *http.Request, mediaType string, limit int64) ([]byte, error) {
	mt, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if mt != mediaType || len(r.Header.Values("Content-Type")) > 1 {
		return nil, refuseWith(http.StatusUnsupportedMediaType, invalidRequest, "Content-Type must be "+mediaType+", once")
	}
	if len(r.Header.Values("Content-Encoding")) > 0 { // RFC 9110 section 15.5.16
		return nil, refuseWith(http.StatusUnsupportedMediaType, invalidRequest, "Content-Encoding is not supported")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, refuseWith(http.StatusRequestEntityTooLarge, invalidRequest, "the body is larger than "+strconv.FormatInt(limit, 10)+" bytes")
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, refuseWith(http.StatusRequestTimeout, invalidRequest, "the body took too long")
	}
	if err != nil {
		return nil, refuse(invalidRequest, "the body could not be read")
	}
	return body, nil
}

// parseParams reads what is form-encoded, in a body or in a URL.
func parseParams(text string) (url.Values, error) {
	if strings.Count(text, "&") >= maxParams {
		return nil, refuse(invalidRequest, "more than "+strconv.Itoa(maxParams)+" parameters")
	}
	params, err := url.ParseQuery(text)
	if err != nil {
		return nil, refuse(invalidRequest, "the parameters are not form-encoded")
	}
	return params, nil
}

// onceEach refuses a parameter that is given twice.
func onceEach(params url.Values) error {
	for name, values := range params {
		repeatable := name == "resource" || // RFC 8707 section 2
			name == "audience" && params.Get("grant_type") == tokenExchange // RFC 8693 section 2.1
		if len(values) > 1 && !repeatable {
			return refuse(invalidRequest, mentioned(name)+" is given more than once")
		}
	}
	return nil
}

// mentioned is how an error mentions a parameter: one that means nothing here may
// be a secret in the wrong place.
func mentioned(name string) string {
	if slices.Contains(authorizationParams, name) || slices.Contains(formParams, name) || slices.Contains(logoutParams, name) {
		return name
	}
	return "a parameter"
}

// formParams are those of the endpoints that mean something here, besides those of
// an authorization request.
var formParams = []string{
	"actor_token", "actor_token_type", "assertion", "audience", "client_assertion", "client_assertion_type", "client_secret", "code",
	"code_verifier", "device_code", "grant_type", "refresh_token", "requested_token_type", "subject_token", "subject_token_type",
	"token", userCodeParam,
}

// writeJSON answers with what must not be cached (RFC 6749 section 5.1).
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
	sendJSON(w, status, v)
}
