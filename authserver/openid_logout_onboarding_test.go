package authserver_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/countermark/countermark/authserver"
)

const (
	appByeURI = "https://app.example/bye?from=here"
	appBye    = `,"scope":"openid","post_logout_redirect_uris":["https://app.example/other","` + appByeURI + `"]`
)

// leaver is a client that came by itself and that people come back to after logout.
type leaver struct {
	*issuer
	login
}

// startLeavers starts an issuer for each way in which a client may come by itself.
func startLeavers(t *testing.T) map[string]leaver {
	t.Helper()
	i := startRegistering(t, func(c *authserver.Config) { c.Registration.Policy.Scope = "openid" })
	h := startDocument(t, appBye)
	d := startDocuments(t, func(c *authserver.Config) { c.ClientIDMetadataDocuments.Policy.Scope = "openid" })
	return map[string]leaver{"a registration": {i, i.registrant(appBye).login}, "a document": {d, login{id: h.id}}}
}

// arrives has alice sign in with b and returns the ID token that the client got.
func (l leaver) arrives(b *browser) string {
	l.t.Helper()
	code := b.grant(authParams(l.login, "redirect_uri", appURI)).response().Get("code")
	a := l.redeem(login{}, code, "redirect_uri", appURI, "client_id", l.id)
	if l.secret != "" {
		a = l.redeem(l.login, code, "redirect_uri", appURI)
	}
	if a.member("id_token") == "" {
		l.t.Fatalf("%d %s", a.status, a.body)
	}
	return a.member("id_token")
}

func TestRPInitiatedLogout_3_1_ClientsSayWhereTo(t *testing.T) {
	t.Parallel()
	i := startRegistering(t, func(c *authserver.Config) { c.Registration.Policy.Scope = "openid" })
	r := i.registrant(appBye)
	a := i.metadata("GET", r.url, r.token, "")
	if got := fmt.Sprint(a.object()["post_logout_redirect_uris"]); got != "[https://app.example/other "+appByeURI+"]" {
		t.Errorf("%s", a.body)
	}
	a = i.metadata("PUT", r.url, r.token, `{"client_id":"`+r.id+`","redirect_uris":["`+appURI+`"]}`)
	if a.status != 200 || a.object()["post_logout_redirect_uris"] != nil {
		t.Errorf("left out and there yet: %d %s", a.status, a.body)
	}
	if s := i.browser().logout("client_id", r.id, "post_logout_redirect_uri", appByeURI); !s.isPage(400) {
		t.Errorf("%d %s", s.status, s.body)
	}
}

// They may be what redirect URIs may be.
func TestRPInitiatedLogout_3_1_WhereTo(t *testing.T) {
	t.Parallel()
	i := startRegistering(t)
	d := startDocuments(t)
	for name, row := range map[string]struct{ uris, says string }{
		"http":         {`["http://app.example/bye"]`, "[0]"},
		"javascript":   {`["` + appByeURI + `","javascript:alert(1)"]`, "[1]"},
		"a fragment":   {`["https://app.example/#f"]`, "[0]"},
		"dot segments": {`["https://app.example/a/../bye"]`, "[0]"},
		"no URI":       {`["https://app.example/bye é"]`, "[0]"},
		"user":         {`["https://app.example@evil.example/bye"]`, "[0]"},
		"a pattern":    {`["https://*.example/bye"]`, "[0]"},
		"no host":      {`["https:///bye"]`, "[0]"},
		"too many":     {`["` + strings.Repeat(appByeURI+`","`, 20) + appByeURI + `"]`, "20"},
		"too long":     {`["` + appByeURI + strings.Repeat("x", 1024) + `"]`, "1024"},
		"no list":      {`"` + appByeURI + `"`, ""},
	} {
		members := `,"post_logout_redirect_uris":` + row.uris
		a := i.register(`{"redirect_uris":["` + appURI + `"]` + members + `}`)
		if says := a.member("error_description"); a.outcome() != "400 invalid_client_metadata" || !strings.Contains(says, "post_logout_redirect_uris") || !strings.Contains(says, row.says) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if s := d.visit(startDocument(t, members).id); !s.isPage(400) {
			t.Errorf("%s in a document: %d %s", name, s.status, s.body)
		}
	}
	good := `,"post_logout_redirect_uris":["` + appByeURI + `","http://127.0.0.1/bye","com.example.app:/bye"]`
	i.registrant(good)
	if s := d.visit(startDocument(t, good).id); s.title != "Sign in" {
		t.Errorf("%d %s", s.status, s.body)
	}
}

func TestRPInitiatedLogout_3_OfAClientThatCameByItself(t *testing.T) {
	t.Parallel()
	for name, l := range startLeavers(t) {
		b := l.browser()
		token := l.arrives(b)
		for _, uri := range []string{"https://app.example/bye", appByeURI + "&x=y", appURI, "https://evil.example/"} {
			for _, s := range []*screen{
				b.logout("client_id", l.id, "post_logout_redirect_uri", uri), b.logout("id_token_hint", token, "post_logout_redirect_uri", uri),
			} {
				if !s.isPage(400) {
					t.Errorf("%s: to %s: %d %s", name, uri, s.status, s.body)
				}
			}
		}
		s := b.logout("client_id", l.id, "post_logout_redirect_uri", appByeURI, "state", "x y")
		if s.title != "Sign out?" || !strings.Contains(s.text, "You will be sent to  app.example  then") {
			t.Errorf("%s: %d %s", name, s.status, s.text)
		}
		if s = b.submit(s); s.status != 303 || s.header.Get("Location") != appByeURI+"&state=x%20y" {
			t.Errorf("%s, asked: %d %s", name, s.status, s.header.Get("Location"))
		}
		token = l.arrives(b)
		if s = b.logout("id_token_hint", token, "post_logout_redirect_uri", appByeURI); s.status != 303 || s.header.Get("Location") != appByeURI {
			t.Errorf("%s, by a hint: %d %s", name, s.status, s.header.Get("Location"))
		}
	}
}

// RFC 9700 section 4.11.2: who is signed in nowhere and has not been asked is not sent
// to where somebody registered themselves; there is a link that says where it leads.
func TestRPInitiatedLogout_3_StrangersMakeNoOpenRedirector(t *testing.T) {
	t.Parallel()
	for name, l := range startLeavers(t) {
		b := l.browser()
		token := l.arrives(b)
		form := b.logout("client_id", l.id, "post_logout_redirect_uri", appByeURI, "state", "x y")
		b.submit(b.logout())
		for how, s := range map[string]*screen{
			"by its ID":         l.browser().logout("client_id", l.id, "post_logout_redirect_uri", appByeURI, "state", "x y"),
			"by an ID token":    l.browser().logout("id_token_hint", token, "post_logout_redirect_uri", appByeURI, "state", "x y"),
			"signed out before": b.logout("id_token_hint", token, "post_logout_redirect_uri", appByeURI, "state", "x y"),
		} {
			if s.status != 200 || s.header.Get("Location") != "" || s.title != "Signed out" || s.link != appByeURI+"&state=x%20y" || !strings.Contains(s.text, "go back to  app.example") {
				t.Errorf("%s, %s: %d %s %q %s", name, how, s.status, s.header.Get("Location"), s.link, s.text)
			}
		}
		if s := b.follow(b.submit(form)); s.header.Get("Location") != "" || s.title != "Signed out" {
			t.Errorf("%s, by a form of before: %d %s", name, s.status, s.header.Get("Location"))
		}
		if s := l.browser().logout("client_id", l.id); s.title != "Signed out" || s.link != "" {
			t.Errorf("%s, nowhere to: %d %s", name, s.status, s.body)
		}
	}
	i := startLogout(t) // while the operator vouches for their own clients
	if s := i.browser().logout("client_id", web.id, "post_logout_redirect_uri", byeURI, "state", "x"); s.status != 303 || !strings.HasPrefix(s.header.Get("Location"), byeURI) {
		t.Errorf("%d %s", s.status, s.body)
	}
}
