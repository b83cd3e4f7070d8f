package wire

import (
	"net/url"
	"strings"
)

// URL is the URL of a request for path, as it is held against the htu of a DPoP
// proof (RFC 9449 section 4.3). The host is whatever a client wrote: HTTP/2 lets a
// slash or a question mark through, after which a path would not be the path that
// is served. Here they are escaped, as no URL has them in its host, so such a URL
// is that of no proof.
func URL(scheme, host, path string) string {
	u := url.URL{Scheme: scheme, Host: host, Path: "/"} // with which "//" stands before an empty host too
	return strings.TrimSuffix(u.String(), "/") + path
}
