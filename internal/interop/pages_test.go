package interop_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"golang.org/x/oauth2"

	"github.com/countermark/countermark/internal/issuertest"
)

const (
	pagesVerifier = "a-verifier-of-43-characters-0123456789._~AZ"
	pagesState    = "state & more"
	headSignIn    = "Sign in"
	headConsent   = "Allow access?"
	headDevice    = "Connect a device"
	headOther     = "Allow access on another device?"
)

// A site is an issuer with pages and a client, and the browser that visits it.
type site struct {
	t           *testing.T
	issuer, app string
	browser     context.Context
	client      *http.Client // whose connections nobody else closes
}

// The command devissuer, in Chromium, as a person meets it.
func TestPages_Chromium(t *testing.T) {
	t.Parallel()
	startSite(t).each(map[string]func(*site){
		"SignInAndConsent": (*site).signInAndConsent, "WrongPassword": (*site).wrongPassword, "CancelledConsent": (*site).cancelledConsent, "OneClick": (*site).oneClick,
		"Device": (*site).devicePages, "PromptNone": (*site).promptNone, "TwoTabs": (*site).twoTabs, "ReplayedForm": (*site).replayedForm, "FormPost": (*site).formPost,
		"Keyboard": (*site).keyboard, "Look": (*site).look,
	})
}

// each runs tests side by side, on the same site.
func (s *site) each(tests map[string]func(*site)) {
	for name, test := range tests {
		s.t.Run(name, func(t *testing.T) {
			t.Parallel()
			here := *s
			here.t = t
			test(&here)
		})
	}
}

func startSite(t *testing.T) *site {
	t.Helper()
	browser := startChromium(t)
	app := httptest.NewServer(http.HandlerFunc(callback))
	t.Cleanup(app.Close)
	code := []string{"authorization_code", "refresh_token"}
	const api = "https://api.example.com"
	config, err := json.Marshal(map[string]any{
		"resources": []string{api},
		"clients": []map[string]any{
			{"client_id": "web", "client_name": "Orders on the web", "client_secret": "secret-of-web-0123456789", "grant_types": code,
				"redirect_uris": []string{app.URL + "/cb"}, "scope": "openid profile email offline_access orders:read orders:write"},
			{"client_id": "long", "client_name": strings.Repeat("Donaudampfschiff", 9), "token_endpoint_auth_method": "none", "grant_types": code,
				"redirect_uris": []string{app.URL + "/cb"}, "scope": strings.Repeat("orders:read:all:", 9)},
			{"client_id": "tv", "client_name": "TV in the living room", "token_endpoint_auth_method": "none",
				"grant_types": []string{"urn:ietf:params:oauth:grant-type:device_code"}, "scope": "orders:read"},
		},
		"users": []map[string]any{
			{"sub": "1", "username": "alice", "password": "wonderland"}, {"sub": "2", "username": "bob", "password": "builder"},
			{"sub": "3", "username": "carol", "password": "christmas"}, // whose notices are nobody else's
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "config.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	command, err := issuertest.Build(dir, "github.com/countermark/countermark/authserver/cmd/devissuer")
	if err != nil {
		t.Fatal(err)
	}
	p := issuertest.Start(t, command, nil, "-register", "-config", file)
	return &site{t: t, issuer: p.Field(t, "Issuer"), app: app.URL, browser: browser, client: &http.Client{Transport: new(http.Transport)}}
}

// window returns a tab of a new window, which shares no cookies with those before,
// and whose pages may ask nobody but the issuer and the client.
func (s *site) window() *tab {
	s.t.Helper()
	b := &tab{t: s.t, hosts: map[string]bool{}}
	for _, host := range []string{s.issuer, s.app} {
		_, host, _ = strings.Cut(host, "://")
		b.hosts[host] = true
	}
	b.start(s.browser, chromedp.WithNewBrowserContext())
	return b
}

// request is the URL of an authorization request, with further parameters.
func (s *site) request(pairs ...string) string {
	v := url.Values{
		"response_type": {"code"}, "client_id": {"web"}, "redirect_uri": {s.app + "/cb"}, "scope": {"orders:read orders:write"}, "state": {pagesState},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(pagesVerifier)}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return s.issuer + "/authorize?" + v.Encode()
}

// post asks the issuer as the client web, or tv.
func (s *site) post(path string, pairs ...string) map[string]any {
	s.t.Helper()
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.issuer+path, strings.NewReader(v.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if v.Get("client_id") == "" {
		req.SetBasicAuth("web", "secret-of-web-0123456789")
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	var answer map[string]any
	if err := json.Unmarshal(body, &answer); err != nil {
		s.t.Fatalf("%s: %v", body, err)
	}
	return answer
}

// stranger returns the client_id of a client that registered itself.
func (s *site) stranger() string {
	s.t.Helper()
	body := fmt.Sprintf(`{"client_name": "Your bank", "redirect_uris": [%q], "token_endpoint_auth_method": "none",
		"grant_types": ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"], "scope": "orders:read"}`, s.app+"/cb")
	resp, err := s.client.Post(s.issuer+"/register", "application/json", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var client struct {
		ID string `json:"client_id"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&client); err != nil || client.ID == "" {
		s.t.Fatalf("%s: %v", resp.Status, err)
	}
	return client.ID
}

// device returns a user code that waits for a person.
func (s *site) device() string { return s.deviceOf("tv") }

func (s *site) deviceOf(client string) string {
	s.t.Helper()
	code, _ := s.post("/device_authorization", "client_id", client, "scope", "orders:read")["user_code"].(string)
	if code == "" {
		s.t.Fatal("no user code")
	}
	return code
}

const (
	allowButton = `button[value=allow]`
	denyButton  = `button[value=deny]`
	otherButton = `button[value=switch]`
	asAlice     = `button[name=as][value=alice]`
	asCarol     = `button[name=as][value=carol]`
	asBob       = `button[name=as][value=bob]`
	goOnLink    = `a.button`
	sendButton  = `button:not([name])`
)

func (s *site) signInAndConsent() {
	b := s.window()
	wantHeaders(s.t, b.open(s.request("scope", "openid email orders:read")))
	b.wantPage(headSignIn)
	wantHeaders(s.t, b.signIn("alice", "wonderland"))
	b.wantPage(headConsent)
	text := b.text()
	for _, want := range []string{
		"Development issuer", "Orders on the web", "Signed in as alice", "see your email address", "use orders:read", "https://api.example.com",
		"You will be sent to " + strings.TrimPrefix(s.app, "http://"),
	} {
		if !strings.Contains(text, want) {
			s.t.Errorf("no %q in %s", want, text)
		}
	}
	b.click(allowButton)
	code := b.wantAnswer(s.app+"/cb", "state", pagesState, "iss", s.issuer).Get("code")
	if answer := s.post("/token", "grant_type", "authorization_code", "code", code, "redirect_uri", s.app+"/cb", "code_verifier", pagesVerifier); answer["access_token"] == nil {
		s.t.Errorf("no token: %v", answer)
	}
}

func wantHeaders(t *testing.T, resp *network.Response) {
	t.Helper()
	header := func(name string) string {
		for key, value := range resp.Headers {
			if text, ok := value.(string); ok && strings.EqualFold(key, name) {
				return text
			}
		}
		return ""
	}
	for name, want := range map[string]string{
		"X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
	} {
		if got := header(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if policy := header("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
}

func (s *site) wrongPassword() {
	b := s.window()
	b.open(s.request())
	b.signIn("alice", "x")
	b.wantPage(headSignIn)
	if alert := eval[string](b, `document.querySelector("[role=alert]").innerText`); alert != "The name or the password is wrong." {
		s.t.Errorf("alert %q", alert)
	}
	if title := eval[string](b, "document.title"); !strings.HasPrefix(title, "Error: ") {
		s.t.Errorf("title %q", title)
	}
	b.waitForFocus()
	// What a screen reader says of the field that has the focus.
	if got := eval[string](b, `(e => e.id + " " + document.getElementById(e.getAttribute("aria-describedby")).innerText + " " + e.value)(document.activeElement)`); got != "password The name or the password is wrong. " {
		s.t.Errorf("the focus is on %q", got)
	}
	b.run(chromedp.SetValue(chromedp.ID("password"), "wonderland"))
	b.click(sendButton)
	b.wantPage(headConsent)
}

func (s *site) cancelledConsent() {
	b := s.window()
	b.open(s.request())
	b.click(asAlice)
	b.click(denyButton)
	if v := b.wantAnswer(s.app+"/cb", "error", "access_denied", "state", pagesState); v.Has("code") {
		s.t.Error("a code all the same")
	}
}

func (s *site) oneClick() {
	b := s.window()
	b.open(s.request())
	if html := eval[string](b, "document.documentElement.outerHTML"); strings.Contains(html, "wonderland") || strings.Contains(html, "argon2") {
		s.t.Error("a secret is in the page")
	}
	b.click(asBob)
	b.wantPage(headConsent)
	if text := b.text(); !strings.Contains(text, "Signed in as bob") {
		s.t.Error(text)
	}
	b.click(otherButton)
	b.wantPage(headSignIn)
	b.click(asAlice)
	if text := b.text(); !strings.Contains(text, "Signed in as alice") {
		s.t.Error(text)
	}
}

func (s *site) devicePages() {
	b := s.window()
	b.open(s.issuer + "/device")
	b.wantPage(headDevice)
	b.waitForFocus()
	b.press("bbbb-bbbb", kb.Enter) // the focus is where the code goes
	b.run(chromedp.WaitReady(chromedp.CSS("[role=alert]")))
	b.wantPage(headDevice)
	b.run(chromedp.SetValue(chromedp.ID("user_code"), strings.ToLower(s.device())))
	b.click(sendButton)
	b.wantPage(headSignIn)
	b.signIn("alice", "wonderland")
	b.wantPage(headOther)
	b.click(allowButton)
	b.wantPage("Go back to your device")
	code := s.device()
	b.open(s.issuer + "/device?user_code=" + code)
	b.click(sendButton)
	if text := b.text(); !strings.Contains(text, code) {
		s.t.Errorf("no code in %s", text)
	}
	b.click(denyButton)
	b.wantPage("Access denied")
}

func (s *site) promptNone() {
	b := s.window()
	b.open(s.request("prompt", "none"))
	b.wantAnswer(s.app+"/cb", "error", "login_required", "state", pagesState)
	b.open(s.request())
	b.click(asAlice)
	b.open(s.request("prompt", "none"))
	b.wantAnswer(s.app+"/cb", "error", "consent_required", "state", pagesState)
}

// Of two tabs the one signs in, so that the other's form is of no browser session
// any more: its person is led on.
func (s *site) twoTabs() {
	one := s.window()
	two := one.another()
	one.open(s.request("state", "one"))
	two.open(s.request("state", "two"))
	one.click(asAlice)
	one.wantPage(headConsent)
	if resp := two.signIn("alice", "wonderland"); resp.Status != http.StatusForbidden {
		s.t.Errorf("status %d", resp.Status)
	}
	two.click(goOnLink)
	two.wantPage(headConsent)
	two.click(allowButton)
	two.wantAnswer(s.app+"/cb", "state", "two")
	one.click(allowButton)
	one.wantAnswer(s.app+"/cb", "state", "one")
}

// A form that is sent again does nothing again.
func (s *site) replayedForm() {
	one := s.window()
	two := one.another()
	code := s.device()
	one.open(s.issuer + "/device?user_code=" + code)
	one.click(sendButton)
	one.click(asAlice)
	two.open(s.issuer + "/device?user_code=" + code) // for which the person has just signed in
	two.wantPage(headOther)
	one.click(allowButton)
	one.wantPage("Go back to your device")
	if resp := two.click(denyButton); resp.Status != http.StatusBadRequest {
		s.t.Errorf("status %d", resp.Status)
	}
	two.wantPage(headDevice)

	one.open(s.request())
	two.open(s.request("prompt", "login"))
	two.click(asBob) // and alice's consent page is there yet
	if resp := one.click(allowButton); resp.Status != http.StatusForbidden {
		s.t.Errorf("status %d", resp.Status)
	}
	if at := one.at(); !strings.HasPrefix(at.String(), s.issuer) {
		s.t.Errorf("at %s", at)
	}
}

// The one script of the pages sends the answer on.
func (s *site) formPost() {
	b := s.window()
	b.open(s.request("response_mode", "form_post"))
	b.click(asAlice)
	b.click(allowButton)
	b.run(chromedp.WaitReady(chromedp.CSS("[data-method=POST]")))
	if at := b.at().String(); at != s.app+"/cb" {
		s.t.Errorf("at %s", at)
	}
}
