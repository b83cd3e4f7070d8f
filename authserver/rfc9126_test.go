package authserver_test

import (
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

// push pushes an authorization request and returns its request_uri.
func (i *issuer) push(as login, extra ...string) string {
	i.t.Helper()
	a := i.post("/par", as, authParams(as, extra...))
	uri := a.member("request_uri")
	if a.status != 201 || !strings.HasPrefix(uri, "urn:ietf:params:oauth:request_uri:") {
		i.t.Fatalf("%d %s", a.status, a.body)
	}
	return uri
}

func pushed(as login, uri string) url.Values { return form("client_id", as.id, "request_uri", uri) }

func TestRFC9126_Section2_2_Success(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	a := i.post("/par", web, authParams(web))
	if a.status != 201 || a.object()["expires_in"] != 90.0 || len(a.object()) != 2 || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	s := i.browser().grant(pushed(web, a.member("request_uri")))
	if s.response().Get("state") != state {
		t.Errorf("%s", s.header.Get("Location"))
	}
	if a := i.redeem(web, s.response().Get("code")); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestRFC9126_Section2_1_TheClientAuthenticates(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	for name, as := range map[string]login{"nobody": {}, "wrong secret": {web.id, "x"}, "stranger": stranger} {
		if a := i.post("/par", as, authParams(web)); a.status != 401 || a.member("error") != "invalid_client" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if a := i.post("/par", web, authParams(portal)); a.status != 400 || a.member("error") != "invalid_request" {
		t.Errorf("for another client: %d %s", a.status, a.body)
	}
	if a := i.get(i.url + "/par"); a.status != 405 {
		t.Errorf("GET: %d", a.status)
	}
}

func TestRFC9126_Section2_3_ErrorsComeAtOnce(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	for code, extras := range map[string][][]string{
		"invalid_request": {
			{"redirect_uri", "https://evil.example"}, {"code_challenge", ""}, {"code_challenge_method", "plain"}, {"response_type", ""}, {"prompt", "x"},
			{"request_uri", "urn:ietf:params:oauth:request_uri:x"}, {"response_mode", "fragment"}, {"max_age", "x"},
		},
		"unsupported_response_type": {{"response_type", "token"}},
		"invalid_scope":             {{"scope", "admin"}},
		"invalid_target":            {{"resource", "https://evil.example"}},
		"request_not_supported":     {{"request", "a.b.c"}},
	} {
		for _, extra := range extras {
			if a := i.post("/par", web, authParams(web, extra...)); a.status != 400 || a.member("error") != code {
				t.Errorf("%s: %d %s", extra, a.status, a.body)
			}
		}
	}
	if a := i.post("/par", shop, authParams(web, "client_id", shop.id)); a.status != 400 {
		t.Errorf("a client without redirect URIs: %d %s", a.status, a.body)
	}
}

func TestRFC9126_Section4_OnlyWhatWasPushedCounts(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	params := authParams(web, "redirect_uri", "https://evil.example", "scope", "admin", "state", "evil", "request_uri", i.push(web, "scope", "bills:read"))
	params.Add("scope", "twice")
	s := b.signIn(b.authorize(params), "alice")
	if !strings.Contains(s.text, "bills:read") || strings.Contains(s.text, "orders:") {
		t.Fatalf("%s", s.text)
	}
	s = b.submit(s, "decision", "allow")
	if !strings.HasPrefix(s.header.Get("Location"), webURI) || s.response().Get("state") != state {
		t.Errorf("%s", s.header.Get("Location"))
	}
}

func TestRFC9126_Section4_BoundToTheClient(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	uri := i.push(web)
	if s := i.browser().authorize(pushed(portal, uri)); !s.isPage(400) {
		t.Errorf("%d %s", s.status, s.header.Get("Location"))
	}
	// One that is registered for the same redirect URI.
	if s := i.browser().authorize(pushed(twin, uri)); !s.isPage(400) {
		t.Errorf("%d %s", s.status, s.header.Get("Location"))
	}
	if s := i.browser().authorize(form("request_uri", uri)); !s.isPage(400) {
		t.Errorf("without client_id: %d", s.status)
	}
	if s := i.browser().grant(pushed(web, uri)); !s.response().Has("code") {
		t.Errorf("%s", s.header.Get("Location"))
	}
}

func TestRFC9126_Section7_3_OneAnswerEach(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	uri := i.push(portal)
	b.grant(pushed(portal, uri))
	if s := b.authorize(pushed(portal, uri)); !s.isPage(400) {
		t.Errorf("a second code: %d %s", s.status, s.header.Get("Location"))
	}
	uri = i.push(portal, "prompt", "consent")
	s := b.authorize(pushed(portal, uri))
	if s := b.submit(s, "decision", "deny"); s.response().Get("error") != "access_denied" {
		t.Errorf("%d %s", s.status, s.header.Get("Location"))
	}
	if s := b.submit(s, "decision", "allow"); !s.isPage(400) {
		t.Errorf("a code after a no: %d %s", s.status, s.header.Get("Location"))
	}
	uri = i.push(portal)
	var racers sync.WaitGroup
	codes := make(chan string, 64)
	for range 64 {
		racers.Go(func() {
			if code := b.authorize(pushed(portal, uri)).response().Get("code"); code != "" {
				codes <- code
			}
		})
	}
	racers.Wait()
	if len(codes) != 1 {
		t.Errorf("%d codes", len(codes))
	}
}

// A person gets time to sign in, but only who came in time.
func TestRFC9126_Section2_2_Expiry(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b, late := i.browser(), i.browser()
	uri := i.push(web)
	i.clock.Advance(90*time.Second - time.Millisecond)
	s := b.authorize(pushed(web, uri))
	i.clock.Advance(5 * time.Minute)
	if s := late.authorize(pushed(web, uri)); !s.isPage(400) {
		t.Errorf("too late: %d", s.status)
	}
	s = b.signIn(s, "alice")
	i.clock.Advance(4 * time.Minute)
	if s = b.submit(s, "decision", "allow"); !s.response().Has("code") {
		t.Errorf("%d %s", s.status, s.body)
	}
	s = b.authorize(pushed(web, i.push(web, "prompt", "consent")))
	i.clock.Advance(12 * time.Minute)
	if s = b.submit(s, "decision", "allow"); s.response().Has("code") {
		t.Error("good for ever")
	}
}

func TestRFC9126_Section6_RequiredOfAClient(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "", func(c *authserver.Config) { c.Clients[len(c.Clients)-2].RequirePushedRequests = true })
	b := i.browser()
	if s := b.authorize(authParams(portal)); s.response().Get("error") != "invalid_request" {
		t.Errorf("%d %s", s.status, s.header.Get("Location"))
	}
	if s := b.grant(pushed(portal, i.push(portal))); !s.response().Has("code") {
		t.Errorf("%d %s", s.status, s.header.Get("Location"))
	}
}

// A client may post its credentials beside the request: they are not part of it.
func TestRFC9126_Section2_1_CredentialsAreNotKept(t *testing.T) {
	t.Parallel()
	dump := &dumpingStore{Store: authserver.NewMemoryStore(nil)}
	i := startWeb(t, "", withStore(dump), func(c *authserver.Config) {
		for n := range c.Clients {
			if c.Clients[n].ClientID == web.id {
				c.Clients[n].TokenEndpointAuthMethod = "client_secret_post"
			}
		}
	})
	params := authParams(web, "client_secret", web.secret, "unknown", "canary")
	if a := i.post("/par", login{}, params); a.status != 201 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	dump.mu.Lock()
	defer dump.mu.Unlock()
	if got := string(dump.seen); strings.Contains(got, web.secret) || strings.Contains(got, "canary") || !strings.Contains(got, challenge) {
		t.Errorf("%s", got)
	}
}
