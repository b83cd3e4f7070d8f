package validator_test

import (
	"testing"

	"github.com/countermark/countermark/validator"
)

// judgeTarget has a good proof for htu judged at a request of url.
func judgeTarget(t *testing.T, htu, url string) (*validator.Token, error) {
	t.Helper()
	c := newClient()
	shown := c.shows(c.proof(nil, edits{"htu": htu}))
	shown.URL = url
	return newValidator(t, nil).Authorize(t.Context(), shown, validator.Requirement{})
}

// Section 4.3, check 9, and the normalisation of RFC 3986 sections 6.2.2 and 6.2.3
// that it asks for.
func TestRFC9449_4_3_9_OneTargetInManySpellings(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ htu, url string }{
		"the same":                      {target, target},
		"a query in the request":        {target, target + "?a=b"},
		"a query in the proof":          {target + "?a=b", target},
		"another query":                 {target + "?a=b", target + "?c=d"},
		"a fragment":                    {target + "#top", target},
		"an empty query and fragment":   {target + "?#", target},
		"a question mark in a query":    {target + "?a=https://x.example/?b", target},
		"scheme in upper case":          {"HTTPS://api.example.com/orders/7", target},
		"host in upper case":            {"https://API.Example.COM/orders/7", target},
		"host in upper case, requested": {target, "https://API.EXAMPLE.com/orders/7"},
		"default port in the proof":     {"https://api.example.com:443/orders/7", target},
		"default port in the request":   {target, "https://api.example.com:443/orders/7"},
		"an empty port":                 {"https://api.example.com:/orders/7", target},
		"the default port of http":      {"http://localhost:80/a", "http://localhost/a"},
		"another port":                  {"https://api.example.com:8443/a", "https://API.example.com:8443/a"},
		"IPv6, default port":            {"https://[2001:DB8::1]:443/a", "https://[2001:db8::1]/a"},
		"no path, for /":                {"https://api.example.com", "https://api.example.com/"},
		"/, for no path":                {"https://api.example.com/", "https://api.example.com"},
		"no path, but a query":          {"https://api.example.com?a", "https://api.example.com/?b"},
		"escapes in lower case":         {"https://api.example.com/a%2fb%c3%a9", "https://api.example.com/a%2Fb%C3%A9"},
		"unreserved escaped":            {"https://api.example.com/%6Frders/%37%2D%5F%7e%2e", "https://api.example.com/orders/7-_~."},
		"unreserved escaped, requested": {"https://api.example.com/orders", "https://api.example.com/%6f%72ders"},
		"beyond ASCII, not escaped":     {"https://api.example.com/é", "https://api.example.com/%C3%A9"},
		"a space, not escaped":          {"https://api.example.com/a b", "https://api.example.com/a%20b"},
		"a percent sign escaped":        {"https://api.example.com/100%25", "https://api.example.com/100%25"},
		"what gRPC requests":            {"https://api.example.com/shop.Orders/Cancel", "https://api.example.com:443/shop.Orders/Cancel"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := judgeTarget(t, row.htu, row.url); err != nil {
				t.Errorf("%s is not %s: %v", row.htu, row.url, err)
			}
		})
	}
}

func TestRFC9449_4_3_9_OtherTargets(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ htu, url string }{
		"scheme":                            {"http://api.example.com/a", "https://api.example.com/a"},
		"scheme of a socket":                {"wss://api.example.com/a", "https://api.example.com/a"},
		"host":                              {"https://evil.example/a", "https://api.example.com/a"},
		"host with more before":             {"https://x.api.example.com/a", "https://api.example.com/a"},
		"host with more behind":             {"https://api.example.com.evil.example/a", "https://api.example.com/a"},
		"host with a dot behind":            {"https://api.example.com./a", "https://api.example.com/a"},
		"host in the place of the user":     {"https://api.example.com@evil.example/a", "https://api.example.com/a"},
		"a user":                            {"https://user@api.example.com/a", "https://api.example.com/a"},
		"an empty user":                     {"https://@api.example.com/a", "https://api.example.com/a"},
		"a user with the host as password":  {"https://a:b@api.example.com/a", "https://api.example.com/a"},
		"host behind a backslash":           {`https://api.example.com\@evil.example/a`, "https://api.example.com/a"},
		"host that lower case makes ASCII":  {"https://api.example.\u212a/a", "https://api.example.k/a"},
		"port":                              {"https://api.example.com:8443/a", "https://api.example.com/a"},
		"port, requested":                   {"https://api.example.com/a", "https://api.example.com:8443/a"},
		"the default port of https on http": {"http://api.example.com:443/a", "http://api.example.com/a"},
		"the default port of http on https": {"https://api.example.com:80/a", "https://api.example.com/a"},
		"a port with zeros":                 {"https://api.example.com:0443/a", "https://api.example.com/a"},
		"two colons":                        {"https://api.example.com::443/a", "https://api.example.com/a"},
		"two ports":                         {"https://api.example.com:443:443/a", "https://api.example.com/a"},
		"path":                              {"https://api.example.com/b", "https://api.example.com/a"},
		"path in another case":              {"https://api.example.com/A", "https://api.example.com/a"},
		"a trailing slash":                  {"https://api.example.com/a/", "https://api.example.com/a"},
		"a trailing slash, requested":       {"https://api.example.com/a", "https://api.example.com/a/"},
		"two slashes":                       {"https://api.example.com//a", "https://api.example.com/a"},
		"a slash escaped":                   {"https://api.example.com/a%2Fb", "https://api.example.com/a/b"},
		"a slash escaped, requested":        {"https://api.example.com/a/b", "https://api.example.com/a%2fb"},
		"a percent sign escaped twice":      {"https://api.example.com/a%252Fb", "https://api.example.com/a%2Fb"},
		"an unreserved escaped twice":       {"https://api.example.com/%2561", "https://api.example.com/%61"},
		"a semicolon escaped":               {"https://api.example.com/a%3Bb", "https://api.example.com/a;b"},
		"a question mark escaped":           {"https://api.example.com/a%3Fb", "https://api.example.com/a?b"},
		"a question mark escaped, behind":   {"https://api.example.com/a%3F", "https://api.example.com/a"},
		"a number sign escaped":             {"https://api.example.com/a%23", "https://api.example.com/a"},
		"dots, not resolved":                {"https://api.example.com/b/../a", "https://api.example.com/a"},
		"a path only":                       {"/a", "https://api.example.com/a"},
		"no scheme":                         {"//api.example.com/a", "https://api.example.com/a"},
		"a host only":                       {"api.example.com", "https://api.example.com/"},
		"no host":                           {"https:///a", "https:///a/"},
		"opaque":                            {"https:api.example.com/a", "https://api.example.com/a"},
		"a query only":                      {"?a", "https://api.example.com/a"},
		"a malformed escape":                {"https://api.example.com/%zz", "https://api.example.com/%ZZ"},
		"a control character":               {"https://api.example.com/a\n", "https://api.example.com/a"},
		"white space before":                {" https://api.example.com/a", "https://api.example.com/a"},
		"two URLs":                          {"https://api.example.com/a https://api.example.com/b", "https://api.example.com/a"},
		"two that are none":                 {"nothing", "nothing at all"},
		"two that are empty but for query":  {"?a", "?b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tok, err := judgeTarget(t, row.htu, row.url)
			wantRefused(t, tok, err, validator.ErrProof)
			if want := "validator: invalid DPoP proof: htu: another URL"; err.Error() != want {
				t.Errorf("refused with %q, want %q", err, want)
			}
		})
	}
}
