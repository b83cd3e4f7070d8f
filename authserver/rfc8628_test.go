package authserver_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

var (
	tv    = login{"tv", ""}                                      // a public client on a device
	box   = login{"box", "secret-of-box-0123456789abcdef"}       // one that authenticates, and that is one's own
	meter = login{"meter", "secret-of-meter-0123456789abcdef"}   // one that gets opaque tokens
	noTV  = login{"no-tv", "secret-of-no-tv-0123456789abcdef00"} // not registered for the grant
	shown = regexp.MustCompile(`^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$`)
)

func devices() []authserver.Client {
	grant, both := []string{deviceGrant}, []string{ordersAPI, billingAPI}
	return []authserver.Client{
		{ClientID: tv.id, ClientName: "TV <Shop>", TokenEndpointAuthMethod: "none", GrantTypes: grant, Scope: "orders:read orders:write", Audience: both, SkipConsent: true},
		{ClientID: box.id, SecretHash: authserver.HashOf(box.secret), GrantTypes: grant, Scope: "orders:read", Audience: both, SkipConsent: true, RedirectURIs: []string{webURI}},
		{ClientID: meter.id, SecretHash: authserver.HashOf(meter.secret), GrantTypes: grant, Scope: "orders:read", Audience: []string{ordersAPI}, AccessTokenStrategy: "opaque"},
		{ClientID: noTV.id, SecretHash: authserver.HashOf(noTV.secret), GrantTypes: []string{"client_credentials"}, Scope: "orders:read", Audience: both},
	}
}

// fromDevice sends a form as the client on a device would.
func (i *issuer) fromDevice(path string, as login, pairs ...string) answer {
	i.t.Helper()
	if v := form(pairs...); as == tv {
		v.Set("client_id", tv.id)
		return i.send(path, v)
	}
	return i.post(path, as, form(pairs...))
}

// A waiting is a device that shows a user code.
type waiting struct {
	i              *issuer
	as             login
	code, userCode string
	complete       string // verification_uri_complete
}

// device begins the flow; extra are pairs of parameters.
func (i *issuer) device(as login, extra ...string) *waiting {
	i.t.Helper()
	a := i.fromDevice("/device_authorization", as, extra...)
	if a.status != 200 {
		i.t.Fatalf("%d %s", a.status, a.body)
	}
	return &waiting{i, as, a.member("device_code"), a.member("user_code"), a.member("verification_uri_complete")}
}

// poll asks for tokens; extra are pairs of parameters.
func (d *waiting) poll(extra ...string) answer {
	d.i.t.Helper()
	return d.pollAs(d.as, extra...)
}

func (d *waiting) pollAs(as login, extra ...string) answer {
	d.i.t.Helper()
	return d.i.fromDevice("/token", as, append([]string{"grant_type", deviceGrant, "device_code", d.code}, extra...)...)
}

func (d *waiting) want(outcome string) {
	d.i.t.Helper()
	if a := d.poll(); a.outcome() != outcome {
		d.i.t.Errorf("%d %s, want %s", a.status, a.body, outcome)
	}
}

// enter types a code into the page for it.
func (b *browser) enter(userCode string) *screen {
	b.i.t.Helper()
	return b.submit(b.get(strings.TrimSuffix(b.i.url, "/")+"/device"), "user_code", userCode)
}

// consent brings the browser to the consent page of a device, as alice.
func (b *browser) consent(userCode string) *screen {
	b.i.t.Helper()
	s := b.enter(userCode)
	if s.title == "Sign in" {
		s = b.signIn(s, "alice")
	}
	if s.title != "Allow access on another device?" {
		b.i.t.Fatalf("no consent page: %d %s", s.status, s.body)
	}
	return s
}

// decide has alice answer, in a new browser.
func (d *waiting) decide(decision string) *waiting {
	d.i.t.Helper()
	b := d.i.browser()
	title := map[string]string{"allow": "Go back to your device", "deny": "Access denied"}[decision]
	if s := b.submit(b.consent(d.userCode), "decision", decision); s.status != 200 || s.title != title {
		d.i.t.Fatalf("%s: %d %s", decision, s.status, s.body)
	}
	return d
}

func TestRFC8628_3_2_DeviceAuthorizationResponse(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "/", "/tenant"} {
		i := startWeb(t, path)
		base := strings.TrimSuffix(i.url, "/")
		for _, as := range []login{tv, box} {
			a := i.fromDevice("/device_authorization", as)
			if a.status != 200 || a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%d %v %s", a.status, a.header, a.body)
			}
			userCode := a.member("user_code")
			raw, err := base64.RawURLEncoding.DecodeString(a.member("device_code"))
			if err != nil || len(raw) < 16 || !shown.MatchString(userCode) {
				t.Errorf("%s, %v", a.body, err)
			}
			want := map[string]any{
				"device_code": a.member("device_code"), "user_code": userCode, "verification_uri": base + "/device",
				"verification_uri_complete": base + "/device?user_code=" + userCode, "expires_in": 600.0, "interval": 5.0,
			}
			if fmt.Sprint(a.object()) != fmt.Sprint(want) {
				t.Errorf("%v\nwant %v", a.object(), want)
			}
		}
	}
}

func TestRFC8628_3_1_DeviceAuthorizationErrors(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	for name, c := range map[string]struct {
		as    login
		pairs []string
		want  string
	}{
		"not registered for the grant": {noTV, nil, "400 unauthorized_client"},
		"an unknown client":            {stranger, nil, "401 invalid_client"},
		"a wrong secret":               {login{box.id, "x"}, nil, "401 invalid_client"},
		"no client":                    {login{}, nil, "401 invalid_client"},
		"a secret that is left out":    {login{}, []string{"client_id", box.id}, "401 invalid_client"},
		"a public client's secret":     {login{}, []string{"client_id", tv.id, "client_secret", "x"}, "401 invalid_client"},
		"scope beyond":                 {tv, []string{"scope", "admin"}, "400 invalid_scope"},
		"a malformed scope":            {tv, []string{"scope", "a  b"}, "400 invalid_scope"},
		"a resource beyond":            {tv, []string{"resource", "https://other.example"}, "400 invalid_target"},
		"scope twice":                  {tv, []string{"scope", "orders:read", "scope", "orders:read"}, "400 invalid_request"},
	} {
		if a := i.fromDevice("/device_authorization", c.as, c.pairs...); a.outcome() != c.want || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if a := i.get(i.url + "/device_authorization?client_id=tv"); a.status != 405 || a.header.Get("Allow") != "POST" {
		t.Errorf("GET: %d %v", a.status, a.header)
	}
	if a := i.do(i.request("/device_authorization?client_id=tv", "")); a.outcome() != "400 invalid_request" {
		t.Errorf("parameters in the URL: %d %s", a.status, a.body)
	}
}

// A code that somebody else has is not given out again.
func TestRFC8628_6_1_AUserCodeIsOneDevices(t *testing.T) {
	t.Parallel()
	store := &crowdedStore{Store: authserver.NewMemoryStore(nil)}
	i := startWeb(t, "", withStore(store))
	store.taken.Store(3)
	d := i.device(tv).decide("allow")
	d.want("200")
	store.taken.Store(1000)
	if a := i.fromDevice("/device_authorization", tv); a.outcome() != "503 temporarily_unavailable" {
		t.Errorf("no code is free: %d %s", a.status, a.body)
	}
}

// That the letters are even is shown inside.
func TestRFC8628_6_1_NoCodeComesTwice(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	seen := map[string]bool{}
	for range 200 {
		d := i.device(tv)
		if !shown.MatchString(d.userCode) || seen[d.userCode] || seen[d.code] {
			t.Fatalf("%q, %q", d.userCode, d.code)
		}
		seen[d.userCode], seen[d.code] = true, true
	}
}

func TestRFC8628_3_5_Pending(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	d := i.device(tv)
	b := i.browser()
	b.consent(d.userCode) // looking at the page is no answer
	for range 119 {
		d.want("400 authorization_pending")
		i.clock.Advance(5 * time.Second) // who keeps to the interval is never told to slow down
	}
}

func TestRFC8628_3_5_SlowDown(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	d, other := i.device(tv), i.device(tv)
	d.want("400 authorization_pending")
	d.want("400 slow_down")
	other.want("400 authorization_pending") // each device has an interval of its own
	told := 0
	for range 60 {
		i.clock.Advance(time.Second)
		if a := d.poll(); a.outcome() == "400 slow_down" {
			told++
		} else if a.outcome() != "400 authorization_pending" {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if told < 40 {
		t.Errorf("of 60 polls a second apart %d were too fast", told)
	}
	if d.decide("allow").poll().status != 200 { // nothing is pending any more
		t.Error("who was too fast gets nothing")
	}
}

// Two servers that are one issuer keep one interval, and one answer.
func TestRFC8628_3_5_Replicas(t *testing.T) {
	t.Parallel()
	shared := withStore(authserver.NewMemoryStore(nil))
	i := startWeb(t, "", shared)
	replica := startWeb(t, "", shared, func(c *authserver.Config) { c.Issuer = i.url })
	here := i.device(tv)
	there := *here
	there.i = replica
	here.want("400 authorization_pending")
	there.want("400 slow_down")
	there.decide("allow")
	if s := i.browser().enter(here.userCode); s.status != 400 {
		t.Errorf("another answer: %d", s.status)
	}
	here.want("200")
	there.want("400 invalid_grant")
}

func TestRFC8628_3_5_AccessDenied(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	d := i.device(tv).decide("deny")
	for range 3 {
		d.want("400 access_denied")
	}
	if s := i.browser().enter(d.userCode); s.status != 400 {
		t.Errorf("a second answer: %d", s.status)
	}
}

func TestRFC8628_3_5_ExpiredToken(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "", func(c *authserver.Config) { c.TokenLifetime = time.Second })
	d, allowed := i.device(tv), i.device(tv).decide("allow")
	i.clock.Advance(10*time.Minute - time.Millisecond)
	d.want("400 authorization_pending")
	i.clock.Advance(time.Millisecond)
	d.want("400 expired_token")
	allowed.want("400 expired_token")
	i.clock.Advance(9 * time.Minute)
	d.want("400 expired_token")
}

// Who answers at the last moment does not do so in vain.
func TestRFC8628_3_5_ALateAnswerIsHeard(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	d, late := i.device(tv), i.device(tv)
	i.clock.Advance(10*time.Minute - time.Second)
	d.decide("allow")
	late.decide("allow")
	i.clock.Advance(time.Minute - time.Millisecond)
	d.want("200")
	i.clock.Advance(time.Millisecond)
	late.want("400 expired_token")
}

// Nothing is lost while the store fails.
func TestRFC8628_3_5_StoreFailures(t *testing.T) {
	t.Parallel()
	broken := &faultyStore{Store: authserver.NewMemoryStore(nil)}
	i := startWeb(t, "", withStore(broken))
	d := i.device(tv)
	b := i.browser()
	consent := b.consent(d.userCode)
	enter := b.get(i.url + "/device") // with the cookie of now
	fails := func(name string, a answer) {
		t.Helper()
		if a.status != 503 || a.header.Get("Retry-After") == "" || strings.Contains(string(a.body), errBroken.Error()) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	broken.fail.Store(true)
	fails("device authorization", i.fromDevice("/device_authorization", tv))
	fails("a poll", d.poll())
	fails("the code", b.submit(enter, "user_code", d.userCode).answer)
	fails("the answer", b.submit(consent, "decision", "allow").answer)
	broken.fail.Store(false)
	d.want("400 authorization_pending")
	if s := b.submit(consent, "decision", "allow"); s.status != 200 {
		t.Errorf("%d %s", s.status, s.body)
	}
	broken.fail.Store(true)
	fails("a poll after the answer", d.poll())
	broken.fail.Store(false)
	d.want("200")
}

func TestRFC8628_4_Metadata(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "/tenant")
	about := i.get(i.url + "/.well-known/openid-configuration")
	if about.member("device_authorization_endpoint") != i.url+"/device_authorization" || !strings.Contains(fmt.Sprint(about.object()["grant_types_supported"]), deviceGrant) {
		t.Errorf("%s", about.body)
	}
}

// Where nobody can sign in, there is no device grant, whatever is registered.
func TestRFC8628_4_WithoutPeopleThereIsNoDeviceGrant(t *testing.T) {
	t.Parallel()
	i := start(t, "", func(c *authserver.Config) { c.Clients = append(c.Clients, devices()...) })
	about := i.get(i.url + "/.well-known/oauth-authorization-server")
	if strings.Contains(string(about.body), "device") {
		t.Errorf("%s", about.body)
	}
	for _, path := range []string{"/device", "/device_authorization"} {
		if a := i.get(i.url + path); a.status != 404 {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	if a := i.fromDevice("/token", tv, "grant_type", deviceGrant, "device_code", "x"); a.outcome() != "400 unsupported_grant_type" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// Apps of televisions are web pages.
func TestRFC8628_3_1_CORS(t *testing.T) {
	t.Parallel()
	const app = "https://app.example"
	i := startWeb(t, "", func(c *authserver.Config) { c.AllowedOrigins = []string{app} })
	for origin, want := range map[string]string{app: app, "https://evil.example": ""} {
		req := i.request("/device_authorization", url.Values{"client_id": {tv.id}}.Encode())
		req.Header.Set("Origin", origin)
		if a := i.do(req); a.status != 200 || a.header.Get("Access-Control-Allow-Origin") != want {
			t.Errorf("%s: %d %v", origin, a.status, a.header)
		}
		b := i.browser()
		b.header.Set("Origin", origin)
		if s := b.get(i.url + "/device"); s.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("the page, %s: %v", origin, s.header)
		}
	}
}
