package authserver_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/countermark/countermark/authserver"
)

const (
	ordersAPI  = "https://orders.example/api"
	billingAPI = "https://billing.example/api"
)

// A login is a client and its secret.
type login struct{ id, secret string }

var (
	shop     = login{"shop", "secret-of-shop-0123456789abcdef"}         // client_secret_basic; both APIs
	batch    = login{"batch", "secret-of-batch-0123456789abcdef"}       // client_secret_post
	kiosk    = login{"kiosk", "secret-of-kiosk-0123456789abcdef"}       // opaque tokens
	orders   = login{"orders", "secret-of-orders-0123456789abcdef"}     // resource server
	billing  = login{"billing", "secret-of-billing-0123456789abcdef"}   // another
	stranger = login{"stranger", "secret-of-nobody-0123456789abcdef00"} // not registered
)

func clients() []authserver.Client {
	grant := []string{"client_credentials"}
	return []authserver.Client{
		{
			ClientID: shop.id, SecretHash: authserver.HashOf(shop.secret), GrantTypes: grant,
			Scope: "orders:read orders:write bills:read", Audience: []string{ordersAPI, billingAPI},
		},
		{
			ClientID: batch.id, SecretHash: authserver.HashOf(batch.secret), GrantTypes: grant,
			Scope: "orders:read", Audience: []string{ordersAPI}, TokenEndpointAuthMethod: "client_secret_post",
		},
		{
			ClientID: kiosk.id, SecretHash: authserver.HashOf(kiosk.secret), GrantTypes: grant,
			Scope: "orders:read", Audience: []string{ordersAPI}, AccessTokenStrategy: "opaque",
		},
		{ClientID: orders.id, SecretHash: authserver.HashOf(orders.secret), Audience: []string{ordersAPI}},
		{ClientID: billing.id, SecretHash: authserver.HashOf(billing.secret), Audience: []string{billingAPI}},
	}
}

// An issuer is a server on loopback with a clock that stands still.
type issuer struct {
	*authserver.Server
	t     testing.TB
	url   string // the issuer identifier
	host  string // the URL of its host
	clock *clock
	log   *logBuffer

	// transport is its own: of the default one any httptest.Server that closes takes
	// the connections away, and no POST is sent again.
	transport http.RoundTripper

	from atomic.Value // string: where requests seem to come from, if that is set
}

// start starts an issuer at path of its host.
func start(t testing.TB, path string, edits ...func(*authserver.Config)) *issuer {
	t.Helper()
	ts := httptest.NewUnstartedServer(nil)
	i := &issuer{t: t, host: "http://" + ts.Listener.Addr().String(), clock: newClock(), log: &logBuffer{}, transport: newTransport(t)}
	i.url = i.host + path
	cfg := authserver.Config{
		Issuer:  i.url,
		Clients: clients(),
		Now:     i.clock.Now,
		Logger:  i.logger(),
	}
	for _, edit := range edits {
		edit(&cfg)
	}
	var err error
	if i.Server, err = authserver.New(cfg); err != nil {
		t.Fatal(err)
	}
	ts.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if from, ok := i.from.Load().(string); ok {
			r.RemoteAddr = from
		}
		i.ServeHTTP(w, r)
	})
	ts.Start()
	t.Cleanup(ts.Close)
	return i
}

func newTransport(t testing.TB) *http.Transport {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func (i *issuer) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(i.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func withStore(s authserver.Store) func(*authserver.Config) {
	return func(c *authserver.Config) { c.Store = s }
}

func withKeys(keys ...authserver.SigningKey) func(*authserver.Config) {
	return func(c *authserver.Config) { c.Keys = keys }
}

// An answer is a response whose body was read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// member returns a string of the JSON object, "" if it has none.
func (a answer) member(name string) string {
	text, _ := a.object()[name].(string)
	return text
}

func (a answer) object() map[string]any {
	var object map[string]any
	_ = json.Unmarshal(a.body, &object)
	return object
}

func (i *issuer) do(req *http.Request) answer {
	i.t.Helper()
	return i.doBy(&http.Client{Transport: i.transport}, req)
}

func (i *issuer) doBy(c *http.Client, req *http.Request) answer {
	i.t.Helper()
	resp, err := c.Do(req)
	if err != nil {
		i.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		i.t.Fatal(err)
	}
	a := answer{resp.StatusCode, resp.Header, body}
	if a.member("error") != "" {
		i.wantDescription(a.member("error_description"))
		if a.status < 400 || a.header.Get("Cache-Control") != "no-store" {
			i.t.Errorf("point 18: an error response that is not one, or that may be kept: %d %v %s", a.status, a.header, a.body)
		}
	}
	return a
}

// wantDescription demands the characters of RFC 6749 section 5.2, of every error
// response that any test gets.
func (i *issuer) wantDescription(text string) {
	i.t.Helper()
	if text == "" || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		i.t.Errorf("point 19: error_description %q", text)
	}
}

func (i *issuer) get(location string) answer {
	i.t.Helper()
	req, err := http.NewRequest(http.MethodGet, location, http.NoBody)
	if err != nil {
		i.t.Fatal(err)
	}
	return i.do(req)
}

// post sends a form as the client would, with Basic credentials unless it is
// batch or nobody.
func (i *issuer) post(path string, as login, params url.Values) answer {
	i.t.Helper()
	params = maps.Clone(params)
	if as == batch {
		params.Set("client_id", as.id)
		params.Set("client_secret", as.secret)
	}
	req := i.request(path, params.Encode())
	if as != batch && as != (login{}) {
		req.SetBasicAuth(as.id, as.secret)
	}
	return i.do(req)
}

// request is a POST of body to an endpoint, without credentials.
func (i *issuer) request(path, body string) *http.Request {
	i.t.Helper()
	req, err := http.NewRequest(http.MethodPost, strings.TrimSuffix(i.url, "/")+path, strings.NewReader(body))
	if err != nil {
		i.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req
}

// token gets an access token; extra are pairs of further parameters.
func (i *issuer) token(as login, extra ...string) string {
	i.t.Helper()
	a := i.post("/token", as, form(append(extra, "grant_type", "client_credentials")...))
	if a.status != http.StatusOK {
		i.t.Fatalf("no token: %d %s", a.status, a.body)
	}
	return a.member("access_token")
}

// introspect returns what the issuer tells as about a token.
func (i *issuer) introspect(as login, token string) answer {
	i.t.Helper()
	return i.post("/introspect", as, form("token", token))
}

func (i *issuer) active(as login, token string) bool {
	i.t.Helper()
	a := i.introspect(as, token)
	if a.status != http.StatusOK {
		i.t.Fatalf("introspection: %d %s", a.status, a.body)
	}
	return a.object()["active"] == true
}

// keySet is the issuer's key set as jwx reads it.
func (i *issuer) keySet() jwk.Set {
	i.t.Helper()
	set, err := jwk.Parse(i.get(strings.TrimSuffix(i.url, "/") + "/jwks").body)
	if err != nil {
		i.t.Fatal(err)
	}
	return set
}

// verify has golang-jwt verify a token with the published keys as jwx reads them.
func (i *issuer) verify(token string) error {
	i.t.Helper()
	set := i.keySet()
	_, err := jwt.Parse(token, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		k, found := set.LookupKeyID(kid)
		if !found {
			return nil, fmt.Errorf("no key %q", kid)
		}
		if alg, _ := k.Algorithm(); alg.String() != t.Method.Alg() {
			return nil, fmt.Errorf("key %q is for %s", kid, alg)
		}
		return jwk.PublicRawKeyOf(k)
	}, jwt.WithTimeFunc(i.clock.Now), jwt.WithIssuer(i.url), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
	return err
}

// parts returns header and claims of a JWT.
func parts(t testing.TB, token string) (header, payload map[string]any) {
	t.Helper()
	texts := strings.Split(token, ".")
	if len(texts) != 3 {
		t.Fatalf("%d parts", len(texts))
	}
	for i, into := range []*map[string]any{&header, &payload} {
		data, err := base64.RawURLEncoding.Strict().DecodeString(texts[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, into); err != nil {
			t.Fatal(err)
		}
	}
	return header, payload
}

// form makes parameters of pairs.
func form(pairs ...string) url.Values {
	v := url.Values{}
	for pair := range slices.Chunk(pairs, 2) {
		v.Add(pair[0], pair[1])
	}
	return v
}

// key generates a signing key with an ID.
func key(t testing.TB, algorithm, id string) authserver.SigningKey {
	t.Helper()
	k, err := authserver.GenerateKey(algorithm)
	if err != nil {
		t.Fatal(err)
	}
	k.ID = id
	return k
}

// A clock stands still unless it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2030, 1, 2, 3, 4, 5, 678_000_000, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// A logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
