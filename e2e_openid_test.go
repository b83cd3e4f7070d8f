package countermark_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/issuertest"
	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

// An API takes no ID token, even if it goes by the name of the client that the ID
// token is for, and trusts issuer and key.
func TestE2E_AnIDTokenIsNoAccessToken(t *testing.T) {
	t.Parallel()
	key := tokentest.NewKey(t, "k1", "ES256")
	issuer := issuertest.New(t)
	server := issuer.Server(t, authserver.NewMemoryStore(nil), func(c *authserver.Config) {
		c.Keys = []authserver.SigningKey{{ID: "k1", Signer: key.Private}}
		c.Clients = slices.Clone(c.Clients)
		for n := range c.Clients {
			if c.Clients[n].ClientID == issuer.Web.ID {
				c.Clients[n].Scope += " openid"
			}
		}
	})
	app := issuer.Web.At(issuertest.Direct{Handler: server})
	code, err := app.Code(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	answer, err := app.Redeem(t.Context(), code)
	if err != nil {
		t.Fatal(err)
	}
	v, err := validator.New(validator.Config{
		Issuer: issuertest.URL, Audiences: []string{issuertest.API, issuer.Web.ID}, Keys: tokentest.Keys{key},
	})
	if err != nil {
		t.Fatal(err)
	}
	access, id := answer.Text("access_token"), answer.Text("id_token")
	if _, err := v.Validate(t.Context(), access); err != nil || id == "" {
		t.Fatalf("%v, %s", err, answer.Body)
	}
	if _, err := v.Validate(t.Context(), id); !errors.Is(err, validator.ErrType) {
		t.Errorf("the validator says: %v", err)
	}
	guarded := middleware.New(v, nil).Require()(http.NotFoundHandler())
	for token, want := range map[string]int{access: http.StatusNotFound, id: http.StatusUnauthorized} {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		req.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		if guarded.ServeHTTP(w, req); w.Code != want {
			t.Errorf("the middleware says %d, want %d", w.Code, want)
		}
	}
}
