package authserver

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// A form is read as net/url and net/http read it, with nothing twice that may not
// be, or it is refused.
func FuzzReadForm_AgreesWithNetURL(f *testing.F) {
	for _, seed := range []string{
		"", "grant_type=client_credentials&scope=a+b%20c", "resource=a&resource=b", "a=1&a=2", "a=1&%61=2", "a;b=c", "%zz", "&&&", "=", "=&=", "a=\x00\xff", "a==b", "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&audience=a&audience=b",
		"audience=a&audience=b", strings.Repeat("&", 63), strings.Repeat("&", 64), strings.Repeat("a", maxBody+1), "a=" + strings.Repeat("b", maxBody-2),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		send := func() *http.Request {
			r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(body))
			r.Header.Set("Content-Type", formType)
			return r
		}
		form, err := readForm(httptest.NewRecorder(), send())
		if err != nil {
			if form != nil {
				t.Fatalf("%v with %v", form, err)
			}
			return
		}
		theirs := send()
		want, errURL := url.ParseQuery(body)
		if err := theirs.ParseForm(); err != nil || errURL != nil {
			t.Fatalf("read %v of what is refused elsewhere: %v, %v", form, err, errURL)
		}
		if !maps.EqualFunc(form, want, slices.Equal) || !maps.EqualFunc(form, theirs.PostForm, slices.Equal) {
			t.Fatalf("read %v, net/url reads %v and net/http %v", form, want, theirs.PostForm)
		}
		for name, values := range form {
			if len(values) > 1 && name != "resource" && (name != "audience" || form.Get("grant_type") != tokenExchange) {
				t.Fatalf("%q %d times", name, len(values))
			}
		}
		again, err := parseParams(form.Encode())
		if err != nil || !maps.EqualFunc(form, again, slices.Equal) {
			t.Fatalf("%v, written and read again: %v, %v", form, again, err)
		}
	})
}

// What a Basic header may mean is what net/http reads in it, as it stands or
// decoded as RFC 6749 section 2.3.1 has it, and nothing else.
func FuzzBasicCredentials_AgreesWithNetHTTP(f *testing.F) {
	for _, pair := range [][2]string{{"shop", "secret"}, {"a%3Ab", "c+d"}, {"%zz", "%41"}, {"", ""}, {"\xff", "é:"}, {"a b", "%"}} {
		r := &http.Request{Header: http.Header{}}
		r.SetBasicAuth(pair[0], pair[1])
		f.Add(r.Header.Get("Authorization"))
	}
	for _, seed := range []string{"", "Basic", "Basic ", "basic   YTpi", "Basic YTpi=", "Basic YWI=", "Bearer YTpi", "Basic YTpi\n", "Basic YTp i", "BasicYTpi", "Basic YTpj"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		offers := basicCredentials(header)
		if len(offers) == 0 {
			if id, _, ok := (&http.Request{Header: http.Header{"Authorization": {header}}}).BasicAuth(); ok && len(header) <= maxBasic {
				t.Errorf("%q is nothing, net/http reads %q", header, id)
			}
			return
		}
		scheme, encoded, _ := strings.Cut(header, " ")
		id, secret, ok := (&http.Request{Header: http.Header{"Authorization": {scheme + " " + strings.TrimLeft(encoded, " ")}}}).BasicAuth()
		raw := credentials{id, secret}
		if !ok || !slices.Contains(offers, raw) || len(offers) > 2 {
			t.Fatalf("%q means %q, net/http reads %q", header, offers, raw)
		}
		for _, offer := range offers {
			fromID, err1 := url.QueryUnescape(id)
			fromSecret, err2 := url.QueryUnescape(secret)
			if offer != raw && (offer != credentials{fromID, fromSecret} || err1 != nil || err2 != nil) {
				t.Errorf("%q means %q", header, offer)
			}
		}
		r := &http.Request{Header: http.Header{}}
		r.SetBasicAuth(url.QueryEscape(offers[0].id), url.QueryEscape(offers[0].secret))
		if again := basicCredentials(r.Header.Get("Authorization")); len(r.Header.Get("Authorization")) <= maxBasic && !slices.Contains(again, offers[0]) {
			t.Errorf("%q, escaped, means %q", offers[0], again)
		}
	})
}
