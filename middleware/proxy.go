package middleware

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/countermark/countermark/internal/wire"
)

// ForwardedURL returns a function for [Options.URL] that believes the headers
// X-Forwarded-Proto and X-Forwarded-Host of requests whose peer has an address in
// proxies, and of no others. Of a list it takes the last element: what the proxy
// that is trusted wrote itself. A host that is missing, and a scheme that is not
// http or https, are those of the request as it arrived. See to it that the proxy
// sets both headers on every request: one that it leaves alone is the client's.
//
// Without proxies it believes nobody, and it never believes a peer that has no
// address: behind a proxy on a Unix socket, write a function of your own. A prefix
// of IPv4 may be written as one of IPv6 (::ffff:10.0.0.0/104); but ::/0 holds no
// peer that came by IPv4.
func ForwardedURL(proxies ...netip.Prefix) func(*http.Request) string {
	proxies = slices.Clone(proxies)
	for i, p := range proxies {
		if p.Addr().Is4In6() && p.Bits() >= 96 { // as peers are: unmapped
			proxies[i] = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
	}
	return func(req *http.Request) string {
		peer, err := netip.ParseAddrPort(req.RemoteAddr)
		if err != nil || !contain(proxies, peer.Addr().Unmap().WithZone("")) {
			return requestURL(req)
		}
		proto, host := strings.ToLower(last(req.Header["X-Forwarded-Proto"])), last(req.Header["X-Forwarded-Host"])
		if proto != "http" && proto != "https" {
			proto = scheme(req)
		}
		if host == "" {
			host = req.Host
		}
		return wire.URL(proto, host, requestPath(req))
	}
}

func contain(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

func last(values []string) string {
	if len(values) == 0 {
		return ""
	}
	list := values[len(values)-1]
	return strings.TrimSpace(list[strings.LastIndexByte(list, ',')+1:])
}
