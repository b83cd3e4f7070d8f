package authserver_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/countermark/countermark/authserver"
)

func TestPoint01_RedirectURIsMatchExactly(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	for _, uri := range []string{webURI} {
		if s := b.authorize(authParams(web, "redirect_uri", uri)); s.title != "Sign in" {
			t.Errorf("%s: %d %s", uri, s.status, s.body)
		}
	}
	for _, uri := range []string{
		webURI + "/", "https://web.example/CB", webURI + "?x", webURI + "?", webURI + "#f", webURI + "#", "https://a.evil/cb", "https://web.example@evil/cb",
		"https://web.example.evil/cb", "https://web.example:443/cb", "https://web.example:8443/cb", "http://web.example/cb", "HTTPS://web.example/cb",
		"https://WEB.example/cb", "https://web.example/%63b", "https://web.example/x/../cb", "https://web.example/x/%2e%2e/cb", "https://web.example//cb",
		"https://web.example\\@evil/cb", " " + webURI, webURI + " ", webURI + "\x00", "https://web.example", "/cb", "//web.example/cb", "javascript:alert('evil')", "x", portalURI,
	} {
		if s := b.authorize(authParams(web, "redirect_uri", uri)); !s.isPage(400) {
			t.Errorf("%q: %d %s %s", uri, s.status, s.header.Get("Location"), s.body)
		}
	}
}

func TestPoint01_LoopbackAddressesMayHaveAnyPort(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	for uri, good := range map[string]bool{
		"http://127.0.0.1/cb": true, "http://127.0.0.1:1/cb": true, "http://127.0.0.1:65535/cb": true,
		"http://[::1]/cb?x=y": true, "http://[::1]:49152/cb?x=y": true, "http://localhost:8080/cb": true, "com.example.app:/cb": true,
		"http://127.0.0.1:0/cb": false, "http://127.0.0.1:65536/cb": false, "http://127.0.0.1:080/cb": false, "http://127.0.0.1:/cb": false,
		"http://127.0.0.1:+1/cb": false, "http://127.0.0.1:80:80/cb": false, "http://127.0.0.1:80@evil/cb": false, "http://127.0.0.1@evil/cb": false,
		"http://127.0.0.1.evil/cb": false, "http://127.0.0.1:1/cb/": false, "http://127.0.0.1:1/cb?x=y": false, "http://127.0.0.1:1/cb#f": false, "http://127.0.0.1:1": false,
		"http://127.0.0.2:1/cb": false, "https://127.0.0.1:1/cb": false, "http://[::1]:1/cb": false, "http://[::2]:1/cb?x=y": false, "http://localhost:8081/cb": false,
		"http://localhost/cb": false, "http://127.1:1/cb": false, "http://[0:0:0:0:0:0:0:1]/cb?x=y": false, "com.example.app:/cb2": false, "com.example.app:80/cb": false,
	} {
		s := b.authorize(authParams(native, "redirect_uri", uri))
		if got := s.title == "Sign in"; got != good || !good && !s.isPage(400) {
			t.Errorf("%q: %d %s", uri, s.status, s.body)
		}
	}
	s := b.grant(authParams(native))
	if !strings.HasPrefix(s.header.Get("Location"), "http://127.0.0.1:49152/cb?code=") {
		t.Errorf("sent to %s", s.header.Get("Location"))
	}
}

func TestPoint01_LeftOutWhereThereIsOne(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	if s := b.authorize(authParams(portal, "redirect_uri", "")); !s.isPage(400) {
		t.Errorf("one of two: %d %s", s.status, s.body)
	}
	for _, again := range []string{"", webURI} {
		s := b.grant(authParams(web, "redirect_uri", ""))
		if !strings.HasPrefix(s.header.Get("Location"), webURI+"?") {
			t.Errorf("sent to %s", s.header.Get("Location"))
		}
		if a := i.redeem(web, s.response().Get("code"), "redirect_uri", again); a.status != 200 {
			t.Errorf("redeemed with %q: %d %s", again, a.status, a.body)
		}
	}
	s := b.grant(authParams(web, "redirect_uri", ""))
	if a := i.redeem(web, s.response().Get("code"), "redirect_uri", portalURI); a.status != 400 || a.member("error") != "invalid_grant" {
		t.Errorf("redeemed with another's: %d %s", a.status, a.body)
	}
}

func TestPoint02_NeverARedirectToAnUnknownPlace(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	worse := []string{"response_type", "evil", "code_challenge", "", "scope", "\x00", "request", "evil", "prompt", "none evil", "response_mode", "evil"}
	for name, extra := range map[string][]string{
		"unknown client":      {"client_id", "evil"},
		"no client":           {"client_id", ""},
		"resource server":     {"client_id", orders.id},
		"unknown URI":         {"redirect_uri", "https://evil.example/cb"},
		"URI of another":      {"redirect_uri", portalURI},
		"unknown request_uri": {"request_uri", "urn:ietf:params:oauth:request_uri:evil", "redirect_uri", "https://evil.example"},
	} {
		for _, more := range [][]string{nil, worse, {"prompt", "none"}, {"response_mode", "form_post"}} {
			s := b.authorize(authParams(web, append(extra, more...)...))
			if !s.isPage(400) {
				t.Errorf("%s and %q: %d %s %s", name, more, s.status, s.header.Get("Location"), s.body)
			}
		}
	}
	for name, query := range map[string]string{
		"two clients":        authParams(web).Encode() + "&client_id=portal",
		"one client twice":   authParams(web).Encode() + "&client_id=web",
		"two redirect URIs":  authParams(web).Encode() + "&redirect_uri=https://evil.example/cb",
		"one twice":          authParams(web).Encode() + "&redirect_uri=" + url.QueryEscape(webURI),
		"broken escapes":     authParams(web).Encode() + "&%zz",
		"semicolons":         authParams(web).Encode() + ";a=b",
		"too many":           authParams(web).Encode() + strings.Repeat("&a=b", 64),
		"no query":           "",
		"only the client ID": "client_id=portal",
	} {
		if s := b.get(i.url + "/authorize?" + query); !s.isPage(400) {
			t.Errorf("%s: %d %s %s", name, s.status, s.header.Get("Location"), s.body)
		}
	}
	if s := b.get(i.url + "/authorize?" + authParams(web, "x", strings.Repeat("x", 17<<10)).Encode()); !s.isPage(414) {
		t.Errorf("17 KiB: %d", s.status)
	}
}

func TestPoint03_RedirectURIsAreCheckedAtRegistration(t *testing.T) {
	t.Parallel()
	for uri, good := range map[string]bool{
		"https://app.example/cb": true, "https://app.example": true, "https://app.example:8443/cb?x=y": true, "http://127.0.0.1:8080/cb": true, "http://[::1]/cb": true,
		"http://localhost/cb": true, "com.example.app:/cb": true, "com.example.app://cb": true, "http://app.example/cb": false, "http://10.0.0.1/cb": false,
		"http://127.0.0.1.example/cb": false, "": false, "/cb": false, "//app.example/cb": false, "https:///cb": false, "https:cb": false, "https://": false,
		"https://user@app.example/cb": false, "https://app.example/cb#f": false, "https://app.example/cb#": false, "com.example.app:/cb#f": false,
		"javascript:alert(1)": false, "data:text/html,x": false, "file:///x": false, "ftp://app.example/cb": false, "myapp:/cb": false, "myapp://cb": false,
		"https://app.example/c b": false, "https://app.example/cb\n": false, "https://app.example/é": false, "https://app.example\\cb": false,
		`https://app.example/"cb`: false, "https://app.example/<cb>": false, "https://*.example/cb": false, "https://app.example/a/../cb": false, "https://app.example/cb?state=x": false,
		"https://app.example/cb?iss": false, "https://app.example/cb?code=1&x=y": false, "com.example.app:/cb?error=x": false, "com.exam ple.app:/cb": false,
	} {
		c := clients()[0]
		c.GrantTypes, c.RedirectURIs = []string{"authorization_code"}, []string{webURI, uri}
		_, err := authserver.New(authserver.Config{Issuer: "https://issuer.example", Clients: []authserver.Client{c}})
		if (err == nil) != good || err != nil && !strings.Contains(err.Error(), `Config.Clients[0] ("shop"): redirect_uris[1]: `) {
			t.Errorf("%q: %v", uri, err)
		}
	}
}

func TestPoint04_TheOnlyResponseTypeIsCode(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	for _, rt := range []string{"token", "id_token", "code token", "code id_token", "token code", "none", "Code", "code code", "code ", "password"} {
		s := b.authorize(authParams(web, "response_type", rt))
		if s.status != 303 || s.response().Get("error") != "unsupported_response_type" || strings.Contains(s.header.Get("Location"), "#") {
			t.Errorf("%q: %d %s", rt, s.status, s.header.Get("Location"))
		}
	}
	if s := b.authorize(authParams(web, "response_type", "")); s.response().Get("error") != "invalid_request" {
		t.Errorf("none: %d %s", s.status, s.header.Get("Location"))
	}
	about := i.get(i.url + "/.well-known/oauth-authorization-server").object()
	if fmt.Sprint(about["grant_types_supported"], about["response_types_supported"]) !=
		"[authorization_code client_credentials refresh_token "+deviceGrant+" "+tokenExchange+"] [code]" {
		t.Error(about)
	}
}

func TestPoint04_WithoutPeopleThereIsNoCodeGrant(t *testing.T) {
	t.Parallel()
	i := start(t, "", func(c *authserver.Config) {
		c.Clients[0].GrantTypes, c.Clients[0].RedirectURIs = []string{"authorization_code"}, []string{webURI}
	})
	for _, path := range []string{"/authorize", "/login", "/consent", "/par", "/device"} {
		if a := i.get(i.url + path); a.status != 404 {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	if a := i.redeem(shop, "x"); a.status != 400 || a.member("error") != "unsupported_grant_type" {
		t.Errorf("%d %s", a.status, a.body)
	}
	about := i.get(i.url + "/.well-known/oauth-authorization-server").object()
	if _, has := about["authorization_endpoint"]; has || about["code_challenge_methods_supported"] != nil {
		t.Error(about)
	}
}

func TestPoint05_PKCEIsRequiredOfAll(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	for name, extra := range map[string][]string{
		"none":              {"code_challenge", "", "code_challenge_method", ""},
		"no challenge":      {"code_challenge", ""},
		"no method":         {"code_challenge_method", ""},
		"plain":             {"code_challenge_method", "plain"},
		"lower case":        {"code_challenge_method", "s256"},
		"unknown":           {"code_challenge_method", "S512"},
		"42 characters":     {"code_challenge", challenge[:42]},
		"129 characters":    {"code_challenge", strings.Repeat("x", 129)},
		"illegal character": {"code_challenge", challenge[:42] + "+"},
		"padding":           {"code_challenge", challenge + "="},
		"not ASCII":         {"code_challenge", challenge + "é"},
	} {
		for _, as := range []login{web, portal, native} {
			if s := b.authorize(authParams(as, extra...)); s.status != 303 || s.response().Get("error") != "invalid_request" {
				t.Errorf("%s, %s: %d %s", name, as.id, s.status, s.header.Get("Location"))
			}
		}
	}
	if s := b.authorize(authParams(web, "code_challenge", strings.Repeat("a-._~9Z", 18)+"xx")); s.title != "Sign in" {
		t.Errorf("128 characters: %d %s", s.status, s.header.Get("Location"))
	}
}

func TestPoint07_StateComesBackByteForByte(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	b.grant(authParams(portal))
	for _, state := range []string{state, "x", "a b+c%2Bd", "\x00\r\n\x7f\xff", "é\u2028&amp;", strings.Repeat("s", 4000), `"><script>`} {
		s := b.authorize(authParams(portal, "state", state))
		if s.response().Get("code") == "" || s.response().Get("state") != state || len(s.response()["state"]) != 1 {
			t.Errorf("%q: %s", state, s.header.Get("Location"))
		}
		if strings.Contains(s.header.Get("Location"), "+") {
			t.Errorf("a space as a plus, which not every client reads: %s", s.header.Get("Location"))
		}
		s = b.authorize(authParams(portal, "state", state, "scope", "admin"))
		if s.response().Get("error") != "invalid_scope" || s.response().Get("state") != state {
			t.Errorf("%q: %s", state, s.header.Get("Location"))
		}
		if s := b.authorize(pushed(portal, i.push(portal, "state", state))); s.response().Get("state") != state {
			t.Errorf("%q pushed: %s", state, s.header.Get("Location"))
		}
	}
	for _, extra := range [][]string{nil, {"scope", "admin"}} {
		if s := b.authorize(authParams(portal, append(extra, "state", "")...)); s.status != 303 || s.response().Has("state") {
			t.Errorf("a state that was not sent: %s", s.header.Get("Location"))
		}
	}
}

func TestPoint07_UnknownIgnoredDuplicatesRefused(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	if s := b.grant(authParams(portal, "unknown", "x", "nonce", "n", "ui_locales", "de")); s.response().Get("code") == "" {
		t.Errorf("unknown parameters: %s", s.header.Get("Location"))
	}
	for name := range authParams(portal, "scope", "orders:read", "prompt", "login", "response_mode", "query", "unknown", "x") {
		if name == "client_id" || name == "redirect_uri" {
			continue // TestPoint02
		}
		params := authParams(portal)
		params[name] = []string{params.Get(name), params.Get(name)}
		s := b.authorize(params)
		if s.status != 303 || s.response().Get("error") != "invalid_request" || name == "state" && s.response().Has("state") {
			t.Errorf("%s: %d %s", name, s.status, s.header.Get("Location"))
		}
	}
}

func TestPoint08_EveryResponseNamesTheIssuer(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "/", "/t", "/t/"} {
		i := startWeb(t, path)
		b := i.browser()
		about := i.get(strings.TrimSuffix(i.url, "/") + "/.well-known/openid-configuration").object()
		if about["authorization_response_iss_parameter_supported"] != true {
			t.Error(about)
		}
		for _, s := range []*screen{
			b.grant(authParams(portal)), b.authorize(authParams(portal)), b.authorize(authParams(portal, "scope", "x")),
			i.browser().authorize(authParams(portal, "prompt", "none")), b.submit(b.authorize(authParams(web)), "decision", "deny"),
		} {
			if s.status != 303 || s.response().Get("iss") != about["issuer"] || len(s.response()["iss"]) != 1 {
				t.Errorf("%d %s", s.status, s.header.Get("Location"))
			}
		}
		s := b.authorize(authParams(portal, "response_mode", "form_post"))
		if s.fields.Get("iss") != about["issuer"] {
			t.Errorf("%s", s.body)
		}
	}
}

// Of a client that a store has, though nobody checked it before it got there, too.
func TestPoint03_RedirectURIsOfStoredClientsAreChecked(t *testing.T) {
	t.Parallel()
	stored := map[string]*authserver.Client{}
	for id, uri := range map[string]string{"good": webURI, "http": "http://app.evil.example/cb", "script": "javascript:evil()", "fragment": webURI + "#f"} {
		stored[id] = &authserver.Client{
			ClientID: id, SecretHash: authserver.HashOf("0123"), GrantTypes: []string{"authorization_code"}, RedirectURIs: []string{uri}, Audience: []string{ordersAPI},
		}
	}
	i := startWeb(t, "", withStore(fixedStore{authserver.NewMemoryStore(nil), stored}))
	for id, c := range stored {
		for _, extra := range [][]string{nil, {"response_type", "x"}, {"redirect_uri", ""}} {
			s := i.browser().authorize(authParams(web, append([]string{"client_id", id, "redirect_uri", c.RedirectURIs[0]}, extra...)...))
			if good := s.title == "Sign in" || s.status == 303; good != (id == "good") || !good && !s.isPage(500) {
				t.Errorf("%s: %d %s %s", id, s.status, s.header.Get("Location"), s.body)
			}
		}
	}
}

func TestPoint05_PKCEIsRequiredOfPublicClients(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "", withSPA)
	for name, extra := range map[string][]string{
		"none": {"code_challenge", "", "code_challenge_method", ""}, "no challenge": {"code_challenge", ""}, "plain": {"code_challenge_method", "plain"},
	} {
		params := authParams(web, append(extra, "client_id", spa)...)
		if s := i.browser().authorize(params); s.status != 303 || s.response().Get("error") != "invalid_request" {
			t.Errorf("%s: %d %s", name, s.status, s.header.Get("Location"))
		}
		if a := i.send("/par", params); a.outcome() != "400 invalid_request" {
			t.Errorf("%s, pushed: %d %s", name, a.status, a.body)
		}
	}
}
