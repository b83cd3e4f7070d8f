package canary_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/devissuer"
	"github.com/countermark/countermark/internal/jose"
)

// configureIssuer makes servers of what is wrong, and holds a secret.
func configureIssuer(t *testing.T, w *witness) {
	t.Helper()
	secret := w.secret("a secret in a configuration")
	userinfo := "https://user:" + secret + "@app.example"
	for name, edit := range map[string]func(*authserver.Config){
		"Issuer":            func(c *authserver.Config) { c.Issuer = userinfo },
		"Issuer, malformed": func(c *authserver.Config) { c.Issuer = "https://%zz" + secret },
		"Issuer's form":     func(c *authserver.Config) { c.Issuer = "https://issuer.example/../" + secret },
		"AllowedOrigins":    func(c *authserver.Config) { c.AllowedOrigins = []string{userinfo} },
		"DPoPNonceKey":      func(c *authserver.Config) { c.DPoPNonceKey = []byte(secret)[:20] },
		"Clients.Secret":    func(c *authserver.Config) { c.Clients[0].Secret = authserver.Secret(secret) },
		"client_secret_jwt": func(c *authserver.Config) {
			c.Clients[0].TokenEndpointAuthMethod, c.Clients[0].Secret = "client_secret_jwt", authserver.Secret(secret[:20])
		},
		"redirect_uris": func(c *authserver.Config) { c.Clients[0].RedirectURIs = []string{userinfo + "#"} },
		"jwks_uri":      func(c *authserver.Config) { c.Clients[0].JWKSURI = userinfo },
		"jwks": func(c *authserver.Config) {
			c.Clients[0].JWKS = json.RawMessage(`{"keys":[{"kty":"EC","d":"` + secret + `"}]}`)
		},
		"jwks, malformed": func(c *authserver.Config) {
			c.Clients[0].JWKS = json.RawMessage(`{"` + secret + `":1,"` + secret + `":`)
		},
		"audience":           func(c *authserver.Config) { c.Clients[0].Audience = []string{userinfo + "#"} },
		"scope":              func(c *authserver.Config) { c.Clients[0].Scope = `"` + secret },
		"Users.Subject":      func(c *authserver.Config) { c.Users[0].Subject = secret + "\n" },
		"Users.PasswordHash": func(c *authserver.Config) { c.Users[0].PasswordHash = secret },
		"Users.PasswordHash's": func(c *authserver.Config) {
			c.Users[0].PasswordHash = "$argon2id$v=19$m=1,t=1,p=1$" + secret + "$" + secret
		},
		"Users.PasswordHash, bcrypt": func(c *authserver.Config) { c.Users[0].PasswordHash = "$2a$04$" + secret },
		"Users.Claims":               func(c *authserver.Config) { c.Users[0].Claims = map[string]any{"email": secret, "x": func() {}} },
		"TrustedIssuers.Issuer":      func(c *authserver.Config) { c.TrustedIssuers = []authserver.TrustedIssuer{{Issuer: userinfo}} },
		"TrustedIssuers.JWKS": func(c *authserver.Config) {
			c.TrustedIssuers = []authserver.TrustedIssuer{{Issuer: "x", JWKS: json.RawMessage(`{"keys":[{"kty":"oct","k":"` + secret + `"}]}`)}}
		},
		"Registration": func(c *authserver.Config) {
			c.Registration = &authserver.Registration{InitialAccessTokens: []authserver.Hash{authserver.HashOf(secret), {}}}
		},
		"Documents.Hosts": func(c *authserver.Config) {
			c.ClientIDMetadataDocuments = &authserver.ClientIDMetadataDocuments{Hosts: []string{"user:" + secret + "@app.example"}}
		},
	} {
		cfg := authserver.Config{
			Issuer: "https://issuer.example", Clients: []authserver.Client{{ClientID: "web", SecretHash: authserver.HashOf(secret)}},
			Users: []authserver.User{{Subject: "1", Username: "alice", PasswordHash: authserver.HashPassword("x")}},
		}
		edit(&cfg)
		_, err := authserver.New(cfg)
		w.failed(t, "authserver.Config."+name, err)
		err = authserver.NewMemoryStore(nil).PutClient(t.Context(), &cfg.Clients[0])
		w.print("PutClient of a wrong "+name, err)
	}
	for name, file := range keyFiles(t, w) {
		for end := range len(file) {
			_, err := authserver.ParseSigningKeys([]byte(file[:end]))
			w.failed(t, "ParseSigningKeys of a part of a "+name, err)
		}
		for n := 0; n < len(file); n += 7 {
			_, err := authserver.ParseSigningKeys([]byte(file[:n] + "\x00" + file[min(n+1, len(file)):]))
			w.print("ParseSigningKeys of a damaged "+name, err)
		}
	}
}

// keyFiles are files with private keys, by what they are.
func keyFiles(t *testing.T, w *witness) map[string]string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	hidePrivate(t, w, key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	scalar, _ := key.Bytes()
	point, _ := key.PublicKey.Bytes()
	jwk, err := json.Marshal(map[string]any{
		"kty": "EC", "crv": "P-256", "x": jose.Encode(point[1:33]), "y": jose.Encode(point[33:]), "d": jose.Encode(scalar),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.hide("a JWK's d", jose.Encode(scalar))
	block := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	for line := range strings.Lines(string(block)) {
		if !strings.HasPrefix(line, "-----") {
			w.hide("a line of a PEM block", strings.TrimSpace(line))
		}
	}
	return map[string]string{"PEM block": strings.TrimSpace(string(block)), "JWK": string(jwk), "JWK Set": `{"keys":[` + string(jwk) + `]}`}
}

// configFile is one for the issuer for development, in which every value is a secret.
const configFile = `{"issuer":"S","resources":["S"],"clients":[{"client_id":"S","client_secret":"S","client_name":"S","redirect_uris":["S"],
"grant_types":["client_credentials"],"scope":"S","token_endpoint_auth_method":"client_secret_post","jwks":{"keys":[{"kty":"S","d":"S"}]},"audience":["S"]}],
"users":[{"sub":"S","username":"S","password":"S","password_hash":"S","claims":{"email":"S","roles":["S",1,{"b":null}]}}]}`

var value = regexp.MustCompile(`"S"|\[[^][]*\]|null`)

// runDevissuer runs the command with files that are cut off, of the wrong types, and
// with secrets where its arguments are. What it is asked to print, it prints: nothing
// here gets as far as its banner.
func runDevissuer(t *testing.T, w *witness) {
	t.Helper()
	secret := w.secret("a secret in a file")
	file := strings.ReplaceAll(configFile, `"S"`, `"`+secret+`"`)
	told := func(how, text string) {
		_, err := devissuer.Parse([]byte(text))
		w.print("Parse of what is "+how, err)
		if err == nil {
			t.Errorf("%s: no error", how)
		}
	}
	for end := range len(file) {
		told("cut off", file[:end])
	}
	for _, at := range value.FindAllStringIndex(configFile, -1) {
		for _, other := range []string{"314159265358979323", `"` + secret + `"`, `["` + secret + `"]`, `{"` + "x" + `":"` + secret + `"}`, `"` + secret, "\"" + secret + "\xff\""} {
			text := strings.ReplaceAll(configFile[:at[0]], `"S"`, `"`+secret+`"`) + other + strings.ReplaceAll(configFile[at[1]:], `"S"`, `"`+secret+`"`)
			told("of another type", text)
		}
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	_, err := devissuer.Load(write("config.json", file))
	w.failed(t, "Load", err)
	userinfo := "https://user:" + secret + "@issuer.example"
	stores := &devissuer.Stores{Usage: "a `store`", Open: func(context.Context, string) (devissuer.Store, error) { return nil, errDown }}
	for _, args := range [][]string{
		{"-config", write("config2.json", file)}, {"-issuer", userinfo}, {"-issuer", "https://%zz" + secret}, {"-keys", write("keys", secret)},
		{"-keys", write("jwk", `{"kty":"EC","d":"`+secret+`"}`)}, {"-addr", "127.0.0.1:0", userinfo}, {"-store", "postgres://user:" + secret + "@db.example/x"},
	} {
		if args[0] == "-issuer" || args[0] == "-keys" {
			args = append([]string{"-addr", "127.0.0.1:0"}, args...)
		}
		if code := devissuer.Main(args, stores); code == 0 {
			t.Errorf("devissuer %s ended well", args[:len(args)-1])
		}
	}
	w.tell("ran", "its standard error is the process's")
}

// printIssuer prints everything public that holds a secret.
func printIssuer(t *testing.T, w *witness) {
	t.Helper()
	secret, nonceKey := w.secret("a client secret"), w.secret("a nonce key")+"0123456789"
	password := w.secret("a password")
	user := authserver.User{Subject: "1", Username: "alice", PasswordHash: authserver.HashPassword(password)}
	w.hide("a password's hash", user.PasswordHash)
	client := authserver.Client{ClientID: "web", TokenEndpointAuthMethod: "client_secret_jwt", Secret: authserver.Secret(secret + secret)}
	values := map[string]any{"authserver.Secret": client.Secret, "authserver.Client": client, "authserver.User": user}
	var keys []authserver.SigningKey
	for _, alg := range []string{"ES256", "EdDSA"} {
		key, err := authserver.GenerateKey(alg)
		if err != nil {
			t.Fatal(err)
		}
		hidePrivate(t, w, key.Signer)
		keys = append(keys, key)
		values["authserver.SigningKey of "+alg] = key
		values["authserver.SharedKey of "+alg] = authserver.SharedKey{SigningKey: key}
	}
	cfg := authserver.Config{
		Issuer: "https://issuer.example", Clients: []authserver.Client{client}, Users: []authserver.User{user}, Keys: keys, DPoPNonceKey: []byte(nonceKey),
	}
	server, err := authserver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	values["authserver.Config"], values["its address"], values["authserver.Server"], values["keys"] = cfg, &cfg, server, keys
	for name, value := range values {
		w.print(name, value)
		w.print("a struct with "+name, struct{ Value any }{value})
	}
}
