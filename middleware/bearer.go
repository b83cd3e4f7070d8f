package middleware

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/countermark/countermark/validator"
)

// credentials takes the token from the Authorization header (RFC 6750 section
// 2.1). A header of another scheme counts as none (section 3.1). A token in the
// query is an error, whether or not there is a header: it has gone through logs
// and histories (RFC 9700 section 4.3.2). The body is never read.
func credentials(req *http.Request) (validator.Credentials, error) {
	if tokenInQuery(req.URL.RawQuery) {
		return validator.Credentials{}, validator.NewError(validator.ErrRequest, "access_token in the query; it belongs in the Authorization header")
	}
	values := req.Header["Authorization"]
	if len(values) == 0 {
		return validator.Credentials{}, nil
	}
	if len(values) > 1 {
		return validator.Credentials{}, validator.NewError(validator.ErrRequest, "more than one Authorization header")
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return validator.Credentials{}, nil
	}
	token = strings.TrimLeft(token, " ")
	if !isToken68(token) {
		return validator.Credentials{}, validator.NewError(validator.ErrRequest, "Authorization: Bearer is not followed by one token")
	}
	return validator.Credentials{Scheme: scheme, Token: token}, nil
}

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

// tokenInQuery finds a parameter access_token (RFC 6750 section 2.3), however
// its name is spelt, without reading its value.
func tokenInQuery(query string) bool {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, _, _ := strings.Cut(pair, "=")
		if strings.IndexByte(name, '%') >= 0 {
			name, _ = url.QueryUnescape(name) // empty if malformed: no handler reads it either
		}
		if name == "access_token" {
			return true
		}
	}
	return false
}
