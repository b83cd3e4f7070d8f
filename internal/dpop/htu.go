package dpop

import (
	"encoding/hex"
	"net/url"
	"strings"
)

// sameTarget compares two URLs without query and fragment, after the
// normalisation of RFC 3986 section 6.2.2 and 6.2.3 that RFC 9449 section 4.3
// asks for: case of scheme, host and escapes, default port, empty path.
func sameTarget(a, b string) bool {
	a, b = target(a), target(b)
	if a == b {
		_, rest, _ := strings.Cut(a, "://")
		return rest != "" && rest[0] != '/' // there is a host
	}
	a, b = normalized(a), normalized(b)
	return a == b && a != ""
}

func target(raw string) string {
	if end := strings.IndexAny(raw, "?#"); end >= 0 {
		return raw[:end]
	}
	return raw
}

// normalized returns the normal form of a URL, or "" if raw is none.
func normalized(raw string) string {
	u, err := url.Parse(raw) // which has the scheme in lower case
	if err != nil || u.User != nil {
		return ""
	}
	port := u.Port()
	host := strings.TrimSuffix(strings.Map(lowerASCII, u.Host), ":"+port)
	if u.Scheme == "" || host == "" || host[0] != '[' && strings.IndexByte(host, ':') >= 0 || strings.IndexByte(host, '%') >= 0 {
		return ""
	}
	if port != "" && (u.Scheme != "https" || port != "443") && (u.Scheme != "http" || port != "80") {
		host += ":" + port
	}
	// As it was sent: u.EscapedPath writes all of it anew if one character should
	// have been escaped, and then takes %2F for a slash.
	path := "/"
	if _, rest, _ := strings.Cut(raw, "://"); strings.IndexByte(rest, '/') >= 0 {
		path = rest[strings.IndexByte(rest, '/'):]
	}
	return u.Scheme + "://" + host + normalizedEscapes(path)
}

func lowerASCII(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}

// normalizedEscapes writes escapes in upper case, unreserved characters without,
// and those that no URL has with one (RFC 3986 section 2).
func normalizedEscapes(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if c := path[i]; c <= ' ' || c > '~' || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			b.WriteString("%" + strings.ToUpper(hex.EncodeToString([]byte{c})))
			continue
		}
		if path[i] != '%' || i+2 >= len(path) {
			b.WriteByte(path[i])
			continue
		}
		escape := path[i : i+3]
		i += 2
		if c, err := url.PathUnescape(escape); err == nil && isUnreserved(c[0]) {
			b.WriteByte(c[0])
			continue
		}
		b.WriteString(strings.ToUpper(escape))
	}
	return b.String()
}

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}
