package middleware_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"maps"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

// The challenges of requests by DPoP.
var (
	dpopAlgs      = `algs="` + strings.Join(jose.Algorithms(), " ") + `"`
	dpopProof     = `DPoP realm="api", error="invalid_dpop_proof", error_description="invalid DPoP proof", ` + dpopAlgs
	dpopNonce     = `DPoP realm="api", error="use_dpop_nonce", error_description="a DPoP proof with our nonce is needed", ` + dpopAlgs
	dpopBinding   = `DPoP realm="api", error="invalid_token", error_description="bound to a key that was not shown", ` + dpopAlgs
	dpopMalformed = `DPoP realm="api", error="invalid_token", error_description="malformed token", ` + dpopAlgs
)

// A dpopClient has a DPoP key and a token bound to it.
type dpopClient struct {
	key   *tokentest.Key
	jwk   map[string]any
	token string
	made  atomic.Int32
}

func newDPoPClient(tb testing.TB, edits map[string]any) *dpopClient {
	tb.Helper()
	c := &dpopClient{key: tokentest.NewKey(tb, "", "EdDSA")}
	x := jose.Encode(c.key.Private.Public().(ed25519.PublicKey))
	c.jwk = map[string]any{"kty": "OKP", "crv": "Ed25519", "x": x}
	sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + x + `"}`))
	claims := map[string]any{"cnf": map[string]any{"jkt": jose.Encode(sum[:])}}
	maps.Copy(claims, edits)
	c.token = token(tb, claims)
	return c
}

// proof returns a new proof for a request of method and url, with edited claims.
func (c *dpopClient) proof(tb testing.TB, method, url string, edits map[string]any) string {
	tb.Helper()
	ath := sha256.Sum256([]byte(c.token))
	claims := map[string]any{
		"jti": strconv.Itoa(int(c.made.Add(1))), "htm": method, "htu": url, "iat": time.Now().Unix(), "ath": jose.Encode(ath[:]),
	}
	maps.Copy(claims, edits)
	header, err := json.Marshal(map[string]any{"typ": "dpop+jwt", "alg": "EdDSA", "jwk": c.jwk})
	if err != nil {
		tb.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		tb.Fatal(err)
	}
	return c.key.Sign(tb, string(header), string(payload))
}

// served is the URL of the requests in these tests.
const served = "http://api.example.com/orders"

// shows sends a GET of served with the client's token by DPoP, and proofs.
func (c *dpopClient) shows(tb testing.TB, s *api, proofs ...string) answer {
	tb.Helper()
	lines := []string{"GET /orders", "Authorization: DPoP " + c.token}
	for _, proof := range proofs {
		lines = append(lines, "DPoP: "+proof)
	}
	return s.send(tb, lines...)
}

func TestRFC9449_Section7_1_AProofPassesOnce(t *testing.T) {
	t.Parallel()
	c := newDPoPClient(t, nil)
	s := serve(t, newValidator(t, nil), require("orders:read"))
	proof := c.proof(t, "GET", served, nil)
	a := c.shows(t, s, proof)
	s.wantAccepted(t, a)
	if a.body != "hello user-1" {
		t.Errorf("the handler said %q", a.body)
	}
	s.handled.Store(0)
	s.wantRefused(t, c.shows(t, s, proof), 401, dpopProof)
	s.wantRefused(t, c.shows(t, s, proof), 401, dpopProof)
}

func TestRFC9449_Section11_1_OneOf64AtOncePasses(t *testing.T) {
	t.Parallel()
	c := newDPoPClient(t, nil)
	s := serve(t, newValidator(t, nil), require())
	proof := c.proof(t, "GET", served, nil)
	var refused atomic.Int32
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range 64 {
		wg.Go(func() {
			<-start
			if a := c.shows(t, s, proof); a.status == 401 && a.header.Get("WWW-Authenticate") == dpopProof {
				refused.Add(1)
			}
		})
	}
	close(start)
	wg.Wait()
	if handled := s.handled.Load(); handled != 1 || refused.Load() != 63 {
		t.Errorf("%d passed and %d were refused, want 1 and 63", handled, refused.Load())
	}
}

// Each refusal, with the status and challenge of RFC 9449 section 7.1.
func TestRFC9449_Section7_1_EachRefusalHasItsChallenge(t *testing.T) {
	t.Parallel()
	c := newDPoPClient(t, nil)
	bound, plain := "Authorization: DPoP "+c.token, token(t, nil)
	good := func() string { return "DPoP: " + c.proof(t, "GET", served, nil) }
	twice := good()
	for name, row := range map[string]struct {
		lines     []string
		status    int
		challenge string
	}{
		"no proof":                    {[]string{bound}, 401, dpopProof},
		"an empty proof":              {[]string{bound, "DPoP:"}, 401, dpopProof},
		"no JWT":                      {[]string{bound, "DPoP: abc"}, 401, dpopProof},
		"two proofs":                  {[]string{bound, good(), good()}, 401, dpopProof},
		"one proof twice":             {[]string{bound, twice, twice}, 401, dpopProof},
		"two proofs, unlike in case":  {[]string{bound, good(), strings.ToLower("DPoP:") + good()[5:]}, 401, dpopProof},
		"two proofs, the first empty": {[]string{bound, "DPoP:", good()}, 401, dpopProof},
		"two proofs, the last empty":  {[]string{bound, good(), "DPoP:"}, 401, dpopProof},
		"two proofs in one":           {[]string{bound, good() + ", " + good()[6:]}, 401, dpopProof},
		"a proof in another header":   {[]string{bound, "DPoP-Proof" + good()[4:]}, 401, dpopProof},
		"for another method":          {[]string{bound, "DPoP: " + c.proof(t, "POST", served, nil)}, 401, dpopProof},
		"for another path":            {[]string{bound, "DPoP: " + c.proof(t, "GET", served+"/7", nil)}, 401, dpopProof},
		"for another scheme":          {[]string{bound, "DPoP: " + c.proof(t, "GET", "https://api.example.com/orders", nil)}, 401, dpopProof},
		"for another token":           {[]string{bound, "DPoP: " + c.proof(t, "GET", served, map[string]any{"ath": "x"})}, 401, dpopProof},
		"of another key":              {[]string{bound, "DPoP: " + stolen(t, c)}, 401, dpopBinding},
		"a bound token as bearer":     {[]string{"Authorization: Bearer " + c.token}, 401, dpopBinding},
		"... with a good proof":       {[]string{"Authorization: Bearer " + c.token, good()}, 401, dpopBinding},
		"a plain token as DPoP":       {[]string{"Authorization: DPoP " + plain}, 401, dpopBinding},
		"... with a good proof ":      {[]string{"Authorization: DPoP " + plain, good()}, 401, dpopBinding},
		"a malformed token":           {[]string{"Authorization: DPoP abc", good()}, 401, dpopMalformed},
		"no token":                    {[]string{good()}, 401, challengeBare},
		"not one token":               {[]string{"Authorization: DPoP a b", good()}, 400, strings.Replace(dpopProof, `"invalid_dpop_proof", error_description="invalid DPoP proof"`, `"invalid_request", error_description="malformed request"`, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, newValidator(t, nil), require())
			a := s.send(t, append([]string{"GET /orders"}, row.lines...)...)
			s.wantRefused(t, a, row.status, row.challenge)
			if nonce := a.header["Dpop-Nonce"]; nonce != nil {
				t.Errorf("DPoP-Nonce %q", nonce)
			}
		})
	}
}

// stolen is a proof for the token of c by somebody else.
func stolen(tb testing.TB, c *dpopClient) string {
	tb.Helper()
	thief := newDPoPClient(tb, nil)
	thief.token = c.token
	return thief.proof(tb, "GET", served, nil)
}

// What the token lacks is told to a client of DPoP in the terms of DPoP.
func TestRFC9449_Section7_1_InsufficientScope(t *testing.T) {
	t.Parallel()
	c := newDPoPClient(t, nil)
	s := serve(t, newValidator(t, nil), require("orders:write"))
	s.wantRefused(t, c.shows(t, s, c.proof(t, "GET", served, nil)), 403,
		`DPoP realm="api", error="insufficient_scope", error_description="insufficient scope", scope="orders:write", `+dpopAlgs)
}

func TestRFC9449_Section7_1_TheSchemeAndTheHeaderInAnyCase(t *testing.T) {
	t.Parallel()
	c := newDPoPClient(t, nil)
	for _, name := range []string{"DPoP", "dpop", "DPOP", "dPoP"} {
		s := serve(t, newValidator(t, nil), require())
		s.wantAccepted(t, s.send(t, "GET /orders", "Authorization: "+name+" "+c.token, name+": "+c.proof(t, "GET", served, nil)))
	}
}

// A proof without an access token is nobody's credentials: an anonymous request
// stays one.
func TestRFC9449_Section7_1_Optional(t *testing.T) {
	t.Parallel()
	optional := func(g *middleware.Guard) wrapper { return g.Optional() }
	c := newDPoPClient(t, nil)
	s := serve(t, newValidator(t, nil), optional)
	a := s.send(t, "GET /orders", "DPoP: abc")
	s.wantAccepted(t, a)
	if a.body != "hello stranger" {
		t.Errorf("the handler said %q", a.body)
	}
	s = serve(t, newValidator(t, nil), optional)
	s.wantRefused(t, c.shows(t, s), 401, dpopProof)
}

// The exchange of section 9: no nonce, the nonce, the request again.
func TestRFC9449_Section9_TheNonceOfTheServer(t *testing.T) {
	t.Parallel()
	c := newDPoPClient(t, nil)
	v := newValidator(t, func(cfg *validator.Config) { cfg.NonceKey = make([]byte, 32) })
	s := serve(t, v, require())
	a := c.shows(t, s, c.proof(t, "GET", served, nil))
	s.wantRefused(t, a, 401, dpopNonce)
	nonce := a.header["Dpop-Nonce"]
	if len(nonce) != 1 || nonce[0] == "" {
		t.Fatalf("DPoP-Nonce %q", nonce)
	}
	proof := c.proof(t, "GET", served, map[string]any{"nonce": nonce[0]})
	s.wantAccepted(t, c.shows(t, s, proof))
	s.handled.Store(0)
	a = c.shows(t, s, proof)
	s.wantRefused(t, a, 401, dpopProof)
	if a.header["Dpop-Nonce"] != nil {
		t.Error("a nonce for a replay")
	}
}

// Who cannot find out whether a proof was used says so: no challenge, try again.
func TestRFC9449_Section11_1_AReplayCacheThatIsDown(t *testing.T) {
	t.Parallel()
	c := newDPoPClient(t, nil)
	s := serve(t, newValidator(t, func(cfg *validator.Config) { cfg.Replay = down{} }), require())
	s.wantRefused(t, c.shows(t, s, c.proof(t, "GET", served, nil)), 503, "")
}

// RequireBinding tells a client without credentials what it takes.
func TestRFC9449_Section7_1_BindingRequired(t *testing.T) {
	t.Parallel()
	s := serve(t, newValidator(t, func(cfg *validator.Config) { cfg.RequireBinding = true }), require())
	for _, lines := range [][]string{{"GET /orders"}, {"GET /orders", "Authorization: Bearer " + token(t, nil)}} {
		a := s.send(t, lines...)
		values := a.header["Www-Authenticate"]
		if a.status != 401 || len(values) != 2 || !strings.HasPrefix(values[0], `Bearer realm="api"`) || !strings.HasPrefix(values[1], `DPoP realm="api"`) {
			t.Errorf("%d %q", a.status, values)
		}
	}
}
