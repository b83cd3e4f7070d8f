package middleware

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/countermark/countermark/internal/authheader"
	"github.com/countermark/countermark/internal/wire"
	"github.com/countermark/countermark/validator"
)

// credentials takes the token from the Authorization header (RFC 6750 section
// 2.1, RFC 9449 section 7.1). A header of another scheme counts as none (RFC 6750
// section 3.1). A token in the query is an error, whether or not there is a
// header: it has gone through logs and histories (RFC 9700 section 4.3.2). The
// body is never read.
func (g *Guard) credentials(req *http.Request) (validator.Credentials, error) {
	if tokenInQuery(req.URL.RawQuery) {
		return validator.Credentials{}, validator.NewError(validator.ErrRequest,
			"access_token in the query; it belongs in the Authorization header")
	}
	c, err := wire.Credentials(req.Header["Authorization"])
	if err != nil || c.Token == "" {
		return c, err
	}
	if req.TLS != nil && len(req.TLS.PeerCertificates) > 0 {
		c.Certificate = req.TLS.PeerCertificates[0]
	}
	if c.Scheme == authheader.DPoP {
		c.Proof, err = wire.Proof(req.Header["Dpop"])
		c.Method, c.URL = req.Method, g.url(req)
	}
	return c, err
}

// requestURL is the URL of a request that came straight from the client.
func requestURL(req *http.Request) string {
	return wire.URL(scheme(req), req.Host, requestPath(req))
}

func scheme(req *http.Request) string {
	if req.TLS != nil {
		return "https"
	}
	return "http"
}

// requestPath is the path as the client sent it, whatever a router or a rewrite
// on the way here, or url.URL.EscapedPath, would make of it. HTTP has no fragment,
// so a # that somebody sent is a part of it.
func requestPath(req *http.Request) string {
	path, _, _ := strings.Cut(req.RequestURI, "?")
	if _, rest, ok := strings.Cut(path, "://"); ok && path[0] != '/' { // the absolute-form, RFC 9112 section 3.2.2
		slash := strings.IndexByte(rest+"/", '/')
		path = rest[slash:]
	} else if path == "" || path[0] != '/' {
		path = req.URL.EscapedPath()
	}
	return strings.ReplaceAll(path, "#", "%23")
}

// tokenInQuery finds a parameter access_token (RFC 6750 section 2.3), however
// its name is spelt, without reading its value. What stands behind a semicolon
// is a parameter to some (http.AllowQuerySemicolons), so it is one here.
func tokenInQuery(query string) bool {
	for pair := range strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == ';' }) {
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
