package authserver_test

import (
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

func TestPoint15_ConsentNamesWhatItIsAbout(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	s := b.signIn(b.authorize(authParams(web, "scope", "bills:read", "resource", billingAPI)), "alice")
	for _, want := range []string{"Web <Shop>", "bills:read", billingAPI, "web.example", "alice"} {
		if !strings.Contains(s.text, want) {
			t.Errorf("no %q in %s", want, s.text)
		}
	}
	if strings.Contains(s.text, "orders") || strings.Contains(s.text, "canary") {
		t.Errorf("too much: %s", s.text)
	}
	for uri, want := range map[string]string{
		"http://127.0.0.1:49152/cb": "127.0.0.1:49152 (a program on this device)", "com.example.app:/cb": "the app com.example.app",
	} {
		if s := b.authorize(authParams(native, "redirect_uri", uri)); !strings.Contains(s.text, want) || !strings.Contains(s.text, "native") {
			t.Errorf("no %q in %s", want, s.text)
		}
	}
}

// What the userinfo endpoint tells is in words already: it is no API that people know.
func TestPoint15_ConsentNamesTheAPIsAlone(t *testing.T) {
	t.Parallel()
	i := startOpenID(t)
	b := i.browser()
	s := b.signIn(b.authorize(authParams(web, "scope", "openid email orders:read", "resource", ordersAPI)), "alice")
	if !strings.Contains(s.text, "see your email address") || !strings.Contains(s.text, "At this API") || !strings.Contains(s.text, ordersAPI) || strings.Contains(s.text, "userinfo") {
		t.Error(s.text)
	}
	s = b.authorize(authParams(portalLogin, "redirect_uri", webURI, "scope", "openid email"))
	if s.title != "Allow access?" || strings.Contains(s.text, "API") || strings.Contains(s.text, "userinfo") {
		t.Errorf("%s: %s", s.title, s.text)
	}
}

func TestPoint15_NoSilentApprovalOnPeoplesMachines(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	for _, uri := range []string{"http://127.0.0.1:49152/cb", "http://[::1]:49152/cb?x=y", "http://localhost:8080/cb", "https://localhost/cb", "https://LOCALHOST./cb", "com.example.app:/cb"} {
		params := authParams(native, "redirect_uri", uri)
		b.grant(params)
		if s := b.authorize(params); s.title != "Allow access?" {
			t.Errorf("%s: %d %s", uri, s.status, s.header.Get("Location"))
		}
		params.Set("prompt", "none")
		if s := b.authorize(params); s.response().Get("error") != "consent_required" {
			t.Errorf("%s: %d %s", uri, s.status, s.header.Get("Location"))
		}
	}
}

func TestPoint15_ConsentIsRememberedForWhatItWasAbout(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	b.grant(authParams(web, "scope", "orders:read bills:read", "resource", ordersAPI))
	asked := func(s *screen) bool { return s.title == "Allow access?" }
	if s := b.authorize(authParams(web, "scope", "bills:read orders:read", "resource", ordersAPI)); !s.response().Has("code") {
		t.Errorf("asked again: %s", s.body)
	}
	for name, extra := range map[string][]string{
		"more scope":       {"scope", "orders:read bills:read orders:write", "resource", ordersAPI},
		"another scope":    {"scope", "orders:write", "resource", ordersAPI},
		"another resource": {"scope", "orders:read bills:read", "resource", billingAPI},
		"all resources":    {"scope", "orders:read bills:read"},
	} {
		if s := b.authorize(authParams(web, extra...)); !asked(s) {
			t.Errorf("%s: not asked: %d %s", name, s.status, s.header.Get("Location"))
		}
	}
	if s := b.authorize(authParams(twin, "scope", "orders:read bills:read", "resource", ordersAPI)); !asked(s) {
		t.Errorf("another client: %d %s", s.status, s.header.Get("Location"))
	}
	other := i.browser()
	if s := other.signIn(other.authorize(authParams(web, "scope", "orders:read bills:read", "resource", ordersAPI)), "bob"); !asked(s) {
		t.Errorf("another person: %d %s", s.status, s.header.Get("Location"))
	}
	i.clock.Advance(30 * 24 * time.Hour)
	if s := b.signIn(b.authorize(authParams(web, "scope", "orders:read bills:read", "resource", ordersAPI)), "alice"); !asked(s) {
		t.Errorf("after 30 days: %d %s", s.status, s.header.Get("Location"))
	}
}

// Consent is remembered for 30 days whenever it was given, and again after that,
// though nothing has cleared away the expired record.
func TestPoint15_ConsentIsRememberedAgainOnceItExpired(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	asked := func() bool {
		b := i.browser()
		return b.signIn(b.authorize(authParams(web)), "alice").title == "Allow access?"
	}
	for range 5 {
		i.browser().grant(authParams(web))
		i.clock.Advance(30*24*time.Hour - time.Second)
		if asked() {
			t.Error("asked again within 30 days")
		}
		i.clock.Advance(time.Second)
		if !asked() {
			t.Error("not asked after 30 days")
		}
		i.clock.Advance(5 * 24 * time.Hour)
	}
}

func TestPoint15_NobodyConsentsWhoIsNotSignedIn(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	signedOut := b.signIn(b.authorize(authParams(web)), "alice")
	i.clock.Advance(12 * time.Hour)
	if s := b.submit(signedOut, "decision", "allow"); s.title != "Sign in" {
		t.Errorf("after the session: %d %s", s.status, s.header.Get("Location"))
	}
	tooOld := b.signIn(b.authorize(authParams(web, "max_age", "60")), "alice")
	i.clock.Advance(11 * time.Minute)
	if s := b.submit(tooOld, "decision", "allow"); s.title != "Sign in" {
		t.Errorf("after max_age: %d %s", s.status, s.header.Get("Location"))
	}
}

// What was shown is what is granted, even if the client is registered anew between
// the page and the answer.
func TestPoint15_OnlyWhatWasShownIsGranted(t *testing.T) {
	t.Parallel()
	s := authserver.NewMemoryStore(nil)
	i := startWeb(t, "", withStore(s))
	register := func(scope string) {
		if err := s.PutClient(t.Context(), &authserver.Client{
			ClientID: "late", SecretHash: authserver.HashOf("0123"), GrantTypes: []string{"authorization_code"}, RedirectURIs: []string{webURI}, Scope: scope, Audience: []string{ordersAPI},
		}); err != nil {
			t.Fatal(err)
		}
	}
	register("read")
	b := i.browser()
	consent := b.signIn(b.authorize(authParams(web, "client_id", "late")), "alice")
	register("read write")
	again := b.submit(consent, "decision", "allow")
	if again.title != "Allow access?" || !strings.Contains(again.text, "write") {
		t.Fatalf("%d %s", again.status, again.body)
	}
	if s := b.submit(again, "decision", "allow"); !s.response().Has("code") {
		t.Errorf("%d %s", s.status, s.body)
	}
}

func TestPoint15_PeopleMaySayNo(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	consent := b.signIn(b.authorize(authParams(web)), "alice")
	if s := b.submit(consent, "decision", "deny"); s.response().Get("error") != "access_denied" || s.response().Get("state") != state {
		t.Errorf("%d %s", s.status, s.header.Get("Location"))
	}
	for _, decision := range []string{"", "Allow", "yes"} {
		if s := b.submit(consent, "decision", decision); !s.isPage(400) {
			t.Errorf("%q: %d %s", decision, s.status, s.header.Get("Location"))
		}
	}
	s := b.submit(consent, "decision", "switch")
	if s.title != "Sign in" {
		t.Fatalf("%d %s", s.status, s.body)
	}
	if s = b.signIn(s, "bob"); s.title != "Allow access?" || !strings.Contains(s.text, "bob") {
		t.Errorf("%d %s", s.status, s.body)
	}
}

// Who registered themselves may take the name of a client that is known here. People
// are told of it, on a device too, where no host is shown; and of nobody else.
func TestPoint15_ANameOfOnesOwnIsNobodysWord(t *testing.T) {
	t.Parallel()
	const says = "nobody here has checked who it is"
	h := startDocument(t, `,"client_name":"Web <Shop>","grant_types":["authorization_code","`+deviceGrant+`"]`)
	grantTypes := []string{"authorization_code", deviceGrant}
	i := startWeb(t, "", withRegistration, withDocuments, func(c *authserver.Config) {
		c.Registration.Policy.GrantTypes, c.ClientIDMetadataDocuments.Policy.GrantTypes = grantTypes, grantTypes
		for n := range c.Clients {
			if c.Clients[n].ClientID == tv.id {
				c.Clients[n].ClientName = "Web <Shop>"
			}
		}
	})
	named := i.registrant(`,"client_name":"Web <Shop>","token_endpoint_auth_method":"none","grant_types":["authorization_code","` + deviceGrant + `"]`)
	unnamed := i.registrant(`,"token_endpoint_auth_method":"none","grant_types":["authorization_code","` + deviceGrant + `"]`)
	b := i.browser()
	for name, row := range map[string]struct {
		id, uri, device string
		claims          bool
	}{
		"a registration":              {named.id, appURI, named.id, true},
		"a registration without name": {unnamed.id, appURI, unnamed.id, true},
		"a document":                  {h.id, appURI, h.id, false},
		"a client of the operator's":  {web.id, webURI, tv.id, false},
	} {
		page := b.authorize(authParams(login{id: row.id}, "redirect_uri", row.uri))
		if page.title == "Sign in" {
			page = b.signIn(page, "alice")
		}
		a := i.send("/device_authorization", form("client_id", row.device))
		device := b.consent(a.member("user_code"))
		for what, s := range map[string]*screen{"Allow access?": page, consentPage: device} {
			if s.title != what || strings.Contains(s.text, says) != row.claims || strings.Contains(string(s.body), `aria-describedby="claim where"`) != row.claims {
				t.Errorf("%s: %s: %d %s", name, what, s.status, s.text)
			}
			if row.claims && (!strings.Contains(s.text, row.id) || strings.Contains(s.text, "The name is its own claim") != (row.id == named.id)) {
				t.Errorf("%s: %s: %s", name, what, s.text)
			}
			if row.id == h.id && !strings.Contains(s.text, strings.TrimPrefix(h.URL, "http://")) {
				t.Errorf("%s: %s: no host: %s", name, what, s.text)
			}
		}
	}
}
