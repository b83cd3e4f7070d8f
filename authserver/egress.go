package authserver

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// newEgress returns an HTTP client for addresses that clients name. It must not
// become their arm into the network of the server (RFC 7591 section 5): it goes
// to public addresses only, judged when connecting, so that no name and no
// change of a name leads elsewhere; over https only; and follows no redirect. If
// the server is itself on loopback, for development, it goes to loopback and
// private addresses too, over http if it has to, but never to link-local ones and
// those of metadataServices, where clouds keep their secrets.
//
// It keeps no connection, so there is nothing to close.
func newEgress(local bool) *http.Client {
	dialer := &net.Dialer{
		Timeout: 5 * time.Second,
		Control: func(_, address string, _ syscall.RawConn) error { return checkAddress(address, local) },
	}
	return &http.Client{
		Transport: httpsOnly{local: local, next: &http.Transport{ // without a proxy, which would connect elsewhere
			DialContext:            dialer.DialContext,
			DisableKeepAlives:      true,
			TLSHandshakeTimeout:    5 * time.Second,
			MaxResponseHeaderBytes: 32 << 10,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

type httpsOnly struct {
	local bool
	next  http.RoundTripper
}

func (t httpsOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" && !t.local {
		return nil, errors.New("http is for servers on loopback")
	}
	return t.next.RoundTrip(r)
}

// notPublic are the addresses that lead to no public host although they look
// global: shared and reserved ranges (RFC 6890), and the IPv6 ones that hold an
// IPv4 address, which may be any.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/96"),
	netip.MustParsePrefix("::ffff:0:0:0/96"), // RFC 7915
	netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"),
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("3fff::/20"),
	netip.MustParsePrefix("5f00::/16"),
	netip.MustParsePrefix("fec0::/10"),
}

// metadataServices are where clouds give the secrets of a machine to whoever asks on
// it, of addresses that are private or look public. Most are link-local, or shared.
var metadataServices = []netip.Prefix{
	netip.MustParsePrefix("fd00:ec2::/32"),          // Amazon, with what else it serves there
	netip.MustParsePrefix("fd20:ce::254/128"),       // Google
	netip.MustParsePrefix("fd00:c1::a9fe:a9fe/128"), // Oracle
	netip.MustParsePrefix("fd00:42::42/128"),        // Scaleway
	netip.MustParsePrefix("fd00:a9fe:a9fe::1/128"),  // Akamai
	netip.MustParsePrefix("fd00:100::100:200/128"),  // Alibaba
	netip.MustParsePrefix("168.63.129.16/32"),       // Azure
}

var errAddress = errors.New("the address is not a public one")

// checkAddress returns an error unless address, an IP address and port, may be
// connected to.
func checkAddress(address string, local bool) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return errAddress
	}
	ip := ap.Addr().Unmap().WithZone("")
	among := func(prefixes []netip.Prefix) bool {
		return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(ip) })
	}
	switch {
	case among(metadataServices):
		return errAddress
	case local && (ip.IsLoopback() || ip.IsPrivate()):
		return nil
	case !ip.IsGlobalUnicast(), ip.IsPrivate(), among(notPublic):
		return errAddress
	default:
		return nil
	}
}
