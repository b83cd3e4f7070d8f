package authserver_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/tokentest"
)

const noNonce = "" // for a proof without one

func TestRFC9449_5_ATokenIsBoundToTheKeyOfTheProof(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "/", "/tenant", "/a/b/"} {
		i := start(t, path)
		for _, as := range []login{shop, kiosk} {
			for _, alg := range []string{"ES256", "ES384", "ES512", "EdDSA"} {
				k := tokentest.NewKey(t, "", alg)
				a := i.ask(as, i.proof(k, nil))
				if a.status != 200 || a.member("token_type") != "DPoP" {
					t.Fatalf("%s %s: %d %s", path, alg, a.status, a.body)
				}
				cnf, _ := i.bound(a.member("access_token")).(edits)
				if len(cnf) != 1 || cnf["jkt"] != k.Thumbprint(t) {
					t.Errorf("%s: bound to %v, want jkt %s", alg, cnf, k.Thumbprint(t))
				}
			}
		}
	}
}

func TestRFC9449_5_WithoutAProofATokenIsBearer(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	for _, as := range []login{shop, kiosk} {
		a := i.ask(as)
		if a.status != 200 || a.member("token_type") != "Bearer" || i.bound(a.member("access_token")) != nil {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

// What section 4.3 asks, one check a row. The many spellings of each are tested
// where resource servers check their proofs, by the same code.
func TestRFC9449_4_3_EachCheckByItself(t *testing.T) {
	t.Parallel()
	i := start(t, "/tenant")
	k, other := newDPoPKey(t), newDPoPKey(t)
	header := func(e edits) string {
		return k.Proof(t, e, tokentest.ProofClaims(i.clock.Now(), "POST", i.url+"/token", "", nil))
	}
	private := maps.Clone(k.JWK(t))
	private["d"] = jose.Encode(make([]byte, 32))
	good := i.proof(k, nil)
	rows := map[string][]string{
		"two proofs":                   {i.proof(k, nil), i.proof(k, nil)},
		"twice the same":               {good, good},
		"two in one field":             {i.proof(k, nil) + ", " + i.proof(k, nil)},
		"an empty field":               {""},
		"no JWT":                       {"canary"},
		"longer than 8 KiB":            {i.proof(k, edits{"pad": strings.Repeat("x", 8<<10)})},
		"typ another":                  {header(edits{"typ": "JWT"})},
		"typ absent":                   {header(edits{"typ": nil})},
		"alg none":                     {header(edits{"alg": "none"})},
		"alg HMAC":                     {header(edits{"alg": "HS256"})},
		"alg of another kind of key":   {header(edits{"alg": "EdDSA"})},
		"crit":                         {header(edits{"crit": []string{"exp"}})},
		"no jwk":                       {header(edits{"jwk": nil})},
		"a private jwk":                {header(edits{"jwk": private})},
		"a symmetric jwk":              {header(edits{"jwk": edits{"kty": "oct", "k": "c2VjcmV0"}})},
		"signed by another key":        {header(edits{"jwk": other.JWK(t)})},
		"no jti":                       {i.proof(k, edits{"jti": nil})},
		"an empty jti":                 {i.proof(k, edits{"jti": ""})},
		"no htm":                       {i.proof(k, edits{"htm": nil})},
		"htm another":                  {i.proof(k, edits{"htm": "GET"})},
		"htm in lower case":            {i.proof(k, edits{"htm": "post"})},
		"no htu":                       {i.proof(k, edits{"htu": nil})},
		"htu of another endpoint":      {i.proof(k, edits{"htu": i.url + "/introspect"})},
		"htu the issuer":               {i.proof(k, edits{"htu": i.url})},
		"htu of another tenant":        {i.proof(k, edits{"htu": i.host + "/other/token"})},
		"htu of another host":          {i.proof(k, edits{"htu": "https://evil.example/tenant/token"})},
		"htu with another scheme":      {i.proof(k, edits{"htu": strings.Replace(i.url, "http:", "https:", 1) + "/token"})},
		"no iat":                       {i.proof(k, edits{"iat": nil})},
		"iat 90 seconds ago":           {i.proof(k, edits{"iat": i.clock.Now().Add(-91 * time.Second).Unix()})},
		"iat 31 seconds to come":       {i.proof(k, edits{"iat": i.clock.Now().Add(32 * time.Second).Unix()})},
		"expired by its own word":      {i.proof(k, edits{"exp": i.clock.Now().Add(-31 * time.Second).Unix()})},
		"with a part cut off":          {good[:strings.LastIndexByte(good, '.')]},
		"with another proof's payload": {swapped(good, i.proof(k, edits{"jti": "another"}))},
	}
	for name, proofs := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantError(t, i.ask(shop, proofs...), 400, "invalid_dpop_proof")
		})
	}
}

// swapped is the first proof with the payload of the second.
func swapped(one, two string) string {
	a, b := strings.Split(one, "."), strings.Split(two, ".")
	return a[0] + "." + b[1] + "." + a[2]
}

func TestRFC9449_4_3_WhatAProofMayBe(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	k := newDPoPKey(t)
	for name, claims := range map[string]edits{
		"89 seconds old":                 {"iat": i.clock.Now().Add(-89 * time.Second).Unix()},
		"29 seconds to come":             {"iat": i.clock.Now().Add(29 * time.Second).Unix()},
		"htu with a query and fragment":  {"htu": i.url + "/token?a=b#c"},
		"htu in upper case":              {"htu": strings.ToUpper(i.url) + "/token"},
		"with an ath, which is for APIs": {"ath": "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"},
		"with a nonce nobody asked for":  {"nonce": "abc"},
	} {
		if a := i.ask(shop, i.proof(k, claims)); a.status != 200 || a.member("token_type") != "DPoP" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

// What the client says in Host must not decide what htu may be.
func TestRFC9449_4_3_9_TheURLIsTheIssuersAndNotTheHostHeaders(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	k := newDPoPKey(t)
	ask := func(htu string) answer {
		req := i.request("/token", form("grant_type", "client_credentials").Encode())
		req.SetBasicAuth(shop.id, shop.secret)
		req.Host = "evil.example"
		req.Header.Set("X-Forwarded-Host", "evil.example")
		req.Header.Set("DPoP", i.proof(k, edits{"htu": htu}))
		return i.do(req)
	}
	wantError(t, ask("http://evil.example/token"), 400, "invalid_dpop_proof")
	if a := ask(i.url + "/token"); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestRFC9449_5_2_AClientMayBeHeldToProofs(t *testing.T) {
	t.Parallel()
	i := start(t, "", withClient(func(c *authserver.Client) { c.DPoPBoundAccessTokens = true }))
	wantError(t, i.ask(shop), 400, "invalid_dpop_proof")
	if a := i.ask(shop, i.proof(newDPoPKey(t), nil)); a.status != 200 || a.member("token_type") != "DPoP" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := i.ask(kiosk); a.status != 200 {
		t.Errorf("another client: %d %s", a.status, a.body)
	}
}

func TestRFC9449_5_1_Metadata(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	listed, _ := i.get(i.url + "/.well-known/oauth-authorization-server").object()["dpop_signing_alg_values_supported"].([]any)
	if !slices.Contains(listed, any("ES256")) || slices.Contains(listed, any("none")) || slices.Contains(listed, any("HS256")) {
		t.Error(listed)
	}
}

var nonceKey = bytes.Repeat([]byte("canary!!"), 4)

func withNonces(c *authserver.Config) { c.DPoPNonceKey = nonceKey }

func TestRFC9449_8_TheNonceOfTheServer(t *testing.T) {
	t.Parallel()
	i := start(t, "", withNonces)
	k := newDPoPKey(t)
	first := i.ask(shop, i.proof(k, nil))
	wantError(t, first, 400, "use_dpop_nonce")
	nonce := first.header.Get("DPoP-Nonce")
	if len(nonce) < 22 {
		t.Fatalf("nonce %q", nonce)
	}
	for _, iat := range []time.Duration{-24 * time.Hour, 0, 24 * time.Hour} { // section 4.3: the client's clock does not count
		a := i.ask(shop, i.proof(k, edits{"nonce": nonce, "iat": i.clock.Now().Add(iat).Unix()}))
		if a.status != 200 || a.member("token_type") != "DPoP" || a.header.Get("DPoP-Nonce") != nonce {
			t.Errorf("iat %v: %d %s %v", iat, a.status, a.body, a.header)
		}
	}
}

// Section 8.2: what succeeds brings the next nonce, so that no request has to
// fail for it.
func TestRFC9449_8_2_ANonceIsRenewedBeforeItIsOld(t *testing.T) {
	t.Parallel()
	i := start(t, "", withNonces)
	k := newDPoPKey(t)
	nonce := i.ask(shop, i.proof(k, nil)).header.Get("DPoP-Nonce")
	seen := map[string]bool{}
	for range 10 {
		i.clock.Advance(time.Minute)
		a := i.ask(shop, i.proof(k, edits{"nonce": nonce}))
		if a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		nonce = a.header.Get("DPoP-Nonce")
		seen[nonce] = true
	}
	if len(seen) != 10 {
		t.Errorf("%d nonces in ten minutes", len(seen))
	}
	i.clock.Advance(2 * time.Minute)
	wantError(t, i.ask(shop, i.proof(k, edits{"nonce": nonce})), 400, "use_dpop_nonce")
}

func TestRFC9449_8_WrongNonces(t *testing.T) {
	t.Parallel()
	i := start(t, "", withNonces)
	j := start(t, "", func(c *authserver.Config) { c.DPoPNonceKey = bytes.Repeat([]byte("x"), 32) })
	k := newDPoPKey(t)
	good, theirs := i.ask(shop, i.proof(k, nil)).header.Get("DPoP-Nonce"), j.ask(shop, j.proof(k, nil)).header.Get("DPoP-Nonce")
	for name, nonce := range map[string]string{"empty": noNonce, "another": "abc", "another server's": theirs, "cut": good[1:], "longer": good + "A"} {
		a := i.ask(shop, i.proof(k, edits{"nonce": nonce}))
		if wantError(t, a, 400, "use_dpop_nonce"); a.header.Get("DPoP-Nonce") != good {
			t.Errorf("%s: %v", name, a.header)
		}
	}
}

// Only a proof that is good in all other respects is worth a nonce, and whoever
// sends none is not asked for one.
func TestRFC9449_8_ABadProofGetsNoNonce(t *testing.T) {
	t.Parallel()
	i := start(t, "", withNonces)
	k := newDPoPKey(t)
	for name, proof := range map[string]string{
		"bad htu": i.proof(k, edits{"htu": "https://evil.example/token"}), "no JWT": "x", "two": i.proof(k, nil) + "," + i.proof(k, nil),
	} {
		a := i.ask(shop, proof)
		if wantError(t, a, 400, "invalid_dpop_proof"); a.header.Get("DPoP-Nonce") != "" {
			t.Errorf("%s: %v", name, a.header)
		}
	}
	if a := i.ask(shop); a.status != 200 || a.header.Get("DPoP-Nonce") != "" {
		t.Errorf("without a proof: %d %v", a.status, a.header)
	}
}

func TestDPoPNonceKey_TooShort(t *testing.T) {
	t.Parallel()
	_, err := authserver.New(authserver.Config{Issuer: "https://issuer.example", DPoPNonceKey: nonceKey[:31]})
	if err == nil || err.Error() != "authserver: Config.DPoPNonceKey: must have at least 32 bytes" {
		t.Error(err)
	}
}
