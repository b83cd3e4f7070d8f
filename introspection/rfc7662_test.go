package introspection_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/countermark/countermark/introspection"
)

func TestIntrospect_Section2_1_TheRequest(t *testing.T) {
	t.Parallel()
	const odd = "a+b/c=d&e f%20ü"
	e := newEndpoint(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.RawQuery != "" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		if got := r.Header.Get("Content-Type"); got != "application/x-www-form-urlencoded" {
			t.Errorf("Content-Type is %q", got)
		}
		if got := r.Header.Get("Accept"); got != "application/json" {
			t.Errorf("Accept is %q", got)
		}
		if _, sent := r.Header["Idempotency-Key"]; sent {
			t.Error("Idempotency-Key is sent")
		}
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		if got, want := r.PostForm.Encode(), (url.Values{"token": {odd}, "token_type_hint": {"access_token"}}).Encode(); got != want {
			t.Errorf("body is %s, want %s", got, want)
		}
		says(active)(w, r)
	})
	c := onLoopback(t, e, introspection.Config{})
	if got := ask(t, c, odd, false); got != active {
		t.Errorf("answer %s", got)
	}
}

func TestIntrospect_Section2_1_TheTokenIsInTheBodyAlone(t *testing.T) {
	t.Parallel()
	c := onLoopback(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.RequestURI, token) {
			t.Error("the token is in the URL")
		}
		for name, values := range r.Header {
			if strings.Contains(strings.Join(values, " "), token) {
				t.Errorf("the token is in %s", name)
			}
		}
		says(active)(w, r)
	}), introspection.Config{})
	ask(t, c, token, false)
}

func TestIntrospect_Section2_2_AnAnswer(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ body, want string }{
		"active":                     {active, active},
		"active with space":          {" {\"active\" : true }\n", " {\"active\" : true }\n"},
		"active, escaped name":       {`{"\u0061ctive":true}`, `{"\u0061ctive":true}`},
		"active with a far exp":      {`{"active":true,"exp":1e300}`, `{"active":true,"exp":1e300}`},
		"active with a fraction":     {`{"active":true,"exp":4102444800.5}`, `{"active":true,"exp":4102444800.5}`},
		"active with nested members": {`{"active":true,"x":{"active":false}}`, `{"active":true,"x":{"active":false}}`},
		"inactive":                   {inactive, inactive},
		"inactive, with more to say": {`{"active":false,"sub":"u","exp":"never"}`, inactive},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := onLoopback(t, says(row.body), introspection.Config{})
			if got := ask(t, c, token, false); got != row.want {
				t.Errorf("answer %s, want %s", got, row.want)
			}
			if got := ask(t, c, token, false); got != row.want {
				t.Errorf("answer from memory %s, want %s", got, row.want)
			}
		})
	}
}

func TestIntrospect_Section2_2_NoAnswer(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"nothing":                  ``,
		"an empty object":          `{}`,
		"an array":                 `[{"active":true}]`,
		"a boolean":                `true`,
		"active is a string":       `{"active":"true"}`,
		"active is a number":       `{"active":1}`,
		"active is null":           `{"active":null}`,
		"active is an object":      `{"active":{"active":true}}`,
		"active is a list":         `{"active":[true]}`,
		"active in another case":   `{"Active":true}`,
		"active deeper":            `{"x":{"active":true}}`,
		"active twice":             `{"active":false,"active":true}`,
		"active twice, escaped":    `{"active":false,"\u0061ctive":true}`,
		"active twice, other case": `{"active":false,"ACTIVE":true}`,
		"sub twice":                `{"active":true,"sub":"a","sub":"b"}`,
		"inactive and a duplicate": `{"active":false,"sub":"a","sub":"b"}`,
		"exp is a string":          `{"active":true,"exp":"4102444800"}`,
		"exp is null":              `{"active":true,"exp":null}`,
		"exp is out of range":      `{"active":true,"exp":1e999}`,
		"truncated":                `{"active":true,"sub":"a`,
		"truncated after active":   `{"active":true`,
		"something after":          `{"active":true}{}`,
		"not UTF-8":                "{\"active\":true,\"sub\":\"\xff\"}",
		"a byte order mark":        "\xef\xbb\xbf" + `{"active":true}`,
		"JSON with comments":       `{"active":true/**/}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := onLoopback(t, says(body), introspection.Config{})
			if answer, err := c.Introspect(t.Context(), token, false); err == nil {
				t.Errorf("answer %s", answer)
			}
		})
	}
}

func TestIntrospect_Section2_2_MediaType(t *testing.T) {
	t.Parallel()
	for mediaType, ok := range map[string]bool{
		"application/json": true, "application/json;charset=UTF-8": true, "Application/JSON": true,
		"": false, "text/html": false, "text/json": false, "application/jwt": false, "application/problem+json": false,
		"application/token-introspection+jwt": false, "application/jsonp": false,
	} {
		t.Run(mediaType, func(t *testing.T) {
			t.Parallel()
			c := onLoopback(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = []string{mediaType}
				_, _ = w.Write([]byte(active))
			}), introspection.Config{})
			if _, err := c.Introspect(t.Context(), token, false); (err == nil) != ok {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestIntrospect_Section4_WhatIsNoTokenIsNotAskedAbout(t *testing.T) {
	t.Parallel()
	e := newEndpoint(says(active))
	c := onLoopback(t, e, introspection.Config{})
	for _, token := range []string{"", strings.Repeat("a", 16<<10+1), strings.Repeat(".", 1<<20)} {
		for _, fresh := range []bool{false, true} {
			if got := ask(t, c, token, fresh); got != inactive {
				t.Errorf("%d bytes: %s", len(token), got)
			}
		}
	}
	if n := e.asked.Load(); n != 0 {
		t.Errorf("%d questions", n)
	}
	if got := ask(t, c, strings.Repeat("a", 16<<10), false); got != active {
		t.Errorf("a token of 16 KiB: %s", got)
	}
}

func TestIntrospect_TheCallerOwnsTheAnswer(t *testing.T) {
	t.Parallel()
	for _, body := range []string{active, inactive} {
		c := onLoopback(t, says(body), introspection.Config{})
		for range 3 { // from the endpoint, then from memory
			answer, err := c.Introspect(t.Context(), token, false)
			if err != nil || string(answer) != body {
				t.Fatalf("%s, %v", answer, err)
			}
			clear(answer[:cap(answer)])
		}
	}
}
