package authserver_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/tokentest"
)

// claimsOfAlice are all those of OpenID Connect Core section 5.1, and more.
var claimsOfAlice = map[string]any{
	"name": "Alice Canary", "given_name": "Alice", "family_name": "Canary", "middle_name": "M.", "nickname": "al", "preferred_username": "alice",
	"profile": "https://alice.example", "picture": "https://alice.example/me.png", "website": "https://alice.example", "gender": "female",
	"birthdate": "2000-01-02", "zoneinfo": "Europe/Paris", "locale": "fr", "updated_at": 1700000000.0,
	"email": "canary@example.com", "email_verified": true,
	"address":      map[string]any{"locality": "Paris", "country": "France"},
	"phone_number": "+1 555 0100", "phone_number_verified": false,

	"sub": "somebody-else", "ssn": "078-05-1120", "groups": []any{"admins"}, "empty": nil,
}

func withClaims(claims map[string]any) func(*authserver.Config) {
	return func(c *authserver.Config) {
		c.Users = slices.Clone(c.Users)
		c.Users[0].Claims = claims
	}
}

// atUserinfo shows an access token at the userinfo endpoint.
func (i *issuer) atUserinfo(method, token string) answer {
	i.t.Helper()
	return i.callUserinfo(method, "Bearer "+token, nil)
}

// callUserinfo sends a request to the userinfo endpoint.
func (i *issuer) callUserinfo(method, authorization string, header http.Header) answer {
	i.t.Helper()
	req, err := http.NewRequest(method, i.userinfoURL(), http.NoBody)
	if err != nil {
		i.t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	return i.do(req)
}

// wantChallenge demands a refusal with one challenge.
func (i *issuer) wantChallenge(name string, a answer, status int, scheme, code string) {
	i.t.Helper()
	values := a.header.Values("WWW-Authenticate")
	if a.status != status || len(values) != 1 || !strings.HasPrefix(values[0], scheme+` realm="`+i.url+`", error="`+code+`", error_description="`) ||
		a.member("error") != code || a.member("sub") != "" {
		i.t.Errorf("%s: %d %q %s, want %d %s %s", name, a.status, values, a.body, status, scheme, code)
	}
}

func TestOpenIDCore_5_4_ClaimsOfTheScopes(t *testing.T) {
	t.Parallel()
	i := startOpenID(t, withClaims(claimsOfAlice))
	byScope := map[string][]string{
		"profile": {"name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile", "picture", "website", "gender", "birthdate", "zoneinfo", "locale", "updated_at"},
		"email":   {"email", "email_verified"}, "address": {"address"}, "phone": {"phone_number", "phone_number_verified"},
	}
	for _, scopes := range []string{"openid", "openid profile", "openid email", "openid address", "openid phone", personScopes, "orders:read openid email"} {
		want := map[string]any{"sub": "sub-of-alice"}
		for scope := range strings.SplitSeq(scopes, " ") {
			for _, name := range byScope[scope] {
				want[name] = claimsOfAlice[name]
			}
		}
		token := i.openID(web, "scope", scopes).member("access_token")
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			a := i.atUserinfo(method, token)
			if got := a.object(); a.status != 200 || !equalJSON(got, want) {
				t.Errorf("%s of %q: %d %s, want %v", method, scopes, a.status, a.body, want)
			}
			if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Content-Type") != "application/json" {
				t.Errorf("%s: %v", method, a.header)
			}
		}
	}
}

func equalJSON(a, b map[string]any) bool {
	return maps.EqualFunc(a, b, func(x, y any) bool {
		mx, isObject := x.(map[string]any)
		my, _ := y.(map[string]any)
		if isObject {
			return maps.Equal(mx, my)
		}
		return x == y
	})
}

// Section 5.3.2: what is not known is left out.
func TestOpenIDCore_5_3_2_NoClaimIsNull(t *testing.T) {
	t.Parallel()
	i := startOpenID(t, withClaims(map[string]any{"name": nil, "email": "canary@example.com"}))
	if got := i.atUserinfo(http.MethodGet, i.openID(web).member("access_token")).object(); len(got) != 2 || got["email"] != "canary@example.com" {
		t.Error(got)
	}
}

func TestOpenIDCore_5_3_OpaqueTokensAndOtherClients(t *testing.T) {
	t.Parallel()
	i := startOpenID(t)
	opaque := i.device(meter).decide("allow").poll().member("access_token")
	for name, token := range map[string]string{"opaque": opaque, "of a client without an API": i.openID(portalLogin).member("access_token")} {
		if a := i.atUserinfo(http.MethodGet, token); a.status != 200 || a.member("sub") != "sub-of-alice" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

func TestRFC6750_3_1_UserinfoWithoutAToken(t *testing.T) {
	t.Parallel()
	i := startOpenID(t)
	for name, authorization := range map[string]string{"nothing": "", "another scheme": "Basic d2ViOng=", "no scheme": "abc"} {
		a := i.callUserinfo(http.MethodGet, authorization, nil)
		values := a.header.Values("WWW-Authenticate")
		if a.status != 401 || len(values) != 2 || values[0] != `Bearer realm="`+i.url+`"` || !strings.HasPrefix(values[1], `DPoP realm="`+i.url+`", algs="`) || len(a.body) != 0 {
			t.Errorf("%s: %d %q %s", name, a.status, values, a.body)
		}
	}
}

func TestRFC6750_3_1_UserinfoTokensThatAreRefused(t *testing.T) {
	t.Parallel()
	mine := key(t, "ES256", "mine")
	own, another := signer{"ES256", "mine", mine.Signer}, newSigner(t, "ES256", "mine")
	i := startOpenID(t, withKeys(mine))
	token := i.openID(web).member("access_token")
	_, says := parts(t, token)
	forged := func(s signer, header, with members) string {
		return s.sign(t, members{"typ": "at+jwt"}.with(header), members(says).with(with))
	}
	if a := i.atUserinfo(http.MethodGet, forged(own, nil, nil)); a.status != 200 {
		t.Fatalf("as one of our keys signs it: %d %s", a.status, a.body)
	}
	revoked := i.openID(web).member("access_token")
	i.post("/revoke", web, form("token", revoked))
	for name, bad := range map[string]string{
		"an invention":         "abc",
		"revoked":              revoked,
		"another key":          forged(another, nil, nil),
		"another issuer":       forged(own, nil, members{"iss": "https://evil.example"}),
		"an ID token":          forged(own, members{"typ": "JWT"}, nil),
		"expired":              forged(own, nil, members{"exp": i.clock.Now().Unix()}),
		"for an API":           forged(own, nil, members{"aud": []string{ordersAPI}}),
		"for a longer URL":     forged(own, nil, members{"aud": []string{i.userinfoURL() + "/"}}),
		"of who never was":     forged(own, nil, members{"sub": "sub-of-nobody"}),
		"bound to the unknown": forged(own, nil, members{"cnf": members{"kid": "x"}}),
		"of a code, narrowed":  i.redeem(web, i.code(web), "resource", ordersAPI).member("access_token"),
	} {
		i.wantChallenge(name, i.atUserinfo(http.MethodGet, bad), 401, "Bearer", "invalid_token")
	}
	a := i.atUserinfo(http.MethodGet, forged(own, nil, members{"scope": "orders:read email openid2"}))
	i.wantChallenge("without openid", a, 403, "Bearer", "insufficient_scope")
	if !strings.HasSuffix(a.header.Get("WWW-Authenticate"), `, scope="openid"`) {
		t.Error(a.header)
	}
}

// RFC 6750 section 2: by the header, and by nothing else.
func TestRFC6750_2_UserinfoTakesTheHeaderAlone(t *testing.T) {
	t.Parallel()
	i := startOpenID(t)
	token := i.openID(web).member("access_token")
	i.wantChallenge("two headers", i.callUserinfo(http.MethodGet, "", http.Header{"Authorization": {"Bearer " + token, "Bearer " + token}}), 400, "Bearer", "invalid_request")
	i.wantChallenge("two tokens", i.callUserinfo(http.MethodGet, "Bearer "+token+" "+token, nil), 400, "Bearer", "invalid_request")
	inQuery := i.get(i.userinfoURL() + "?access_token=" + token)
	i.wantChallenge("in the query", inQuery, 400, "Bearer", "invalid_request")
	if a := i.do(i.request("/userinfo", form("access_token", token).Encode())); a.status != 401 || len(a.body) != 0 {
		t.Errorf("in the body: %d %s", a.status, a.body)
	}
	if a := i.callUserinfo(http.MethodPut, "Bearer "+token, nil); a.status != 405 || a.header.Get("Allow") != "GET, POST" {
		t.Errorf("PUT: %d %v", a.status, a.header)
	}
}

// boundToken gets an access token that is bound to a DPoP key.
func (i *issuer) boundToken(k *tokentest.Key) string {
	i.t.Helper()
	a := i.proven(web, k, codeForm(i.code(web), webURI)...)
	if a.member("token_type") != "DPoP" {
		i.t.Fatalf("%d %s", a.status, a.body)
	}
	return a.member("access_token")
}

// userinfoProof makes a good DPoP proof for the userinfo endpoint, edited.
func (i *issuer) userinfoProof(k *tokentest.Key, method, token string, claims edits) string {
	i.t.Helper()
	return k.Proof(i.t, nil, tokentest.ProofClaims(i.clock.Now(), method, i.userinfoURL(), token, claims))
}

func TestPoint30_DPoPAtUserinfo(t *testing.T) {
	t.Parallel()
	i := startOpenID(t)
	k, thief := newDPoPKey(t), newDPoPKey(t)
	token, other := i.boundToken(k), i.openID(web).member("access_token")
	ask := func(token string, proofs ...string) answer {
		return i.callUserinfo(http.MethodGet, "DPoP "+token, http.Header{"Dpop": proofs})
	}
	good := i.userinfoProof(k, "GET", token, nil)
	if a := ask(token, good); a.status != 200 || a.member("sub") != "sub-of-alice" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	i.wantChallenge("a replay", ask(token, good), 401, "DPoP", "invalid_dpop_proof")
	if a := i.callUserinfo(http.MethodPost, "DPoP "+token, http.Header{"Dpop": {i.userinfoProof(k, "POST", token, nil)}}); a.status != 200 {
		t.Errorf("POST: %d %s", a.status, a.body)
	}
	hash := sha256.Sum256([]byte("another"))
	for name, proofs := range map[string][]string{
		"no proof":            nil,
		"two proofs":          {i.userinfoProof(k, "GET", token, nil), i.userinfoProof(k, "GET", token, nil)},
		"without ath":         {i.userinfoProof(k, "GET", token, edits{"ath": nil})},
		"ath of another":      {i.userinfoProof(k, "GET", token, edits{"ath": jose.Encode(hash[:])})},
		"htm another":         {i.userinfoProof(k, "POST", token, nil)},
		"htu of the token's":  {i.userinfoProof(k, "GET", token, edits{"htu": strings.TrimSuffix(i.url, "/") + "/token"})},
		"iat too long ago":    {i.userinfoProof(k, "GET", token, edits{"iat": i.clock.Now().Add(-91 * time.Second).Unix()})},
		"typ another":         {k.Proof(t, edits{"typ": "JWT"}, tokentest.ProofClaims(i.clock.Now(), "GET", i.userinfoURL(), token, nil))},
		"no proof, but a JWT": {token},
	} {
		i.wantChallenge(name, ask(token, proofs...), 401, "DPoP", "invalid_dpop_proof")
	}
	i.wantChallenge("another key", ask(token, i.userinfoProof(thief, "GET", token, nil)), 401, "DPoP", "invalid_token")
	i.wantChallenge("as Bearer", i.atUserinfo(http.MethodGet, token), 401, "DPoP", "invalid_token")
	i.wantChallenge("as Bearer, with its proof", i.callUserinfo(http.MethodGet, "Bearer "+token, http.Header{"Dpop": {i.userinfoProof(k, "GET", token, nil)}}), 401, "DPoP", "invalid_token")
	i.wantChallenge("an unbound one as DPoP", ask(other, i.userinfoProof(k, "GET", other, nil)), 401, "Bearer", "invalid_token")
	if a := ask(token, good); !strings.Contains(a.header.Get("WWW-Authenticate"), `, algs="`) {
		t.Error(a.header)
	}
}

// RFC 9449 section 9: the nonce is asked for as a resource server does.
func TestRFC9449_9_NonceAtUserinfo(t *testing.T) {
	t.Parallel()
	i := startOpenID(t, withNonces)
	k := newDPoPKey(t)
	v := form(codeForm(i.code(web), webURI)...)
	send := func(nonce string) answer {
		req := i.request("/token", v.Encode())
		req.SetBasicAuth(web.id, web.secret)
		req.Header.Set("DPoP", i.proof(k, edits{"nonce": nonce}))
		return i.do(req)
	}
	nonce := send("").header.Get("DPoP-Nonce")
	token := send(nonce).member("access_token")
	ask := func(nonce any) answer {
		return i.callUserinfo(http.MethodGet, "DPoP "+token, http.Header{"Dpop": {i.userinfoProof(k, "GET", token, edits{"nonce": nonce})}})
	}
	a := ask(nil)
	if i.wantChallenge("without", a, 401, "DPoP", "use_dpop_nonce"); a.header.Get("DPoP-Nonce") != nonce {
		t.Error(a.header)
	}
	if a := ask(nonce); a.status != 200 || a.header.Get("DPoP-Nonce") != nonce {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
}

func TestPoint31_CertificateBoundTokensAtUserinfo(t *testing.T) {
	t.Parallel()
	own, others := newCertificate(t), newCertificate(t)
	mine := key(t, "ES256", "mine")
	signs := signer{"ES256", "mine", mine.Signer}
	i, ts := startTLS(t, withKeys(mine), func(c *authserver.Config) { c.Users = users() })
	now := i.clock.Now().Unix()
	token := signs.sign(t, members{"typ": "at+jwt"}, members{
		"iss": i.url, "sub": "sub-of-alice", "client_id": shop.id, "aud": i.userinfoURL(), "scope": "openid", "jti": "x", "iat": now, "exp": now + 60,
		"cnf": members{"x5t#S256": x5t(own)},
	})
	ask := func(c *http.Client, scheme string) answer {
		req, err := http.NewRequest(http.MethodGet, i.userinfoURL(), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", scheme+" "+token)
		return i.doBy(c, req)
	}
	if a := ask(clientOf(t, ts, own), "Bearer"); a.status != 200 || a.member("sub") != "sub-of-alice" {
		t.Errorf("%d %s", a.status, a.body)
	}
	i.wantChallenge("another certificate", ask(clientOf(t, ts, others), "Bearer"), 401, "Bearer", "invalid_token")
	i.wantChallenge("no certificate", ask(clientOf(t, ts, nil), "Bearer"), 401, "Bearer", "invalid_token")
	i.wantChallenge("as DPoP", ask(clientOf(t, ts, own), "DPoP"), 401, "Bearer", "invalid_token")
}

func TestPoint39_CORSOfUserinfo(t *testing.T) {
	t.Parallel()
	const app = "https://app.example"
	i := startOpenID(t, func(c *authserver.Config) { c.AllowedOrigins = []string{app} })
	pre := i.callUserinfo(http.MethodOptions, "", http.Header{"Origin": {app}, "Access-Control-Request-Method": {"GET"}, "Access-Control-Request-Headers": {"authorization,dpop"}})
	allowed := pre.header.Get("Access-Control-Allow-Headers")
	if pre.status != 204 || pre.header.Get("Access-Control-Allow-Methods") != "GET, POST" || !strings.Contains(allowed, "Authorization") || !strings.Contains(allowed, "DPoP") {
		t.Errorf("%d %v", pre.status, pre.header)
	}
	for origin, want := range map[string]string{app: app, "https://evil.example": ""} {
		for _, authorization := range []string{"", "Bearer " + i.openID(web).member("access_token")} {
			a := i.callUserinfo(http.MethodGet, authorization, http.Header{"Origin": {origin}})
			if a.header.Get("Access-Control-Allow-Origin") != want || a.header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s: %v", origin, a.header)
			}
		}
	}
}

// A directory is a Config.FindUser.
type directory struct {
	user authserver.User
	err  error
}

func (d *directory) find(context.Context, string) (authserver.User, error) { return d.user, d.err }

// withDirectory keeps people elsewhere.
func withDirectory(d *directory) func(*authserver.Config) {
	return func(c *authserver.Config) {
		known := c.Users[0]
		d.user, c.Users = known, nil
		c.Login = func(_ context.Context, name, password string) (authserver.User, error) {
			if name != known.Username || password != name+"-password" {
				return authserver.User{}, authserver.ErrBadCredentials
			}
			return known, nil
		}
		if d.err == nil {
			c.FindUser = d.find
		}
	}
}

func TestFindUser_TellsTheClaimsOfNow(t *testing.T) {
	t.Parallel()
	d := &directory{}
	i := startOpenID(t, withDirectory(d))
	token := i.openID(web).member("access_token")
	d.user.Claims = map[string]any{"name": "Alice Newname"}
	if a := i.atUserinfo(http.MethodGet, token); a.status != 200 || a.member("name") != "Alice Newname" || a.member("email") != "" {
		t.Errorf("%d %s", a.status, a.body)
	}
	for name, bad := range map[string]authserver.User{
		"another's":         {Subject: "sub-of-bob", Claims: map[string]any{"name": "Bob"}},
		"without a subject": {Claims: map[string]any{"name": "Bob"}},
		"no JSON":           {Subject: "sub-of-alice", Claims: map[string]any{"name": func() {}}},
	} {
		d.user = bad
		if a := i.atUserinfo(http.MethodGet, token); a.outcome() != "500 server_error" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

func TestFindUser_WhoLeftIsOut(t *testing.T) {
	t.Parallel()
	d := &directory{}
	i := startOpenID(t, withDirectory(d))
	b := i.browser()
	b.grant(authParams(web))
	code := i.code(web)
	tokens := i.openID(web)
	for _, c := range []struct {
		err                              error
		userinfo, refresh, redeem, title string
	}{
		{authserver.ErrNotFound, "401 invalid_token", "400 invalid_grant", "400 invalid_grant", "Sign in"},
		{errors.New("out of order"), "503 temporarily_unavailable", "503 temporarily_unavailable", "503 temporarily_unavailable", "Something went wrong"},
		{nil, "200", "200", "200", ""}, // nothing was used up
	} {
		d.err = c.err
		if a := i.atUserinfo(http.MethodGet, tokens.member("access_token")); a.outcome() != c.userinfo {
			t.Errorf("userinfo: %d %s, want %s", a.status, a.body, c.userinfo)
		}
		if a := i.refresh(web, tokens.member("refresh_token")); a.outcome() != c.refresh {
			t.Errorf("refresh: %d %s, want %s", a.status, a.body, c.refresh)
		}
		if a := i.redeem(web, code); a.outcome() != c.redeem {
			t.Errorf("redeem: %d %s, want %s", a.status, a.body, c.redeem)
		}
		if s := b.authorize(authParams(web)); s.title != c.title {
			t.Errorf("session: %d %q, want %q", s.status, s.title, c.title)
		}
	}
}

// Without the hook sub is all there is, and that is what the metadata says.
func TestFindUser_Nil(t *testing.T) {
	t.Parallel()
	i := startOpenID(t, withDirectory(&directory{err: authserver.ErrNotFound}))
	a := i.atUserinfo(http.MethodGet, i.openID(web).member("access_token"))
	if a.status != 200 || a.member("sub") != "sub-of-alice" || len(a.object()) != 1 {
		t.Errorf("%d %s", a.status, a.body)
	}
	about := string(i.get(i.host + "/.well-known/openid-configuration/tenant").body)
	if !strings.Contains(about, `"scopes_supported":["openid"]`) || strings.Contains(about, "birthdate") {
		t.Error(about)
	}
}
