package validator_test

import (
	"context"
	"crypto/elliptic"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/validator"
)

// The example of section 7.1, as printed in the RFC, with the key of section 6.1.
func TestRFC9449_7_1_TheExamplePasses(t *testing.T) {
	t.Parallel()
	v := newValidator(t, func(c *validator.Config) {
		c.Now = func() time.Time { return time.Unix(1562262618, 0) }
		c.Introspector = answers(goodAnswer(edits{
			"exp": 1562266216, "iat": 1562262611, "cnf": edits{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"},
		}))
	})
	shown := validator.Credentials{
		Scheme: "DPoP", Method: "GET", URL: "https://resource.example.org/protectedresource",
		Token: "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU",
		Proof: "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdC" +
			"RnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19." +
			"eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwi" +
			"YXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9." +
			"2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA",
	}
	tok, err := v.Authorize(t.Context(), shown, validator.Requirement{})
	if err != nil {
		t.Fatal(err)
	}
	if !tok.Bound() {
		t.Error("the token says that it is not bound")
	}
}

// What section 4.3 asks, one check a row. That there is one proof is for the
// transports to see, and is tested there.
func TestRFC9449_4_3_EachCheckByItself(t *testing.T) {
	t.Parallel()
	runProofRefusals(t, []proofRefusal{
		{name: "no proof", show: func(_ *client, c *validator.Credentials) { c.Proof = "" }, why: "none"},

		// 2: a well-formed JWT.
		proofText("not a JWT", func(string) string { return "canary" }, "not a JWT"),
		proofText("the token for a proof", func(string) string { return minted(nil, nil) }, "payload"),
		proofText("two parts", func(p string) string { return p[:strings.LastIndexByte(p, '.')] }, "not a JWT"),
		proofText("four parts", func(p string) string { return p + ".x" }, "not a JWT"),
		proofText("two proofs in one", func(p string) string { return p + ", " + p }, "not a JWT"),
		proofText("white space around", func(p string) string { return " " + p }, "header"),
		proofText("padding", func(p string) string { return p + "=" }, "wrong signature"),
		{name: "too long", proof: func(c *client) string { return sized(c, 8<<10+1) }, why: "too long"},
		proofJSON("header not an object", `["dpop+jwt"]`, "", "header"),
		proofJSON("payload not an object", "", `["jti"]`, "payload"),
		proofJSON("payload with bytes after", "", `{}{}`, "payload"),
		doubled("jti", `"jti":"canary"`),
		doubled("htm", `"htm":"GET"`),
		doubled("htu, of another case", `"HTU":"`+target+`"`),
		doubled("iat, of another case", `"Iat":0`),
		doubled("ath, escaped", `"\u0061th":"x"`),
		doubled("nonce", `"nonce":"a","nonce":"a"`),
		{name: "header with a second typ", proof: func(c *client) string {
			return sign(c.key, with(c.header(nil), `"typ":"dpop+jwt"`), c.payload(nil))
		}, why: "header"},
		{name: "header with a second jwk", proof: func(c *client) string {
			return sign(c.key, with(c.header(nil), `"JWK":{}`), c.payload(nil))
		}, why: "header"},

		// 3: all claims.
		proofClaim("jti absent", edits{"jti": nil}, "payload: lacks"),
		proofClaim("jti empty", edits{"jti": ""}, "payload: lacks"),
		proofClaim("jti no text", edits{"jti": 7}, "payload: a registered member"),
		proofClaim("htm absent", edits{"htm": nil}, "payload: lacks"),
		proofClaim("htm no text", edits{"htm": []string{"GET"}}, "payload: a registered member"),
		proofClaim("htu absent", edits{"htu": nil}, "payload: lacks"),
		proofClaim("htu no text", edits{"htu": null}, "payload: a registered member"),
		proofClaim("iat absent", edits{"iat": nil}, "payload: lacks"),
		proofClaim("iat no number", edits{"iat": "1774008000"}, "payload: a registered member"),
		proofClaim("iat negative", edits{"iat": -1}, "payload: a registered member"),
		proofClaim("nonce no text", edits{"nonce": 7}, "payload: a registered member"),

		// 4: the type.
		proofHeader("typ absent", edits{"typ": nil}, "typ"),
		proofHeader("typ JWT", edits{"typ": "JWT"}, "typ"),
		proofHeader("typ of an access token", edits{"typ": "at+jwt"}, "typ"),
		proofHeader("typ with a parameter", edits{"typ": "dpop+jwt; x=y"}, "typ"),
		proofHeader("typ no text", edits{"typ": 7}, "header"),

		// 5: the algorithm.
		proofHeader("alg absent", edits{"alg": nil}, "header: lacks alg"),
		proofHeader("alg none", edits{"alg": "none"}, "alg"),
		proofHeader("alg HMAC", edits{"alg": "HS256"}, "alg"),
		proofHeader("alg unknown", edits{"alg": "ES256K"}, "alg"),
		proofHeader("alg of another case", edits{"alg": "es256"}, "alg"),
		proofHeader("alg of another curve", edits{"alg": "ES384"}, "wrong signature"),
		proofHeader("alg of another kind of key", edits{"alg": "RS256"}, "wrong signature"),
		proofHeader("alg of another hash", edits{"alg": "EdDSA"}, "wrong signature"),
		proofHeader("crit", edits{"crit": []string{"exp"}}, "header: crit"),
		proofHeader("crit, empty", edits{"crit": []string{}}, "header: crit"),
		proofHeader("b64 false", edits{"b64": false}, "header"),
		{name: "alg none without a signature", proof: func(c *client) string {
			return join(jose.Encode([]byte(c.header(edits{"alg": "none"}))), jose.Encode([]byte(c.payload(nil))), "")
		}, why: "alg"},

		// 6: the signature, by the key in the proof.
		proofText("a signature bit turned", turned, "wrong signature"),
		proofText("no signature", func(p string) string { return p[:strings.LastIndexByte(p, '.')+1] }, "wrong signature"),
		proofText("another payload", func(p string) string {
			s := parts(p)
			return join(s[0], jose.Encode([]byte(newClient().payload(edits{"jti": "x"}))), s[2])
		}, "wrong signature"),
		{name: "signed by another key", proof: func(c *client) string {
			return sign(&tokentest.Key{Alg: "ES256", Private: thiefsKey()}, c.header(nil), c.payload(nil))
		}, why: "wrong signature"},

		// 8 and 9: the request.
		proofClaim("htm another", edits{"htm": "POST"}, "htm"),
		proofClaim("htm in lower case", edits{"htm": "get"}, "htm"),
		proofClaim("htm with a space", edits{"htm": "GET "}, "htm"),
		proofClaim("htm HEAD for GET", edits{"htm": "HEAD"}, "htm"),
		{name: "the method another", show: func(_ *client, c *validator.Credentials) { c.Method = "DELETE" }, why: "htm"},
		proofClaim("htu another", edits{"htu": "https://api.example.com/orders/8"}, "htu"),
		{name: "the URL another", show: func(_ *client, c *validator.Credentials) { c.URL += "0" }, why: "htu"},

		// 12: the token.
		proofClaim("ath absent", edits{"ath": nil}, "payload: lacks"),
		proofClaim("ath empty", edits{"ath": ""}, "payload: lacks"),
		proofClaim("ath no text", edits{"ath": true}, "payload: a registered member"),
		proofClaim("ath of another token", edits{"ath": hashOf("another")}, "ath"),
		proofClaim("ath of 31 bytes", edits{"ath": jose.Encode(make([]byte, 31))}, "payload"),
		{name: "ath with a byte more", proof: func(c *client) string {
			return c.proof(nil, edits{"ath": jose.Encode(append(must(jose.Decode(nil, hashOf(c.token))), 0))})
		}, why: "payload"},
		proofClaim("ath padded", edits{"ath": hashOf("x") + "="}, "payload"),
		{name: "a proof for another token of the client", proof: func(c *client) string {
			other := *c
			other.token = minted(nil, edits{"jti": "another", "cnf": edits{"jkt": thumbprint(c.jwk)}})
			return other.proof(nil, nil)
		}, why: "ath"},
		{name: "a proof of another client", proof: func(c *client) string {
			thief := newClientWith("ES256", thiefsKey(), nil)
			thief.token = c.token
			return thief.proof(nil, nil)
		}, want: validator.ErrBinding, why: "not the DPoP key"},

		// What the proof says of its own life (RFC 7519 section 4.1).
		proofClaim("exp passed", edits{"exp": noon.Unix() - 30}, "exp"),
		proofClaim("exp no number", edits{"exp": "never"}, "payload: a registered member"),
		proofClaim("nbf to come", edits{"nbf": noon.Unix() + 31}, "nbf"),
		proofClaim("nbf no number", edits{"nbf": "now"}, "payload: a registered member"),
	})
}

// proofText is the refusal of a good proof whose text is changed.
func proofText(name string, change func(string) string, why string) proofRefusal {
	return proofRefusal{name: name, proof: func(c *client) string { return change(c.proof(nil, nil)) }, why: why}
}

// proofJSON is the refusal of a proof with another text for its header or payload.
func proofJSON(name, header, payload, why string) proofRefusal {
	return proofRefusal{name: name, proof: func(c *client) string {
		h, p := c.header(nil), c.payload(nil)
		if header != "" {
			h = header
		}
		if payload != "" {
			p = payload
		}
		return sign(c.key, h, p)
	}, why: why}
}

// doubled is the refusal of a proof with one claim more, whose name it has
// already.
func doubled(name, member string) proofRefusal {
	return proofRefusal{name: "two of " + name, proof: func(c *client) string {
		return sign(c.key, c.header(nil), with(c.payload(nil), member))
	}, why: "payload"}
}

// turned is a proof with one bit of its signature turned.
func turned(proof string) string {
	s := parts(proof)
	signature := must(jose.Decode(nil, s[2]))
	signature[40] ^= 1
	return join(s[0], s[1], jose.Encode(signature))
}

// Who shows a proof of the right form gets through, however it is spelt.
func TestRFC9449_4_2_WhatAProofMayBe(t *testing.T) {
	t.Parallel()
	plain := newClient()
	for name, row := range map[string]struct {
		client *client
		proof  string
	}{
		"as it should be":         {plain, plain.proof(nil, nil)},
		"typ in upper case":       {plain, plain.proof(edits{"typ": "DPoP+JWT"}, nil)}, // RFC 7515 section 4.1.9
		"typ with application/":   {plain, plain.proof(edits{"typ": "application/dpop+jwt"}, nil)},
		"a kid":                   {plain, plain.proof(edits{"kid": "1"}, nil)},
		"other header parameters": {plain, plain.proof(edits{"jku": "https://evil.example", "x": 1}, nil)},
		"other claims":            {plain, plain.proof(nil, edits{"sub": "x", "iss": 7, "aud": null})},
		"a nonce for nobody":      {plain, plain.proof(nil, edits{"nonce": "x"})},
		"exp in the future":       {plain, plain.proof(nil, edits{"exp": noon.Unix() - 29})},
		"nbf in the past":         {plain, plain.proof(nil, edits{"nbf": noon.Unix() + 30})},
		"iat with a fraction":     {plain, plain.proof(nil, edits{"iat": float64(noon.Unix()) + 0.5})},
		"a very long jti":         {plain, plain.proof(nil, edits{"jti": strings.Repeat("x", 4<<10)})},
		"as long as may be":       {plain, sized(plain, 8<<10)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := newValidator(t, nil).Authorize(t.Context(), row.client.shows(row.proof), validator.Requirement{}); err != nil {
				t.Error(err)
			}
		})
	}
}

// sized is a good proof of n bytes.
func sized(c *client, n int) string {
	pad := (n - len(c.proof(nil, nil))) * 3 / 4
	for try := range 100 { // base64 has no text of every length: try both parts
		p := c.proof(edits{"kid": strings.Repeat("x", try%4)}, edits{"jti": strings.Repeat("x", pad+16-try/4)})
		if len(p) == n {
			return p
		}
	}
	panic("no such length")
}

// Section 4.3, check 11: the window of iat is exact to the second, and so is that
// of exp and nbf above.
func TestRFC9449_4_3_11_TheWindowOfIat(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name          string
		age           time.Duration // of the proof, at noon
		proofAge, lee time.Duration
		why           string // empty if it passes
	}{
		{"now", 0, 0, 0, ""},
		{"old, by default", 89 * time.Second, 0, 0, ""},
		{"too old, by default", 90 * time.Second, 0, 0, "iat: too long ago"},
		{"ahead, by default", -30 * time.Second, 0, 0, ""},
		{"too far ahead, by default", -31 * time.Second, 0, 0, "iat: in the future"},
		{"old", 9 * time.Second, 10 * time.Second, -1, ""},
		{"too old", 10 * time.Second, 10 * time.Second, -1, "iat: too long ago"},
		{"ahead without leeway", -1 * time.Second, 10 * time.Second, -1, "iat: in the future"},
		{"old, with leeway", 14 * time.Second, 10 * time.Second, 5 * time.Second, ""},
		{"too old, with leeway", 15 * time.Second, 10 * time.Second, 5 * time.Second, "iat: too long ago"},
		{"as old as can be", time.Hour - time.Second, time.Hour, -1, ""},
		{"at the epoch", time.Duration(noon.Unix()) * time.Second, 0, 0, "iat: too long ago"},
		{"in milliseconds", -time.Duration(noon.Unix()) * time.Second, 0, 0, "iat: in the future"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := newClient()
			v := newValidator(t, func(cfg *validator.Config) { cfg.ProofAge, cfg.Leeway = row.proofAge, row.lee })
			proof := c.proof(nil, edits{"iat": noon.Add(-row.age).Unix()})
			tok, err := v.Authorize(t.Context(), c.shows(proof), validator.Requirement{})
			if row.why == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantRefused(t, tok, err, validator.ErrProof)
			if !strings.HasSuffix(err.Error(), row.why) {
				t.Errorf("refused with %q, want %q", err, row.why)
			}
		})
	}
}

// The window moves with the clock of the Config, and with no other.
func TestRFC9449_4_3_11_TheClockIsTheConfigs(t *testing.T) {
	t.Parallel()
	now := noon
	c := newClient()
	v := newValidator(t, func(cfg *validator.Config) { cfg.Now = func() time.Time { return now } })
	for _, row := range []struct {
		after time.Duration
		jti   string
		ok    bool
	}{{0, "a", true}, {89 * time.Second, "b", true}, {90 * time.Second, "c", false}} {
		now = noon.Add(row.after)
		_, err := v.Authorize(t.Context(), c.shows(c.proof(nil, edits{"jti": row.jti})), validator.Requirement{})
		if (err == nil) != row.ok {
			t.Errorf("%v later: %v", row.after, err)
		}
	}
}

// A transport that does not say what was requested is at fault, not the client.
func TestRFC9449_4_3_TheRequestHasToBeKnown(t *testing.T) {
	t.Parallel()
	c := newClient()
	for name, forget := range map[string]func(*validator.Credentials){
		"no method": func(c *validator.Credentials) { c.Method = "" },
		"no URL":    func(c *validator.Credentials) { c.URL = "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shown := c.shows(c.proof(nil, nil))
			forget(&shown)
			tok, err := newValidator(t, nil).Authorize(t.Context(), shown, validator.Requirement{})
			wantRefused(t, tok, err, validator.ErrUnavailable)
		})
	}
}

// ecdsa.Verify takes r and n-s as it takes r and s: a signature is no name for a
// proof.
func TestRFC9449_11_1_AnotherSignatureOfAProofIsItsReplay(t *testing.T) {
	t.Parallel()
	c := newClient()
	v := newValidator(t, nil)
	proof := c.proof(nil, nil)
	s := parts(proof)
	signature := must(jose.Decode(nil, s[2]))
	number := new(big.Int).Sub(elliptic.P256().Params().N, new(big.Int).SetBytes(signature[32:]))
	number.FillBytes(signature[32:])
	twin := join(s[0], s[1], jose.Encode(signature))
	fresh := newValidator(t, nil)
	if _, err := fresh.Authorize(t.Context(), c.shows(twin), validator.Requirement{}); err != nil {
		t.Fatalf("the other signature is not good: %v", err)
	}
	if _, err := v.Authorize(t.Context(), c.shows(proof), validator.Requirement{}); err != nil {
		t.Fatal(err)
	}
	tok, err := v.Authorize(t.Context(), c.shows(twin), validator.Requirement{})
	wantRefused(t, tok, err, validator.ErrProof)
}

// The token's own faults come first: no proof makes up for one.
func TestRFC9449_7_ABadTokenIsRefusedForItself(t *testing.T) {
	t.Parallel()
	c := newClient()
	c.token = minted(nil, edits{"exp": noon.Add(-time.Hour).Unix(), "cnf": edits{"jkt": thumbprint(c.jwk)}})
	tok, err := newValidator(t, nil).Authorize(t.Context(), c.shows(c.proof(nil, nil)), validator.Requirement{})
	e := wantRefused(t, tok, err, validator.ErrExpired)
	if len(e.Schemes) != 1 || e.Schemes[0] != "DPoP" {
		t.Errorf("challenged with %q, want DPoP", e.Schemes)
	}
}

// A caller who leaves while a ReplayCache thinks is told that, and nothing about
// the proof.
func TestRFC9449_11_1_ACallerWhoLeft(t *testing.T) {
	t.Parallel()
	c := newClient()
	ctx, cancel := context.WithCancel(t.Context())
	v := newValidator(t, func(cfg *validator.Config) { cfg.Replay = leaving(cancel) })
	_, err := v.Authorize(ctx, c.shows(c.proof(nil, nil)), validator.Requirement{})
	if !errors.Is(err, context.Canceled) || !errors.Is(err, validator.ErrUnavailable) || errors.Is(err, validator.ErrProof) {
		t.Errorf("refused with %v", err)
	}
}

// leaving is a ReplayCache whose caller leaves.
type leaving context.CancelFunc

func (l leaving) Add(ctx context.Context, _ [32]byte, _ time.Time) (bool, error) {
	l()
	return false, ctx.Err()
}
