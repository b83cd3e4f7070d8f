package authserver_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/countermark/countermark/authserver"
)

func TestRFC7591_Section3_2_1_WhatAClientLearns(t *testing.T) {
	t.Parallel()
	i := startRegistering(t)
	a := i.register(`{"client_name":"An app","redirect_uris":["` + appURI + `"],"grant_types":["authorization_code","refresh_token"],` +
		`"response_types":["code"],"scope":"orders:read","logo_uri":"https://app.example/logo","custom":{"a":[1]}}`)
	if a.status != http.StatusCreated || a.header.Get("Cache-Control") != "no-store" || a.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	got := a.object()
	id, secret, token := a.member("client_id"), a.member("client_secret"), a.member("registration_access_token")
	if len(id) < 22 || len(secret) < 22 || len(token) < 22 || strings.HasPrefix(id, "https:") {
		t.Errorf("too short, or as those of documents: %v", got)
	}
	want := map[string]any{
		"client_id": id, "client_secret": secret, "client_secret_expires_at": 0.0,
		"registration_access_token": token, "registration_client_uri": i.url + "/register?client_id=" + id,
		"client_name": "An app", "redirect_uris": []any{appURI}, "grant_types": []any{"authorization_code", "refresh_token"},
		"response_types": []any{"code"}, "scope": "orders:read", "token_endpoint_auth_method": "client_secret_basic",
		"audience": []any{ordersAPI}, "access_token_strategy": "jwt",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v\nwant %v", got, want)
	}
	other := i.registrant("")
	if other.id == id || other.secret == secret || other.token == token {
		t.Error("two clients share something")
	}
}

// What is left out is as the RFC has it, but for scope, which is then all there is.
func TestRFC7591_Section2_Defaults(t *testing.T) {
	t.Parallel()
	i := startRegistering(t)
	for _, body := range []string{
		`{"redirect_uris":["` + appURI + `"]}`,
		`{"redirect_uris":["` + appURI + `"],"grant_types":null,"token_endpoint_auth_method":null,"scope":null,"jwks":null,"response_types":null}`,
	} {
		a := i.register(body)
		if a.member("token_endpoint_auth_method") != "client_secret_basic" || fmt.Sprint(a.object()["grant_types"], a.object()["response_types"]) != "[authorization_code] [code]" ||
			a.member("scope") != "orders:read orders:write" {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

func TestRFC7591_Section3_ARegisteredClientGetsTokens(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ES256", "k1")
	i := startRegistering(t, func(c *authserver.Config) {
		c.Registration.Policy.AuthMethods = []string{"none", "client_secret_basic", "client_secret_post", "private_key_jwt"}
	})
	for method, members := range map[string]string{
		"none":                `,"token_endpoint_auth_method":"none"`,
		"client_secret_basic": ``,
		"client_secret_post":  `,"token_endpoint_auth_method":"client_secret_post"`,
		"private_key_jwt":     `,"token_endpoint_auth_method":"private_key_jwt","jwks":` + string(jwks(t, s)),
	} {
		r := i.registrant(members)
		code := i.browser().grant(authParams(r.login, "redirect_uri", appURI)).response().Get("code")
		v := codeForm(code, appURI)
		var a answer
		switch method {
		case "none":
			a = i.send("/token", form(append(v, "client_id", r.id)...))
		case "client_secret_basic":
			a = i.post("/token", r.login, form(v...))
		case "client_secret_post":
			a = i.send("/token", form(append(v, "client_id", r.id, "client_secret", r.secret)...))
		default:
			a = i.assert("/token", s.sign(t, nil, i.claims(r.id)), v...)
		}
		if a.status != 200 || !i.active(orders, a.member("access_token")) {
			t.Errorf("%s: %d %s", method, a.status, a.body)
		}
		if (r.secret == "") == strings.HasPrefix(method, "client_secret") {
			t.Errorf("%s: a secret where none is due, or none", method)
		}
	}
}

func TestRFC7591_Section3_2_2_Refused(t *testing.T) {
	t.Parallel()
	i := startRegistering(t)
	s := newSigner(t, "ES256", "k1")
	private := strings.Replace(string(jwks(t, s)), `"kid"`, `"d":"AA","kid"`, 1)
	for name, row := range map[string]struct{ members, want, says string }{
		"an http redirect URI":          {`"redirect_uris":["http://app.example/cb"]`, "invalid_redirect_uri", "redirect_uris[0]"},
		"a fragment":                    {`"redirect_uris":["` + appURI + `","https://app.example/#f"]`, "invalid_redirect_uri", "redirect_uris[1]"},
		"a javascript URI":              {`"redirect_uris":["javascript:alert(1)"]`, "invalid_redirect_uri", "redirect_uris[0]"},
		"no redirect URI":               {`"client_name":"x"`, "invalid_redirect_uri", "redirect_uris"},
		"21 redirect URIs":              {`"redirect_uris":["` + strings.Repeat(appURI+`","`, 20) + appURI + `"]`, "invalid_redirect_uri", "20"},
		"a long redirect URI":           {`"redirect_uris":["` + appURI + strings.Repeat("x", 1024) + `"]`, "invalid_redirect_uri", "1024"},
		"redirect URIs of another type": {`"redirect_uris":"` + appURI + `"`, "invalid_client_metadata", "redirect_uris"},
		"a name of another type":        {`"redirect_uris":["` + appURI + `"],"client_name":7`, "invalid_client_metadata", "client_name"},
		"a logo of another type":        {`"redirect_uris":["` + appURI + `"],"logo_uri":{}`, "invalid_client_metadata", "logo_uri"},
		"contacts of another type":      {`"redirect_uris":["` + appURI + `"],"contacts":"a"`, "invalid_client_metadata", "contacts"},
		"a long name":                   {`"redirect_uris":["` + appURI + `"],"client_name":"` + strings.Repeat("é", 101) + `"`, "invalid_client_metadata", "client_name"},
		"a name that turns around":      {`"redirect_uris":["` + appURI + `"],"client_name":"a\u202eb"`, "invalid_client_metadata", "client_name"},
		"a name of two lines":           {`"redirect_uris":["` + appURI + `"],"client_name":"a\nb"`, "invalid_client_metadata", "client_name"},
		"a name of a space":             {`"redirect_uris":["` + appURI + `"],"client_name":" "`, "invalid_client_metadata", "client_name"},
		"a name of signs":               {`"redirect_uris":["` + appURI + `"],"client_name":"-."`, "invalid_client_metadata", "client_name"},
		"a name of Hangul fillers":      {`"redirect_uris":["` + appURI + `"],"client_name":"\u115f\u1160\u3164\uffa0"`, "invalid_client_metadata", "client_name"},
		"a name of blank Braille":       {`"redirect_uris":["` + appURI + `"],"client_name":"\u2800"`, "invalid_client_metadata", "client_name"},
		"a name of marks on nothing":    {`"redirect_uris":["` + appURI + `"],"client_name":"\u0301\ufe0f"`, "invalid_client_metadata", "client_name"},
		"a name of blank hieroglyphs":   {`"redirect_uris":["` + appURI + `"],"client_name":"𓑁𓑂"`, "invalid_client_metadata", "client_name"},
		"an unknown grant type":         {`"redirect_uris":["` + appURI + `"],"grant_types":["x\"y"]`, "invalid_client_metadata", "grant_types"},
		"the implicit response type":    {`"redirect_uris":["` + appURI + `"],"response_types":["token"]`, "invalid_client_metadata", "response_types"},
		"refresh_token alone":           {`"grant_types":["refresh_token"]`, "invalid_client_metadata", "grant_types"},
		"scope that is none":            {`"redirect_uris":["` + appURI + `"],"scope":"a  b"`, "invalid_client_metadata", "scope"},
		"jwks and jwks_uri":             {`"redirect_uris":["` + appURI + `"],"jwks_uri":"https://app.example/jwks","jwks":` + string(jwks(t, s)), "invalid_client_metadata", "jwks_uri"},
		"a private key":                 {`"redirect_uris":["` + appURI + `"],"jwks":` + private, "invalid_client_metadata", "jwks"},
		"no keys":                       {`"redirect_uris":["` + appURI + `"],"token_endpoint_auth_method":"private_key_jwt"`, "invalid_client_metadata", "jwks"},
		"jwks_uri of http":              {`"redirect_uris":["` + appURI + `"],"jwks_uri":"http://app.example/jwks"`, "invalid_client_metadata", "jwks_uri"},
		"a member twice":                {`"redirect_uris":["` + appURI + `"],"scope":"orders:read","scope":"orders:write"`, "invalid_client_metadata", "JSON"},
		"a member in another case":      {`"redirect_uris":["` + appURI + `"],"Scope":"orders:read"`, "invalid_client_metadata", "scope"},
	} {
		a := i.register("{" + row.members + "}")
		if a.outcome() != "400 "+row.want || !strings.Contains(a.member("error_description"), row.says) || a.member("client_id") != "" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	for name, body := range map[string]string{"no JSON": "x", "an array": "[]", "nothing": "", "more after it": "{} {}"} {
		if a := i.register(body); a.outcome() != "400 invalid_client_metadata" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

// Section 2.2: a name is for people, of any script.
func TestRFC7591_Section2_NamesOfAnyScript(t *testing.T) {
	t.Parallel()
	i := startRegistering(t)
	for _, name := range []string{"7", "ⅷ", "é", "Ω", "متجر", "\u5546\u5e97", "가게", "दुकान", "ร้าน", "🛒 Shop", "ㄱㅤ"} {
		if a := i.register(`{"redirect_uris":["` + appURI + `"],"client_name":"` + name + `"}`); a.status != http.StatusCreated || a.member("client_name") != name {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

func TestRFC7591_Section3_TheRequest(t *testing.T) {
	t.Parallel()
	i := startRegistering(t)
	good := `{"redirect_uris":["` + appURI + `"]}`
	ask := func(method, query, contentType, body string) answer {
		req, err := http.NewRequest(method, i.url+"/register"+query, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"Content-Type": {contentType}, "Authorization": {"Bearer " + initialToken}}
		return i.do(req)
	}
	for name, row := range map[string]struct {
		a    answer
		want string
	}{
		"as it should be":    {ask("POST", "", "application/json; charset=utf-8", good), "201"},
		"16 KiB":             {ask("POST", "", "application/json", good+strings.Repeat(" ", 16<<10-len(good))), "201"},
		"a byte more":        {ask("POST", "", "application/json", good+strings.Repeat(" ", 16<<10-len(good)+1)), "413 invalid_request"},
		"a form":             {ask("POST", "", "application/x-www-form-urlencoded", "redirect_uris="+appURI), "415 invalid_request"},
		"PATCH":              {ask("PATCH", "", "application/json", good), "405 invalid_request"},
		"GET":                {ask("GET", "", "application/json", ""), "400 invalid_request"},
		"PUT":                {ask("PUT", "", "application/json", good), "400 invalid_request"},
		"DELETE":             {ask("DELETE", "", "application/json", ""), "400 invalid_request"},
		"POST with a client": {ask("POST", "?client_id=shop", "application/json", good), "400 invalid_request"},
	} {
		if row.a.outcome() != row.want {
			t.Errorf("%s: %d %s, want %s", name, row.a.status, row.a.body, row.want)
		}
	}
}

// RFC 6750 section 3 has the challenge.
func TestRFC7591_Section3_TakesAnInitialAccessToken(t *testing.T) {
	t.Parallel()
	i := startRegistering(t)
	body := `{"redirect_uris":["` + appURI + `"]}`
	r := i.registrant("")
	for name, headers := range map[string][]string{
		"none": nil, "another": {"Bearer " + initialToken + "x"}, "an empty one": {"Bearer "}, "the scheme alone": {"Bearer"},
		"Basic": {"Basic " + initialToken}, "two": {"Bearer " + initialToken, "Bearer " + initialToken},
		"a registration token": {"Bearer " + r.token}, "an access token": {"Bearer " + i.token(shop)},
	} {
		req := i.request("/register", body)
		req.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": headers}
		challenge := `Bearer realm="` + i.url + `"`
		if headers != nil {
			challenge += `, error="invalid_token"`
		}
		if a := i.do(req); a.outcome() != "401 invalid_token" || a.header.Get("WWW-Authenticate") != challenge {
			t.Errorf("%s: %d %s %s", name, a.status, a.body, a.header.Get("WWW-Authenticate"))
		}
	}
	req := i.request("/register", body)
	req.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"bearer  " + initialToken}}
	if a := i.do(req); a.status != 201 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestRegistration_AuthorizeJudges(t *testing.T) {
	t.Parallel()
	i := startRegistering(t, func(c *authserver.Config) {
		c.Registration.InitialAccessTokens = nil
		c.Registration.Authorize = func(_ context.Context, token string) (bool, error) {
			if token == "broken" {
				return true, errors.New("the judge is ill")
			}
			return token == "" || token == "good", nil
		}
	})
	for token, status := range map[string]int{"": 201, "good": 201, "bad": 401, "broken": 500} {
		if a := i.metadata("POST", i.url+"/register", token, `{"redirect_uris":["`+appURI+`"]}`); a.status != status {
			t.Errorf("%q: %d %s", token, a.status, a.body)
		}
	}
}

func TestNew_Registration(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		edit func(*authserver.Config)
		want string
	}{
		"nobody may register": {func(c *authserver.Config) { c.Registration.InitialAccessTokens = nil }, ".InitialAccessTokens: "},
		"both ways": {func(c *authserver.Config) {
			c.Registration.Authorize = func(context.Context, string) (bool, error) { return true, nil }
		}, ".InitialAccessTokens: "},
		"the empty token":    {func(c *authserver.Config) { c.Registration.InitialAccessTokens[0] = authserver.HashOf("") }, ".InitialAccessTokens: "},
		"no token":           {func(c *authserver.Config) { c.Registration.InitialAccessTokens[0] = authserver.Hash{} }, ".InitialAccessTokens: "},
		"a store to read":    {func(c *authserver.Config) { c.Store = fixedStore{Store: authserver.NewMemoryStore(nil)} }, "ClientStore"},
		"nobody signs in":    {func(c *authserver.Config) { c.Users = nil }, "Users or Login"},
		"no audience":        {func(c *authserver.Config) { c.Registration.Policy.Audience = nil }, ".Policy.Audience"},
		"a bad audience":     {func(c *authserver.Config) { c.Registration.Policy.Audience = []string{"a b"} }, ".Policy.Audience[0]"},
		"a bad scope":        {func(c *authserver.Config) { c.Registration.Policy.Scope = `"` }, ".Policy.Scope"},
		"client_credentials": {func(c *authserver.Config) { c.Registration.Policy.GrantTypes = []string{"client_credentials"} }, ".Policy.GrantTypes[0]"},
		"token exchange": {func(c *authserver.Config) {
			c.Registration.Policy.GrantTypes = []string{"authorization_code", tokenExchange}
		}, ".Policy.GrantTypes[1]"},
		"client_secret_jwt": {func(c *authserver.Config) { c.Registration.Policy.AuthMethods = []string{"client_secret_jwt"} }, ".Policy.AuthMethods[0]"},
	} {
		cfg := authserver.Config{Issuer: "https://issuer.example", Users: users()}
		withRegistration(&cfg)
		row.edit(&cfg)
		if _, err := authserver.New(cfg); err == nil || !strings.HasPrefix(err.Error(), "authserver: Config.Registration") || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRFC7591_Section5_TheStoreFails(t *testing.T) {
	t.Parallel()
	store := &fullStore{MemoryStore: authserver.NewMemoryStore(&authserver.MemoryStoreOptions{MaxRecords: 1})}
	i := startRegistering(t, withStore(store))
	r := i.registrant("")
	if a := i.register(`{"redirect_uris":["` + appURI + `"]}`); a.outcome() != "503 temporarily_unavailable" || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.status, a.body)
	}
	store.fail.Store(true)
	for _, method := range []string{"GET", "DELETE"} {
		if a := i.metadata(method, r.url, r.token, ""); a.outcome() != "503 temporarily_unavailable" {
			t.Errorf("%s: %d %s", method, a.status, a.body)
		}
	}
	store.fail.Store(false)
	if a := i.metadata("GET", r.url, r.token, ""); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// The consent page shows where one is sent: what looks like another host must not
// hide in escapes, nor a directive in the Content-Security-Policy.
func TestPoint37_HostsAsABrowserKnowsThem(t *testing.T) {
	t.Parallel()
	i := startRegistering(t)
	for _, uri := range []string{
		"https://ex%D0%B0mple.com/cb", "https://bank.example%E2%80%AE/cb", "https://www%C2%AD.bank.example/cb",
		"http://a;sandbox;b.localhost/cb", "http://a,b.localhost/cb",
	} {
		if a := i.register(`{"redirect_uris":["` + uri + `"]}`); a.outcome() != "400 invalid_redirect_uri" {
			t.Errorf("%s: %d %s", uri, a.status, a.body)
		}
	}
}
