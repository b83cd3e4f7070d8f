package wire

import (
	"net/url"
	"testing"
)

func TestURL(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ host, want string }{
		{"api.example.com", "https://api.example.com/a%2Fb"},
		{"api.example.com:8443", "https://api.example.com:8443/a%2Fb"},
		{"[2001:db8::1]:8443", "https://[2001:db8::1]:8443/a%2Fb"},
		{"API.Example.com", "https://API.Example.com/a%2Fb"},
	} {
		if got := URL("https", row.host, "/a%2Fb"); got != row.want {
			t.Errorf("%q: %q, want %q", row.host, got, row.want)
		}
	}
}

// With a delimiter in it, a host could stand for a path that another proof is for.
func TestURL_AHostNeverNamesAPath(t *testing.T) {
	t.Parallel()
	for _, host := range []string{
		"api.example.com/read?", "api.example.com/read#", "api.example.com/", "user@api.example.com", `api.example.com\`,
		"api.example.com?", "api.example.com#", "api.example.com/read?x=", "api.example.com%2Fread", "", " ", "a b", "\x00",
	} {
		got := URL("https", host, "/write")
		if u, err := url.Parse(got); err == nil && u.Host != "" && (u.Path != "/write" || u.User != nil) {
			t.Errorf("%q gives %q, which names %q", host, got, u.Path)
		}
	}
}

// A request may come without a host: an empty Host field is legal, and HTTP/1.0 has
// none. Its path is then no place for one.
func TestURL_APathNeverNamesAHost(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"//api.example.com/read", "//", "///api.example.com/read", "//u@api.example.com/read"} {
		got := URL("https", "", path)
		if u, err := url.Parse(got); err != nil || u.Host != "" || u.User != nil || got != "https://"+path {
			t.Errorf("%q gives %q: %v", path, got, err)
		}
	}
}
