package introspection_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"testing"

	"github.com/countermark/countermark/introspection"
)

// credentials that a careless client would garble.
var oddCredentials = map[string][2]string{
	"plain":           {"orders-api", "s3cret"},
	"a colon":         {"https://orders.example", "a:b"},
	"space and signs": {"orders api", "a+b c&d=e%41/?#"},
	"not ASCII":       {"bestellungen-ü", "contraseña-€-😀"},
}

func TestBasic_Section2_3_1_FormEncodedFirst(t *testing.T) {
	t.Parallel()
	for name, row := range oddCredentials {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := onLoopback(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				id, secret, ok := r.BasicAuth()
				id, errID := url.QueryUnescape(id)
				secret, errSecret := url.QueryUnescape(secret)
				if !ok || errID != nil || errSecret != nil || id != row[0] || secret != row[1] {
					t.Errorf("identifier %q, secret %q", id, secret)
				}
				if r.FormValue("client_id") != "" || r.FormValue("client_secret") != "" {
					t.Error("credentials are in the body, too (section 2.3: one method a request)")
				}
				says(active)(w, r)
			}), introspection.Config{Auth: introspection.Basic(row[0], row[1])})
			ask(t, c, token, false)
		})
	}
}

// The header as RFC 6749 appendix B wants it, byte for byte.
func TestBasic_Section2_3_1_ByTheLetter(t *testing.T) {
	t.Parallel()
	c := onLoopback(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		want := "Basic " + base64.StdEncoding.EncodeToString([]byte("orders+api%3A1:+%25%26%2B%C2%A3%E2%82%AC"))
		if got := r.Header.Get("Authorization"); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		says(active)(w, r)
	}), introspection.Config{Auth: introspection.Basic("orders api:1", " %&+£€")})
	ask(t, c, token, false)
}

func TestPost_Section2_3_1_InTheBody(t *testing.T) {
	t.Parallel()
	for name, row := range oddCredentials {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := onLoopback(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.FormValue("client_id") != row[0] || r.FormValue("client_secret") != row[1] || r.FormValue("token") != token {
					t.Errorf("body %v", r.PostForm)
				}
				if _, sent := r.Header["Authorization"]; sent {
					t.Error("there is an Authorization header, too (section 2.3: one method a request)")
				}
				if r.URL.RawQuery != "" {
					t.Error("credentials are in the URL")
				}
				says(active)(w, r)
			}), introspection.Config{Auth: introspection.Post(row[0], row[1])})
			ask(t, c, token, false)
		})
	}
}
