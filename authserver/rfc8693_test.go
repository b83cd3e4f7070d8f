package authserver_test

import (
	"fmt"
	"maps"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/tokentest"
)

// gateway is the orders API as a client: it is sent tokens for orders, and gets
// others for billing and shipping. The stock API does the same behind it.
var (
	gateway = login{"gateway", "secret-of-gateway-0123456789abcdef"}
	stock   = login{"stock", "secret-of-stock-0123456789abcdef"}
)

const shippingAPI = "https://shipping.example/api"

func exchanger(impersonates bool) authserver.Client {
	return authserver.Client{
		ClientID: gateway.id, SecretHash: authserver.HashOf(gateway.secret), GrantTypes: []string{"client_credentials", tokenExchange},
		Scope: "orders:read bills:read", Audience: []string{billingAPI, shippingAPI, "legacy"},
		TokenExchangeAudience: []string{ordersAPI}, TokenExchangeImpersonation: impersonates,
	}
}

func startExchanging(t testing.TB, edits ...func(*authserver.Config)) *issuer {
	t.Helper()
	return start(t, "", append([]func(*authserver.Config){func(c *authserver.Config) {
		c.Clients = append(c.Clients, exchanger(false), authserver.Client{
			ClientID: stock.id, SecretHash: authserver.HashOf(stock.secret), GrantTypes: []string{"client_credentials", tokenExchange},
			Scope: "orders:read bills:read", Audience: []string{billingAPI}, TokenExchangeAudience: []string{billingAPI, shippingAPI},
		})
	}}, edits...)...)
}

// exchange sends a subject token; extra are pairs of further parameters.
func (i *issuer) exchange(as login, subject string, extra ...string) answer {
	i.t.Helper()
	v := form("grant_type", tokenExchange, "subject_token", subject, "subject_token_type", accessTokenKind)
	maps.Copy(v, form(extra...))
	return i.post("/token", as, v)
}

func TestRFC8693_Section2_Delegation(t *testing.T) {
	t.Parallel()
	i := startExchanging(t)
	for name, as := range map[string]login{"JWT": shop, "opaque": kiosk} {
		subject := i.token(as, "resource", ordersAPI)
		i.clock.Advance(time.Minute)
		a := i.exchange(gateway, subject, "resource", billingAPI)
		if a.status != 200 || a.member("issued_token_type") != accessTokenKind || a.member("token_type") != "Bearer" || a.object()["expires_in"].(float64) > 540 ||
			a.member("scope") != "orders:read bills:read" && as == shop {
			t.Fatalf("%s: %d %s", name, a.status, a.body)
		}
		token := a.member("access_token")
		_, payload := parts(t, token)
		if payload["sub"] != as.id || payload["client_id"] != gateway.id || fmt.Sprint(payload["act"]) != "map[sub:gateway]" ||
			!strings.Contains(fmt.Sprint(payload["aud"]), billingAPI) || strings.Contains(fmt.Sprint(payload["aud"]), ordersAPI) {
			t.Errorf("%s: %v", name, payload)
		}
		if about := i.introspect(billing, token).object(); about["active"] != true || fmt.Sprint(about["act"]) != "map[sub:gateway]" || about["sub"] != as.id {
			t.Errorf("%s: introspection: %v", name, about)
		}
		if i.active(orders, token) || i.active(as, token) {
			t.Errorf("%s: seen by those whom it does not concern", name)
		}
	}
}

func TestRFC8693_Section2_1_Request(t *testing.T) {
	t.Parallel()
	mine := key(t, "ES256", "mine")
	own := signer{"ES256", "mine", mine.Signer}
	i := startExchanging(t, withKeys(mine))
	subject, actor := i.token(shop), i.token(gateway)
	id := own.sign(t, nil, i.claims(shop.id).with(members{"iss": i.url, "aud": ordersAPI, "client_id": shop.id}))
	bound := func(with members) string {
		return own.sign(t, members{"typ": "at+jwt"}, i.claims(shop.id).with(members{"iss": i.url, "aud": ordersAPI, "client_id": shop.id}).with(with))
	}
	const kind = "urn:ietf:params:oauth:token-type:"
	for name, c := range map[string]struct {
		subject string
		extra   []string
		want    string
	}{
		"as it should be":             {subject, nil, "200"},
		"as one of our keys signs it": {bound(nil), nil, "200"},
		"its type, requested":         {subject, []string{"requested_token_type", accessTokenKind}, "200"},
		"with an actor":               {subject, []string{"actor_token", actor, "actor_token_type", accessTokenKind}, "200"},
		"empty parameters":            {subject, []string{"actor_token", "", "requested_token_type", "", "resource", "", "audience", ""}, "200"},
		"no subject":                  {"", nil, "400 invalid_request"},
		"an invention":                {"x", nil, "400 invalid_request"},
		"cut":                         {subject[:len(subject)-4], nil, "400 invalid_request"},
		"an ID token":                 {id, nil, "400 invalid_request"},
		"an ID token, named so":       {id, []string{"subject_token_type", kind + "id_token"}, "400 invalid_request"},
		"a JWT":                       {subject, []string{"subject_token_type", kind + "jwt"}, "400 invalid_request"},
		"a refresh token":             {subject, []string{"subject_token_type", kind + "refresh_token"}, "400 invalid_request"},
		"no type":                     {subject, []string{"subject_token_type", ""}, "400 invalid_request"},
		"an ID token, requested":      {subject, []string{"requested_token_type", kind + "id_token"}, "400 invalid_request"},
		"a refresh token, requested":  {subject, []string{"requested_token_type", kind + "refresh_token"}, "400 invalid_request"},
		"an actor without a type":     {subject, []string{"actor_token", actor}, "400 invalid_request"},
		"a type without an actor":     {subject, []string{"actor_token_type", accessTokenKind}, "400 invalid_request"},
		"an actor's ID token":         {subject, []string{"actor_token", id, "actor_token_type", accessTokenKind}, "400 invalid_request"},
		"an actor of another client":  {subject, []string{"actor_token", subject, "actor_token_type", accessTokenKind}, "400 invalid_request"},
		"meant for another API":       {i.token(shop, "resource", billingAPI), nil, "400 invalid_request"},
		"its own":                     {actor, nil, "400 invalid_request"},
		"bound by DPoP":               {bound(members{"cnf": members{"jkt": "x"}}), nil, "400 invalid_request"},
		"bound by a certificate":      {bound(members{"cnf": members{"x5t#S256": "x"}}), nil, "400 invalid_request"},
		"bound by what is unknown":    {bound(members{"cnf": members{"kid": "x"}}), nil, "400 invalid_request"},
		"expired":                     {bound(members{"exp": i.clock.Now().Unix()}), nil, "400 invalid_request"},
		"scope beyond the subject's":  {i.token(shop, "scope", "orders:read"), []string{"scope", "bills:read"}, "400 invalid_scope"},
		"scope beyond the client's":   {subject, []string{"scope", "orders:write"}, "400 invalid_scope"},
		"resource of another":         {subject, []string{"resource", ordersAPI}, "400 invalid_target"},
		"audience of another":         {subject, []string{"audience", ordersAPI}, "400 invalid_target"},
		"one audience of two":         {subject, []string{"audience", billingAPI, "audience", ordersAPI}, "400 invalid_target"},
		"a good audience, bad target": {subject, []string{"audience", billingAPI, "resource", ordersAPI}, "400 invalid_target"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if a := i.exchange(gateway, c.subject, c.extra...); a.outcome() != c.want {
				t.Errorf("%d %s, want %s", a.status, a.body, c.want)
			}
		})
	}
	revoked := i.token(shop)
	i.post("/revoke", shop, form("token", revoked))
	if a := i.exchange(gateway, revoked); a.outcome() != "400 invalid_request" {
		t.Errorf("revoked: %d %s", a.status, a.body)
	}
	for _, as := range []login{shop, batch, kiosk} {
		if a := i.exchange(as, subject); a.outcome() != "400 unauthorized_client" {
			t.Errorf("%s: %d %s", as.id, a.status, a.body)
		}
	}
	if a := i.exchange(stock, subject); a.status != 200 { // shop's token is for billing too
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestRFC8693_Section2_1_Targets(t *testing.T) {
	t.Parallel()
	i := startExchanging(t)
	subject := i.token(shop)
	for query, want := range map[string]string{
		"": billingAPI + " " + shippingAPI + " legacy",
		"resource=" + url.QueryEscape(shippingAPI):                                             shippingAPI,
		"audience=legacy":                                                                      "legacy",
		"audience=legacy&audience=" + url.QueryEscape(billingAPI):                              billingAPI + " legacy",
		"audience=legacy&resource=" + url.QueryEscape(shippingAPI):                             shippingAPI + " legacy",
		"audience=legacy&audience=legacy&audience=":                                            "legacy",
		"resource=" + url.QueryEscape(billingAPI) + "&audience=" + url.QueryEscape(billingAPI): billingAPI,
	} {
		v, _ := url.ParseQuery(query)
		var extra []string
		for name, values := range v {
			for _, value := range values {
				extra = append(extra, name, value)
			}
		}
		a := i.exchange(gateway, subject, extra...)
		_, payload := parts(t, a.member("access_token"))
		if got := strings.Trim(fmt.Sprint(payload["aud"]), "[]"); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	if a := i.post("/token", shop, url.Values{"grant_type": {grantCC}, "audience": {"a", "b"}}); a.outcome() != "400 invalid_request" {
		t.Errorf("audience twice elsewhere: %d %s", a.status, a.body)
	}
}

func TestRFC8693_Section1_1_ImpersonationByPolicyAlone(t *testing.T) {
	t.Parallel()
	i := start(t, "", func(c *authserver.Config) { c.Clients = append(c.Clients, exchanger(true)) })
	subject := i.token(shop)
	_, payload := parts(t, i.exchange(gateway, subject).member("access_token"))
	if payload["act"] != nil || payload["sub"] != shop.id || payload["client_id"] != gateway.id {
		t.Errorf("%v", payload)
	}
	_, payload = parts(t, i.exchange(gateway, subject, "actor_token", i.token(gateway), "actor_token_type", accessTokenKind).member("access_token"))
	if fmt.Sprint(payload["act"]) != "map[sub:gateway]" {
		t.Errorf("an actor_token is not heeded: %v", payload)
	}
}

// Who was sent a token that is bound to a key of somebody else cannot exchange it;
// who holds the key can, and what comes of it is bound to that key too.
func TestRFC8693_Section5_BoundTokensOnlyWithTheirKey(t *testing.T) {
	t.Parallel()
	i := startExchanging(t)
	own, others := newDPoPKey(t), newDPoPKey(t)
	bound := i.ask(shop, i.proof(own, nil)).member("access_token")
	actor := i.ask(gateway, i.proof(own, nil)).member("access_token")
	exchange := func(subject string, by *tokentest.Key, extra ...string) answer {
		v := form("grant_type", tokenExchange, "subject_token", subject, "subject_token_type", accessTokenKind)
		maps.Copy(v, form(extra...))
		req := i.request("/token", v.Encode())
		req.SetBasicAuth(gateway.id, gateway.secret)
		if by != nil {
			req.Header["Dpop"] = []string{i.proof(by, nil)}
		}
		return i.do(req)
	}
	if a := exchange(bound, own); a.status != 200 || a.member("token_type") != "DPoP" || fmt.Sprint(i.bound(a.member("access_token"))) != fmt.Sprint(i.bound(bound)) {
		t.Errorf("with its key: %d %s", a.status, a.body)
	}
	withActor := []string{"actor_token", actor, "actor_token_type", accessTokenKind}
	if a := exchange(bound, own, withActor...); a.status != 200 {
		t.Errorf("with its key, and an actor of that key: %d %s", a.status, a.body)
	}
	if a := exchange(i.token(shop), others); a.status != 200 || a.member("token_type") != "DPoP" {
		t.Errorf("one that is not bound, with a key: %d %s", a.status, a.body)
	}
	for name, a := range map[string]answer{
		"with another key": exchange(bound, others), "without a key": exchange(bound, nil),
		"an actor of another key": exchange(i.token(shop), others, withActor...), "an actor without its key": exchange(i.token(shop), nil, withActor...),
	} {
		if a.outcome() != "400 invalid_request" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

func TestRFC8693_Section4_1_ChainOfActors(t *testing.T) {
	t.Parallel()
	i := startExchanging(t)
	first := i.exchange(gateway, i.token(shop), "resource", shippingAPI).member("access_token")
	a := i.exchange(stock, first)
	_, payload := parts(t, a.member("access_token"))
	if fmt.Sprint(payload["act"]) != "map[act:map[sub:gateway] sub:stock]" || payload["sub"] != shop.id {
		t.Errorf("%d %s: %v", a.status, a.body, payload)
	}
	token := a.member("access_token")
	for n := 2; ; n++ { // stock's token is for billing, which stock itself is
		a := i.exchange(stock, token)
		if a.status != 200 {
			if n != 5 || a.outcome() != "400 invalid_request" || !strings.Contains(a.member("error_description"), "too often") {
				t.Errorf("after %d exchanges: %d %s", n, a.status, a.body)
			}
			break
		}
		if n > 10 {
			t.Fatal("there is no end to it")
		}
		token = a.member("access_token")
	}
	_, payload = parts(t, token)
	if depth := strings.Count(fmt.Sprint(payload["act"]), "sub:"); depth != 5 {
		t.Errorf("%d actors: %v", depth, payload)
	}
	actor := i.exchange(stock, i.token(gateway, "resource", billingAPI)).member("access_token")
	if a := i.exchange(stock, i.token(shop), "actor_token", actor, "actor_token_type", accessTokenKind); a.outcome() != "400 invalid_request" {
		t.Errorf("an actor that acts for another: %d %s", a.status, a.body)
	}
}

func TestRFC8693_Section4_4_MayAct(t *testing.T) {
	t.Parallel()
	mine := key(t, "ES256", "mine")
	own := signer{"ES256", "mine", mine.Signer}
	for _, impersonates := range []bool{false, true} {
		i := start(t, "", withKeys(mine), func(c *authserver.Config) { c.Clients = append(c.Clients, exchanger(impersonates)) })
		for name, c := range map[string]struct {
			mayAct any
			status int
		}{
			"the client":              {members{"sub": gateway.id}, 200},
			"the client, in full":     {members{"sub": gateway.id, "iss": i.url, "client_id": gateway.id}, 200},
			"another":                 {members{"sub": stock.id}, 400},
			"of another issuer":       {members{"sub": gateway.id, "iss": partner}, 400},
			"through another client":  {members{"sub": gateway.id, "client_id": stock.id}, 400},
			"nobody":                  {members{}, 400},
			"what is not understood":  {members{"sub": gateway.id, "email": "x"}, 400},
			"a text":                  {gateway.id, 400},
			"several":                 {[]any{members{"sub": gateway.id}}, 400},
			"sub in capitals as well": {members{"sub": gateway.id, "SUB": gateway.id}, 400},
		} {
			token := own.sign(t, members{"typ": "at+jwt"}, i.claims(shop.id).with(members{"iss": i.url, "aud": ordersAPI, "client_id": shop.id, "may_act": c.mayAct}))
			if a := i.exchange(gateway, token); a.status != c.status {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		}
	}
}

func TestRFC8693_NeverLongerThanTheSubject(t *testing.T) {
	t.Parallel()
	mine := key(t, "ES256", "mine")
	own := signer{"ES256", "mine", mine.Signer}
	i := startExchanging(t, withKeys(mine))
	now := i.clock.Now().Unix()
	token := func(client string, seconds int64) string {
		return own.sign(t, members{"typ": "at+jwt"}, i.claims(client).with(members{"iss": i.url, "aud": ordersAPI, "client_id": client, "exp": now + seconds}))
	}
	for _, c := range []struct{ subject, actor, want int64 }{{60, 0, 60}, {3600, 0, 600}, {600, 60, 60}, {60, 600, 60}, {1, 0, 1}} {
		var extra []string
		if c.actor > 0 {
			extra = []string{"actor_token", token(gateway.id, c.actor), "actor_token_type", accessTokenKind}
		}
		a := i.exchange(gateway, token(shop.id, c.subject), extra...)
		_, payload := parts(t, a.member("access_token"))
		if exp, _ := payload["exp"].(float64); int64(exp) != now+c.want || a.object()["expires_in"].(float64) > float64(c.want) {
			t.Errorf("%+v: %s %v", c, a.body, payload)
		}
	}
}

// What came of a token ends with it; what ends by itself does not take along what
// it came of.
func TestRFC8693_RevocationGoesDownAndNotUp(t *testing.T) {
	t.Parallel()
	for name, opaque := range map[string]string{"JWT": "", "opaque": "opaque"} {
		i := startExchanging(t, func(c *authserver.Config) {
			for n := range c.Clients {
				c.Clients[n].AccessTokenStrategy = opaque
			}
		})
		family := func() (subject, first, second, sister string) {
			subject = i.token(shop)
			first = i.exchange(gateway, subject, "resource", shippingAPI).member("access_token")
			second = i.exchange(stock, first).member("access_token")
			sister = i.exchange(gateway, subject, "resource", billingAPI).member("access_token")
			return subject, first, second, sister
		}
		alive := func(who login, token string) bool { return i.active(who, token) }

		subject, first, second, sister := family()
		if !alive(orders, subject) || !alive(gateway, first) || !alive(stock, second) || !alive(gateway, sister) {
			t.Fatalf("%s: not all are active", name)
		}
		i.post("/revoke", gateway, form("token", first))
		if !alive(orders, subject) || alive(gateway, first) || alive(stock, second) || !alive(gateway, sister) {
			t.Errorf("%s: revoking what was exchanged: %v %v %v %v", name, alive(orders, subject), alive(gateway, first), alive(stock, second), alive(gateway, sister))
		}
		if a := i.exchange(stock, first); a.status != 400 {
			t.Errorf("%s: a revoked token is exchanged: %d %s", name, a.status, a.body)
		}

		subject, first, second, sister = family()
		i.post("/revoke", shop, form("token", subject))
		if alive(orders, subject) || alive(gateway, first) || alive(stock, second) || alive(gateway, sister) {
			t.Errorf("%s: revoking the subject: %v %v %v %v", name, alive(orders, subject), alive(gateway, first), alive(stock, second), alive(gateway, sister))
		}
		subject, first, _, _ = family()
		if a := i.post("/revoke", shop, form("token", first)); a.outcome() != "400 invalid_grant" || !alive(gateway, first) || !alive(orders, subject) {
			t.Errorf("%s: revoked by another client: %d %s", name, a.status, a.body)
		}
	}
}
