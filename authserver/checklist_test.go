package authserver_test

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/memhttp"
)

var endpoints = []string{"/token", "/introspect", "/revoke"}

func TestPoint04_NoImplicitHybridOrPasswordGrant(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	for _, g := range []string{"password", "implicit", "Client_Credentials", "client_credentials ", "x"} {
		a := i.post("/token", shop, form("grant_type", g, "username", "u", "password", "p"))
		if a.status != 400 || a.member("error") != "unsupported_grant_type" {
			t.Errorf("%q: %d %s", g, a.status, a.body)
		}
	}
	about := i.get(i.url + "/.well-known/oauth-authorization-server").object()
	if fmt.Sprint(about["grant_types_supported"], about["response_types_supported"]) != "[client_credentials] []" {
		t.Error(about)
	}
}

func TestPoint17_PostOnly(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	for _, path := range endpoints {
		for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} {
			req := i.request(path, form("grant_type", "client_credentials", "token", "x").Encode())
			req.Method = method
			req.SetBasicAuth(shop.id, shop.secret)
			if a := i.do(req); a.status != 405 || a.header.Get("Allow") != "POST" {
				t.Errorf("%s %s: %d, Allow %q", method, path, a.status, a.header.Get("Allow"))
			}
		}
	}
	for _, path := range []string{"/jwks", "/.well-known/oauth-authorization-server"} {
		if a := i.post(path, shop, form()); a.status != 405 || a.header.Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: %d, Allow %q", path, a.status, a.header.Get("Allow"))
		}
	}
}

func TestPoint17_FormsOnly(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	for contentType, status := range map[string]int{
		"application/x-www-form-urlencoded":                200,
		"application/x-www-form-urlencoded; charset=UTF-8": 200,
		"Application/X-WWW-Form-URLencoded":                200,
		"":                                                 415,
		"application/json":                                 415,
		"text/plain":                                       415,
		"multipart/form-data; boundary=x":                  415,
		"application/x-www-form-urlencoded, a":             415,
	} {
		req := i.request("/token", "grant_type=client_credentials")
		req.SetBasicAuth(shop.id, shop.secret)
		req.Header.Set("Content-Type", contentType)
		if a := i.do(req); a.status != status || status != 200 && a.member("error") != "invalid_request" {
			t.Errorf("%q: %d %s", contentType, a.status, a.body)
		}
	}
}

func TestPoint17_NothingInTheQuery(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	secrets := form("client_id", batch.id, "client_secret", batch.secret)
	grant := form("grant_type", "client_credentials")
	req := i.request("/token?"+secrets.Encode(), grant.Encode())
	if a := i.do(req); a.status != 400 || a.member("error") != "invalid_request" {
		t.Errorf("credentials in the query: %d %s", a.status, a.body)
	}
	req = i.request("/token?"+grant.Encode(), "")
	req.SetBasicAuth(shop.id, shop.secret)
	if a := i.do(req); a.status != 400 || a.member("error") != "invalid_request" {
		t.Errorf("a grant in the query: %d %s", a.status, a.body)
	}
	req = i.request("/introspect?token="+i.token(shop), "")
	req.SetBasicAuth(orders.id, orders.secret)
	if a := i.do(req); a.status != 400 || a.member("error") != "invalid_request" {
		t.Errorf("a token in the query: %d %s", a.status, a.body)
	}
}

func TestPoint18_JSONThatIsNotStored(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	for _, a := range []answer{
		i.post("/token", shop, form("grant_type", "client_credentials")),
		i.post("/token", shop, form("grant_type", "x")),
		i.post("/token", login{}, form()),
		i.introspect(orders, i.token(shop)),
		i.introspect(orders, "x"),
		i.introspect(login{}, "x"),
		i.post("/revoke", shop, form("token", "x")),
		i.post("/revoke", shop, form()),
		i.get(i.url + "/token"),
	} {
		h := a.header
		if h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "no-store" || h.Get("Pragma") != "no-cache" ||
			h.Get("X-Content-Type-Options") != "nosniff" || a.object() == nil {
			t.Errorf("%d %v %s", a.status, h, a.body)
		}
	}
}

func TestPoint19_Errors(t *testing.T) {
	t.Parallel()
	i := start(t, "", func(c *authserver.Config) {
		c.Clients = append(c.Clients, authserver.Client{ClientID: "idle", SecretHash: authserver.HashOf("0123"), GrantTypes: []string{"client_credentials"}})
	})
	grant := "client_credentials"
	for _, c := range []struct {
		name   string
		as     login
		params url.Values
		status int
		code   string
	}{
		{"wrong secret", login{shop.id, stranger.secret}, form("grant_type", grant), 401, "invalid_client"},
		{"empty secret", login{shop.id, ""}, form("grant_type", grant), 401, "invalid_client"},
		{"unknown client", stranger, form("grant_type", grant), 401, "invalid_client"},
		{"no client", login{}, form("grant_type", grant), 401, "invalid_client"},
		{"client_id alone", login{}, form("grant_type", grant, "client_id", shop.id), 401, "invalid_client"},
		{"an assertion", login{}, form("grant_type", grant, "client_id", shop.id, "client_assertion", "a.b.c"), 401, "invalid_client"},
		{"no grant type", shop, form("scope", "orders:read"), 400, "invalid_request"},
		{"unknown grant type", shop, form("grant_type", "urn:x"), 400, "unsupported_grant_type"},
		{"grant type of others", orders, form("grant_type", grant), 400, "unauthorized_client"},
		{"scope of others", batch, form("grant_type", grant, "scope", "orders:read orders:write"), 400, "invalid_scope"},
		{"unknown scope", shop, form("grant_type", grant, "scope", "admin"), 400, "invalid_scope"},
		{"malformed scope", shop, form("grant_type", grant, "scope", "orders:read  orders:write"), 400, "invalid_scope"},
		{"resource of others", batch, form("grant_type", grant, "resource", billingAPI), 400, "invalid_target"},
		{"malformed resource", shop, form("grant_type", grant, "resource", "orders"), 400, "invalid_target"},
		{"no resource to have", login{"idle", "0123"}, form("grant_type", grant), 400, "invalid_target"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := i.post("/token", c.as, c.params)
			if a.status != c.status || a.member("error") != c.code {
				t.Errorf("%d %s", a.status, a.body)
			}
			if !regexp.MustCompile(`^[\x20-\x21\x23-\x5B\x5D-\x7E]+$`).MatchString(a.member("error_description")) {
				t.Errorf("description %q has characters that RFC 6749 section 5.2 excludes", a.member("error_description"))
			}
			if got := strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Basic realm="); got != (c.status == 401) {
				t.Errorf("WWW-Authenticate: %q", a.header.Get("WWW-Authenticate"))
			}
		})
	}
}

func TestPoint20_OneAuthenticationMechanism(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	for name, edit := range map[string]func(*http.Request, url.Values){
		"Basic and body":      func(_ *http.Request, v url.Values) { v.Set("client_secret", shop.secret) },
		"Basic and assertion": func(_ *http.Request, v url.Values) { v.Set("client_assertion", "a.b.c") },
		"body and assertion": func(r *http.Request, v url.Values) {
			r.Header.Del("Authorization")
			v.Set("client_secret", shop.secret)
			v.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		},
		"two Authorization headers": func(r *http.Request, _ url.Values) {
			r.Header.Add("Authorization", r.Header.Get("Authorization"))
		},
		"Basic and another client_id": func(_ *http.Request, v url.Values) { v.Set("client_id", batch.id) },
	} {
		for _, path := range endpoints {
			params := form("grant_type", "client_credentials", "token", "x", "client_id", shop.id)
			req := i.request(path, "")
			req.SetBasicAuth(shop.id, shop.secret)
			edit(req, params)
			again := i.request(path, params.Encode())
			again.Header = req.Header
			if a := i.do(again); a.status != 400 || a.member("error") != "invalid_request" {
				t.Errorf("%s at %s: %d %s", name, path, a.status, a.body)
			}
		}
	}
	if a := i.post("/token", shop, form("grant_type", "client_credentials", "client_id", shop.id, "client_secret", "")); a.status != 200 {
		t.Errorf("Basic with its own client_id and an empty secret beside it: %d %s", a.status, a.body)
	}
}

func TestPoint20_NoParameterTwice(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	for _, twice := range []string{"grant_type=client_credentials", "scope=orders%3Aread", "unknown=1", "client_id=shop", "scope="} {
		req := i.request("/token", "grant_type=client_credentials&scope=orders%3Aread&client_id=shop&unknown=2&"+twice)
		req.SetBasicAuth(shop.id, shop.secret)
		if a := i.do(req); a.status != 400 || a.member("error") != "invalid_request" {
			t.Errorf("%s: %d %s", twice, a.status, a.body)
		}
	}
}

func TestPoint20_TheRegisteredMethodIsEnforced(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	params := form("grant_type", "client_credentials", "token", "x")
	for _, path := range endpoints {
		posted := form("client_id", shop.id, "client_secret", shop.secret)
		for name := range params {
			posted.Set(name, params.Get(name))
		}
		if a := i.post(path, login{}, posted); a.status != 401 || a.member("error") != "invalid_client" {
			t.Errorf("%s: a client of client_secret_basic posts: %d %s", path, a.status, a.body)
		}
		req := i.request(path, params.Encode())
		req.SetBasicAuth(batch.id, batch.secret)
		if a := i.do(req); a.status != 401 || a.member("error") != "invalid_client" {
			t.Errorf("%s: a client of client_secret_post uses Basic: %d %s", path, a.status, a.body)
		}
	}
}

// Whether a client exists, and how it is registered, is told to nobody who has
// not its secret.
func TestPoint20_AFailureTellsNothing(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	grant := form("grant_type", "client_credentials")
	var want string
	for _, as := range []login{stranger, {shop.id, stranger.secret}, {batch.id + "x", batch.secret}, {"", "x"}, {kiosk.id, ""}} {
		basic := i.post("/token", as, grant)
		posted := i.post("/token", login{}, form("grant_type", "client_credentials", "client_id", as.id, "client_secret", as.secret+"x"))
		for _, a := range []answer{basic, posted} {
			a.header.Del("Date")
			got := fmt.Sprint(a.status, a.header, string(a.body))
			if want == "" {
				want = got
			}
			if got != want {
				t.Errorf("%q: %s\nand not %s", as.id, got, want)
			}
		}
	}
}

func TestPoint25_ClientCredentials(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	a := i.post("/token", shop, form("grant_type", "client_credentials", "scope", "bills:read orders:read"))
	if a.status != 200 || a.member("scope") != "bills:read orders:read" || a.member("token_type") != "Bearer" || a.object()["expires_in"] != 600.0 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if _, has := a.object()["refresh_token"]; has || len(a.object()) != 4 {
		t.Errorf("more than RFC 6749 section 4.4.3 allows: %s", a.body)
	}
	if _, payload := parts(t, a.member("access_token")); payload["scope"] != "bills:read orders:read" || payload["sub"] != shop.id {
		t.Error(payload)
	}
	if a := i.post("/token", shop, form("grant_type", "client_credentials")); a.member("scope") != "orders:read orders:write bills:read" {
		t.Errorf("the default scope: %s", a.body)
	}
	for _, method := range []string{"none", "private_key_jwt"} {
		c := clients()[0]
		c.TokenEndpointAuthMethod = method
		if _, err := authserver.New(authserver.Config{Issuer: i.url, Clients: []authserver.Client{c}}); err == nil {
			t.Errorf("a client with the method %s was registered", method)
		}
	}
}

func TestPoint28_OtherTokensOfOurKeysAreNoAccessTokens(t *testing.T) {
	t.Parallel()
	k := key(t, "ES256", "k1")
	i := start(t, "", withKeys(k))
	method, _ := jose.Lookup("ES256")
	_, payload := parts(t, i.token(shop))
	for typ, active := range map[string]bool{"at+jwt": true, "JWT": false, "": false, "logout+jwt": false, "dpop+jwt": false, "AT+JWT": false} {
		token := jwt.Token{Method: method, Header: map[string]any{"alg": "ES256", "kid": "k1", "typ": typ}, Claims: jwt.MapClaims(payload)}
		text, err := token.SignedString(k.Signer)
		if err != nil {
			t.Fatal(err)
		}
		if i.active(orders, text) != active {
			t.Errorf("typ %q is active: %v", typ, !active)
		}
	}
}

func TestPoint29_AccessTokensFollowRFC9068(t *testing.T) {
	t.Parallel()
	i := start(t, "/tenant")
	header, payload := parts(t, i.token(shop, "scope", "orders:read", "resource", ordersAPI))
	now := float64(i.clock.Now().Unix())
	jti, _ := payload["jti"].(string)
	want := map[string]any{
		"iss": i.url, "sub": shop.id, "client_id": shop.id, "aud": []any{ordersAPI}, "scope": "orders:read",
		"iat": now, "exp": now + 600, "jti": jti,
	}
	if fmt.Sprint(payload) != fmt.Sprint(want) || jti == "" {
		t.Errorf("%v\nwant %v", payload, want)
	}
	kid, _ := header["kid"].(string)
	if want := map[string]any{"typ": "at+jwt", "alg": "ES256", "kid": kid}; fmt.Sprint(header) != fmt.Sprint(want) || kid == "" {
		t.Error(header)
	}
}

func TestPoint32_Introspection(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	for _, as := range []login{shop, kiosk} { // a JWT and an opaque token
		token := i.token(as, "scope", "orders:read", "resource", ordersAPI)
		got := i.introspect(orders, token).object()
		now := float64(i.clock.Now().Unix())
		jti, _ := got["jti"].(string)
		want := map[string]any{
			"active": true, "token_type": "Bearer", "iss": i.url, "sub": as.id, "client_id": as.id, "aud": []any{ordersAPI},
			"scope": "orders:read", "iat": now, "exp": now + 600, "jti": jti,
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || jti == "" {
			t.Errorf("%s: %v\nwant %v", as.id, got, want)
		}
	}
	if a := i.introspect(login{}, i.token(shop)); a.status != 401 || a.member("error") != "invalid_client" {
		t.Errorf("without authentication: %d %s", a.status, a.body)
	}
}

func TestPoint32_InactiveSaysNothingElse(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	for _, as := range []login{shop, kiosk} {
		token := i.token(as, "resource", ordersAPI)
		revoked := i.token(as, "resource", ordersAPI)
		i.post("/revoke", as, form("token", revoked))
		foreign := i.introspect(billing, token) // meant for another API
		other := i.introspect(batch, token)     // of another client
		if !i.active(orders, token) || !i.active(as, token) {
			t.Error("the token is not active for its API or its client")
		}
		for name, a := range map[string]answer{
			"foreign": foreign, "of another client": other, "revoked": i.introspect(orders, revoked),
			"unknown": i.introspect(orders, "x"), "cut": i.introspect(orders, token[:len(token)-1]),
			"longer": i.introspect(orders, token+"A"), "with a dot": i.introspect(orders, token+"."), "huge": i.introspect(orders, strings.Repeat("a.", 9000)),
			"signed by nobody": i.introspect(orders, strings.Join(strings.Split(token, ".")[:1], "")+".e30."),
		} {
			if a.status != 200 || string(a.body) != `{"active":false}` {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		}
	}
}

func TestPoint32_ExpiredIsInactive(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	tokens := []string{i.token(shop), i.token(kiosk)}
	exp := time.Unix(i.clock.Now().Unix()+600, 0)
	i.clock.Advance(exp.Sub(i.clock.Now()) - time.Millisecond)
	for n, token := range tokens {
		if !i.active(orders, token) {
			t.Errorf("token %d expired too early", n)
		}
	}
	i.clock.Advance(time.Millisecond) // on or after (RFC 7519 section 4.1.4)
	for n, token := range tokens {
		if a := i.introspect(orders, token); string(a.body) != `{"active":false}` {
			t.Errorf("token %d is expired: %s", n, a.body)
		}
	}
}

func TestPoint33_Revocation(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	for _, as := range []login{shop, kiosk, batch} {
		token, other := i.token(as), i.token(as)
		if a := i.post("/revoke", as, form("token", token)); a.status != 200 {
			t.Errorf("%s: %d %s", as.id, a.status, a.body)
		}
		if i.active(orders, token) || !i.active(orders, other) {
			t.Errorf("%s: not that token, or not that alone, was revoked", as.id)
		}
		for range 2 {
			if a := i.post("/revoke", as, form("token", token)); a.status != 200 {
				t.Errorf("%s again: %d %s", as.id, a.status, a.body)
			}
		}
	}
}

func TestPoint33_UnknownIsFine(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	expired := i.token(shop)
	i.clock.Advance(time.Hour)
	for _, token := range []string{"x", "a.b.c", "....", expired, strings.Repeat("x", 20<<10)} {
		for _, hint := range []string{"access_token", "refresh_token", "x"} {
			if a := i.post("/revoke", shop, form("token", token, "token_type_hint", hint)); a.status != 200 {
				t.Errorf("%.20q: %d %s", token, a.status, a.body)
			}
		}
	}
}

func TestPoint33_OnlyTheOwnerRevokes(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	for _, owner := range []login{shop, kiosk} {
		token := i.token(owner)
		for _, as := range []login{batch, orders, billing} {
			if a := i.post("/revoke", as, form("token", token)); a.status != 400 || a.member("error") != "invalid_grant" {
				t.Errorf("%s: %d %s", as.id, a.status, a.body)
			}
		}
		for _, as := range []login{stranger, {}} {
			if a := i.post("/revoke", as, form("token", token)); a.status != 401 {
				t.Errorf("%s: %d %s", as.id, a.status, a.body)
			}
		}
		if !i.active(orders, token) {
			t.Error("somebody else revoked the token")
		}
	}
}

// Every endpoint, grant and method that the metadata lists is tried.
func TestPoint34_WhatIsAdvertisedWorks(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "/", "/tenant", "/a/b/"} {
		i := start(t, path)
		about := i.get(i.host + "/.well-known/oauth-authorization-server" + strings.TrimSuffix(path, "/")).object()
		if about["issuer"] != i.url {
			t.Errorf("issuer %v, want %s", about["issuer"], i.url)
		}
		tried := []string{"issuer", "response_types_supported"} // see TestPoint04
		try := func(member string, ok bool) {
			t.Helper()
			if tried = append(tried, member); !ok {
				t.Errorf("%s: %v does not work", member, about[member])
			}
		}
		endpoint := func(member string) string {
			return strings.TrimPrefix(fmt.Sprint(about[member]), strings.TrimSuffix(i.url, "/"))
		}
		logins := map[any]login{"client_secret_basic": shop, "client_secret_post": batch}
		var token string
		for _, g := range about["grant_types_supported"].([]any) {
			for _, m := range about["token_endpoint_auth_methods_supported"].([]any) {
				a := i.post(endpoint("token_endpoint"), logins[m], form("grant_type", g.(string)))
				token = a.member("access_token")
				try("token_endpoint", a.status == 200)
			}
		}
		try("grant_types_supported", true)
		try("token_endpoint_auth_methods_supported", true)
		try("jwks_uri", i.get(about["jwks_uri"].(string)).status == 200 && i.verify(token) == nil)
		for _, m := range about["introspection_endpoint_auth_methods_supported"].([]any) {
			try("introspection_endpoint", i.post(endpoint("introspection_endpoint"), logins[m], form("token", i.token(logins[m]))).object()["active"] == true)
		}
		try("introspection_endpoint_auth_methods_supported", true)
		for _, m := range about["revocation_endpoint_auth_methods_supported"].([]any) {
			token := i.token(logins[m])
			a := i.post(endpoint("revocation_endpoint"), logins[m], form("token", token))
			try("revocation_endpoint", a.status == 200 && !i.active(orders, token))
		}
		try("revocation_endpoint_auth_methods_supported", true)
		for member := range about {
			if !slices.Contains(tried, member) {
				t.Errorf("%s is advertised, and nothing here tries it", member)
			}
		}
	}
}

func TestPoint35_KeySet(t *testing.T) {
	t.Parallel()
	var keys []authserver.SigningKey
	for _, alg := range []string{"ES256", "ES384", "ES512", "RS256", "PS256", "EdDSA"} {
		keys = append(keys, key(t, alg, ""))
	}
	i := start(t, "", withKeys(keys...))
	a := i.get(i.url + "/jwks")
	if a.header.Get("Cache-Control") != "public, max-age=900" || a.header.Get("Content-Type") != "application/json" {
		t.Error(a.header)
	}
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(a.body, &set); err != nil {
		t.Fatal(err)
	}
	members := map[string]string{"EC": "alg crv kid kty use x y", "RSA": "alg e kid kty n use", "OKP": "alg crv kid kty use x"}
	kids := map[string]bool{}
	for n, k := range set.Keys {
		var names []string
		for name := range k {
			names = append(names, name)
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != members[k["kty"]] {
			t.Errorf("members %s", got)
		}
		if k["use"] != "sig" || k["alg"] != keys[n].Algorithm {
			t.Error(k)
		}
		kids[k["kid"]] = true
	}
	if len(kids) != len(keys) {
		t.Errorf("%d kids of %d keys", len(kids), len(keys))
	}
}

func TestPoint35_ScheduledRotationOverlaps(t *testing.T) {
	t.Parallel()
	i := start(t, "", withKeys(key(t, "ES256", "old")), func(c *authserver.Config) { c.TokenLifetime = time.Hour })
	if err := i.RotateKeys(t.Context(), key(t, "EdDSA", "new"), authserver.RotateScheduled); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		after     time.Duration
		signs     string
		published string
	}{
		{0, "old", "old new"},
		{15*time.Minute - time.Millisecond, "old", "old new"}, // the key set may be cached for that long
		{15 * time.Minute, "new", "old new"},
		{15*time.Minute + time.Hour, "new", "old new"},                    // the last token of the old key expires
		{20*time.Minute + time.Hour - time.Millisecond, "new", "old new"}, // clocks differ
		{20*time.Minute + time.Hour, "new", "new"},
	} {
		i.clock.Advance(step.after - i.clock.Now().Sub(newClock().now))
		token := i.token(shop)
		header, _ := parts(t, token)
		if header["kid"] != step.signs {
			t.Errorf("after %v %v signs", step.after, header["kid"])
		}
		if got := i.kids(); got != step.published {
			t.Errorf("after %v %v are published", step.after, got)
		}
		if err := i.verify(token); err != nil {
			t.Errorf("after %v: %v", step.after, err)
		}
	}
}

func (i *issuer) kids() string {
	i.t.Helper()
	var kids []string
	set := i.keySet()
	for n := range set.Len() {
		k, _ := set.Key(n)
		kid, _ := k.KeyID()
		kids = append(kids, kid)
	}
	return strings.Join(kids, " ")
}

func TestPoint38_LogsHoldNoSecret(t *testing.T) {
	t.Parallel()
	broken := &faultyStore{Store: authserver.NewMemoryStore(nil)}
	i := start(t, "", withStore(broken))
	canaries := []string{stranger.secret, shop.secret, batch.secret, kiosk.secret, "canary"}
	everything := func() {
		for _, as := range []login{shop, batch, kiosk} {
			a := i.post("/token", as, form("grant_type", "client_credentials"))
			token := a.member("access_token")
			if token != "" {
				canaries = append(canaries, token, token[len(token)-40:])
			}
			for _, path := range endpoints {
				i.post(path, orders, form("token", token, "grant_type", "canary", "scope", "canary", "resource", "canary"))
				i.post(path, as, form("token", token, "grant_type", "client_credentials", "scope", "canary", "token_type_hint", "canary"))
				i.post(path, as, form("token", "canary", "grant_type", "client_credentials", "resource", "canary:x"))
				i.post(path, login{stranger.secret, stranger.secret}, form("token", "canary"))
				i.post(path, login{}, form("client_id", stranger.secret, "client_secret", "canary", "client_assertion", "canary"))
				i.post(path, login{}, form("client_id", "canary", "client_secret", "canary"))
				i.post(path, login{}, url.Values{"canary": {"canary", "canary"}})
				i.do(i.request(path+"?client_secret=canary", "%canary%zz"))
				i.do(i.request(path, "client_secret=canary&%zz"))
				req := i.request(path, "")
				req.Header.Set("Authorization", "Bearer canary")
				i.do(req)
			}
		}
	}
	everything()
	broken.fail.Store(true)
	everything()
	log := i.log.String()
	if strings.Count(log, "request refused") < 100 || !strings.Contains(log, "token issued") || !strings.Contains(log, "the store is broken") {
		t.Errorf("too little was logged: %s", log)
	}
	for _, canary := range canaries {
		for _, form := range []string{canary, url.QueryEscape(canary), base64.StdEncoding.EncodeToString([]byte(canary)), hex.EncodeToString([]byte(canary))} {
			if at := strings.Index(log, form); at >= 0 {
				t.Fatalf("the log holds %q: %.300s", form, log[max(0, at-200):])
			}
		}
	}
}

func TestPoint38_ErrorsEchoNothing(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	for _, path := range endpoints {
		for _, name := range []string{"grant_type", "scope", "resource", "client_id", "client_secret", "client_assertion", "token_type_hint", "canary"} {
			for _, as := range []login{shop, orders, {}} {
				params := form("grant_type", "client_credentials")
				params.Set(name, "canary")
				a := i.post(path, as, params)
				if strings.Contains(string(a.body)+fmt.Sprint(a.header), "canary") && a.status != 200 {
					t.Errorf("%s %s: %v %s", path, name, a.header, a.body)
				}
			}
		}
	}
}

func TestPoint39_CORS(t *testing.T) {
	t.Parallel()
	const app = "https://app.example"
	i := start(t, "", func(c *authserver.Config) { c.AllowedOrigins = []string{app} })
	ask := func(method, path, origin, requested string) answer {
		req := i.request(path, form("grant_type", "client_credentials").Encode())
		req.Method = method
		req.SetBasicAuth(shop.id, shop.secret)
		req.Header.Set("Origin", origin)
		if requested != "" {
			req.Header.Set("Access-Control-Request-Method", requested)
			req.Header.Set("Access-Control-Request-Headers", "authorization")
		}
		return i.do(req)
	}
	for path, method := range map[string]string{
		"/token": "POST", "/revoke": "POST", "/jwks": "GET",
		"/.well-known/oauth-authorization-server": "GET", "/.well-known/openid-configuration": "GET",
	} {
		a := ask(method, path, app, "")
		if a.header.Get("Access-Control-Allow-Origin") != app || a.header.Get("Vary") != "Origin" {
			t.Errorf("%s: %v", path, a.header)
		}
		pre := ask("OPTIONS", path, app, method)
		if pre.status != 204 || pre.header.Get("Access-Control-Allow-Origin") != app || !strings.Contains(pre.header.Get("Access-Control-Allow-Methods"), method) ||
			!strings.Contains(pre.header.Get("Access-Control-Allow-Headers"), "Authorization") || len(pre.body) != 0 {
			t.Errorf("preflight of %s: %d %v %s", path, pre.status, pre.header, pre.body)
		}
		for _, origin := range []string{"https://evil.example", "https://app.example.evil.example", "http://app.example", "null", ""} {
			for _, a := range []answer{ask(method, path, origin, ""), ask("OPTIONS", path, origin, method)} {
				if a.header.Get("Access-Control-Allow-Origin") != "" || a.header.Get("Vary") != "Origin" {
					t.Errorf("%s from %q: %v", path, origin, a.header)
				}
			}
		}
		for _, a := range []answer{a, pre} {
			if a.header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s: %v", path, a.header)
			}
		}
	}
	if a := ask("POST", "/introspect", app, ""); a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("introspection is for resource servers, not for pages")
	}
	if a := ask("POST", "/token", app, ""); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestPoint40_TheStoreHoldsNoSecret(t *testing.T) {
	t.Parallel()
	dump := &dumpingStore{Store: authserver.NewMemoryStore(nil)}
	i := start(t, "", withStore(dump))
	var secrets []string
	for _, as := range []login{shop, batch, kiosk} {
		token := i.token(as)
		i.introspect(as, token)
		i.post("/revoke", as, form("token", token))
		i.introspect(as, token)
		secrets = append(secrets, token, as.secret)
	}
	dump.mu.Lock()
	defer dump.mu.Unlock()
	if len(dump.seen) < 5 || !strings.Contains(string(dump.seen), `"client_id":"kiosk"`) {
		t.Fatalf("the dump is not what it should be: %q", dump.seen)
	}
	for _, secret := range secrets {
		raw, _ := base64.RawURLEncoding.DecodeString(secret)
		for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret)), string(raw)} {
			if form != "" && strings.Contains(string(dump.seen), form) {
				t.Errorf("the store was given %q", form)
			}
		}
	}
}

func TestPoint41_Limits(t *testing.T) {
	t.Parallel()
	short, long := strings.Repeat("x", 6000), strings.Repeat("x", 6200) // base64 makes 8 KiB of 6 KiB
	s := authserver.NewMemoryStore(nil)
	i := start(t, "", withStore(s))
	for secret, id := range map[string]string{short: "short", long: "long"} {
		if err := s.PutClient(t.Context(), &authserver.Client{
			ClientID: id, SecretHash: authserver.HashOf(secret), GrantTypes: []string{"client_credentials"}, Audience: []string{ordersAPI},
		}); err != nil {
			t.Fatal(err)
		}
	}
	const grant = "grant_type=client_credentials"
	pad := func(size int) string { return grant + "&pad=" + strings.Repeat("x", size-len(grant)-len("&pad=")) }
	var params strings.Builder
	for n := range 62 {
		fmt.Fprintf(&params, "&p%d=1", n)
	}
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"64 KiB":        {pad(64 << 10), 200},
		"a byte more":   {pad(64<<10 + 1), 413},
		"10 MiB":        {pad(10 << 20), 413},
		"64 parameters": {grant + "&x=1" + params.String(), 200},
		"one more":      {grant + "&x=1&y=1" + params.String(), 400},
		"only &":        {grant + strings.Repeat("&", 60000), 400},
	} {
		req := i.request("/token", c.body)
		req.SetBasicAuth(shop.id, shop.secret)
		if a := i.do(req); a.status != c.status {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		req = i.request("/token", c.body)
		req.SetBasicAuth(shop.id, shop.secret)
		req.ContentLength = -1 // chunked
		if a := i.do(req); a.status != c.status {
			t.Errorf("%s, chunked: %d %s", name, a.status, a.body)
		}
	}
	for id, status := range map[string]int{"short": 200, "long": 401} {
		secret := map[string]string{"short": short, "long": long}[id]
		req := i.request("/token", grant)
		req.SetBasicAuth(id, secret)
		if a := i.do(req); a.status != status {
			t.Errorf("right credentials of %d bytes: %d %s", len(secret), a.status, a.body)
		}
	}
}

func TestPoint41_SlowClientsAreLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := authserver.New(authserver.Config{Issuer: "https://issuer.example", Clients: clients(), Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		m := memhttp.New(s)
		defer m.Close()
		conn, err := m.Client().Transport.(*http.Transport).DialContext(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		var writer sync.WaitGroup
		writer.Go(func() { slowly(conn) })
		defer writer.Wait()
		defer conn.Close()
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != 408 || time.Since(began) != 10*time.Second {
			t.Errorf("%d after %v", resp.StatusCode, time.Since(began))
		}
		if _, err := io.ReadAll(resp.Body); err != nil {
			t.Error(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("the connection is still open")
		}
	})
}

// slowly sends a request a byte a second, as long as somebody reads it.
func slowly(conn net.Conn) {
	_, _ = io.WriteString(conn, "POST /token HTTP/1.1\r\nHost: issuer.example\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\n")
	for range 1000 {
		time.Sleep(time.Second)
		if _, err := io.WriteString(conn, "x"); err != nil {
			return
		}
	}
}

func TestPoint42_TokensAreUnguessable(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	seen := map[string]bool{}
	for range 100 {
		opaque, err := base64.RawURLEncoding.DecodeString(i.token(kiosk))
		if err != nil || len(opaque) < 16 {
			t.Fatalf("an opaque token of %d bytes, %v", len(opaque), err)
		}
		_, payload := parts(t, i.token(shop))
		jti, _ := payload["jti"].(string)
		if len(jti) < 26 { // 5 bits each
			t.Fatalf("a jti of %d characters", len(jti))
		}
		if seen[string(opaque)] || seen[jti] {
			t.Fatal("a token came twice")
		}
		seen[string(opaque)], seen[jti] = true, true
	}
}
