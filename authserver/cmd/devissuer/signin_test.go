package main_test

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What the banner says is enough to sign in, consent and get a token.
func TestBanner_TheUserCanSignIn(t *testing.T) {
	t.Parallel()
	p := start(t)
	if !regexp.MustCompile(`(?m)^  alice +alice +\S+$`).MatchString(p.Banner) {
		t.Fatalf("the banner has no user:\n%s", p.Banner)
	}
	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar, CheckRedirect: func(req *http.Request, _ []*http.Request) error {
		if req.URL.Path == "/callback" {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	verifier := strings.Repeat("x", 43)
	sum := sha256.Sum256([]byte(verifier))
	where := regexp.MustCompile(`(?m)^  orders-web +http://127\.0\.0\.1(/\S*) .*\n  On 127\.0\.0\.1 and \[::1\] any port will do\.$`).FindStringSubmatch(p.Banner)
	if where == nil {
		t.Fatalf("the banner has no redirect URI:\n%s", p.Banner)
	}
	callback := "http://127.0.0.1:49152" + where[1]
	query := url.Values{
		"response_type": {"code"}, "client_id": {"orders-web"}, "redirect_uri": {callback}, "scope": {"orders:read"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	page := fetch(t)(browser.Get(p.Field(t, "Authorization") + "?" + query.Encode()))
	base := p.Field(t, "Issuer")
	page = fetch(t)(browser.PostForm(base+"/login", hidden(page, "username", "alice", "password", "alice")))
	page = fetch(t)(browser.PostForm(base+"/consent", hidden(page, "decision", "allow")))
	to, err := page.Location()
	if err != nil || !strings.HasPrefix(to.String(), callback) {
		t.Fatalf("sent to %v, %v", to, err)
	}
	req, _ := http.NewRequest(http.MethodPost, p.Field(t, "Token"), strings.NewReader(url.Values{
		"grant_type": {"authorization_code"}, "code": {to.Query().Get("code")}, "redirect_uri": {callback}, "code_verifier": {verifier},
	}.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("orders-web", "orders-web-secret")
	answer := fetch(t)(http.DefaultClient.Do(req))
	if !p.active(t, "orders-api", "orders-api-secret", token(t, answer.body)) {
		t.Errorf("the token is not active: %s", answer.body)
	}
}

type fetched struct {
	*http.Response
	body []byte
}

// fetch returns a function that reads a response whole.
func fetch(t *testing.T) func(*http.Response, error) fetched {
	t.Helper()
	return func(resp *http.Response, err error) fetched {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return fetched{resp, body}
	}
}

// hidden returns the hidden fields of a page's form, and more.
func hidden(page fetched, more ...string) url.Values {
	fields := url.Values{}
	for _, m := range regexp.MustCompile(`type="hidden" name="(\w+)" value="([^"]*)"`).FindAllStringSubmatch(string(page.body), -1) {
		fields.Set(m[1], html.UnescapeString(m[2]))
	}
	for pair := range slices.Chunk(more, 2) {
		fields.Set(pair[0], pair[1])
	}
	return fields
}

// One click is for this machine alone: for an issuer on loopback that nobody else
// can reach.
func TestOneClick_ForThisMachineAlone(t *testing.T) {
	t.Parallel()
	file := write(t, "config.json", `{"users": [{"sub": "1", "username": "alice", "password": "wonderland"}], "clients": [{"client_id": "app", "token_endpoint_auth_method": "none",
		"grant_types": ["authorization_code"], "redirect_uris": ["http://127.0.0.1/cb"], "audience": ["https://api.example"]}]}`)
	for name, c := range map[string]struct {
		args []string
		good bool
	}{
		"here":              {nil, true},
		"reached from afar": {[]string{"-issuer", "https://issuer.example"}, false},
		"listens to all":    {[]string{"-addr", "0.0.0.0:0"}, false},
	} {
		p := start(t, append([]string{"-config", file}, c.args...)...)
		_, port, _ := strings.Cut(p.Field(t, "Listening on"), "]:")
		if port == "" {
			_, port, _ = strings.Cut(p.Field(t, "Listening on"), ":")
		}
		page := fetch(t)(http.Get("http://127.0.0.1:" + port + "/authorize?response_type=code&client_id=app&code_challenge_method=S256&code_challenge=" + strings.Repeat("x", 43)))
		html := string(page.body)
		if strings.Contains(html, `name="as" value="alice"`) != c.good || strings.Contains(html, "wonderland") || !strings.Contains(html, "Development issuer") || page.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s", name, page.StatusCode, html)
		}
	}
}
