package authserver_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/countermark/countermark/authserver"
)

func TestRFC7592_Section2_1_Read(t *testing.T) {
	t.Parallel()
	i := startRegistering(t)
	r := i.registrant(`,"client_name":"An app"`)
	for range 2 { // reading changes nothing
		a := i.metadata("GET", r.url, r.token, "")
		if a.status != 200 || a.member("client_id") != r.id || a.member("client_name") != "An app" || a.member("registration_access_token") != r.token ||
			a.member("registration_client_uri") != r.url || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%d %s", a.status, a.body)
		}
		if a.object()["client_secret"] != nil || a.object()["client_secret_expires_at"] != nil {
			t.Errorf("a secret that is not kept: %s", a.body)
		}
	}
}

// Whether there is such a client is told to nobody who has not its token.
func TestRFC7592_Section2_1_TakesTheTokenOfTheClient(t *testing.T) {
	t.Parallel()
	i := startRegistering(t, func(c *authserver.Config) { c.Clients[0].RegistrationTokenHash = authserver.HashOf(shop.secret) })
	r, other := i.registrant(""), i.registrant("")
	bodies := map[string]bool{}
	for name, row := range map[string]struct{ url, token string }{
		"no token":                 {r.url, ""},
		"another client's":         {r.url, other.token},
		"the initial access token": {r.url, initialToken},
		"the client's secret":      {r.url, r.secret},
		"no such client":           {i.url + "/register?client_id=nobody", r.token},
		"a configured client":      {i.url + "/register?client_id=" + shop.id, shop.secret},
		"two clients":              {r.url + "&client_id=" + other.id, r.token},
		"another parameter":        {r.url + "&x=y", r.token},
		"an empty one":             {i.url + "/register?client_id=", r.token},
	} {
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			a := i.metadata(method, row.url, row.token, `{"client_id":"`+r.id+`","redirect_uris":["https://evil.example/cb"]}`)
			if bodies[string(a.body)] = true; a.outcome() != "401 invalid_token" || !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer ") {
				t.Errorf("%s by %s: %d %s", name, method, a.status, a.body)
			}
		}
	}
	if len(bodies) != 1 {
		t.Errorf("answers tell them apart: %v", bodies)
	}
	if a := i.metadata("GET", r.url, r.token, ""); fmt.Sprint(a.object()["redirect_uris"]) != "["+appURI+"]" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestRFC7592_Section2_2_Replace(t *testing.T) {
	t.Parallel()
	i := startRegistering(t)
	r := i.registrant(`,"client_name":"An app","scope":"orders:read"`)
	const other = "https://app.example/other"
	put := func(members string) answer {
		return i.metadata("PUT", r.url, r.token, `{"client_id":"`+r.id+`","redirect_uris":["`+other+`"]`+members+`}`)
	}
	a := put(`,"client_secret":"` + r.secret + `"`)
	if a.status != 200 || fmt.Sprint(a.object()["redirect_uris"]) != "["+other+"]" || a.object()["client_name"] != nil || a.member("scope") != "orders:read orders:write" {
		t.Fatalf("what is left out is not as if it had never been there: %d %s", a.status, a.body)
	}
	if a.member("registration_access_token") != r.token || a.object()["client_secret"] != nil {
		t.Errorf("token or secret changed: %s", a.body)
	}
	if a := i.browser().authorize(authParams(r.login, "redirect_uri", appURI)); !a.isPage(400) {
		t.Errorf("the old redirect URI: %d %s", a.status, a.body)
	}
	code := i.browser().grant(authParams(r.login, "redirect_uri", other)).response().Get("code")
	if a := i.redeem(r.login, code, "redirect_uri", other); a.status != 200 {
		t.Errorf("the old secret: %d %s", a.status, a.body)
	}
	if a := put(`,"token_endpoint_auth_method":"none"`); a.status != 200 || a.object()["client_secret"] != nil {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := i.post("/token", r.login, form("grant_type", "authorization_code", "code", "x")); a.outcome() != "401 invalid_client" {
		t.Errorf("the secret of a client that is public now: %d %s", a.status, a.body)
	}
	a = put("")
	if a.status != 200 || len(a.member("client_secret")) < 43 || a.member("client_secret") == r.secret {
		t.Fatalf("no new secret for a client that needs one again: %d %s", a.status, a.body)
	}
	r.secret = a.member("client_secret")
	code = i.browser().grant(authParams(r.login, "redirect_uri", other)).response().Get("code")
	if a := i.redeem(r.login, code, "redirect_uri", other); a.status != 200 {
		t.Errorf("the new secret: %d %s", a.status, a.body)
	}
}

func TestRFC7592_Section2_2_Refused(t *testing.T) {
	t.Parallel()
	i := startRegistering(t)
	r, other := i.registrant(""), i.registrant("")
	uris := `"redirect_uris":["https://evil.example/cb"]`
	for name, body := range map[string]string{
		"no client_id":                 `{` + uris + `}`,
		"another client_id":            `{"client_id":"` + other.id + `",` + uris + `}`,
		"a secret of one's own choice": `{"client_id":"` + r.id + `",` + uris + `,"client_secret":"0123456789abcdef0123456789abcdef"}`,
		"a secret that is no text":     `{"client_id":"` + r.id + `",` + uris + `,"client_secret":7}`,
		"a registration access token":  `{"client_id":"` + r.id + `",` + uris + `,"registration_access_token":"` + r.token + `"}`,
		"a registration client URI":    `{"client_id":"` + r.id + `",` + uris + `,"registration_client_uri":"` + r.url + `"}`,
		"an expiry of the secret":      `{"client_id":"` + r.id + `",` + uris + `,"client_secret_expires_at":0}`,
		"a time of issue":              `{"client_id":"` + r.id + `",` + uris + `,"client_id_issued_at":1}`,
		"a bad redirect URI":           `{"client_id":"` + r.id + `","redirect_uris":["http://evil.example/cb"]}`,
		"a scope beyond the policy":    `{"client_id":"` + r.id + `",` + uris + `,"scope":"bills:read"}`,
		"a grant beyond the policy":    `{"client_id":"` + r.id + `",` + uris + `,"grant_types":["client_credentials"]}`,
		"nothing":                      ``,
	} {
		if a := i.metadata("PUT", r.url, r.token, body); a.status != 400 || !strings.HasPrefix(a.member("error"), "invalid_") {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if a := i.metadata("GET", r.url, r.token, ""); strings.Contains(string(a.body), "evil") {
		t.Errorf("%s", a.body)
	}
}

// Who deletes a client ends all that it had: its tokens, its codes, and itself.
func TestRFC7592_Section2_3_Delete(t *testing.T) {
	t.Parallel()
	store := authserver.NewMemoryStore(nil)
	i := startRegistering(t, withStore(store))
	r := i.registrant(`,"grant_types":["authorization_code","refresh_token"]`)
	tokens := i.tokens(r.login)
	code := i.browser().grant(authParams(r.login, "redirect_uri", appURI)).response().Get("code")
	if !i.active(orders, tokens.member("access_token")) || tokens.member("refresh_token") == "" {
		t.Fatalf("%d %s", tokens.status, tokens.body)
	}
	a := i.metadata("DELETE", r.url, r.token, "")
	if a.status != http.StatusNoContent || len(a.body) > 0 || a.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	if i.active(orders, tokens.member("access_token")) {
		t.Error("its access token is good")
	}
	if a := i.refresh(r.login, tokens.member("refresh_token")); a.outcome() != "401 invalid_client" {
		t.Errorf("its refresh token: %d %s", a.status, a.body)
	}
	if a := i.redeem(r.login, code, "redirect_uri", appURI); a.outcome() != "401 invalid_client" {
		t.Errorf("its code: %d %s", a.status, a.body)
	}
	if s := i.browser().authorize(authParams(r.login, "redirect_uri", appURI)); !s.isPage(400) {
		t.Errorf("%d %s", s.status, s.body)
	}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		if a := i.metadata(method, r.url, r.token, `{"client_id":"`+r.id+`","redirect_uris":["`+appURI+`"]}`); a.outcome() != "401 invalid_token" {
			t.Errorf("%s: %d %s", method, a.status, a.body)
		}
	}
}

func TestRFC7592_Section2_AtAPath(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "/tenant", withRegistration)
	r := i.registrant("")
	if a := i.metadata("GET", r.url, r.token, ""); a.status != 200 || !strings.HasPrefix(r.url, i.url+"/register?") {
		t.Errorf("%s: %d %s", r.url, a.status, a.body)
	}
}

// A change that was under way does not bring back a client that was deleted.
func TestRFC7592_Section2_3_AChangeDoesNotUndoIt(t *testing.T) {
	t.Parallel()
	i := startRegistering(t)
	r := i.registrant("")
	rest := strings.NewReader(`{"client_id":"` + r.id + `","redirect_uris":["` + appURI + `"]}`)
	reading := sync.OnceFunc(func() { // when the server knows whose request it is
		if a := i.metadata("DELETE", r.url, r.token, ""); a.status != 204 {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
	req := httptest.NewRequest(http.MethodPut, r.url, readerFunc(func(p []byte) (int, error) {
		reading()
		return rest.Read(p)
	}))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+r.token)
	w := httptest.NewRecorder()
	i.ServeHTTP(w, req)
	if again := i.metadata("GET", r.url, r.token, ""); w.Code != 401 || again.status != 401 {
		t.Errorf("changed: %d %s; it is there: %d", w.Code, w.Body, again.status)
	}
}

// Nor does one that comes between, nor takes it away the client that the operator
// made their own then.
func TestRFC7592_Section2_2_AChangeOfWhatIsThereNoMore(t *testing.T) {
	t.Parallel()
	store := &changingClients{MemoryStore: authserver.NewMemoryStore(nil)}
	i := startRegistering(t, withStore(store))
	for what, change := range map[string]func(r registrant) error{
		"deleted": func(r registrant) error { return store.DeleteClient(t.Context(), r.id) },
		"the operator's": func(r registrant) error {
			c, err := store.Client(t.Context(), r.id)
			if err != nil {
				return err
			}
			c.RegistrationTokenHash = authserver.Hash{}
			return store.PutClient(t.Context(), c)
		},
	} {
		r := i.registrant("")
		store.before = func() error { return change(r) }
		a := i.metadata("PUT", r.url, r.token, `{"client_id":"`+r.id+`","redirect_uris":["https://app.example/other"]}`)
		store.before = nil
		if a.outcome() != "401 invalid_token" || a.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
		if c, err := store.Client(t.Context(), r.id); (err == nil) != (what != "deleted") || err == nil && (c.RegistrationTokenHash != authserver.Hash{} || c.RedirectURIs[0] != appURI) {
			t.Errorf("%s: %+v, %v", what, c, err)
		}
	}
}

// A changingClients lets something happen just before a client is written.
type changingClients struct {
	*authserver.MemoryStore
	before func() error
}

func (s *changingClients) ReplaceClient(ctx context.Context, c *authserver.Client) error {
	if err := s.before(); err != nil {
		return err
	}
	return s.MemoryStore.ReplaceClient(ctx, c)
}

// A readerFunc is a reader.
type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
