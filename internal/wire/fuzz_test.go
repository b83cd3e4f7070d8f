package wire

import (
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/authheader"
	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/validator"
)

// Whatever goes into a challenge, a strict reader of RFC 9110 finds each parameter
// once, with its value, and no other.
func FuzzChallenges_AreReadAsTheyWereMeant(f *testing.F) {
	for _, text := range []string{"api", `a"b\c`, "a\r\nSet-Cookie: b", "ü\x7f\x00", `", error="none`, "", `\`, " a  b ", ", Bearer realm=x"} {
		f.Add(text, "https://api.example.com/.well-known/oauth-protected-resource", "orders:read", "urn:a", int64(60), uint8(0))
		f.Add("api", text, text, text, int64(-1), uint8(3))
	}
	why := []error{validator.ErrScope, validator.ErrStepUp, validator.ErrNoToken, validator.ErrRequest, validator.ErrExpired, validator.ErrNonce, validator.ErrForbidden, validator.ErrUnavailable}
	f.Fuzz(func(t *testing.T, realm, metadata, scope, acr string, maxAge int64, which uint8) {
		e := validator.NewError(why[int(which)%len(why)], scope)
		e.Scopes, e.ACR, e.MaxAge = []string{scope, "x"}, []string{acr}, time.Duration(maxAge)*time.Second
		e.Schemes = []string{authheader.Bearer, authheader.DPoP}
		space := Space{Realm: realm, Metadata: metadata}
		values := space.Challenges(e)
		if !hasChallenge(e) {
			if values != nil {
				t.Errorf("challenges %q", values)
			}
			return
		}
		if len(values) != len(e.Schemes) {
			t.Fatalf("challenges %q", values)
		}
		want := maps.Collect(Params(e))
		want["realm"] = Printable(realm)
		if metadata != "" {
			want["resource_metadata"] = Printable(metadata)
		}
		for i, value := range values {
			if e.Schemes[i] == authheader.DPoP {
				want["algs"] = strings.Join(jose.Algorithms(), " ")
			}
			scheme, got, err := readChallenge(value)
			if err != nil || scheme != e.Schemes[i] || !maps.Equal(got, want) {
				t.Errorf("%q is read as %q %q, %v, not as %q", value, scheme, got, err, want)
			}
		}
	})
}

// readChallenge reads one challenge (RFC 9110 section 11.3) whose parameters are
// quoted-strings, in ASCII.
func readChallenge(text string) (scheme string, params map[string]string, err error) {
	scheme, text, _ = strings.Cut(text, " ")
	params = map[string]string{}
	for {
		name, rest, ok := strings.Cut(text, `="`)
		if _, twice := params[name]; !ok || twice || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" {
			return "", nil, errors.New("parameter " + name)
		}
		var value strings.Builder
		end := -1
		for i := 0; i < len(rest) && end < 0; i++ {
			switch c := rest[i]; {
			case c == '"':
				end = i
			case c == '\\' && i+1 < len(rest):
				i++
				value.WriteByte(rest[i])
			case c < ' ' || c > '~':
				return "", nil, errors.New("a character that is not printable")
			default:
				value.WriteByte(c)
			}
		}
		if end < 0 {
			return "", nil, errors.New("no end")
		}
		params[name] = value.String()
		if text = rest[end+1:]; text == "" {
			return scheme, params, nil
		}
		if text, ok = strings.CutPrefix(text, ", "); !ok {
			return "", nil, errors.New("no comma")
		}
	}
}

// Whatever host a client writes, the URL is one of the path that is served, at a
// host and no user, or it is none that a proof could be for.
func FuzzURL_NamesThePathThatIsServed(f *testing.F) {
	for _, host := range []string{"api.example.com", "[::1]:443", "", "a/b", "a?b", "u@a", "a%2Fb", `a\b`, "a#", ":", "a b", "\x00", "[", "a:b@c"} {
		for _, path := range []string{"/write", "//evil.example/write", "/a%2Fb", "/../a", "/a:b@c/d", "///"} {
			f.Add(host, path)
		}
	}
	f.Fuzz(func(t *testing.T, host, path string) {
		path = "/" + path
		if strings.ContainsAny(path, "?#") {
			return // no path has them: doors cut or escape them
		}
		got := URL("https", host, path)
		u, err := url.Parse(got)
		if err != nil || u.Host == "" {
			return
		}
		if _, rest, _ := strings.Cut(got, "://"); u.User != nil || len(rest) != strings.IndexByte(rest, '/')+len(path) || !strings.HasSuffix(rest, path) {
			t.Errorf("host %q and path %q: %q, which is host %q and path %q", host, path, got, u.Host, u.Path)
		}
		if name := u.Hostname(); !slices.Contains([]string{name, "[" + name + "]"}, strings.TrimSuffix(strings.TrimSuffix(host, ":"+u.Port()), ":")) && !strings.Contains(host, "%") {
			t.Errorf("host %q became %q", host, u.Host)
		}
	})
}
