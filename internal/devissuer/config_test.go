package devissuer

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/countermark/countermark/authserver"
)

const whole = `{
	"issuer": "http://127.0.0.1:9000",
	"resources": ["https://api.example", "https://other.example"],
	"clients": [
		{
			"client_id": "shop", "client_secret": "canary-1", "client_name": "Shop", "redirect_uris": ["https://shop.example/cb"],
			"grant_types": ["client_credentials"], "scope": "a b", "token_endpoint_auth_method": "client_secret_post",
			"jwks_uri": "https://shop.example/jwks", "audience": ["https://api.example"], "access_token_strategy": "opaque"
		},
		{"client_id": "batch", "client_secret": "canary-2", "grant_types": ["client_credentials"]},
		{"client_id": "api", "client_secret": "canary-3"}
	],
	"users": [{"sub": "1", "username": "alice", "password": "canary-4", "claims": {"email": "canary-5", "roles": ["a", 1, {"b": null}]}}]
}`

func TestParse(t *testing.T) {
	t.Parallel()
	cfg, err := Parse([]byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Issuer != "http://127.0.0.1:9000" || len(cfg.Resources) != 2 || len(cfg.Users) != 1 || len(cfg.Users[0].Claims) != 2 {
		t.Errorf("%+v", cfg)
	}
	for i, want := range []string{
		`{"client_id":"shop","client_name":"Shop","token_endpoint_auth_method":"client_secret_post","jwks_uri":"https://shop.example/jwks","grant_types":["client_credentials"],` +
			`"redirect_uris":["https://shop.example/cb"],"scope":"a b","audience":["https://api.example"],"access_token_strategy":"opaque"}`,
		`{"client_id":"batch","grant_types":["client_credentials"],"audience":["https://api.example","https://other.example"]}`,
		`{"client_id":"api","audience":["https://api.example","https://other.example"]}`,
	} {
		c := cfg.registered()[i]
		if got, err := json.Marshal(c); err != nil || string(got) != want {
			t.Errorf("%s, %v\nwant %s", got, err, want)
		}
		if c.SecretHash != authserver.HashOf(cfg.Clients[i].ClientSecret) {
			t.Error("another secret")
		}
	}
	want := []string{
		"clients[0]: no grant, nor its client authentication, uses redirect_uris, jwks_uri",
	}
	if got := cfg.notes(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if _, err := authserver.New(authserver.Config{Issuer: cfg.Issuer, Clients: cfg.registered(), Users: cfg.people()}); err != nil {
		t.Error(err)
	}
}

func TestConfig_SaysWhichClientsGetNoTokens(t *testing.T) {
	t.Parallel()
	cfg, err := Parse([]byte(`{"clients":[{"client_id":"a","client_secret":"x"},{"client_id":"b","client_secret":"x","tls_client_certificate_bound_access_tokens":true},{"client_id":"c","token_endpoint_auth_method":"tls_client_auth"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"clients[1]: gets no tokens: they are bound to a TLS certificate, and there is no TLS here",
		"clients[2]: cannot authenticate: that takes a TLS certificate, and there is no TLS here",
	} {
		if got := cfg.notes(); !slices.Contains(got, want) {
			t.Errorf("%q", got)
		}
	}
}

// One change to a good file each; the error names the place and no value.
func TestParse_Errors(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{`"issuer"`, `"isuer"`, `unknown field "isuer"`},
		{`"client_name"`, `"clientname"`, `unknown field "clients[0].clientname"`},
		{`"client_name"`, `"Client_Name"`, `"clients[0].client_name" by case alone`},
		{`"scope": "a b"`, `"SecretHash": "a b"`, `unknown field "clients[0].SecretHash"`},
		{`"scope": "a b"`, `"Client": {}`, `unknown field "clients[0].Client"`},
		{`"sub"`, `"id"`, `unknown field "users[0].id"`},
		{`"scope": "a b"`, `"scope": ["canary"]`, `member "clients[0].scope" must be a string`},
		{`"client_secret": "canary-2", `, ``, `clients[1].client_secret: required`},
		{`"token_endpoint_auth_method": "client_secret_post"`, `"token_endpoint_auth_method": "none"`, `clients[0].client_secret: a client of none has none`},
		{`"token_endpoint_auth_method": "client_secret_post"`, `"token_endpoint_auth_method": "private_key_jwt"`, `clients[0].client_secret: a client of private_key_jwt has none`},
		{`{"client_id": "batch", "client_secret": "canary-2", "grant_types": ["client_credentials"]}`, `null`, `clients[1].client_secret: required`},
		{`"scope": "a b"`, `"scope": "a", "scope": "canary"`, `second member of one name`},
		{`["client_credentials"]}`, `"canary"}`, `grant_types" must be an array`},
		{`"canary-1"`, `["canary-1"]`, `client_secret" must be a string`},
		{`"canary-4"`, `{"canary-4": 1}`, `password" must be a string`},
		{`"canary-4"`, `""`, `users[0]: either password or password_hash is required`},
		{`"canary-4"`, `"canary-4", "password_hash": "canary"`, `users[0]: either password or password_hash is required`},
		{`"alice"`, `""`, `users[0]: sub and username are required`},
		{`"users": [`, `"users": [{"sub": "1", "username": "bob", "password": "canary"}, `, `users[1]: sub or username is that of another user`},
		{`"users": [`, `"users": [{"sub": "2", "username": "alice", "password": "canary"}, `, `users[1]: sub or username is that of another user`},
		{`"audience": ["https://api.example"]`, `"audience": ["https://api.example", "https://canary.example"]`, `clients[0].audience[1]: is not among resources`},
		{`"scope": "a b"`, `"token_exchange_audience": ["https://canary.example"]`, `clients[0].token_exchange_audience[0]: is not among resources`},
		{`, "https://other.example"]`, `, ""]`, `resources: must not be empty`},
		{whole, whole + "{}", `bytes after the object`},
		{whole, "[]", `not an object`},
		{whole, "", `is empty`},
		{whole, " \n", `is empty`},
		{whole, "null\n", `is null; a configuration is one JSON object`},
		{whole, "\xef\xbb\xbf{}", `byte order mark`},
		{`"Shop"`, `"Shop",`, `expected a member name`},
	} {
		text := strings.Replace(whole, c[0], c[1], 1)
		if text == whole {
			t.Fatalf("%q is not in the file", c[0])
		}
		_, err := Parse([]byte(text))
		if err == nil || !strings.Contains(err.Error(), c[2]) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s for %s: %v", c[1], c[0], err)
		}
	}
}

func TestNotes_WhatHardlyWorksAsItWasMeant(t *testing.T) {
	t.Parallel()
	cfg, err := Parse([]byte(`{"clients": [
		{"client_id": "app", "client_secret": "x", "grant_types": ["client_credentials"]}, {"client_id": "api", "client_secret": "x"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"clients[0]: has no audience and there are no resources, so it can get no token",
		"clients[1]: has no grant_types and no audience, so every token is inactive to it",
	}
	if got := cfg.notes(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	cfg, err = Parse([]byte(`{"resources": ["https://api.example", "api"], "clients": [{"client_id": "api", "client_secret": "x"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want = []string{"resources[1]: is no absolute URI, so no request can name it as resource (RFC 8707 section 2)"}
	if got := cfg.notes(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	const web = `{"client_id": "web", "client_secret": "x", "redirect_uris": ["https://web.example/cb"], "audience": ["https://api.example"],
		"grant_types": ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"]}`
	for users, want := range map[string][]string{
		`[]`: {
			"clients[0]: has the grant authorization_code, and there are no users to sign in",
			"clients[0]: has the grant urn:ietf:params:oauth:grant-type:device_code, and there are no users to sign in",
		},
		`[{"sub": "1", "username": "alice", "password": "x"}]`: nil,
	} {
		cfg, err := Parse([]byte(`{"clients": [` + web + `], "users": ` + users + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := cfg.notes(); !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
	}
}

func TestReaches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		issuer, listening string
		want              bool
	}{
		{"http://127.0.0.1:9000", "127.0.0.1:9000", true},
		{"http://127.0.0.1:9000/tenant", "127.0.0.1:9000", true},
		{"http://localhost:9000", "127.0.0.1:9000", true},
		{"http://localhost:9000", "[::1]:9000", true},
		{"http://localhost", "127.0.0.1:80", true},
		{"http://127.0.0.1:9000", "[::]:9000", true},
		{"http://127.0.0.1:9000", "127.0.0.1:4711", false},
		{"http://[::1]:9000", "127.0.0.1:9000", false},
		{"http://localhost:9000", "192.0.2.1:9000", false},
		{"https://issuer.example", "127.0.0.1:443", false},
	} {
		if got := reaches(c.issuer, c.listening); got != c.want {
			t.Errorf("%s at %s: %v", c.issuer, c.listening, got)
		}
	}
}

func TestSeeds_KnownSecretsAreForThisMachine(t *testing.T) {
	t.Parallel()
	one, two := seeds(false), seeds(false)
	for i, known := range seeds(true).Clients {
		if known.ClientSecret != known.ClientID+"-secret" {
			t.Errorf("the secret of %s is %s", known.ClientID, known.ClientSecret)
		}
		for _, c := range []Client{one.Clients[i], two.Clients[i]} {
			if len(c.ClientSecret) < 26 {
				t.Errorf("the secret of %s is %s where others can reach the issuer", c.ClientID, c.ClientSecret)
			}
		}
		if one.Clients[i].ClientSecret == two.Clients[i].ClientSecret {
			t.Error("the same secret twice")
		}
	}
}

func TestSeeds_TheUserIsForThisMachine(t *testing.T) {
	t.Parallel()
	if got := seeds(false).Users; len(got) != 0 {
		t.Errorf("%+v can sign in where others can reach the issuer", got)
	}
	if got := seeds(true).Users; len(got) != 1 || got[0].Username != "alice" || got[0].Password != "alice" {
		t.Errorf("%+v", got)
	}
}

func TestBanner_UsersAreForThisMachine(t *testing.T) {
	t.Parallel()
	cfg := &Config{Users: []User{{Sub: "1", Username: "carol", Password: "canary"}, {Sub: "2", Username: "dave", PasswordHash: "$hash"}}}
	for issuer, shown := range map[string]bool{"http://127.0.0.1:9000": true, "http://localhost:9000/t": true, "https://issuer.example": false, "https://127.example": false} {
		var out bytes.Buffer
		if err := printBanner(&out, "127.0.0.1:9000", issuer, cfg, ""); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); strings.Contains(got, "carol") != shown || strings.Contains(got, "canary") != shown || strings.Contains(got, "$hash") ||
			strings.Contains(got, "(hashed)") != shown || !strings.Contains(got, issuer+"/authorize") {
			t.Errorf("%s:\n%s", issuer, got)
		}
	}
}

func TestIssuerAt(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{"127.0.0.1:0", "127.0.0.1:4711", "http://127.0.0.1:4711"},
		{"localhost:9000", "127.0.0.1:9000", "http://localhost:9000"},
		{"[::1]:0", "[::1]:4711", "http://[::1]:4711"},
		{":9000", "[::]:9000", "http://localhost:9000"},
		{"0.0.0.0:0", "0.0.0.0:4711", "http://localhost:4711"},
		{"[::]:9000", "[::]:9000", "http://localhost:9000"},
		{"192.0.2.1:9000", "192.0.2.1:9000", ""},
		{"issuer.example:9000", "192.0.2.1:9000", ""},
	} {
		if got, err := issuerAt(c[0], c[1]); got != c[2] || (err == nil) != (c[2] != "") || err != nil && !strings.Contains(err.Error(), "-issuer") {
			t.Errorf("%s at %s: %q, %v", c[0], c[1], got, err)
		}
	}
}

// FuzzParse: what is read can be written and read again as the same, has nothing
// in it that is not known, and goes to the issuer without a panic.
func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"clients":[{"client_id":"a","client_secret":"b","grant_types":["client_credentials"],"jwks":null}],"resources":["x"]}`))
	f.Add([]byte(`{"users":[{"sub":"1","username":"a","password":"b","claims":{"a":{}}}],"issuer":"https://x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, err := Parse(data)
		if err != nil {
			return
		}
		once, err := json.Marshal(cfg)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(once)
		if err != nil {
			t.Fatalf("%s is not read again: %v", once, err)
		}
		if twice, err := json.Marshal(again); err != nil || string(twice) != string(once) {
			t.Fatalf("%s, then %s, %v", once, twice, err)
		}
		end := bytes.LastIndexByte(data, '}')
		comma := ","
		if strings.TrimSpace(string(data[:end])) == "{" {
			comma = ""
		}
		if _, err := Parse([]byte(string(data[:end]) + comma + `"unknown":0}`)); err == nil || !strings.Contains(err.Error(), `"unknown"`) {
			t.Fatalf("with something unknown: %v", err)
		}
		for i, c := range cfg.registered() {
			secret := cfg.Clients[i].ClientSecret
			if hashed := c.SecretHash == authserver.HashOf(secret); secret != "" && hashed == (string(c.Secret) == secret) {
				t.Fatal("a secret is lost")
			}
		}
		if len(cfg.Users) > 3 {
			return // their passwords would take a while
		}
		_, _ = authserver.New(authserver.Config{Issuer: cfg.Issuer, Clients: cfg.registered(), Users: cfg.people()})
		if line := curl("http://127.0.0.1", cfg.Clients); strings.Count(line, "\n") > 0 {
			t.Fatalf("more than a line: %q", line)
		}
	})
}
