package introspection_test

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/introspection"
)

// An authority is an issuer's key, and the Keys that find it.
type authority struct {
	kid, alg string
	signer   crypto.Signer
	others   []crypto.PublicKey // returned before it
	err      error
}

func (a *authority) Keys(_ context.Context, kid, alg string) ([]crypto.PublicKey, error) {
	if a.err != nil || alg != a.alg || kid != "" && kid != a.kid {
		return nil, a.err
	}
	return append(append([]crypto.PublicKey{}, a.others...), a.signer.Public()), nil
}

// sign returns a JWS by a; a header or claim that is nil is left out.
func (a *authority) sign(t testing.TB, header, claims map[string]any) string {
	t.Helper()
	m, ok := jose.Lookup(a.alg)
	if !ok {
		t.Fatal(a.alg)
	}
	input := part(t, header) + "." + part(t, claims)
	sig, err := m.Sign(input, a.signer)
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + jose.Encode(sig)
}

func part(t testing.TB, members map[string]any) string {
	t.Helper()
	for name, v := range members {
		if v == nil {
			delete(members, name)
		}
	}
	data, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return jose.Encode(data)
}

func signedHeader(a *authority) map[string]any {
	return map[string]any{"typ": "token-introspection+jwt", "alg": a.alg, "kid": a.kid}
}

func signedClaims() map[string]any {
	return map[string]any{
		"iss": issuerURL, "aud": "orders-api", "iat": time.Now().Unix(),
		"token_introspection": json.RawMessage(active),
	}
}

func with(m map[string]any, name string, v any) map[string]any { m[name] = v; return m }

func saysJWT(jwt string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/token-introspection+jwt")
		_, _ = io.WriteString(w, jwt)
	}
}

func TestSigned_Section4_TheRequestAsksForIt(t *testing.T) {
	t.Parallel()
	a := &authority{kid: "1", alg: "ES256", signer: signers(t)["ES256"]}
	c := onLoopback(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Accept"); got != "application/token-introspection+jwt" {
			t.Errorf("Accept is %q", got)
		}
		saysJWT(a.sign(t, signedHeader(a), signedClaims()))(w, r)
	}), introspection.Config{Issuer: issuerURL, Keys: a})
	for range 2 {
		if got := ask(t, c, token, false); got != active {
			t.Errorf("answer %s", got)
		}
	}
}

func TestSigned_Section5_AcceptsWhatIsRight(t *testing.T) {
	t.Parallel()
	keys := signers(t)
	es256 := &authority{kid: "1", alg: "ES256", signer: keys["ES256"]}
	rows := map[string]struct {
		by     *authority
		jwt    func(*authority) string
		config introspection.Config
		want   string
	}{
		"no kid": {es256, func(a *authority) string { return a.sign(t, with(signedHeader(a), "kid", nil), signedClaims()) }, introspection.Config{}, active},
		"inactive": {es256, func(a *authority) string {
			return a.sign(t, signedHeader(a), with(signedClaims(), "token_introspection", map[string]any{"active": false, "x": 1}))
		}, introspection.Config{}, inactive},
		"a list of audiences": {es256, func(a *authority) string {
			return a.sign(t, signedHeader(a), with(signedClaims(), "aud", []string{"x", "orders-api"}))
		}, introspection.Config{}, active},
		"an audience that is configured": {es256, func(a *authority) string {
			return a.sign(t, signedHeader(a), with(signedClaims(), "aud", "https://orders.example"))
		}, introspection.Config{Audience: "https://orders.example"}, active},
		"iat four minutes ago": {es256, func(a *authority) string {
			return a.sign(t, signedHeader(a), with(signedClaims(), "iat", time.Now().Add(-4*time.Minute).Unix()))
		}, introspection.Config{}, active},
		"exp to come": {es256, func(a *authority) string {
			return a.sign(t, signedHeader(a), with(signedClaims(), "exp", time.Now().Add(time.Minute).Unix()))
		}, introspection.Config{}, active},
		"the eighth key": {&authority{kid: "1", alg: "ES256", signer: keys["ES256"], others: repeated(otherKey(t), 7)}, func(a *authority) string {
			return a.sign(t, signedHeader(a), signedClaims())
		}, introspection.Config{}, active},
		"keys in the header, not looked at": {es256, func(a *authority) string {
			h := with(with(signedHeader(a), "jku", "https://evil.example/keys"), "jwk", map[string]any{"kty": "EC"})
			return a.sign(t, with(h, "x5c", []string{"MII"}), signedClaims())
		}, introspection.Config{}, active},
	}
	for alg, key := range keys {
		rows[alg] = struct {
			by     *authority
			jwt    func(*authority) string
			config introspection.Config
			want   string
		}{&authority{kid: "1", alg: alg, signer: key}, func(a *authority) string { return a.sign(t, signedHeader(a), signedClaims()) }, introspection.Config{}, active}
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row.config.Issuer, row.config.Keys = issuerURL, row.by
			c := onLoopback(t, saysJWT(row.jwt(row.by)), row.config)
			if got := ask(t, c, token, false); got != row.want {
				t.Errorf("answer %s", got)
			}
		})
	}
}

func otherKey(t *testing.T) crypto.PublicKey {
	t.Helper()
	return signers(t)["ES256"].Public()
}

func repeated(key crypto.PublicKey, n int) (keys []crypto.PublicKey) {
	for range n {
		keys = append(keys, key)
	}
	return keys
}

func TestSigned_Section5_RefusesTheRest(t *testing.T) {
	t.Parallel()
	keys := signers(t)
	a := &authority{kid: "1", alg: "ES256", signer: keys["ES256"]}
	evil := &authority{kid: "1", alg: "ES256", signer: signers(t)["ES256"]}
	good := a.sign(t, signedHeader(a), signedClaims())
	header, payload, sig, _ := jose.Split(good)
	claims := func(name string, v any) http.HandlerFunc {
		return saysJWT(a.sign(t, signedHeader(a), with(signedClaims(), name, v)))
	}
	head := func(name string, v any) http.HandlerFunc {
		return saysJWT(a.sign(t, with(signedHeader(a), name, v), signedClaims()))
	}
	raw := func(header, claims string) http.HandlerFunc {
		m, _ := jose.Lookup("ES256")
		input := jose.Encode([]byte(header)) + "." + jose.Encode([]byte(claims))
		sig, err := m.Sign(input, a.signer)
		if err != nil {
			t.Fatal(err)
		}
		return saysJWT(input + "." + jose.Encode(sig))
	}
	const okHeader = `{"typ":"token-introspection+jwt","alg":"ES256"`
	okClaims := fmt.Sprintf(`{"iss":%q,"aud":"orders-api","iat":%d,"token_introspection":%s`, issuerURL, time.Now().Unix(), active)
	for name, answer := range map[string]http.HandlerFunc{
		"plain JSON":     says(active),
		"plain inactive": says(inactive),
		"a JWT by another type": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/jwt")
			io.WriteString(w, good)
		},
		"JSON by the signed type":       saysJWT(active),
		"no type":                       head("typ", nil),
		"typ JWT":                       head("typ", "JWT"),
		"an access token's type":        head("typ", "at+jwt"),
		"typ by another name":           head("typ", "application/token-introspection+jwt"),
		"typ is no string":              head("typ", 1),
		"no alg":                        head("alg", nil),
		"alg none":                      saysJWT(part(t, map[string]any{"typ": "token-introspection+jwt", "alg": "none"}) + "." + payload + "."),
		"alg none with a signature":     head("alg", "none"),
		"alg HS256":                     head("alg", "HS256"),
		"alg of another key":            head("alg", "ES384"),
		"crit":                          head("crit", []string{"exp"}),
		"crit, empty":                   head("crit", []string{}),
		"crit null":                     raw(okHeader+`,"crit":null}`, okClaims+`}`),
		"b64":                           raw(okHeader+`,"b64":false,"crit":["b64"]}`, okClaims+`}`),
		"kid is no string":              head("kid", 1),
		"an unknown kid":                head("kid", "2"),
		"a header with a duplicate":     raw(okHeader+`,"alg":"ES256"}`, okClaims+`}`),
		"a header with case":            raw(okHeader+`,"Kid":"1"}`, okClaims+`}`),
		"another key":                   saysJWT(evil.sign(t, signedHeader(evil), signedClaims())),
		"another key, in the header":    saysJWT(evil.sign(t, with(signedHeader(evil), "jwk", publicJWK(t, evil)), signedClaims())),
		"no signature":                  saysJWT(header + "." + payload + "."),
		"a signature of something else": saysJWT(header + "." + part(t, with(signedClaims(), "sub", "x")) + "." + sig),
		"two parts":                     saysJWT(header + "." + payload),
		"a JWE":                         saysJWT(good + ".x.y"),
		"a line feed after":             saysJWT(good + "\n"),
		"padded":                        saysJWT(good + "=="),
		"no iss":                        claims("iss", nil),
		"another iss":                   claims("iss", "https://evil.example"),
		"iss with a slash":              claims("iss", issuerURL+"/"),
		"iss is a list":                 claims("iss", []string{issuerURL}),
		"iss in another case":           claims("iss", strings.ToUpper(issuerURL)),
		"no aud":                        claims("aud", nil),
		"another aud":                   claims("aud", "billing-api"),
		"other auds":                    claims("aud", []string{"billing-api", "Orders-API"}),
		"no auds":                       claims("aud", []string{}),
		"auds that are no strings":      claims("aud", []any{"orders-api", 1}),
		"no iat":                        claims("iat", nil),
		"iat is a string":               claims("iat", "now"),
		"iat long ago":                  claims("iat", time.Now().Add(-6*time.Minute).Unix()),
		"iat far ahead":                 claims("iat", time.Now().Add(6*time.Minute).Unix()),
		"exp past":                      claims("exp", time.Now().Unix()),
		"exp is no time":                claims("exp", "never"),
		"exp null":                      raw(okHeader+`}`, okClaims+`,"exp":null}`),
		"no token_introspection":        claims("token_introspection", nil),
		"active beside it alone":        raw(okHeader+`}`, strings.Replace(okClaims, `"token_introspection":`, `"x":`, 1)+`,"active":true}`),
		"it is a string":                claims("token_introspection", active),
		"it is null":                    raw(okHeader+`}`, strings.Replace(okClaims, active, "null", 1)+`}`),
		"it has no active":              claims("token_introspection", map[string]any{"sub": "u"}),
		"it has active as a string":     claims("token_introspection", map[string]any{"active": "true"}),
		"it is there twice":             raw(okHeader+`}`, okClaims+`,"token_introspection":`+active+`}`),
		"it has a duplicate":            raw(okHeader+`}`, strings.Replace(okClaims, active, `{"active":false,"active":true}`, 1)+`}`),
		"it is there in another case":   raw(okHeader+`}`, strings.Replace(okClaims, "token_intro", "Token_intro", 1)+`}`),
		"claims that are no object":     raw(okHeader+`}`, `[]`),
		"a header that is no object":    raw(`"x"`, okClaims+`}`),
		"too large":                     claims("x", strings.Repeat("x", 64<<10)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEndpoint(answer)
			c := onLoopback(t, e, introspection.Config{Issuer: issuerURL, Keys: a})
			_, err := c.Introspect(t.Context(), token, false)
			checkOutage(t, err, 0)
			e.set(saysJWT(good)) // and it passes
			expect(t, c, e, false, active, 2)
		})
	}
}

func publicJWK(t *testing.T, a *authority) map[string]any {
	t.Helper()
	key, ok := a.signer.Public().(interface{ Bytes() ([]byte, error) })
	if !ok {
		t.Fatalf("%T", a.signer.Public())
	}
	point, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{"kty": "EC", "crv": "P-256", "x": jose.Encode(point[1:33]), "y": jose.Encode(point[33:])}
}

func TestSigned_NinthKeyIsNotTried(t *testing.T) {
	t.Parallel()
	a := &authority{kid: "1", alg: "ES256", signer: signers(t)["ES256"], others: repeated(otherKey(t), 8)}
	c := onLoopback(t, saysJWT(a.sign(t, signedHeader(a), signedClaims())), introspection.Config{Issuer: issuerURL, Keys: a})
	_, err := c.Introspect(t.Context(), token, false)
	checkOutage(t, err, 0)
}

// later is an error of a KeySource that says how long to wait.
type later struct{}

func (later) Error() string             { return "keys are out of reach" }
func (later) RetryAfter() time.Duration { return 3 * time.Second }

func TestSigned_KeysOutOfReachIsAnError(t *testing.T) {
	t.Parallel()
	a := &authority{kid: "1", alg: "ES256", signer: signers(t)["ES256"], err: later{}}
	c := onLoopback(t, saysJWT(a.sign(t, signedHeader(a), signedClaims())), introspection.Config{Issuer: issuerURL, Keys: a})
	_, err := c.Introspect(t.Context(), token, false)
	checkOutage(t, err, 3*time.Second)
	if !errors.As(err, new(later)) {
		t.Errorf("%v does not wrap the KeySource's error", err)
	}
}

// A client that trusts signatures alone does not take the word of one that
// does without.
func TestSigned_DoesNotShareACacheWithUnsigned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared := new(sharedCache)
		a := &authority{kid: "1", alg: "ES256", signer: signers(t)["ES256"]}
		e := newEndpoint(says(active))
		unsigned, _ := inBubble(t, e, introspection.Config{Issuer: issuerURL, URL: endpointURL, Cache: shared})
		expect(t, unsigned, e, false, active, 1)
		signed, _ := inBubble(t, e, introspection.Config{Issuer: issuerURL, URL: endpointURL, Cache: shared, Keys: a})
		_, err := signed.Introspect(t.Context(), token, false)
		checkOutage(t, err, 0)
	})
}
