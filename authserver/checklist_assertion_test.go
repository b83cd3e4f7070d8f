package authserver_test

import (
	"crypto/rand"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/jose"
)

const grantCC = "client_credentials"

func TestPoint27_EveryAlgorithmAtEveryEndpoint(t *testing.T) {
	t.Parallel()
	signers := []signer{hmacSigner("HS256"), hmacSigner("HS384"), hmacSigner("HS512")}
	for _, alg := range []string{"ES256", "ES384", "ES512", "RS256", "PS256", "EdDSA"} {
		signers = append(signers, newSigner(t, alg, "k-"+alg))
	}
	i := startAsserting(t, signers[3], func(c *authserver.Config) {
		c.Clients[len(c.Clients)-3].JWKS = jwks(t, signers[3:]...)
	})
	for _, s := range signers {
		id := robot
		if strings.HasPrefix(s.alg, "HS") {
			id = sealer
		}
		a := i.assert("/token", s.sign(t, nil, i.claims(id)), "grant_type", grantCC)
		if a.status != 200 {
			t.Fatalf("%s: %d %s\n%s", s.alg, a.status, a.body, i.log)
		}
		token := a.member("access_token")
		if _, payload := parts(t, token); payload["client_id"] != id {
			t.Errorf("%s: the token is of %v", s.alg, payload["client_id"])
		}
		if a := i.assert("/introspect", s.sign(t, nil, i.claims(id)), "token", token); a.object()["active"] != true {
			t.Errorf("%s: %d %s", s.alg, a.status, a.body)
		}
		if a := i.assert("/revoke", s.sign(t, nil, i.claims(id)), "token", token); a.status != 200 || i.active(orders, token) {
			t.Errorf("%s: %d %s", s.alg, a.status, a.body)
		}
	}
}

// An assertion that is wrong in one thing gets nobody in, and what is told to
// whom has no key is the same in every case.
func TestPoint27_AssertionsThatAreRefused(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ES256", "k1")
	i := startAsserting(t, s)
	now := i.clock.Now().Unix()
	const silent = "client authentication failed"
	for name, c := range map[string]struct {
		header, payload members
		says            string
	}{
		"as it should be":                {nil, nil, ""},
		"no typ":                         {members{"typ": nil}, nil, ""},
		"typ jwt":                        {members{"typ": "application/jwt"}, nil, ""},
		"typ of rfc7523bis":              {members{"typ": "client-authentication+jwt"}, nil, ""},
		"no kid":                         {members{"kid": nil}, nil, ""},
		"no iat":                         {nil, members{"iat": nil}, ""},
		"aud in an array":                {nil, members{"aud": []string{i.url}}, ""},
		"aud the token endpoint":         {nil, members{"aud": i.url + "/token"}, ""},
		"exp within the leeway":          {nil, members{"exp": now - 29}, ""},
		"nbf within the leeway":          {nil, members{"nbf": now + 29}, ""},
		"exp with a fraction":            {nil, members{"exp": float64(now) + 60.5}, ""},
		"ten minutes":                    {nil, members{"exp": now + 600}, ""},
		"iss another":                    {nil, members{"iss": shop.id}, silent},
		"no iss":                         {nil, members{"iss": nil}, silent},
		"sub another":                    {nil, members{"sub": "alice"}, silent},
		"no sub":                         {nil, members{"sub": nil}, silent},
		"of a client that is unknown":    {nil, members{"iss": "nobody", "sub": "nobody"}, silent},
		"of a client with a secret":      {nil, members{"iss": shop.id, "sub": shop.id}, silent},
		"of a client with an HMAC":       {nil, members{"iss": sealer, "sub": sealer}, silent},
		"of a public client":             {nil, members{"iss": pocket, "sub": pocket}, silent},
		"sub a number":                   {nil, members{"sub": 1}, silent},
		"no aud":                         {nil, members{"aud": nil}, "aud"},
		"aud another":                    {nil, members{"aud": "https://other.example"}, "aud"},
		"aud with a slash more":          {nil, members{"aud": i.url + "/"}, "aud"},
		"aud another endpoint":           {nil, members{"aud": i.url + "/revoke"}, "aud"},
		"aud of two":                     {nil, members{"aud": []string{i.url, "https://other.example"}}, "aud"},
		"aud empty":                      {nil, members{"aud": []string{}}, "aud"},
		"aud an object":                  {nil, members{"aud": members{}}, silent},
		"typ strict, aud lax":            {members{"typ": "client-authentication+jwt"}, members{"aud": i.url + "/token"}, "aud"},
		"typ at+jwt":                     {members{"typ": "at+jwt"}, nil, silent},
		"typ dpop+jwt":                   {members{"typ": "dpop+jwt"}, nil, silent},
		"typ of a grant":                 {members{"typ": "authorization-grant+jwt"}, nil, silent},
		"no exp":                         {nil, members{"exp": nil}, "exp"},
		"exp past":                       {nil, members{"exp": now - 30}, "expired"},
		"exp far ahead":                  {nil, members{"exp": now + 700}, "far ahead"},
		"exp in milliseconds":            {nil, members{"exp": (now + 60) * 1000}, silent},
		"exp a text":                     {nil, members{"exp": fmt.Sprint(now + 60)}, silent},
		"exp zero":                       {nil, members{"exp": 0}, silent},
		"nbf ahead":                      {nil, members{"nbf": now + 60}, "not good yet"},
		"iat ahead":                      {nil, members{"iat": now + 60}, "iat"},
		"no jti":                         {nil, members{"jti": nil}, "jti"},
		"jti empty":                      {nil, members{"jti": ""}, "jti"},
		"jti a number":                   {nil, members{"jti": 1}, silent},
		"kid unknown":                    {members{"kid": "k2"}, nil, silent},
		"crit":                           {members{"crit": []string{"exp"}}, nil, silent},
		"b64":                            {members{"b64": false, "crit": []string{"b64"}}, nil, silent},
		"alg none":                       {members{"alg": "none"}, nil, silent},
		"alg of another curve":           {members{"alg": "ES384"}, nil, silent},
		"alg missing":                    {members{"alg": nil}, nil, silent},
		"alg in small letters":           {members{"alg": "es256"}, nil, silent},
		"a claim twice but for the case": {nil, members{"JTI": "x"}, silent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := i.assert("/token", s.sign(t, c.header, i.claims(robot).with(c.payload)), "grant_type", grantCC)
			switch {
			case c.says == "" && a.status != 200:
				t.Errorf("%d %s", a.status, a.body)
			case c.says != "" && (a.outcome() != "401 invalid_client" || !strings.Contains(a.member("error_description"), c.says)):
				t.Errorf("%d %s, want %q", a.status, a.body, c.says)
			case c.says != "" && !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Basic realm="):
				t.Error(a.header)
			}
		})
	}
}

func TestPoint27_SignaturesThatAreNotTheClients(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ES256", "k1")
	i := startAsserting(t, s)
	good := s.sign(t, nil, i.claims(robot))
	input, signature, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(signature, ".")
	other := newSigner(t, "ES256", "k1")
	for name, text := range map[string]string{
		"of another key":         other.sign(t, nil, i.claims(robot)),
		"of a key that it names": other.sign(t, members{"kid": nil, "jwk": json.RawMessage(firstKey(t, jwks(t, other))), "jku": "https://evil.example", "x5u": "https://evil.example"}, i.claims(robot)),
		"none":                   input + "." + payload + ".",
		"cut":                    good[:len(good)-4],
		"with a bit more":        good + "A",
		"padded":                 good + "=",
		"of something else":      input + "." + base64.RawURLEncoding.EncodeToString([]byte(`{}`)) + "." + signature,
		"with a fourth part":     good + "." + signature,
		"in two parts":           input + "." + payload,
		"in JSON":                `{"payload":"` + payload + `","protected":"` + input + `","signature":"` + signature + `"}`,
		"nothing":                " ",
		"dots":                   strings.Repeat(".", 10000),
	} {
		a := i.assert("/token", text, "grant_type", grantCC)
		if a.outcome() != "401 invalid_client" || a.member("error_description") != "client authentication failed" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if a := i.assert("/token", good, "grant_type", grantCC); a.status != 200 {
		t.Errorf("after all of these the good one fails: %d %s", a.status, a.body)
	}
}

// firstKey returns the first key of a set.
func firstKey(t testing.TB, set json.RawMessage) []byte {
	t.Helper()
	var keys struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(set, &keys); err != nil {
		t.Fatal(err)
	}
	return keys.Keys[0]
}

// Keys that a client has for another purpose do not let it in.
func TestPoint27_KeysOfAClientOfAnotherMethod(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ES256", "k1")
	i := startAsserting(t, s, func(c *authserver.Config) {
		c.Clients = append(c.Clients,
			authserver.Client{ClientID: "basic", SecretHash: authserver.HashOf("0123456789"), JWKS: jwks(t, s)},
			authserver.Client{ClientID: "public", TokenEndpointAuthMethod: "none", JWKS: jwks(t, s)},
			authserver.Client{ClientID: "tls", TokenEndpointAuthMethod: "tls_client_auth", TLSClientAuthSANDNS: "x", JWKS: jwks(t, s)})
	})
	for _, id := range []string{"basic", "public", "tls"} {
		if a := i.assert("/revoke", s.sign(t, nil, i.claims(id)), "token", "x"); a.outcome() != "401 invalid_client" {
			t.Errorf("%s: %d %s", id, a.status, a.body)
		}
	}
}

// Everybody knows a public key: its bytes must never do as the secret of an HMAC
// (RFC 8725 section 3.1).
func TestPoint27_NoAlgorithmConfusion(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "RS256", "k1")
	i := startAsserting(t, s)
	set := jwks(t, s)
	k, err := jwk.ParseKey(firstKey(t, set))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jwk.PublicRawKeyOf(k)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha512.Sum512([]byte(sealed))
	for _, id := range []string{robot, sealer} {
		for name, secret := range map[string][]byte{
			"DER": der, "PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "JWK": firstKey(t, set), "JWKS": set,
			"nothing": {}, "a hash of the secret": sum[:], "zeros": make([]byte, 64),
		} {
			for _, alg := range []string{"HS256", "HS384", "HS512"} {
				for _, kid := range []any{nil, "k1"} {
					a := i.assert("/token", signer{alg, "", secret}.sign(t, members{"kid": kid}, i.claims(id)), "grant_type", grantCC)
					if a.outcome() != "401 invalid_client" {
						t.Errorf("%s signs by %s with %s as its secret: %d %s", id, alg, name, a.status, a.body)
					}
				}
			}
		}
	}
	if a := i.assert("/token", hmacSigner("HS256").sign(t, nil, i.claims(robot)), "grant_type", grantCC); a.status != 401 {
		t.Errorf("the secret of another: %d %s", a.status, a.body)
	}
	if a := i.assert("/token", s.sign(t, nil, i.claims(sealer)), "grant_type", grantCC); a.status != 401 {
		t.Errorf("the key of another: %d %s", a.status, a.body)
	}
	none := (&jwt.Token{Header: members{"alg": "none"}, Claims: jwt.MapClaims(i.claims(robot)), Method: jwt.SigningMethodNone})
	text, err := none.SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	if a := i.assert("/token", text, "grant_type", grantCC); a.status != 401 {
		t.Errorf("none: %d %s", a.status, a.body)
	}
}

func TestPoint27_TheRegisteredAlgorithmIsEnforced(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "RS256", "k1")
	ed := newSigner(t, "EdDSA", "k1")
	i := startAsserting(t, s, func(c *authserver.Config) {
		n := len(c.Clients)
		c.Clients[n-3].TokenEndpointAuthSigningAlg = "PS256"
		c.Clients[n-2].TokenEndpointAuthSigningAlg = "HS384"
		c.Clients = append(c.Clients, authserver.Client{
			ClientID: "short", TokenEndpointAuthMethod: "client_secret_jwt", Secret: authserver.Secret(sealed[:32]),
			GrantTypes: []string{grantCC}, Audience: []string{ordersAPI},
		}, authserver.Client{
			ClientID: "ed", TokenEndpointAuthMethod: "private_key_jwt", JWKS: jwks(t, ed), TokenEndpointAuthSigningAlg: "Ed25519",
			GrantTypes: []string{grantCC}, Audience: []string{ordersAPI},
		})
	})
	for _, c := range []struct {
		s      signer
		id     string
		status int
	}{
		{s, robot, 401},
		{signer{"PS256", "k1", s.key}, robot, 200},
		{signer{"PS384", "k1", s.key}, robot, 401},
		{hmacSigner("HS256"), sealer, 401},
		{hmacSigner("HS384"), sealer, 200},
		{hmacSigner("HS512"), sealer, 401},
		{signer{"HS256", "", []byte(sealed[:32])}, "short", 200},
		{signer{"HS384", "", []byte(sealed[:32])}, "short", 401}, // RFC 7518 section 3.2: too short a secret
		{signer{"HS512", "", []byte(sealed[:32])}, "short", 401},
		{ed, "ed", 200}, // EdDSA and Ed25519 are one here
	} {
		if a := i.assert("/token", c.s.sign(t, nil, i.claims(c.id)), "grant_type", grantCC); a.status != c.status {
			t.Errorf("%s of %s: %d %s", c.s.alg, c.id, a.status, a.body)
		}
	}
}

func TestPoint27_TheRequestAroundTheAssertion(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ES256", "k1")
	i := startAsserting(t, s)
	for name, c := range map[string]struct{ id, kind, want string }{
		"as it should be":         {"", clientAssertionType, "200"},
		"its own client_id":       {robot, clientAssertionType, "200"},
		"another client_id":       {sealer, clientAssertionType, "400 invalid_request"},
		"no type":                 {"", "", "401 invalid_client"},
		"the type of a grant":     {"", jwtBearer, "401 invalid_client"},
		"SAML":                    {"", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer", "401 invalid_client"},
		"the type with a slash":   {"", clientAssertionType + "/", "401 invalid_client"},
		"no type and a client_id": {robot, "", "401 invalid_client"},
	} {
		v := form("grant_type", grantCC, "client_assertion", s.sign(t, nil, i.claims(robot)))
		if c.id != "" {
			v.Set("client_id", c.id)
		}
		if c.kind != "" {
			v.Set("client_assertion_type", c.kind)
		}
		if a := i.send("/token", v); a.outcome() != c.want {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	v := form("grant_type", grantCC, "client_assertion_type", clientAssertionType)
	if a := i.send("/token", v); a.outcome() != "401 invalid_client" {
		t.Errorf("a type alone: %d %s", a.status, a.body)
	}
	for _, with := range []string{"/revoke", "/introspect"} { // the URL of the endpoint that is asked
		if a := i.assert(with, s.sign(t, nil, i.claims(robot).with(members{"aud": i.url + with})), "token", "x"); a.status != 200 {
			t.Errorf("%s: %d %s", with, a.status, a.body)
		}
	}
}

func TestPoint27_AnAssertionWorksOnce(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ES256", "k1")
	i := startAsserting(t, s, func(c *authserver.Config) {
		twin := c.Clients[len(c.Clients)-3]
		twin.ClientID = "twin"
		c.Clients = append(c.Clients, twin)
	})
	claims := i.claims(robot)
	first := s.sign(t, nil, claims)
	if a := i.assert("/token", first, "grant_type", grantCC); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for name, text := range map[string]string{
		"the same":                      first,
		"its jti, signed again":         s.sign(t, nil, claims),
		"its jti with other claims":     s.sign(t, nil, claims.with(members{"exp": i.clock.Now().Unix() + 90})),
		"its jti from the other method": s.sign(t, members{"typ": nil}, claims),
	} {
		for _, path := range endpoints {
			if a := i.assert(path, text, "grant_type", grantCC, "token", "x"); a.outcome() != "401 invalid_client" {
				t.Errorf("%s at %s: %d %s", name, path, a.status, a.body)
			}
		}
	}
	if a := i.assert("/token", s.sign(t, nil, claims.with(members{"iss": "twin", "sub": "twin"})), "grant_type", grantCC); a.status != 200 {
		t.Errorf("another client's jti is its own affair: %d %s", a.status, a.body)
	}
	i.clock.Advance(89 * time.Second) // exp and leeway but a second
	if a := i.assert("/token", first, "grant_type", grantCC); a.outcome() != "401 invalid_client" {
		t.Errorf("forgotten while it is good: %d %s", a.status, a.body)
	}
}

// What is remembered of an assertion is kept as long as the assertion is good, and
// no longer.
func TestPoint27_AUsedAssertionIsRememberedAsLongAsItIsGood(t *testing.T) {
	t.Parallel()
	store := authserver.NewMemoryStore(nil)
	s := newSigner(t, "ES256", "k1")
	i := startAsserting(t, s, withStore(store))
	now := i.clock.Now()
	i.assert("/token", s.sign(t, nil, i.claims(robot)), "grant_type", grantCC)
	exp := time.Unix(now.Unix()+60, 0)
	const good = 30 * time.Second // after exp, by this clock; another server's may be ahead
	if n, err := store.Purge(t.Context(), exp.Add(good+time.Minute-time.Millisecond), 10); n != 0 || err != nil {
		t.Errorf("%d purged, %v", n, err)
	}
	if n, err := store.Purge(t.Context(), exp.Add(good+time.Minute), 10); n != 1 || err != nil {
		t.Errorf("%d purged, %v", n, err)
	}
}

func TestPoint27_RaceForAnAssertion(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ES256", "k1")
	i := startAsserting(t, s)
	for round := range 10 {
		texts := []string{s.sign(t, nil, i.claims(robot)), hmacSigner("HS256").sign(t, nil, i.claims(sealer))}
		for _, text := range texts {
			wins := all64(func(n int) bool {
				path := []string{"/token", "/revoke"}[n%2] // all endpoints are one
				return i.assert(path, text, "grant_type", grantCC, "token", "x").status == 200
			})
			if wins != 1 {
				t.Fatalf("round %d: %d got in with one assertion", round, wins)
			}
		}
	}
}

func TestPoint41_AssertionsOf16KiB(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "EdDSA", "k1")
	i := startAsserting(t, s)
	sized := func(size int) string {
		claims := i.claims(robot)
		short := len(s.sign(t, nil, claims.with(members{"pad": ""})))
		pad := (size - short) * 3 / 4
		for {
			text := s.sign(t, nil, claims.with(members{"pad": strings.Repeat("x", pad)}))
			if len(text) >= size {
				return text
			}
			pad++
		}
	}
	for size, status := range map[int]int{16<<10 - 2: 200, 16<<10 + 1: 401, 40 << 10: 401} {
		if a := i.assert("/token", sized(size), "grant_type", grantCC); a.status != status {
			t.Errorf("%d bytes: %d %s", size, a.status, a.body)
		}
	}
}

// Neither log nor store get an assertion, a jti or the secret of one.
func TestPoint38_40_AssertionsAreKeptNowhere(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ES256", "k1")
	dump := &dumpingStore{Store: authserver.NewMemoryStore(nil)}
	i := startAsserting(t, s, withStore(dump))
	canaries := []string{sealed}
	for _, change := range []members{nil, {"exp": 1}, {"aud": "canary-aud"}, {"iss": "canary-iss"}, {"sub": "canary-sub"}} {
		for _, by := range []struct {
			s  signer
			id string
		}{{s, robot}, {hmacSigner("HS256"), sealer}, {newSigner(t, "ES256", "canary-kid"), robot}} {
			claims := i.claims(by.id).with(change).with(members{"jti": "canary-" + rand.Text()})
			text := by.s.sign(t, nil, claims)
			for range 2 {
				i.assert("/token", text, "grant_type", grantCC)
			}
			canaries = append(canaries, text, text[strings.LastIndex(text, ".")+1:], claims["jti"].(string), "canary-")
		}
	}
	dump.mu.Lock()
	defer dump.mu.Unlock()
	everywhere := i.log.String() + string(dump.seen)
	for _, sign := range []string{"assertion: iss and sub", "assertion: no key", string(authserver.ClientAssertionID)} {
		if !strings.Contains(everywhere, sign) {
			t.Errorf("nothing was kept of %q", sign)
		}
	}
	for _, canary := range canaries {
		for _, form := range []string{canary, base64.StdEncoding.EncodeToString([]byte(canary)), hex.EncodeToString([]byte(canary)), jose.Encode([]byte(canary))} {
			if strings.Contains(everywhere, form) {
				t.Fatalf("%q was kept", form)
			}
		}
	}
}

func TestPoint40_ASecretInTheClearPrintsAsNothing(t *testing.T) {
	t.Parallel()
	c := authserver.Client{ClientID: "x", Secret: sealed}
	text, err := json.Marshal(c)
	for _, printed := range []string{
		string(text), fmt.Sprintf("%v %+v %#v", c, c, c), fmt.Sprintf("%v %s %q %x %d", c.Secret, c.Secret, c.Secret, c.Secret, c.Secret),
		fmt.Sprintf("%#v", c.Secret), c.Secret.LogValue().String(),
	} {
		if err != nil || strings.Contains(printed, sealed) || strings.Contains(printed, hex.EncodeToString([]byte(sealed))) {
			t.Errorf("%s, %v", printed, err)
		}
	}
}
