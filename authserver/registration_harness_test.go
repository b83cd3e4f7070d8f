package authserver_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/countermark/countermark/authserver"
)

const (
	initialToken = "initial-access-token-0123456789abcdef"
	appURI       = "https://app.example/cb"
)

// withRegistration lets clients register themselves with initialToken.
func withRegistration(c *authserver.Config) {
	c.Registration = &authserver.Registration{
		InitialAccessTokens: []authserver.Hash{authserver.HashOf("another-token-0123456789abcdef"), authserver.HashOf(initialToken)},
		Policy:              authserver.ClientPolicy{Scope: "orders:read orders:write", Audience: []string{ordersAPI}},
	}
}

func startRegistering(t testing.TB, edits ...func(*authserver.Config)) *issuer {
	t.Helper()
	return startWeb(t, "", append([]func(*authserver.Config){withRegistration}, edits...)...)
}

// metadata sends JSON with a bearer token, if that is not empty.
func (i *issuer) metadata(method, location, token, body string) answer {
	i.t.Helper()
	req, err := http.NewRequest(method, location, strings.NewReader(body))
	if err != nil {
		i.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return i.do(req)
}

// register registers a client with the initial access token.
func (i *issuer) register(body string) answer {
	i.t.Helper()
	return i.metadata(http.MethodPost, i.url+"/register", initialToken, body)
}

// A registrant is a client that registered itself.
type registrant struct {
	login
	token, url string
}

// registrant registers a client; members are those besides a redirect URI.
func (i *issuer) registrant(members string) registrant {
	i.t.Helper()
	a := i.register(`{"redirect_uris":["` + appURI + `"]` + members + `}`)
	r := registrant{login{a.member("client_id"), a.member("client_secret")}, a.member("registration_access_token"), a.member("registration_client_uri")}
	if a.status != http.StatusCreated || r.id == "" || len(r.token) < 43 || r.url == "" {
		i.t.Fatalf("%d %s", a.status, a.body)
	}
	return r
}

// tokens has alice let a client in and returns what it gets.
func (i *issuer) tokens(as login, extra ...string) answer {
	i.t.Helper()
	code := i.browser().grant(authParams(as, append([]string{"redirect_uri", appURI}, extra...)...)).response().Get("code")
	if as.secret == "" {
		return i.redeem(login{}, code, "client_id", as.id, "redirect_uri", appURI)
	}
	return i.redeem(as, code, "redirect_uri", appURI)
}
