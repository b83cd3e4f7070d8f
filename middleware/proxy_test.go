package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"testing"

	"github.com/countermark/countermark/middleware"
)

// The proxies of these tests.
var (
	house4 = netip.MustParsePrefix("10.0.0.0/8")
	house6 = netip.MustParsePrefix("2001:db8:1::/48")
)

// The requests all arrived as GET http://inside:8080/a%2Fb?c=d.
func TestForwardedURL(t *testing.T) {
	t.Parallel()
	const inside = "http://inside:8080/a%2Fb"
	const public = "https://api.example.com/a%2Fb"
	both := func(proto, host string) http.Header {
		return http.Header{"X-Forwarded-Proto": {proto}, "X-Forwarded-Host": {host}}
	}
	good := both("https", "api.example.com")
	for name, row := range map[string]struct {
		peer   string
		header http.Header
		want   string
	}{
		"a proxy":                     {"10.1.2.3:4567", good, public},
		"a proxy by IPv6":             {"[2001:db8:1::7]:4567", good, public},
		"a proxy by IPv4 in IPv6":     {"[::ffff:10.1.2.3]:4567", good, public},
		"a proxy with a zone":         {"[2001:db8:1::7%eth0]:4567", good, public},
		"the last of its prefix":      {"10.255.255.255:1", good, public},
		"the next after its prefix":   {"11.0.0.0:1", good, inside},
		"a stranger":                  {"192.0.2.1:4567", good, inside},
		"a stranger by IPv6":          {"[2001:db8:2::7]:4567", good, inside},
		"a stranger of the same bits": {"[a01:203::]:4567", good, inside}, // 10.1.2.3 begins so, too
		"no port":                     {"10.1.2.3", good, inside},
		"no address":                  {"@", good, inside}, // a Unix socket
		"a name":                      {"localhost:4567", good, inside},
		"nothing":                     {"", good, inside},

		"no header":                {"10.1.2.3:4567", nil, inside},
		"only the scheme":          {"10.1.2.3:4567", http.Header{"X-Forwarded-Proto": {"https"}}, "https://inside:8080/a%2Fb"},
		"only the host":            {"10.1.2.3:4567", http.Header{"X-Forwarded-Host": {"api.example.com"}}, "http://api.example.com/a%2Fb"},
		"empty ones":               {"10.1.2.3:4567", both("", ""), inside},
		"upper case":               {"10.1.2.3:4567", both("HTTPS", "API.example.com"), "https://API.example.com/a%2Fb"},
		"spaces":                   {"10.1.2.3:4567", both(" https ", "\tapi.example.com "), public},
		"a port":                   {"10.1.2.3:4567", both("https", "api.example.com:8443"), "https://api.example.com:8443/a%2Fb"},
		"an IPv6 host":             {"10.1.2.3:4567", both("https", "[2001:db8::1]"), "https://[2001:db8::1]/a%2Fb"},
		"an IPv6 host and a port":  {"10.1.2.3:4567", both("https", "[2001:db8::1]:8443"), "https://[2001:db8::1]:8443/a%2Fb"},
		"a scheme of no web":       {"10.1.2.3:4567", both("ftp", "api.example.com"), "http://api.example.com/a%2Fb"},
		"a scheme and more":        {"10.1.2.3:4567", both("https://evil.example/?", "api.example.com"), "http://api.example.com/a%2Fb"},
		"a scheme of a WebSocket":  {"10.1.2.3:4567", both("wss", "api.example.com"), "http://api.example.com/a%2Fb"},
		"plain, as the proxy says": {"10.1.2.3:4567", both("http", "api.example.com"), "http://api.example.com/a%2Fb"},

		// A proxy that appends has the client's own word before its own.
		"lists":              {"10.1.2.3:4567", both("http, https", "evil.example, api.example.com"), public},
		"lists, no spaces":   {"10.1.2.3:4567", both("http,https", "evil.example,api.example.com"), public},
		"a list that ends":   {"10.1.2.3:4567", both("https,", "evil.example,"), inside},
		"one header, twice":  {"10.1.2.3:4567", http.Header{"X-Forwarded-Proto": {"http", "https"}, "X-Forwarded-Host": {"evil.example", "api.example.com"}}, public},
		"twice, with a list": {"10.1.2.3:4567", http.Header{"X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"a.example", "b.example, api.example.com"}}, public},

		// What other proxies write is not what this function was told to believe.
		"Forwarded":        {"10.1.2.3:4567", http.Header{"Forwarded": {"proto=https;host=api.example.com"}}, inside},
		"X-Forwarded-Port": {"10.1.2.3:4567", http.Header{"X-Forwarded-Port": {"443"}, "X-Forwarded-Ssl": {"on"}}, inside},
		"a prefix":         {"10.1.2.3:4567", http.Header{"X-Forwarded-Prefix": {"/v1"}, "X-Original-Url": {"/read"}}, inside},
		// Neither is who the client says that it came by.
		"X-Forwarded-For": {"192.0.2.1:4567", http.Header{"X-Forwarded-For": {"10.1.2.3"}, "X-Forwarded-Host": {"evil.example"}}, inside},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := httptest.NewRequest(http.MethodGet, "http://inside:8080/a%2Fb?c=d", http.NoBody)
			req.RemoteAddr, req.Header = row.peer, row.header
			if got := middleware.ForwardedURL(house4, house6)(req); got != row.want {
				t.Errorf("%q, want %q", got, row.want)
			}
		})
	}
}

// A peer's address has one form, and a prefix may be written in two.
func TestForwardedURL_APrefixOfIPv4InIPv6(t *testing.T) {
	t.Parallel()
	mapped := middleware.ForwardedURL(netip.MustParsePrefix("::ffff:10.0.0.0/104"))
	all := middleware.ForwardedURL(netip.MustParsePrefix("::/0"), netip.MustParsePrefix("::ffff:0.0.0.0/90"))
	for name, row := range map[string]struct {
		url  func(*http.Request) string
		peer string
		want string
	}{
		"a proxy":                          {mapped, "10.1.2.3:4567", "https://api.example.com/a"},
		"a proxy by IPv4 in IPv6":          {mapped, "[::ffff:10.1.2.3]:4567", "https://api.example.com/a"},
		"a stranger":                       {mapped, "11.0.0.0:4567", "http://inside:8080/a"},
		"a stranger by IPv6":               {mapped, "[2001:db8::1]:4567", "http://inside:8080/a"},
		"IPv6 in a prefix that is more":    {all, "[2001:db8::1]:4567", "https://api.example.com/a"},
		"IPv4 is in no prefix but its own": {all, "10.1.2.3:4567", "http://inside:8080/a"},
	} {
		req := httptest.NewRequest(http.MethodGet, "http://inside:8080/a", http.NoBody)
		req.RemoteAddr, req.Header = row.peer, http.Header{"X-Forwarded-Host": {"api.example.com"}, "X-Forwarded-Proto": {"https"}}
		if got := row.url(req); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}

// A host is no place for a path: a proof for /read would be one for /write.
func TestForwardedURL_AHostNeverNamesAPath(t *testing.T) {
	t.Parallel()
	for _, host := range []string{
		"api.example.com/read?", "api.example.com/read#", "api.example.com/read", "user@api.example.com", `api.example.com\read?`,
		"api.example.com?", "api.example.com#", "http://api.example.com/read?", "[::1", "api.example.com:80:80", "api example com", "\x00", "%",
	} {
		req := httptest.NewRequest(http.MethodGet, "http://inside:8080/write", http.NoBody)
		req.RemoteAddr, req.Header = "10.1.2.3:4567", http.Header{"X-Forwarded-Host": {host}, "X-Forwarded-Proto": {"https"}}
		got := middleware.ForwardedURL(house4)(req)
		if u, err := url.Parse(got); err == nil && (u.Scheme != "https" || u.Host == "api.example.com" || u.Path != "/write") {
			t.Errorf("%q gives %q", host, got)
		}
	}
}

func TestForwardedURL_WithoutProxiesBelievesNobody(t *testing.T) {
	t.Parallel()
	for _, peer := range []string{"10.1.2.3:4567", "127.0.0.1:4567", "[::1]:4567", "[::]:0", "0.0.0.0:0"} {
		req := httptest.NewRequest(http.MethodGet, "http://inside:8080/a", http.NoBody)
		req.RemoteAddr, req.Header = peer, http.Header{"X-Forwarded-Host": {"evil.example"}, "X-Forwarded-Proto": {"https"}}
		if got, want := middleware.ForwardedURL()(req), "http://inside:8080/a"; got != want {
			t.Errorf("%s: %q, want %q", peer, got, want)
		}
	}
}

// Whoever called it may use the slice for something else.
func TestForwardedURL_KeepsItsOwnCopy(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{house4}
	believed := middleware.ForwardedURL(proxies...)
	proxies[0] = netip.MustParsePrefix("192.0.2.0/24")
	for peer, want := range map[string]string{"10.1.2.3:4567": "http://api.example.com/a", "192.0.2.1:4567": "http://inside:8080/a"} {
		req := httptest.NewRequest(http.MethodGet, "http://inside:8080/a", http.NoBody)
		req.RemoteAddr, req.Header = peer, http.Header{"X-Forwarded-Host": {"api.example.com"}}
		if got := believed(req); got != want {
			t.Errorf("%s: %q, want %q", peer, got, want)
		}
	}
}

// A proof names the URL that the client knows, which is the proxy's (RFC 9449
// section 4.3, check 9). Here a proxy ends TLS in front of an API on loopback.
func TestRFC9449_Section4_3_BehindAProxyThatEndsTLS(t *testing.T) {
	t.Parallel()
	loopback := netip.MustParsePrefix("127.0.0.0/8")
	for name, row := range map[string]struct {
		url    func(*http.Request) string
		header http.Header
		status int
	}{
		"trusted": {middleware.ForwardedURL(loopback), nil, 200},
		"trusted, a client that lies": {middleware.ForwardedURL(loopback), http.Header{
			"X-Forwarded-Host": {"evil.example"}, "X-Forwarded-Proto": {"http"},
		}, 200},
		"not trusted": {middleware.ForwardedURL(house4), nil, 401},
		"not told of": {nil, nil, 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serveURL(t, row.url)
			inside, err := url.Parse(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			proxy := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(inside)
				r.SetXForwarded()
			}})
			defer proxy.Close()
			c := newDPoPClient(t, nil)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, proxy.URL+"/orders?page=2", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			if row.header != nil {
				req.Header = row.header
			}
			req.Header.Set("Authorization", "DPoP "+c.token)
			req.Header.Set("DPoP", c.proof(t, http.MethodGet, proxy.URL+"/orders", nil))
			resp, err := proxy.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			a := answer{status: resp.StatusCode, header: resp.Header}
			if row.status == http.StatusOK {
				s.wantAccepted(t, a)
			} else {
				s.wantRefused(t, a, row.status, dpopProof)
			}
		})
	}
}

// Whoever gets past the proxy is believed nothing, so that a proof that was made
// for another server is worth nothing here.
func TestRFC9449_Section4_3_PastTheProxy(t *testing.T) {
	t.Parallel()
	c := newDPoPClient(t, nil)
	s := serveURL(t, middleware.ForwardedURL(house4))
	a := s.send(t, "GET /orders", "X-Forwarded-Host: other.example", "X-Forwarded-Proto: https",
		"Authorization: DPoP "+c.token, "DPoP: "+c.proof(t, "GET", "https://other.example/orders", nil))
	s.wantRefused(t, a, 401, dpopProof)
}
