package authserver

import (
	"errors"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/countermark/countermark/internal/discovery"
	"github.com/countermark/countermark/internal/fetch"
)

// parseIssuer wants a URL that nobody rewrites on its way, so that all have the
// same one byte for byte.
func parseIssuer(raw string) (*url.URL, error) {
	if raw == "" {
		return nil, errors.New("required")
	}
	if err := discovery.CheckIssuer(raw); err != nil {
		return nil, err
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, err
	}
	if u.String() != raw || u.Host != strings.ToLower(u.Host) || !isClean(u.Path) {
		return nil, errors.New("must be in normal form: scheme and host in lower case, escapes where needed, no dots or empty parts in its path")
	}
	return u, checkHost(u)
}

// isClean reports whether nobody would shorten p, but for a slash at its end.
func isClean(p string) bool {
	return p == "" || path.Clean(p) == p || path.Clean(p)+"/" == p && p != "//"
}

// checkHost wants a host and port that somebody can be reached at.
func checkHost(u *url.URL) error {
	_, port, hasPort := strings.Cut(u.Host[strings.LastIndex(u.Host, "]")+1:], ":")
	n, err := strconv.ParseUint(port, 10, 16)
	switch {
	case hasPort && (err != nil || n == 0):
		return errors.New("must have a port from 1 to 65535, or none and no colon")
	case strings.Contains(u.Host, "*"):
		return errors.New("must name one host: * stands for nothing")
	case strings.ContainsFunc(u.Host, notInHost):
		return errors.New("must have a host of letters, digits, dots and hyphens: one in punycode, nothing escaped")
	default:
		return nil
	}
}

// notInHost tells what is in no name of a host, nor in an address and port. Escapes
// are resolved: a browser makes of them another host than people are shown.
func notInHost(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._:[]", r)
}

// checkOrigin wants what a browser sends as Origin (RFC 6454 section 6.2): it is
// compared byte for byte.
func checkOrigin(raw string) error {
	if err := fetch.CheckURL(raw); err != nil {
		return err
	}
	scheme, host, _ := strings.Cut(raw, "://")
	defaultPort := map[string]string{"https": ":443", "http": ":80"}[scheme]
	if raw != strings.ToLower(raw) || strings.ContainsAny(host, "/?") || strings.HasSuffix(host, defaultPort) {
		return errors.New("must be scheme and host in lower case, with the port unless it is the default one, and nothing else")
	}
	return checkHost(&url.URL{Host: host})
}
