package authserver_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/countermark/countermark/authserver"
)

// What clients make of section 2.3.1, in the ways that they are known for.
var basicEncodings = map[string]func(string) string{
	"form-encoded (x/oauth2)": url.QueryEscape,
	"every byte but letters and digits (openid-client, oauth4webapi)": func(s string) string {
		var b strings.Builder
		for _, c := range []byte(s) {
			if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
				b.WriteByte(c)
			} else {
				fmt.Fprintf(&b, "%%%02X", c)
			}
		}
		return b.String()
	},
	"raw (MCP SDK, curl)": func(s string) string { return s },
}

func TestRFC6749_Section2_3_1_BasicCredentialsOfRealClients(t *testing.T) {
	t.Parallel()
	logins := []login{
		{"plain", "0123456789"},
		{"https://client.example", `!"#$&'()*+,-./:;<=>?@[\]^_{|}~`}, // raw it has a colon: form-encoded only
		{"a-b_c.d~e", "100%25%zz+ %2B"},
		{"a+b c", "+/=%20"},
	}
	i := start(t, "", func(c *authserver.Config) {
		for _, l := range logins {
			c.Clients = append(c.Clients, authserver.Client{
				ClientID: l.id, SecretHash: authserver.HashOf(l.secret), GrantTypes: []string{"client_credentials"}, Audience: []string{ordersAPI},
			})
		}
	})
	for name, encode := range basicEncodings {
		for _, l := range logins {
			if strings.HasPrefix(name, "raw") && strings.Contains(l.id, ":") {
				continue // nobody could tell where it ends
			}
			req := i.request("/token", "grant_type=client_credentials")
			req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(encode(l.id)+":"+encode(l.secret))))
			if a := i.do(req); a.status != 200 {
				t.Errorf("%s, %q: %d %s", name, l.id, a.status, a.body)
			}
			req = i.request("/token", "grant_type=client_credentials")
			req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(encode(l.id)+":"+encode(l.secret+"x"))))
			if a := i.do(req); a.status != 401 {
				t.Errorf("%s, %q with a wrong secret: %d %s", name, l.id, a.status, a.body)
			}
		}
	}
}

// If one client's identifier in raw form is another's form-encoded, each still
// gets in, as itself.
func TestRFC6749_Section2_3_1_TwoReadingsTwoClients(t *testing.T) {
	t.Parallel()
	raw, decoded := login{"a+b", "secret-of-one"}, login{"a b", "secret-of-the-other"}
	i := start(t, "", func(c *authserver.Config) {
		for _, l := range []login{raw, decoded} {
			c.Clients = append(c.Clients, authserver.Client{
				ClientID: l.id, SecretHash: authserver.HashOf(l.secret), GrantTypes: []string{"client_credentials"}, Audience: []string{ordersAPI},
			})
		}
	})
	for _, l := range []login{raw, decoded} {
		req := i.request("/token", "grant_type=client_credentials")
		req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("a+b:"+l.secret)))
		a := i.do(req)
		if a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if _, payload := parts(t, a.member("access_token")); payload["sub"] != l.id {
			t.Errorf("%v got in with the secret of %q", payload["sub"], l.id)
		}
	}
}

func TestRFC6749_Section2_3_1_MalformedBasic(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	good := base64.StdEncoding.EncodeToString([]byte(shop.id + ":" + shop.secret))
	for header, status := range map[string]int{
		"Basic " + good: 200, "basic " + good: 200, "BASIC   " + good: 200, // RFC 9110 section 11.1
		"Basic": 401, "Basic ": 401, "Basic !": 401, good: 401, "Basic" + good: 401, "Basic " + good + "=": 401,
		"Basic " + base64.StdEncoding.EncodeToString([]byte("shop")): 401, "Bearer " + good: 401, "": 401,
	} {
		req := i.request("/token", "grant_type=client_credentials")
		req.Header.Set("Authorization", header)
		if a := i.do(req); a.status != status || status == 401 && a.member("error") != "invalid_client" {
			t.Errorf("%q: %d %s", header, a.status, a.body)
		}
	}
}

func TestRFC6749_Section3_2_Parameters(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	for body, want := range map[string]string{
		"grant_type=client_credentials&scope=":                       "200",
		"grant_type=client_credentials&scope=&resource=&client_id=":  "200", // without a value, as if omitted
		"grant_type=client_credentials&unknown=1&audience=x":         "200", // unrecognised, ignored
		"grant%5Ftype=client%5Fcredentials":                          "200",
		"grant_type=client_credentials&":                             "200",
		"":                                                           "400 invalid_request",
		"grant_type=":                                                "400 invalid_request",
		"grant_type":                                                 "400 invalid_request",
		"GRANT_TYPE=client_credentials":                              "400 invalid_request",
		"grant_type=client_credentials;scope=admin":                  "400 invalid_request",
		"grant_type=client_credentials&scope=%zz":                    "400 invalid_request",
		`{"grant_type":"client_credentials"}`:                        "400 invalid_request",
		"grant_type=client_credentials&resource=&resource=&resource": "200",
	} {
		req := i.request("/token", body)
		req.SetBasicAuth(shop.id, shop.secret)
		a := i.do(req)
		if got := strings.TrimSpace(fmt.Sprint(a.status, " ", a.member("error"))); got != want {
			t.Errorf("%q: %s %s", body, got, a.body)
		}
	}
}

// More scopes than any client can have are refused before they are compared.
func TestRFC6749_Section3_3_TooManyScopes(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	for n, want := range map[int]string{256: "scope goes beyond", 257: "scope must be scope tokens with single spaces between, 256 at most", 8000: "scope must be scope tokens with single spaces between, 256 at most"} {
		scopes := make([]string, n)
		for k := range scopes {
			scopes[k] = fmt.Sprint("s", k)
		}
		a := i.post("/token", shop, form("grant_type", "client_credentials", "scope", strings.Join(scopes, " ")))
		if a.status != 400 || a.member("error") != "invalid_scope" || !strings.HasPrefix(a.member("error_description"), want) {
			t.Errorf("%d: %d %s", n, a.status, a.body)
		}
	}
}

func TestRFC6749_Section3_3_Scope(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	for scope, want := range map[string]string{
		"orders:read":                         "orders:read",
		"orders:write orders:read":            "orders:write orders:read",
		"orders:read orders:read":             "orders:read",
		" orders:read":                        "",
		"orders:read ":                        "",
		"orders:read\torders:write":           "",
		"orders:read,orders:write":            "",
		"Orders:Read":                         "", // case-sensitive
		`orders:"read`:                        "",
		`orders:\read`:                        "",
		"orders:réad":                         "",
		"orders:read\x00":                     "",
		"orders:read orders:write bills:read": "orders:read orders:write bills:read",
	} {
		a := i.post("/token", shop, form("grant_type", "client_credentials", "scope", scope))
		if want == "" && (a.status != 400 || a.member("error") != "invalid_scope") || want != "" && a.member("scope") != want {
			t.Errorf("%q: %d %s", scope, a.status, a.body)
		}
	}
}

func TestRFC6749_Section5_1_ScopeIsLeftOutIfThereIsNone(t *testing.T) {
	t.Parallel()
	l := login{"scopeless", "0123456789"}
	i := start(t, "", func(c *authserver.Config) {
		c.Clients = append(c.Clients, authserver.Client{
			ClientID: l.id, SecretHash: authserver.HashOf(l.secret), GrantTypes: []string{"client_credentials"}, Audience: []string{ordersAPI},
		})
	})
	a := i.post("/token", l, form("grant_type", "client_credentials"))
	_, payload := parts(t, a.member("access_token"))
	if _, has := a.object()["scope"]; has || payload["scope"] != nil {
		t.Errorf("%s %v", a.body, payload)
	}
}
