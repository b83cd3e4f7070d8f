package authserver_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/countermark/countermark/authserver"
)

// FuzzRegistration holds what is registered against what was sent: nobody gets more
// than the policy has, whatever they send.
func FuzzRegistration(f *testing.F) {
	for _, seed := range []string{
		`{"redirect_uris":["https://app.example/cb"]}`,
		`{"redirect_uris":["http://127.0.0.1/cb"],"token_endpoint_auth_method":"none","scope":"orders:read","grant_types":["authorization_code","refresh_token"],"response_types":["code"]}`,
		`{"redirect_uris":["com.example.app:/cb"],"client_name":"a\u00e9","jwks":{"keys":[]},"skip_consent":true,"audience":["https://x"]}`,
		`{"grant_types":["client_credentials"],"scope":"admin"}`, `{"jwks":null,"redirect_uris":null}`, `[]`, `{`, ``,
	} {
		f.Add(seed)
	}
	store := authserver.NewMemoryStore(nil)
	cfg := authserver.Config{Issuer: "https://issuer.example", Users: users(), Store: store, Logger: slog.New(slog.DiscardHandler)}
	withRegistration(&cfg)
	s, err := authserver.New(cfg)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body string) {
		a := serveMetadata(s, body)
		if a.status != http.StatusCreated {
			if a.status != 400 && a.status != 413 || a.member("error") == "" {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if !legalDescription.MatchString(a.member("error_description")) {
				t.Fatalf("%s", a.body)
			}
			return
		}
		if !json.Valid([]byte(body)) {
			t.Fatalf("registered for %q", body)
		}
		c, err := store.Client(t.Context(), a.member("client_id"))
		if err != nil {
			t.Fatal(err)
		}
		within := func(texts []string, allowed ...string) bool {
			return !slices.ContainsFunc(texts, func(text string) bool { return !slices.Contains(allowed, text) })
		}
		beyond := len(c.GrantTypes) == 0 || !within(c.GrantTypes, "authorization_code", "refresh_token") ||
			!within(strings.Fields(c.Scope), "orders:read", "orders:write") ||
			!slices.Equal(c.Audience, []string{ordersAPI}) || c.SkipConsent || c.TokenExchangeImpersonation || c.TokenExchangeAudience != nil || c.Secret != "" ||
			c.RegistrationTokenHash == authserver.Hash{}
		if beyond {
			t.Fatalf("%+v for %q", c, body)
		}
		if err := store.DeleteClient(t.Context(), c.ClientID); err != nil {
			t.Fatal(err)
		}
	})
}

func serveMetadata(s http.Handler, body string) answer {
	req := httptest.NewRequest(http.MethodPost, "https://issuer.example/register", strings.NewReader(body))
	req.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + initialToken}}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, req)
	return answer{w.Code, w.Header(), w.Body.Bytes()}
}
