package interop_test

import (
	"html"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/jwks"
	"github.com/countermark/countermark/validator"
)

// A device with golang.org/x/oauth2 gets its token from the issuer, after a person
// has opened verification_uri_complete, signed in and allowed it (RFC 8628).
func TestDevice_OAuth2(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(nil)
	issuer := "http://" + server.Listener.Addr().String()
	s, err := authserver.New(authserver.Config{
		Issuer: issuer,
		Users:  []authserver.User{{Subject: "1", Username: "alice", PasswordHash: authserver.HashPassword("wonderland")}},
		Clients: []authserver.Client{{
			ClientID: "tv", TokenEndpointAuthMethod: "none", Scope: "orders:read orders:write", Audience: []string{audience},
			GrantTypes: []string{"urn:ietf:params:oauth:grant-type:device_code", "refresh_token"},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = s
	server.Start()
	t.Cleanup(server.Close)

	config, device := startDevice(t, issuer)
	allow(t, device.VerificationURIComplete)
	token, err := config.DeviceAccessToken(t.Context(), device)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := jwks.New(jwks.Config{Issuer: issuer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	v, err := validator.New(validator.Config{Issuer: issuer, Audiences: []string{audience}, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	good, err := v.Validate(t.Context(), token.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	if good.Subject() != "1" || good.ClientID() != "tv" || !good.HasScope("orders:read") || good.HasScope("orders:write") || token.RefreshToken == "" {
		t.Errorf("sub %q, client_id %q, scopes %q", good.Subject(), good.ClientID(), good.Scopes())
	}
}

// allow has a person allow a device.
func allow(t *testing.T, link string) {
	t.Helper()
	if page := visit(t, link, url.Values{}, signIn, consent); !strings.Contains(page, "Go back to your device") {
		t.Fatalf("not allowed: %s", page)
	}
}

var signIn, consent = url.Values{"username": {"alice"}, "password": {"wonderland"}}, url.Values{"decision": {"allow"}}

// visit does what a person does with a browser: it opens a link, fills in and sends
// the form of each page, and returns the last one.
func visit(t *testing.T, link string, forms ...url.Values) string {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	page, at := "", link
	read := func(resp *http.Response, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%d %s, %v", resp.StatusCode, body, err)
		}
		page, at = string(body), resp.Request.URL.String()
	}
	read(browser.Get(link))
	for _, filled := range forms {
		filled = maps.Clone(filled)
		for _, input := range regexp.MustCompile(`<input [^>]*name="([^"]+)"[^>]* value="([^"]*)"`).FindAllStringSubmatch(page, -1) {
			if !filled.Has(input[1]) {
				filled.Set(input[1], html.UnescapeString(input[2]))
			}
		}
		action, err := url.Parse(at)
		if err != nil {
			t.Fatal(err)
		}
		action, err = action.Parse(regexp.MustCompile(`action="([^"]+)"`).FindStringSubmatch(page)[1])
		if err != nil {
			t.Fatal(err)
		}
		read(browser.PostForm(action.String(), filled))
	}
	return page
}

// startDevice has the client tv ask for a person, who may answer before it asks for
// its token.
func startDevice(t *testing.T, issuer string) (*oauth2.Config, *oauth2.DeviceAuthResponse) {
	t.Helper()
	config := &oauth2.Config{
		ClientID: "tv", Scopes: []string{"orders:read"},
		Endpoint: oauth2.Endpoint{DeviceAuthURL: issuer + "/device_authorization", TokenURL: issuer + "/token"},
	}
	device, err := config.DeviceAuth(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	device.Interval = 1 // second: the first request brings the answer
	return config, device
}
