package authserver_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

// show sends a form and DPoP proofs, one a header field.
func (i *issuer) show(path string, as login, v url.Values, proofs ...string) answer {
	i.t.Helper()
	req := i.request(path, v.Encode())
	req.SetBasicAuth(as.id, as.secret)
	req.Header["Dpop"] = proofs
	return i.do(req)
}

// redeemBy is redeem with DPoP proofs.
func (i *issuer) redeemBy(code string, proofs ...string) answer {
	i.t.Helper()
	return i.show("/token", web, form("grant_type", "authorization_code", "code", code, "code_verifier", verifier, "redirect_uri", webURI), proofs...)
}

// pushBy pushes a request with DPoP proofs and returns a code for it.
func (i *issuer) pushBy(params url.Values, proofs ...string) (code string) {
	i.t.Helper()
	a := i.show("/par", web, params, proofs...)
	if a.status != 201 {
		i.t.Fatalf("%d %s", a.status, a.body)
	}
	return i.browser().grant(pushed(web, a.member("request_uri"))).response().Get("code")
}

func TestRFC9449_10_OnlyTheKeyOfACodeRedeemsIt(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "/tenant")
	k, other := newDPoPKey(t), newDPoPKey(t)
	atPAR := edits{"htu": i.url + "/par"}
	for name, code := range map[string]string{
		"dpop_jkt":                        i.code(web, "dpop_jkt", k.Thumbprint(t)),
		"dpop_jkt, pushed":                i.pushBy(authParams(web, "dpop_jkt", k.Thumbprint(t))),
		"a proof with the pushed request": i.pushBy(authParams(web), i.proof(k, atPAR)),
		"both":                            i.pushBy(authParams(web, "dpop_jkt", k.Thumbprint(t)), i.proof(k, atPAR)),
	} {
		i.wantGrantRefused(name+", no proof", i.redeemBy(code))
		i.wantGrantRefused(name+", the proof of another key", i.redeemBy(code, i.proof(other, nil)))
		a := i.redeemBy(code, i.proof(k, nil))
		if a.status != 200 || a.member("token_type") != "DPoP" {
			t.Errorf("%s: an attempt by somebody else burnt the code: %d %s", name, a.status, a.body)
			continue
		}
		token := a.member("access_token")
		if cnf, _ := i.bound(token).(edits); len(cnf) != 1 || cnf["jkt"] != k.Thumbprint(t) {
			t.Errorf("%s: bound to %v", name, cnf)
		}
		i.wantGrantRefused(name+", replayed by another key", i.redeemBy(code, i.proof(other, nil)))
		if !i.active(orders, token) {
			t.Errorf("%s: somebody without the key revoked the token", name)
		}
		i.wantGrantRefused(name+", replayed by its key", i.redeemBy(code, i.proof(k, nil)))
		if i.active(orders, token) {
			t.Errorf("%s: the replay did not revoke the token", name)
		}
	}
}

// The grant of a code that has expired is revoked by its own key alone.
func TestRFC9449_10_AnExpiredCodeIsNoUseToAnotherKey(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	k := newDPoPKey(t)
	code := i.code(web, "dpop_jkt", k.Thumbprint(t))
	token := i.redeemBy(code, i.proof(k, nil)).member("access_token")
	i.clock.Advance(2 * time.Minute)
	i.wantGrantRefused("another key", i.redeemBy(code, i.proof(newDPoPKey(t), nil)))
	if !i.active(orders, token) {
		t.Error("somebody without the key revoked the token")
	}
}

func TestRFC9449_10_ACodeThatIsBoundToNone(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	k := newDPoPKey(t)
	a := i.redeemBy(i.code(web), i.proof(k, nil))
	if cnf, _ := i.bound(a.member("access_token")).(edits); a.status != 200 || cnf["jkt"] != k.Thumbprint(t) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestRFC9449_10_BadThumbprints(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	good := newDPoPKey(t).Thumbprint(t)
	for _, jkt := range []string{"x", good + "=", good[1:], good + "AAA", "?" + good[1:]} {
		if s := b.authorize(authParams(web, "dpop_jkt", jkt)); s.response().Get("error") != "invalid_request" {
			t.Errorf("%q: %d %s", jkt, s.status, s.header.Get("Location"))
		}
		wantError(t, i.post("/par", web, authParams(web, "dpop_jkt", jkt)), 400, "invalid_request")
	}
	twice := authParams(web)
	twice["dpop_jkt"] = []string{good, good}
	if s := b.authorize(twice); s.response().Get("error") != "invalid_request" {
		t.Errorf("twice: %d %s", s.status, s.header.Get("Location"))
	}
}

func TestRFC9449_10_1_ProofsOfPushedRequests(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	k, other := newDPoPKey(t), newDPoPKey(t)
	atPAR := edits{"htu": i.url + "/par"}
	push := func(jkt string, proofs ...string) answer {
		return i.show("/par", web, authParams(web, "dpop_jkt", jkt), proofs...)
	}
	wantError(t, push(other.Thumbprint(t), i.proof(k, atPAR)), 400, "invalid_request")
	wantError(t, push("", i.proof(k, nil)), 400, "invalid_dpop_proof")
	wantError(t, push("", "x"), 400, "invalid_dpop_proof")
	wantError(t, push("", i.proof(k, atPAR), i.proof(k, atPAR)), 400, "invalid_dpop_proof")
	proof := i.proof(k, atPAR)
	if a := push("", proof); a.status != 201 {
		t.Errorf("%d %s", a.status, a.body)
	}
	wantError(t, push("", proof), 400, "invalid_dpop_proof")
}

func TestRFC9449_10_1_TheNonceOfPushedRequests(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "", withNonces)
	k := newDPoPKey(t)
	atPAR := edits{"htu": i.url + "/par"}
	first := i.show("/par", web, authParams(web), i.proof(k, atPAR))
	wantError(t, first, 400, "use_dpop_nonce")
	atPAR["nonce"] = first.header.Get("DPoP-Nonce")
	if a := i.show("/par", web, authParams(web), i.proof(k, atPAR)); a.status != 201 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// A client whose tokens are bound to its certificate gets no code for another key.
func TestRFC9449_10_NotForClientsOfCertificateBoundTokens(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "", func(c *authserver.Config) {
		for n := range c.Clients {
			if c.Clients[n].ClientID == web.id {
				bindToCertificate(&c.Clients[n])
			}
		}
	})
	s := i.browser().authorize(authParams(web, "dpop_jkt", newDPoPKey(t).Thumbprint(t)))
	if !strings.HasPrefix(s.header.Get("Location"), webURI) || s.response().Get("error") != "invalid_request" {
		t.Errorf("%d %s", s.status, s.header.Get("Location"))
	}
}
