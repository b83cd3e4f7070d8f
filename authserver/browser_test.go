package authserver_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/net/html"

	"github.com/countermark/countermark/authserver"
)

const (
	webURI    = "https://web.example/cb"
	portalURI = "https://portal.example/cb?tenant=1"

	verifier = "a-verifier-of-43-characters-0123456789._~AZ"
	state    = `st&=ate+%20 "<é>`
)

var (
	web    = login{"web", "secret-of-web-0123456789abcdef"}       // a web application of others
	portal = login{"portal", "secret-of-portal-0123456789abcdef"} // a web application of one's own: no consent
	twin   = login{"twin", "secret-of-twin-0123456789abcdef"}     // registered as web is
	native = login{"native", "secret-of-native-0123456789abcdef"} // on people's own machines
)

var challenge = challengeOf(verifier)

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Hashes that take no time; alice's password is alice-password, bob's bob-password.
var users = sync.OnceValue(func() []authserver.User {
	hash := func(password string) string {
		h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			panic(err)
		}
		return string(h)
	}
	return []authserver.User{
		{Subject: "sub-of-alice", Username: "alice", PasswordHash: hash("alice-password"), Claims: map[string]any{"name": "Alice Canary", "email": "canary@example.com"}},
		{Subject: "sub-of-bob", Username: "bob", PasswordHash: hash("bob-password")},
	}
})

// startWeb starts an issuer with users, and with clients that have people sign in.
func startWeb(t testing.TB, path string, edits ...func(*authserver.Config)) *issuer {
	t.Helper()
	grant := []string{"authorization_code"}
	webLike := func(as login) authserver.Client {
		return authserver.Client{
			ClientID: as.id, ClientName: "Web <Shop>", SecretHash: authserver.HashOf(as.secret), GrantTypes: grant, RedirectURIs: []string{webURI},
			Scope: "orders:read orders:write bills:read", Audience: []string{ordersAPI, billingAPI},
		}
	}
	base := func(c *authserver.Config) {
		c.Users = users()
		c.Clients = append(c.Clients, devices()...)
		c.Clients = append(c.Clients,
			webLike(web), webLike(twin),
			authserver.Client{
				ClientID: portal.id, SecretHash: authserver.HashOf(portal.secret), GrantTypes: grant, SkipConsent: true,
				RedirectURIs: []string{portalURI, "https://portal.example/other"}, Scope: "orders:read", Audience: []string{ordersAPI},
			},
			authserver.Client{
				ClientID: native.id, SecretHash: authserver.HashOf(native.secret), GrantTypes: grant, SkipConsent: true,
				RedirectURIs: []string{"http://127.0.0.1/cb", "http://[::1]:8080/cb?x=y", "http://localhost:8080/cb", "com.example.app:/cb", "https://localhost/cb", "https://LOCALHOST./cb"},
				Scope:        "orders:read", Audience: []string{ordersAPI},
			},
		)
	}
	return start(t, path, append([]func(*authserver.Config){base}, edits...)...)
}

// authParams are those of an authorization request; extra are pairs of others, an
// empty value leaves one out.
func authParams(as login, extra ...string) url.Values {
	uri := map[string]string{web.id: webURI, twin.id: webURI, portal.id: portalURI, native.id: "http://127.0.0.1:49152/cb"}[as.id]
	v := form("response_type", "code", "client_id", as.id, "redirect_uri", uri, "state", state, "code_challenge", challenge, "code_challenge_method", "S256")
	for pair := range slices.Chunk(extra, 2) {
		if v.Set(pair[0], pair[1]); pair[1] == "" {
			v.Del(pair[0])
		}
	}
	return v
}

// A browser keeps cookies, sends forms, and follows no redirect that it is not told
// to.
type browser struct {
	i      *issuer
	client *http.Client
	header http.Header // sent with everything
}

func (i *issuer) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		i.t.Fatal(err)
	}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser{i: i, client: &http.Client{Jar: jar, CheckRedirect: stay, Transport: i.transport}, header: http.Header{}}
}

// A screen is what a browser shows after an answer.
type screen struct {
	answer
	at     *url.URL
	title  string // the heading
	text   string
	action string
	link   string     // the last one
	fields url.Values // of the one form, buttons left out
}

func (b *browser) send(req *http.Request) *screen {
	b.i.t.Helper()
	maps.Copy(req.Header, b.header)
	resp, err := b.client.Do(req)
	if err != nil {
		b.i.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.i.t.Fatal(err)
	}
	s := &screen{answer: answer{resp.StatusCode, resp.Header, body}, at: req.URL}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		s.parse(b.i.t)
	}
	b.i.wantResponse(s)
	return s
}

// wantResponse demands of every authorization response that any test gets that it
// names the issuer (RFC 9207), and of every error that it has a description.
func (i *issuer) wantResponse(s *screen) {
	i.t.Helper()
	v := s.response()
	if s.status == http.StatusOK {
		v = s.fields // of form_post
	}
	if !v.Has("code") && !v.Has("error") {
		return
	}
	if !slices.Equal(v["iss"], []string{i.url}) {
		i.t.Errorf("point 8: iss %q in a response", v["iss"])
	}
	if v.Has("error") {
		i.wantDescription(v.Get("error_description"))
	}
}

func (b *browser) get(location string) *screen {
	b.i.t.Helper()
	req, err := http.NewRequest(http.MethodGet, location, http.NoBody)
	if err != nil {
		b.i.t.Fatal(err)
	}
	return b.send(req)
}

func (b *browser) post(location string, fields url.Values) *screen {
	b.i.t.Helper()
	req, err := http.NewRequest(http.MethodPost, location, strings.NewReader(fields.Encode()))
	if err != nil {
		b.i.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.send(req)
}

// authorize begins an authorization request.
func (b *browser) authorize(params url.Values) *screen {
	b.i.t.Helper()
	return b.get(strings.TrimSuffix(b.i.url, "/") + "/authorize?" + params.Encode())
}

// submit sends the screen's form, with pairs of fields filled in.
func (b *browser) submit(s *screen, fill ...string) *screen {
	b.i.t.Helper()
	if s.action == "" {
		b.i.t.Fatalf("no form: %d %s", s.status, s.body)
	}
	fields := maps.Clone(s.fields)
	for pair := range slices.Chunk(fill, 2) {
		fields.Set(pair[0], pair[1])
	}
	action, err := s.at.Parse(s.action)
	if err != nil {
		b.i.t.Fatal(err)
	}
	return b.post(action.String(), fields)
}

// signIn fills in the sign-in page and follows where it leads.
func (b *browser) signIn(s *screen, username string) *screen {
	b.i.t.Helper()
	s = b.submit(s, "username", username, "password", username+"-password")
	if s.status != http.StatusSeeOther {
		b.i.t.Fatalf("no redirect after the sign-in: %d %s", s.status, s.body)
	}
	return b.follow(s)
}

// follow goes where a screen sends the browser, which is within the issuer.
func (b *browser) follow(s *screen) *screen {
	b.i.t.Helper()
	to, err := s.at.Parse(s.header.Get("Location"))
	if err != nil || s.header.Get("Location") == "" || !strings.HasPrefix(to.String(), b.i.url) {
		b.i.t.Fatalf("%d to %q, %v", s.status, to, err)
	}
	return b.get(to.String())
}

// grant signs in and allows, as far as it is asked, and returns the redirect to
// the client.
func (b *browser) grant(params url.Values) *screen {
	b.i.t.Helper()
	s := b.authorize(params)
	if s.title == "Sign in" {
		s = b.signIn(s, "alice")
	}
	if s.title == "Allow access?" {
		s = b.submit(s, "decision", "allow")
	}
	if s.status != http.StatusSeeOther {
		b.i.t.Fatalf("no redirect: %d %s", s.status, s.body)
	}
	return s
}

// code gets a code; extra are pairs of authorization parameters.
func (i *issuer) code(as login, extra ...string) string {
	i.t.Helper()
	s := i.browser().grant(authParams(as, extra...))
	code := s.response().Get("code")
	if code == "" {
		i.t.Fatalf("no code: %s", s.header.Get("Location"))
	}
	return code
}

// redeem takes a code to the token endpoint; extra are pairs of other parameters,
// an empty value leaves one out.
func (i *issuer) redeem(as login, code string, extra ...string) answer {
	i.t.Helper()
	v := form("grant_type", "authorization_code", "code", code, "code_verifier", verifier, "redirect_uri", authParams(as).Get("redirect_uri"))
	for pair := range slices.Chunk(extra, 2) {
		if v.Set(pair[0], pair[1]); pair[1] == "" {
			v.Del(pair[0])
		}
	}
	return i.post("/token", as, v)
}

// response returns the parameters that a screen sends to the client.
func (s *screen) response() url.Values {
	u, err := url.Parse(s.header.Get("Location"))
	if err != nil {
		return nil
	}
	return u.Query()
}

// isPage reports whether the screen is an error page that sends nobody anywhere.
func (s *screen) isPage(status int) bool {
	return s.status == status && s.header.Get("Location") == "" && s.action == "" && s.title != "" && !strings.Contains(string(s.body), "evil")
}

func (s *screen) parse(t testing.TB) {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(s.body))
	if err != nil {
		t.Fatal(err)
	}
	s.fields = url.Values{}
	for n := range root.Descendants() {
		attr := func(name string) string {
			i := slices.IndexFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
			if i < 0 {
				return ""
			}
			return n.Attr[i].Val
		}
		switch {
		case n.Type == html.TextNode && n.Parent.Data == "h1":
			s.title = n.Data
		case n.Type == html.TextNode && n.Parent.Data != "style" && n.Parent.Data != "script":
			s.text += n.Data + " "
		case n.Data == "form":
			s.action = attr("action")
		case n.Data == "a":
			s.link = attr("href")
		case n.Data == "input":
			s.fields.Set(attr("name"), attr("value"))
		}
	}
}

// formToken makes what a form of the server carries for a browser whose cookie is
// secret: whoever holds that can.
func formToken(secret string, about ...string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	for _, a := range about {
		fmt.Fprintf(mac, "%d:%s", len(a), a)
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
