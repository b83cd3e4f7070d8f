package authserver

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/countermark/countermark/internal/fetch"
)

// checkRedirectURI keeps out what would send a code to the wrong place or in the
// clear (RFC 6749 section 3.1.2, RFC 9700 section 2.1, RFC 8252 section 8.4).
func checkRedirectURI(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case !printable(raw) || strings.ContainsAny(raw, ` "<>\^{|}`+"`"):
		return errors.New("must be a URI: printable ASCII, other characters percent-encoded (RFC 3986)")
	case err == nil && slices.ContainsFunc(responseParams, u.Query().Has):
		return errors.New("must not have a parameter of the authorization response (RFC 6749 section 4.1.2)")
	case err == nil && strings.Contains(u.Scheme, ".") && u.User == nil && !strings.Contains(raw, "#"):
		return nil // RFC 8252 section 7.1
	case err == nil && u.Scheme != "" && u.Scheme != "https" && u.Scheme != "http":
		return errors.New("must use https, http on a loopback host, or a private-use scheme with a dot, as com.example.app has (RFC 8252)")
	}
	if err := fetch.CheckURL(raw); err != nil {
		return err
	}
	switch parts := strings.Split(u.Path, "/"); {
	case slices.Contains(parts, ".") || slices.Contains(parts, ".."):
		return errors.New("must not have dot segments, which a browser takes out")
	default:
		return checkHost(u)
	}
}

// responseParams are those that a client reads in an authorization response.
var responseParams = []string{"code", "error", "error_description", "error_uri", "iss", "state", "response"}

// matchRedirectURI reports whether asked is what was registered: the same string
// (RFC 9700 section 2.1), but for the port on a loopback address, which a native
// app gets from its system (RFC 8252 section 7.3).
func matchRedirectURI(registered, asked string) bool {
	if registered == asked {
		return true
	}
	host1, rest1 := loopbackURI(registered)
	host2, rest2 := loopbackURI(asked)
	return host1 != "" && host1 == host2 && rest1 == rest2
}

// loopbackURI returns the address of an http URI on a loopback address, and what
// follows its port; nothing of any other. A name such as localhost may mean
// something else somewhere.
func loopbackURI(uri string) (host, rest string) {
	for _, host := range []string{"127.0.0.1", "[::1]"} {
		rest, ok := strings.CutPrefix(uri, "http://"+host)
		if !ok {
			continue
		}
		if port, ok := strings.CutPrefix(rest, ":"); ok {
			end := strings.IndexAny(port+"/", "/?#")
			n, err := strconv.ParseUint(port[:end], 10, 16)
			if err != nil || strconv.FormatUint(n, 10) != port[:end] || n == 0 {
				return "", ""
			}
			rest = port[end:]
		}
		if rest == "" || rest[0] == '/' || rest[0] == '?' {
			return host, rest
		}
	}
	return "", ""
}

// redirectURI returns the registered redirect URI that is meant, as it was asked
// for. It may be left out where there is no choice (RFC 6749 section 3.1.2.3).
func (c *client) redirectURI(asked string) (string, bool) {
	if asked == "" && len(c.RedirectURIs) == 1 {
		return c.RedirectURIs[0], true
	}
	return asked, slices.ContainsFunc(c.RedirectURIs, func(registered string) bool { return matchRedirectURI(registered, asked) })
}

// A reply is where and how the answer to an authorization request goes.
type reply struct {
	uri   string // empty as long as it is not known to be the client's
	mode  string // response_mode
	state string // empty: none
}

const (
	modeQuery    = "query"
	modeFormPost = "form_post"
)

var responseModes = []string{modeQuery, modeFormPost}

// check takes the response_mode and sees to it that the state will arrive as it
// is: what HTML cannot hold, a form cannot post.
func (to *reply) check(modes []string) error {
	if len(modes) == 0 || len(modes) == 1 && modes[0] == "" {
		return nil
	}
	if len(modes) > 1 || !slices.Contains(responseModes, modes[0]) {
		return refuse(invalidRequest, "response_mode must be query or form_post")
	}
	if modes[0] == modeFormPost && (!utf8.ValidString(to.state) || strings.ContainsFunc(to.state, unicode.IsControl)) {
		to.state = ""
		return refuse(invalidRequest, "with response_mode form_post, state must be text without control characters")
	}
	to.mode = modes[0]
	return nil
}

// send sends params to the client, with state and issuer (RFC 9207), by the
// browser.
func (s *Server) send(w http.ResponseWriter, to reply, params url.Values) {
	params.Set("iss", s.issuer)
	if to.state != "" {
		params.Set("state", to.state)
	}
	if to.mode == modeFormPost {
		s.pages.write(w, http.StatusOK, formPostPage(to.uri, params))
		return
	}
	seeOther(w, withParams(to.uri, params))
}

// withParams adds params to the query of a registered URI.
func withParams(uri string, params url.Values) string {
	// A space as %20 is read as one by every decoder.
	query := strings.ReplaceAll(params.Encode(), "+", "%20")
	switch {
	case query == "" || strings.HasSuffix(uri, "?") || strings.HasSuffix(uri, "&"):
		return uri + query
	case strings.Contains(uri, "?"):
		return uri + "&" + query
	default:
		return uri + "?" + query
	}
}

// seeOther has the browser get location: by GET, so that it never sends a form
// on (RFC 9700 section 4.12), and without a copy of where it came from.
func seeOther(w http.ResponseWriter, location string) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Location", location)
	w.WriteHeader(http.StatusSeeOther)
}
