package dpop

import (
	"net/url"
	"strings"
	"testing"
)

// Two URLs that are one target have one host and one path: whatever is done to
// make them equal, it never makes another resource of one.
func FuzzSameTarget(f *testing.F) {
	for _, pair := range [][2]string{
		{"https://api.example.com/a%2Fb", "HTTPS://API.example.com:443/a%2fb?x#y"}, {"http://a:80", "http://a/"}, {"https://a/%41", "https://a/A"},
		{"https://a/%252F", "https://a/%2F"}, {"https://u@a/", "https://a/"}, {"https://[::1]:443/", "https://[::1]/"}, {"https://a/é", "https://a/%C3%A9"},
		{"https:///a", "https:///a"}, {"", ""}, {"?", "#"}, {"//0/", "//0"}, {"http://:80", "http://:/"}, {"a://::", "a://:"}, {"https://a::443", "https://a"}, {"https://\u212a", "https://k"}, {"https://a/*", "https://a*"},
		{"https://a/b%2Fc|d", "https://a/b/c%7Cd"}, {"https://a/b%26 ", "https://a/b&%20"}, {"http:/w", "http:/w"}, {"a://0::", "a://0:"}, {"A://%2580", "a://%80"}, {"https://[fe80::1%25eth0]", "https://[fe80::1%25eth0]/"},
	} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		same := sameTarget(a, b)
		if same != sameTarget(b, a) {
			t.Fatal("not symmetric")
		}
		n := normalized(target(a))
		if again := normalized(n); again != n && again != "" { // a zone of IPv6 leads to none
			t.Fatalf("normal form %q has normal form %q", n, again)
		}
		if !same || target(a) == target(b) {
			return
		}
		ua, errA := url.Parse(target(a))
		ub, errB := url.Parse(target(b))
		if errA != nil || errB != nil || ua.Scheme == "" || ua.Host == "" {
			t.Fatalf("no URL: %v, %v", errA, errB)
		}
		if !strings.EqualFold(ua.Hostname(), ub.Hostname()) || !strings.EqualFold(ua.Scheme, ub.Scheme) {
			t.Errorf("hosts %q and %q", ua.Host, ub.Host)
		}
		if pathA, pathB := "/"+strings.TrimPrefix(ua.Path, "/"), "/"+strings.TrimPrefix(ub.Path, "/"); pathA != pathB {
			t.Errorf("paths %q and %q", ua.Path, ub.Path)
		}
		for _, reserved := range "/;&+=@:!$,'()*" { // RFC 3986 section 2.2: escaped, it is another
			if n := count(a, reserved); n != count(b, reserved) {
				t.Errorf("%q has %d %q, %q has %d", a, n, reserved, b, count(b, reserved))
			}
		}
	})
}

// count is how many of c a URL has in its path, unescaped; the path is / at least.
func count(raw string, c rune) int {
	_, rest, _ := strings.Cut(target(raw), "://")
	_, path, _ := strings.Cut(rest, "/")
	return strings.Count("/"+path, string(c))
}
