package sqlstore_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/issuertest"
)

// A pair is two servers that are one issuer, on one database, over HTTP, and the
// clients of each.
type pair struct {
	*issuertest.Issuer
	servers            [2]*authserver.Server
	web, kiosk, orders [2]*issuertest.App

	ahead atomic.Int64 // of the time, in nanoseconds
}

func newPair(t *testing.T, db database) *pair {
	t.Helper()
	p := &pair{Issuer: issuertest.New(t)}
	web, kiosk := p.Web.At(nil), p.Kiosk.At(nil) // one browser
	for n := range p.servers {
		p.servers[n] = p.Server(t, db.open(t, withKey), func(c *authserver.Config) {
			c.Now = func() time.Time { return time.Now().Add(time.Duration(p.ahead.Load())) }
		})
		ts := httptest.NewServer(p.servers[n])
		t.Cleanup(ts.Close)
		way := issuertest.Dial(ts.Listener.Addr().String())
		t.Cleanup(way.CloseIdleConnections)
		p.web[n], p.kiosk[n], p.orders[n] = web.At(way), kiosk.At(way), p.Orders.At(way)
	}
	return p
}

// wantActive demands of both servers that they think so of a token.
func (p *pair) wantActive(t *testing.T, what, token string, want bool) {
	t.Helper()
	for n, orders := range p.orders {
		if got := must(orders.Active(t.Context(), token))(t); token == "" || got != want {
			t.Errorf("%s is active at %d: %v", what, n, got)
		}
	}
}

func wantOutcome(t *testing.T, what string, a *issuertest.Answer, want string) {
	t.Helper()
	if got := a.Outcome(); got != want {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}

// eachPair runs a test with two servers on each kind of database.
func eachPair(t *testing.T, run func(t *testing.T, p *pair)) {
	t.Helper()
	each(t, func(t *testing.T, create func(testing.TB) database) {
		t.Helper()
		run(t, newPair(t, create(t)))
	})
}

func TestReplicas_ACodeOfOneIsRedeemedAtTheOther(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p *pair) {
		t.Helper()
		ctx := t.Context()
		for name, app := range map[string][2]*issuertest.App{"JWT": p.web, "opaque": p.kiosk} {
			code := must(app[0].Code(ctx))(t)
			redeemed := must(app[1].Redeem(ctx, code))(t)
			wantOutcome(t, "a code at the other", redeemed, "200")
			p.wantActive(t, name, redeemed.Text("access_token"), true)
			wantOutcome(t, "a replay where it was issued", must(app[0].Redeem(ctx, code))(t), "400 invalid_grant")
			p.wantActive(t, name+" of a code that was replayed", redeemed.Text("access_token"), false)
			wantOutcome(t, "its refresh token", must(app[1].Refresh(ctx, redeemed.Text("refresh_token")))(t), "400 invalid_grant")
		}
	})
}

func TestReplicas_ADeviceOfOneIsAllowedAtTheOther(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p *pair) {
		t.Helper()
		ctx := t.Context()
		begun := must(p.web[0].Post(ctx, "/device_authorization", url.Values{}, nil))(t)
		wantOutcome(t, "a device that waits", must(p.web[1].RedeemDevice(ctx, begun.Text("device_code")))(t), "400 authorization_pending")
		if err := p.web[1].Allow(ctx, begun.Text("user_code")); err != nil {
			t.Fatal(err)
		}
		redeemed := must(p.web[0].RedeemDevice(ctx, begun.Text("device_code")))(t)
		wantOutcome(t, "a device that was allowed", redeemed, "200")
		p.wantActive(t, "its token", redeemed.Text("access_token"), true)
		wantOutcome(t, "a replay at the other", must(p.web[1].RedeemDevice(ctx, begun.Text("device_code")))(t), "400 invalid_grant")
		p.wantActive(t, "a token of a device code that was replayed", redeemed.Text("access_token"), false)
	})
}

func TestReplicas_WhoSignedInAtOneIsSignedInAtTheOther(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p *pair) {
		t.Helper()
		if _, err := p.web[1].Code(t.Context(), "prompt", "none"); err == nil {
			t.Error("somebody is signed in who is not")
		}
		must(p.web[0].Code(t.Context()))(t)
		if _, err := p.web[1].Code(t.Context(), "prompt", "none"); err != nil {
			t.Error(err)
		}
	})
}

func TestReplicas_ARequestPushedToOneIsUsedAtTheOtherOnce(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p *pair) {
		t.Helper()
		ctx := t.Context()
		uri := must(p.web[0].Push(ctx))(t)
		code := must(p.web[1].PushedCode(ctx, uri))(t)
		wantOutcome(t, "its code", must(p.web[0].Redeem(ctx, code))(t), "200")
		for n := range p.web {
			if _, err := p.web[n].PushedCode(ctx, uri); err == nil {
				t.Errorf("it is used again at %d", n)
			}
		}
	})
}

func TestReplicas_ReuseOfARefreshTokenOfOneIsSeenAtTheOther(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p *pair) {
		t.Helper()
		ctx := t.Context()
		first := must(p.web[0].Redeem(ctx, must(p.web[0].Code(ctx))(t)))(t)
		second := must(p.web[0].Refresh(ctx, first.Text("refresh_token")))(t)
		again := must(p.web[1].Refresh(ctx, first.Text("refresh_token")))(t)
		if successor := second.Text("refresh_token"); successor == "" || again.Text("refresh_token") != successor {
			t.Fatalf("a retry at the other: %s, and another successor", again.Outcome())
		}
		third := must(p.web[1].Refresh(ctx, second.Text("refresh_token")))(t)
		wantOutcome(t, "the successor at the other", third, "200")
		tokens := []*issuertest.Answer{first, second, again, third}
		for _, a := range tokens {
			p.wantActive(t, "an access token", a.Text("access_token"), true)
		}

		wantOutcome(t, "reuse", must(p.web[0].Refresh(ctx, first.Text("refresh_token")))(t), "400 invalid_grant")
		for n := range p.web {
			wantOutcome(t, "the last of the family", must(p.web[n].Refresh(ctx, third.Text("refresh_token")))(t), "400 invalid_grant")
		}
		for _, a := range tokens {
			p.wantActive(t, "an access token of a family that is dead", a.Text("access_token"), false)
		}
	})
}

// After the grace a retry at the other server is a theft, whoever rotated.
func TestReplicas_TheGraceIsOneForBoth(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p *pair) {
		t.Helper()
		ctx := t.Context()
		first := must(p.kiosk[0].Redeem(ctx, must(p.kiosk[0].Code(ctx))(t)))(t)
		second := must(p.kiosk[0].Refresh(ctx, first.Text("refresh_token")))(t)
		p.ahead.Add(int64(31 * time.Second))
		wantOutcome(t, "reuse", must(p.kiosk[1].Refresh(ctx, first.Text("refresh_token")))(t), "400 invalid_grant")
		wantOutcome(t, "the successor", must(p.kiosk[0].Refresh(ctx, second.Text("refresh_token")))(t), "400 invalid_grant")
		p.wantActive(t, "an access token", second.Text("access_token"), false)
	})
}

func TestReplicas_WhatWorksOnceWorksAtOneOfThem(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p *pair) {
		t.Helper()
		clientCredentials := url.Values{"grant_type": {"client_credentials"}}
		asserted := p.ClientAssertion(t)
		asserted.Set("grant_type", "client_credentials")
		for name, row := range map[string]struct {
			form   url.Values
			header http.Header
			lost   string
		}{
			"a client assertion": {asserted, nil, "401 invalid_client"},
			"an assertion":       {url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {p.Assertion(t)}}, nil, "400 invalid_grant"},
			"a DPoP proof":       {clientCredentials, http.Header{"Dpop": {p.Proof(t)}}, "400 invalid_dpop_proof"},
		} {
			for n, want := range []string{"200", row.lost} {
				wantOutcome(t, name, must(p.web[n].Post(t.Context(), "/token", row.form, row.header))(t), want)
			}
		}
	})
}

// A rotation at one server reaches the other within ten seconds; what the new key
// signs is good everywhere at once, and what the old one signed stays good.
func TestReplicas_ARotationOfKeysReachesBoth(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p *pair) {
		t.Helper()
		ctx := t.Context()
		token := func(n int) string {
			a := must(p.web[n].Post(ctx, "/token", url.Values{"grant_type": {"client_credentials"}}, nil))(t)
			return a.Text("access_token")
		}
		lists := func(n int, kid string) bool {
			return strings.Contains(string(must(p.web[n].Get(ctx, "/jwks"))(t).Body), `"kid":"`+kid+`"`)
		}
		before := token(1)
		if err := p.servers[0].RotateKeys(ctx, generate(t, "second", "ES256"), authserver.RotateNow); err != nil {
			t.Fatal(err)
		}
		p.ahead.Add(int64(time.Second)) // a second, since what is unknown is not looked up at once again
		p.wantActive(t, "a token by the new key", token(0), true)
		p.ahead.Add(int64(10 * time.Second))
		for n := range p.servers {
			if !lists(n, "second") {
				t.Errorf("%d does not publish the new key", n)
			}
			p.wantActive(t, "a token by the new key", token(n), true)
		}
		p.wantActive(t, "a token by the old key", before, true)

		if err := p.servers[1].RotateKeys(ctx, generate(t, "third", "ES256"), authserver.RotateScheduled); err != nil {
			t.Fatal(err)
		}
		p.ahead.Add(int64(10 * time.Second))
		for n := range p.servers {
			if !lists(n, "third") || signedBy(t, token(n)) != "second" {
				t.Errorf("%d does not publish the next key, or signs with it already", n)
			}
		}
		p.ahead.Add(int64(15 * time.Minute))
		for n := range p.servers {
			if kid := signedBy(t, token(n)); kid != "third" {
				t.Errorf("%d signs with %s", n, kid)
			}
		}
	})
}

// signedBy is the kid of a JWT.
func signedBy(t *testing.T, token string) string {
	t.Helper()
	first, _, _ := strings.Cut(token, ".")
	var header struct{ Kid string }
	if err := json.Unmarshal(must(base64.RawURLEncoding.DecodeString(first))(t), &header); err != nil {
		t.Fatal(err)
	}
	return header.Kid
}
