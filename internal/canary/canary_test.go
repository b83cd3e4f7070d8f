package canary_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/url"
	"strings"
	"testing"
	"unicode"

	"github.com/countermark/countermark/internal/canary"
)

const hidden = `Spl+x/lO "be" Z&Q\Q<b>Y b'ü€S6WxSbIA`

// Whatever is done to a secret, it is found, also within something longer and when
// only a part of it is there.
func TestFind_EveryEncoding(t *testing.T) {
	t.Parallel()
	var secrets canary.Secrets
	secrets.Add("the secret", hidden)
	encodings := map[string]func(string) string{
		"as it is":       func(s string) string { return s },
		"JSON":           func(s string) string { return string(must(json.Marshal(s))) },
		"Go":             func(s string) string { return fmt.Sprintf("%q", s) },
		"Go, ASCII":      func(s string) string { return fmt.Sprintf("%+q", s) },
		"HTML":           html.EscapeString,
		"a query":        url.QueryEscape,
		"a path":         url.PathEscape,
		"all percent":    func(s string) string { return strings.ReplaceAll(" "+fmt.Sprintf("% x", s), " ", "%") },
		"hexadecimal":    func(s string) string { return hex.EncodeToString([]byte(s)) },
		"HEXADECIMAL":    func(s string) string { return fmt.Sprintf("%X", s) },
		"% x":            func(s string) string { return fmt.Sprintf("% x", s) },
		"%#v":            func(s string) string { return fmt.Sprintf("%#v", []byte(s)) },
		"%v":             decimal,
		"a JSON array":   func(s string) string { return strings.ReplaceAll(decimal(s), " ", ",") },
		"base64":         func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
		"base64, raw":    func(s string) string { return base64.RawStdEncoding.EncodeToString([]byte(s)) },
		"base64url":      func(s string) string { return base64.URLEncoding.EncodeToString([]byte(s)) },
		"base64url, raw": func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
		"among text":     func(s string) string { return "reason=" + s + " at 12:00" },
	}
	inner := map[string]func(string) string{
		"in capitals":  ascii(unicode.ToUpper),
		"in small":     ascii(unicode.ToLower),
		"twelve bytes": func(s string) string { return s[1:13] },
		"a part of it": func(s string) string { return s[9:22] },
	}
	maps.Copy(inner, encodings)
	for one, outer := range encodings {
		for two, inner := range inner {
			for before := range 4 {
				text := outer(strings.Repeat("<", before) + inner(hidden) + ">")
				if got := secrets.Find(text); !strings.HasPrefix(got, "the secret: ") {
					t.Errorf("%s of %s after %d bytes is not found: %s", one, two, before, text)
				}
			}
		}
	}
	for _, text := range []string{hidden[:11], "Bearer realm=\"api\", error=\"invalid_token\"", fmt.Sprint(encodings), strings.Repeat("x", 100)} {
		if got := secrets.Find(text); got != "" {
			t.Errorf("%s: found in %q", got, text)
		}
	}
	if got := secrets.Find(hidden, "the secret"); got != "" {
		t.Errorf("%s: is excepted", got)
	}
}

// Of a token, the whole, each part, and each value in it are secrets.
func TestFind_EveryPartOfAToken(t *testing.T) {
	t.Parallel()
	encode := base64.RawURLEncoding.EncodeToString
	header, payload := `{"alg":"ES256","kid":"key-of-2026"}`, `{"sub":"alice@example.com","n":271828182845904523,"in":[{"x":"inside it"}],"iss":"https://issuer.example"}`
	signature := encode([]byte("a signature that is long enough"))
	token := encode([]byte(header)) + "." + encode([]byte(payload)) + "." + signature
	var secrets canary.Secrets
	secrets.AddJWT("token", token, "iss")
	for _, text := range []string{
		token, encode([]byte(header)), encode([]byte(payload)), signature, token[60:72], payload,
		"no key key-of-2026", "wrong sub: alice@example.com", "wrong n 271828182845904523", "2.71828182845904523 is wrong: 271828182845904512", "wrong: inside it",
		"X: " + hex.EncodeToString([]byte("inside it")), encode([]byte("alice@example.com")),
	} {
		if secrets.Find(text) == "" {
			t.Errorf("not found in %q", text)
		}
	}
	for _, text := range []string{"https://issuer.example", "ES256", "2026"} {
		if got := secrets.Find(text); got != "" {
			t.Errorf("%s: found in %q", got, text)
		}
	}
}

func decimal(s string) string { return fmt.Sprintf("%d", []byte(s)) }

// ascii changes the letters of ASCII alone.
func ascii(change func(rune) rune) func(string) string {
	return func(s string) string {
		b := []byte(s)
		for i := range b {
			if b[i] < unicode.MaxASCII {
				b[i] = byte(change(rune(b[i])))
			}
		}
		return string(b)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
