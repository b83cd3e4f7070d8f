package authserver_test

import (
	"crypto/x509"
	"net/http"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/tokentest"
)

// proven sends a token request with a DPoP proof of k.
func (i *issuer) proven(as login, k *tokentest.Key, pairs ...string) answer {
	i.t.Helper()
	req := i.request("/token", form(pairs...).Encode())
	if as != (login{}) {
		req.SetBasicAuth(as.id, as.secret)
	}
	req.Header.Set("DPoP", i.proof(k, nil))
	return i.do(req)
}

func codeForm(code, uri string, extra ...string) []string {
	return append([]string{"grant_type", "authorization_code", "code", code, "code_verifier", verifier, "redirect_uri", uri}, extra...)
}

// RFC 9449 section 5: the refresh token of a public client is bound to its key.
func TestPoint30_RefreshTokensOfPublicClientsAreBound(t *testing.T) {
	t.Parallel()
	i := startRefresh(t)
	own, thief := newDPoPKey(t), newDPoPKey(t)
	a := i.proven(login{}, own, codeForm(i.spaCode(), webURI, "client_id", spa)...)
	token := a.member("refresh_token")
	if a.status != 200 || a.member("token_type") != "DPoP" || token == "" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	ask := []string{"grant_type", "refresh_token", "client_id", spa, "refresh_token"}
	for range 3 { // successors are bound too
		i.wantGrantRefused("without a proof", i.refresh(login{}, token, "client_id", spa))
		i.wantGrantRefused("with another key", i.proven(login{}, thief, append(ask, token)...))
		a := i.proven(login{}, own, append(ask, token)...)
		if a.status != 200 || a.member("token_type") != "DPoP" || i.bound(a.member("access_token")) == nil {
			t.Fatalf("%d %s", a.status, a.body)
		}
		spent := token
		token = a.member("refresh_token")
		i.clock.Advance(time.Minute)
		i.wantGrantRefused("a spent one, with another key", i.proven(login{}, thief, append(ask, spent)...)) // and ends nothing
	}
}

// RFC 9449 section 5: a confidential client shows by its credentials that the
// refresh token is its own, so that it may change its key.
func TestPoint30_RefreshTokensOfConfidentialClientsAreNot(t *testing.T) {
	t.Parallel()
	i := startRefresh(t)
	first, second := newDPoPKey(t), newDPoPKey(t)
	code := i.code(web, "dpop_jkt", first.Thumbprint(t))
	token := i.proven(web, first, codeForm(code, webURI)...).member("refresh_token")
	a := i.proven(web, second, "grant_type", "refresh_token", "refresh_token", token)
	cnf, _ := i.bound(a.member("access_token")).(map[string]any)
	if a.status != 200 || cnf["jkt"] != second.Thumbprint(t) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// RFC 8705 section 4.
func TestPoint31_RefreshTokensOfPublicClientsAreBoundToTheirCertificate(t *testing.T) {
	t.Parallel()
	own, thief := newCertificate(t), newCertificate(t)
	shown := own
	i := startRefresh(t, func(c *authserver.Config) {
		c.Clients[len(c.Clients)-1].TLSClientCertificateBoundAccessTokens = true // spa
	}, func(c *authserver.Config) {
		c.ClientCertificate = func(*http.Request) *x509.Certificate {
			if shown == nil {
				return nil
			}
			return shown.Leaf
		}
	})
	a := i.redeemSPA(i.spaCode())
	token := a.member("refresh_token")
	if a.status != 200 || token == "" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	shown = thief
	i.wantGrantRefused("another certificate", i.refresh(login{}, token, "client_id", spa))
	shown = nil
	if a := i.refresh(login{}, token, "client_id", spa); a.outcome() != "400 invalid_request" {
		t.Errorf("none: %d %s", a.status, a.body)
	}
	shown = own
	a = i.refresh(login{}, token, "client_id", spa)
	cnf, _ := i.bound(a.member("access_token")).(map[string]any)
	if a.status != 200 || cnf["x5t#S256"] != x5t(own) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// A public client without a key has rotation to protect it (RFC 9700 section
// 4.14.2).
func TestPoint24_APublicClientWithoutAKey(t *testing.T) {
	t.Parallel()
	i := startRefresh(t)
	first := i.redeemSPA(i.spaCode()).member("refresh_token")
	second := i.refresh(login{}, first, "client_id", spa).member("refresh_token")
	third := i.refresh(login{}, second, "client_id", spa).member("refresh_token")
	if third == "" {
		t.Fatal("no rotation")
	}
	i.wantGrantRefused("a replay", i.refresh(login{}, first, "client_id", spa))
	i.wantGrantRefused("after it", i.refresh(login{}, third, "client_id", spa))
}
