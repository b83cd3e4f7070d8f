package authserver_test

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/countermark/countermark/authserver"
)

// pemBlock writes a key as PKCS #8 in a PEM block.
func pemBlock(t testing.TB, kind string, private any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// privateJWK writes a key as jwx does, with more members.
func privateJWK(t testing.TB, private any, members map[string]any) string {
	t.Helper()
	k, err := jwk.Import(private)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range members {
		if err := k.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	data, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// A key that was read from a file signs tokens that verify.
func TestParseSigningKeys_OfEveryKindAndForm(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"ES256", "ES384", "ES512", "RS256", "EdDSA"} {
		k := key(t, alg, "")
		for form, file := range map[string]string{
			"PEM":     pemBlock(t, "PRIVATE KEY", k.Signer),
			"JWK":     privateJWK(t, k.Signer, nil),
			"JWK Set": ` {"keys":[` + privateJWK(t, k.Signer, nil) + "]}\n",
		} {
			keys, err := authserver.ParseSigningKeys([]byte(file))
			if err != nil || len(keys) != 1 || !keys[0].Signer.(interface{ Equal(crypto.PrivateKey) bool }).Equal(k.Signer) {
				t.Errorf("%s, %s: %v %v", alg, form, keys, err)
				continue
			}
			i := start(t, "", withKeys(keys...))
			token := i.token(shop)
			if header, _ := parts(t, token); header["alg"] != alg || i.verify(token) != nil {
				t.Errorf("%s, %s: %v", alg, form, header)
			}
		}
	}
}

// kid and alg are the file's, and the order is.
func TestParseSigningKeys_Several(t *testing.T) {
	t.Parallel()
	one, two, three := key(t, "RS256", ""), key(t, "ES256", ""), key(t, "EdDSA", "")
	set := `{"keys":[` + privateJWK(t, one.Signer, map[string]any{"kid": "one", "alg": "PS256", "use": "sig"}) + "," +
		privateJWK(t, two.Signer, map[string]any{"kid": "two"}) + `],"other":{}}`
	keys, err := authserver.ParseSigningKeys([]byte(set))
	if err != nil || fmt.Sprint(keys) != "[authserver.SigningKey(PS256 one) authserver.SigningKey( two)]" {
		t.Fatalf("%v %v", keys, err)
	}
	i := start(t, "", withKeys(keys...))
	if header, _ := parts(t, i.token(shop)); header["alg"] != "PS256" || header["kid"] != "one" || i.kids() != "one two" {
		t.Errorf("%v of %s", header, i.kids())
	}
	file := "the first:\n" + pemBlock(t, "PRIVATE KEY", one.Signer) + "\nthe others:\n" + pemBlock(t, "PRIVATE KEY", two.Signer) + pemBlock(t, "PRIVATE KEY", three.Signer) + "\n\n"
	keys, err = authserver.ParseSigningKeys([]byte(file))
	if err != nil || len(keys) != 3 || !keys[1].Signer.(*ecdsa.PrivateKey).Equal(two.Signer) {
		t.Errorf("%v %v", keys, err)
	}
}

// The keys that RFCs print, each with the public key or thumbprint printed with it.
func TestParseSigningKeys_TheExamplesOfRFCs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, x string }{
		"RFC 8410 section 10.3": {
			"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n",
			"Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE",
		},
		"RFC 8037 appendix A.1": {
			`{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
			"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
		},
		"RFC 7515 appendix A.3": {
			`{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",` +
				`"d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}`,
			"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
		},
	} {
		keys, err := authserver.ParseSigningKeys([]byte(c.file))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		i := start(t, "", withKeys(keys...))
		if set := string(i.get(i.url + "/jwks").body); !strings.Contains(set, `"x":"`+c.x+`"`) || strings.Contains(set, `"d"`) {
			t.Errorf("%s: published as %s", name, set)
		}
	}
}

func TestParseSigningKeys_Errors(t *testing.T) {
	t.Parallel()
	k := key(t, "ES256", "")
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good, whole := pemBlock(t, "PRIVATE KEY", k.Signer), privateJWK(t, k.Signer, nil)
	public, err := jwk.Import(k.Signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := json.Marshal(public)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"":                                      "neither PEM blocks",
		"canary":                                "neither PEM blocks",
		good + "canary":                         "neither PEM blocks",
		good[:90]:                               "neither PEM blocks",
		"[" + whole + "]":                       "neither PEM blocks",
		good + whole:                            "neither PEM blocks",
		pemBlock(t, "EC PRIVATE KEY", k.Signer): `PEM block 1: its type must be "PRIVATE KEY" (openssl pkcs8`,
		pemBlock(t, "ENCRYPTED PRIVATE KEY", k.Signer):                                              "PEM block 1: its type must be",
		good + pemBlock(t, "CERTIFICATE", k.Signer):                                                 "PEM block 2: its type must be",
		pemBlock(t, "PRIVATE KEY", x25519):                                                          "PEM block 1: a *ecdh.PrivateKey cannot sign",
		good + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("canary")})): "PEM block 2: ",
		"{}":                         "JWK: lacks d",
		`{"keys":[]}`:                "keys: must be an array of one key at least",
		`{"keys":"canary"}`:          "keys: must be an array of one key at least",
		`{"keys":["canary"]}`:        "keys[0]: JSON: not an object",
		whole + "canary":             "JSON: ",
		`{"keys":[],"keys":[]}`:      "JSON: ",
		`{"kty":"oct","k":"canary"}`: "JWK: a symmetric key",
		string(theirs):               "JWK: lacks d: a public key cannot sign",
		`{"keys":[` + whole + `,` + string(theirs) + `]}`: "keys[1]: lacks d",
		strings.Replace(whole, `"d":"`, `"d":"AAAA`, 1):   "JWK: not a key pair",
	} {
		keys, err := authserver.ParseSigningKeys([]byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), "authserver: ParseSigningKeys: "+want) || keys != nil {
			t.Errorf("want %q: %v", want, err)
			continue
		}
		d := whole[strings.Index(whole, `"d":"`)+5:][:12]
		if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), d) {
			t.Errorf("the error shows the key: %v", err)
		}
	}
}

// Keys that are read are read again as the same from what is written of them.
func FuzzParseSigningKeys(f *testing.F) {
	k := key(f, "EdDSA", "")
	f.Add([]byte(pemBlock(f, "PRIVATE KEY", k.Signer)))
	f.Add([]byte("first\n" + pemBlock(f, "PRIVATE KEY", k.Signer) + "second\n" + pemBlock(f, "PRIVATE KEY", key(f, "ES256", "").Signer)))
	f.Add([]byte(`{"keys":[` + privateJWK(f, k.Signer, nil) + `]}`))
	f.Add([]byte(privateJWK(f, key(f, "ES384", "").Signer, map[string]any{"kid": "1", "alg": "ES384"})))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := authserver.ParseSigningKeys(data)
		if (err == nil) != (len(keys) > 0) || slices.ContainsFunc(keys, func(k authserver.SigningKey) bool { return k.Signer == nil }) {
			t.Fatalf("%d keys, %v", len(keys), err)
		}
		var file strings.Builder
		for _, k := range keys {
			file.WriteString(pemBlock(t, "PRIVATE KEY", k.Signer))
		}
		again, err := authserver.ParseSigningKeys([]byte(file.String()))
		if !slices.EqualFunc(again, keys, func(a, b authserver.SigningKey) bool {
			return a.Signer.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(b.Signer.Public())
		}) {
			t.Errorf("%d keys, and %d when they were written: %v", len(keys), len(again), err)
		}
	})
}
