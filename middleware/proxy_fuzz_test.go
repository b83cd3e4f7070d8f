package middleware_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/countermark/countermark/middleware"
)

// What a peer that is no proxy of ours says of the URL counts for nothing. What a
// proxy says names a host at most: never another path, a user, or a third scheme.
func FuzzForwardedURL(f *testing.F) {
	for _, peer := range []string{"10.0.0.1:1", "192.0.2.1:1", "[::ffff:10.0.0.1]:1", "", "@", "10.0.0.1"} {
		f.Add(peer, "https", "api.example.com", "app.internal")
		f.Add(peer, "gopher, HTTP", "evil.example, api.example.com", "")
		f.Add(peer, "", "a/b?c#d@e", "u@app.internal")
		f.Add(peer, "https\r\n", " [::1]:443 ", `a\b`)
	}
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	forwarded, alone := middleware.ForwardedURL(proxies...), middleware.ForwardedURL()
	f.Fuzz(func(t *testing.T, peer, proto, forwardedHost, host string) {
		const path = "//x@y/orders"
		req := &http.Request{
			Method: http.MethodGet, RequestURI: path + "?q", URL: &url.URL{Path: path, RawQuery: "q"}, RemoteAddr: peer, Host: host,
			Header: http.Header{"X-Forwarded-Proto": {"gopher", proto}, "X-Forwarded-Host": {"evil.example", forwardedHost}},
		}
		got, direct := forwarded(req), alone(req)
		addr, err := netip.ParseAddrPort(peer)
		if trusted := err == nil && proxies[0].Contains(addr.Addr().Unmap()); !trusted && got != direct {
			t.Errorf("%q is believed: %q and not %q", peer, got, direct)
		}
		for _, raw := range []string{got, direct} {
			scheme, rest, _ := strings.Cut(raw, "://")
			authority, ok := strings.CutSuffix(rest, path)
			u, err := url.Parse(raw)
			if scheme != "http" && scheme != "https" || !ok || err == nil && u.Host != "" && (u.User != nil || strings.ContainsAny(authority, "/?#@\\")) {
				t.Errorf("%q", raw)
			}
		}
	})
}
