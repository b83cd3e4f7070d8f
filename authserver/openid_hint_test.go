package authserver_test

import (
	"strings"
	"testing"
)

// Section 3.1.2.1: for somebody else than the ID token is about there is no code.
func TestOpenIDCore_3_1_2_1_IDTokenHint(t *testing.T) {
	t.Parallel()
	i := startLogout(t)
	alice, bob := i.browser(), i.browser()
	about := alice.arrives()
	bob.signIn(bob.authorize(authParams(web)), "bob")

	s := alice.authorize(authParams(web, "prompt", "none", "id_token_hint", about))
	if s.response().Get("code") == "" {
		t.Errorf("alice: %d %s", s.status, s.header.Get("Location"))
	}
	s = bob.authorize(authParams(web, "prompt", "none", "id_token_hint", about))
	if s.response().Get("error") != "login_required" {
		t.Errorf("bob: %d %s", s.status, s.header.Get("Location"))
	}
	if s = bob.authorize(authParams(web, "id_token_hint", about)); s.title != "Sign in" {
		t.Fatalf("bob: %d %s", s.status, s.title)
	}
	again := bob.signIn(s, "bob")
	if again.response().Get("error") != "login_required" || again.response().Has("code") {
		t.Errorf("bob once more: %d %s %s", again.status, again.title, again.header.Get("Location"))
	}
	if s = bob.signIn(bob.authorize(authParams(web, "id_token_hint", about)), "alice"); s.title == "Allow access?" {
		s = bob.submit(s, "decision", "allow")
	}
	if s.response().Get("code") == "" {
		t.Errorf("alice instead: %d %s", s.status, s.header.Get("Location"))
	}
}

// Nor by the form of a consent page that was never shown, made with one's own cookie.
func TestOpenIDCore_3_1_2_1_NoConsentOfSomebodyElse(t *testing.T) {
	t.Parallel()
	i := startLogout(t)
	about := i.browser().arrives()
	for username, want := range map[string]string{"bob": "login_required", "alice": ""} {
		b := i.browser()
		s := b.authorize(authParams(web, "id_token_hint", about, "scope", "bills:read", "resource", billingAPI))
		request := s.fields.Get("request")
		b.signIn(s, username)
		s = b.post(i.url+"/consent", form(
			"csrf", formToken(b.cookie(), "/consent", request), "request", request,
			"seen", formToken(b.cookie(), request, webURI, "bills:read", billingAPI), "decision", "allow",
		))
		if got := s.response(); got.Get("error") != want || got.Has("code") != (want == "") {
			t.Errorf("%s: %d %s %s", username, s.status, s.title, s.header.Get("Location"))
		}
	}
}

// Pushed requests have it too, and what is no ID token of this server is no hint.
func TestOpenIDCore_3_1_2_1_IDTokenHintsByOtherWays(t *testing.T) {
	t.Parallel()
	i := startLogout(t)
	about := i.browser().arrives()
	bob := i.browser()
	bob.signIn(bob.authorize(authParams(portal)), "bob")
	a := i.post("/par", portal, authParams(portal, "prompt", "none", "id_token_hint", about))
	if s := bob.authorize(pushed(portal, a.member("request_uri"))); s.response().Get("error") != "login_required" {
		t.Errorf("pushed: %d %s", s.status, s.header.Get("Location"))
	}
	for name, hint := range map[string]string{"an invention": "abc", "cut": about[:strings.LastIndexByte(about, '.')+1]} {
		if s := bob.authorize(authParams(portal, "prompt", "none", "id_token_hint", hint)); s.response().Get("code") == "" {
			t.Errorf("%s: %d %s", name, s.status, s.header.Get("Location"))
		}
	}
}
