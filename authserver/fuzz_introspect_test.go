package authserver_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

// A token that differs in one byte or more from one that was issued is not active,
// and whoever revokes it does the one that was issued no harm. (Of Ed25519: an
// ECDSA signature has a twin that verifies as well.)
func FuzzIntrospect_MutatedTokenIsNotActive(f *testing.F) {
	for _, opaque := range []bool{true, false} {
		for _, at := range []uint16{0, 1, 20, 42, 100, 300, 0xffff} {
			for _, insert := range []string{"", "A", ".", "=", "%", " ", "\r\n", "\x00"} {
				f.Add(opaque, at, uint16(0), insert)
				f.Add(opaque, at, uint16(1), insert)
			}
		}
		f.Add(opaque, uint16(0), uint16(0xffff), "eyJhbGciOiJub25lIn0.e30.")
	}
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	s, err := authserver.New(authserver.Config{
		Issuer: "https://issuer.example", Clients: clients(), Keys: []authserver.SigningKey{key(f, "EdDSA", "1")},
		Now: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		f.Fatal(err)
	}
	owner := map[bool]login{true: kiosk, false: shop}
	good := map[bool]string{}
	for opaque, as := range owner {
		if good[opaque] = serveFormAt(s, "/token", as, "grant_type=client_credentials").member("access_token"); good[opaque] == "" {
			f.Fatal("no token")
		}
	}
	f.Fuzz(func(t *testing.T, opaque bool, at, remove uint16, insert string) {
		token := good[opaque]
		from := min(int(at), len(token))
		mutated := token[:from] + insert + token[min(from+int(remove), len(token)):]
		isActive := func(token string) bool {
			a := serveFormAt(s, "/introspect", orders, url.Values{"token": {token}}.Encode())
			active, ok := a.object()["active"].(bool)
			if token != "" && len(token) < 1<<12 && (a.status != http.StatusOK || !ok || !active && len(a.object()) != 1) {
				t.Fatalf("%d %s", a.status, a.body)
			}
			return active
		}
		if got := isActive(mutated); got != (mutated == token) {
			t.Fatalf("active: %v, of\n%s, made of\n%s", got, mutated, token)
		}
		if mutated == token {
			return
		}
		if a := serveFormAt(s, "/revoke", owner[opaque], url.Values{"token": {mutated}}.Encode()); a.status >= 500 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if !isActive(token) {
			t.Fatalf("%s was revoked by\n%s", token, mutated)
		}
	})
}

// serveFormAt posts a form to a path as a client with Basic credentials.
func serveFormAt(s http.Handler, path string, as login, body string) answer {
	req := httptest.NewRequest(http.MethodPost, "https://issuer.example"+path, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(as.id, as.secret)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, req)
	return answer{w.Code, w.Header(), w.Body.Bytes()}
}
