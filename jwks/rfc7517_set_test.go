package jwks_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/countermark/countermark/jwks"
)

// serve returns a cache of the set that body is, and what it logs.
func serve(t testing.TB, body string) (*jwks.Cache, *record) {
	t.Helper()
	var log record
	c, _ := newCache(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/jwk-set+json")
		_, _ = io.WriteString(w, body)
	}), jwks.Config{Logger: log.logger()})
	return c, &log
}

func TestSet_Section4_5_DuplicateKid(t *testing.T) {
	t.Parallel()
	first, second := newEC(t, elliptic.P256()), newEC(t, elliptic.P256())
	a, b := jwkOf(t, "x", first), jwkOf(t, "x", second)
	for name, row := range map[string]struct {
		keys []jwk
		want *ecdsa.PublicKey
		logs string
	}{
		"the first stays":                  {[]jwk{a, b}, first, "same kid"},
		"in another order":                 {[]jwk{b, a}, second, "same kid"},
		"of another kty":                   {[]jwk{a, jwkOf(t, "x", newEd(t))}, first, "same kid"},
		"a key for encryption is no rival": {[]jwk{b.with(jwk{"use": "enc"}), a}, first, ""},
		"a bad key is no rival":            {[]jwk{b.with(jwk{"x": "AAAA"}), a}, first, "point"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, log := serve(t, setOf(t, row.keys...))
			if got := mustFind(t, c, "x", "ES256").(*ecdsa.PublicKey); !got.Equal(row.want) {
				t.Error("the other one was taken")
			}
			mustLack(t, c, "x", "EdDSA")
			if text := log.String(); (row.logs == "") != (text == "") || !strings.Contains(text, row.logs) {
				t.Error(text)
			}
		})
	}
}

func TestSet_Section5(t *testing.T) {
	t.Parallel()
	key := setOf(t, ecJWK(t, "a"))
	key = key[len(`{"keys":[`) : len(key)-2]
	many := func(n int) string { return `{"keys":[` + strings.Repeat(key+",", n-1) + key + `]}` }
	for name, row := range map[string]struct {
		body string
		good bool
	}{
		"a set":                    {`{"keys":[` + key + `]}`, true},
		"members to ignore":        {`{"issuer":"x","keys":[` + key + `],"z":{}}`, true},
		"white space":              {" {\n\"keys\" : [\t" + key + "\r] } \n", true},
		"1,000 keys":               {many(1000), true},
		"1,001 keys":               {many(1001), false},
		"512 KiB":                  {`{"keys":[` + key + `]` + strings.Repeat(" ", 512<<10-len(key)-11) + `}`, true},
		"512 KiB and a byte":       {`{"keys":[` + key + `]` + strings.Repeat(" ", 512<<10-len(key)-10) + `}`, false},
		"no keys":                  {`{}`, false},
		"keys null":                {`{"keys":null}`, false},
		"keys an object":           {`{"keys":{"a":` + key + `}}`, false},
		"Keys":                     {`{"Keys":[` + key + `]}`, false},
		"keys twice":               {`{"keys":[],"keys":[` + key + `]}`, false},
		"keys and Keys":            {`{"keys":[` + key + `],"Keys":[]}`, false},
		"a key alone":              {key, false},
		"an array":                 {`[` + key + `]`, false},
		"something behind it":      {`{"keys":[` + key + `]}x`, false},
		"cut":                      {`{"keys":[` + key + `]`, false},
		"invalid UTF-8":            {`{"keys":[` + key + `],"a":"` + "\xff" + `"}`, false},
		"a member of a key twice":  {`{"keys":[` + strings.Replace(key, `{`, `{"kid":"b",`, 1) + `]}`, false},
		"a member in another case": {`{"keys":[` + strings.Replace(key, `{`, `{"KID":"b",`, 1) + `]}`, false},
		"an escaped name":          {`{"\u006beys":[` + key + `]}`, true},
		"nothing":                  {``, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := serve(t, row.body)
			if row.good {
				mustFind(t, c, "a", "ES256")
			} else {
				mustFail(t, c, "a", "ES256")
			}
		})
	}
}

func TestSet_WithoutUsableKeysIsAnAnswer(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"none": `{"keys":[]}`, "bad ones": `{"keys":[{"kty":"oct","k":"AAAA"}]}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, log := serve(t, body)
			mustLack(t, c, "a", "ES256")
			mustLack(t, c, "", "ES256")
			if c.Ready() == nil {
				t.Error("ready, without a key")
			}
			if !strings.Contains(log.String(), "no usable key") {
				t.Error(log.String())
			}
		})
	}
}

func TestSet_ContentType(t *testing.T) {
	t.Parallel()
	for contentType, good := range map[string]bool{
		"application/jwk-set+json": true, "application/json; charset=utf-8": true, "application/octet-stream": true,
		"text/plain": true, "text/html; charset=utf-8": false, "application/xhtml+xml": false,
	} {
		t.Run(contentType, func(t *testing.T) {
			t.Parallel()
			body := setOf(t, ecJWK(t, "a"))
			c, _ := newCache(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", contentType)
				_, _ = io.WriteString(w, body)
			}), jwks.Config{})
			if good {
				mustFind(t, c, "a", "ES256")
			} else {
				mustFail(t, c, "a", "ES256")
			}
		})
	}
}

func TestSet_BadKeysAreReportedOncePerChange(t *testing.T) {
	t.Parallel()
	var log record
	i := newIssuer(t, ecJWK(t, "a"), jwk{"kid": "bad", "kty": "new"})
	c, _ := newCache(t, i, jwks.Config{Logger: log.logger()})
	count := func(want int) {
		t.Helper()
		if err := c.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(log.String(), "key skipped"); n != want {
			t.Errorf("%d lines, want %d: %s", n, want, log.String())
		}
	}
	count(1)
	count(1)
	i.publish(t, jwk{"kid": "worse", "kty": "oct", "k": "AAAA"}, jwk{"kid": "bad", "kty": "new"}, ecJWK(t, "b"))
	count(2)
	if !strings.Contains(log.String(), "kid=worse") || !strings.Contains(log.String(), "level=WARN") {
		t.Error(log.String())
	}
}

func TestKeys_WithoutKid(t *testing.T) {
	t.Parallel()
	var keys []jwk
	for n := range 12 {
		keys = append(keys, ecJWK(t, fmt.Sprint(n)))
	}
	keys = append(keys, jwkOf(t, "r", &rsaKey().PublicKey).with(jwk{"alg": "PS256"}), jwkOf(t, "", newEd(t)).with(jwk{"kid": nil}), jwkOf(t, "", newEd(t)))
	for range 3 {
		keys = append(keys, jwkOf(t, "", newEC(t, elliptic.P384())))
	}
	c, _ := serve(t, setOf(t, keys...))
	for alg, want := range map[string]int{"ES256": 8, "PS256": 1, "RS256": 0, "EdDSA": 2, "Ed25519": 2, "ES384": 3, "ES512": 0, "none": 0, "": 0} {
		found, err := c.Keys(t.Context(), "", alg)
		if err != nil || len(found) != want || cap(found) != want {
			t.Errorf("%s: %d keys (room for %d), %v; want %d", alg, len(found), cap(found), err, want)
		}
	}
	found, err := c.Keys(t.Context(), "", "ES256")
	if err != nil {
		t.Fatal(err)
	}
	for n, k := range found {
		if k != mustFind(t, c, fmt.Sprint(n), "ES256") {
			t.Errorf("key %d is not the set's", n)
		}
	}
}

func TestKeys_ResultHasNoRoomToAppend(t *testing.T) {
	t.Parallel()
	c, _ := serve(t, setOf(t, ecJWK(t, "a")))
	keys, err := c.Keys(t.Context(), "a", "ES256")
	if err != nil || len(keys) != 1 || cap(keys) != 1 {
		t.Errorf("%d keys, room for %d, %v", len(keys), cap(keys), err)
	}
}

// The keys of appendix A.1, of which the first is for encryption, and the one of
// RFC 8037 appendix A.2.
func TestSet_AppendixA1(t *testing.T) {
	t.Parallel()
	c, log := serve(t, `{"keys":[
		{"kty":"EC", "crv":"P-256", "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
		 "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM", "use":"enc", "kid":"1"},
		{"kty":"RSA", "n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs`+
		`tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbI`+
		`SD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
		 "e":"AQAB", "alg":"RS256", "kid":"2011-04-29"},
		{"kty":"OKP", "crv":"Ed25519", "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`)
	if k := mustFind(t, c, "2011-04-29", "RS256").(*rsa.PublicKey); k.N.BitLen() != 2048 || k.E != 65537 {
		t.Errorf("%d bits, exponent %d", k.N.BitLen(), k.E)
	}
	mustLack(t, c, "1", "ES256")
	mustFind(t, c, "", "EdDSA")
	if log.String() != "" {
		t.Error(log.String())
	}
}
