package authserver_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

// withRefresh has every client that gets codes get refresh tokens too.
func withRefresh(c *authserver.Config) {
	for n := range c.Clients {
		if len(c.Clients[n].GrantTypes) > 0 && c.Clients[n].GrantTypes[0] == "authorization_code" {
			c.Clients[n].GrantTypes = []string{"authorization_code", "refresh_token"}
		}
	}
}

// startRefresh is startWeb with refresh tokens, for the public client as well.
func startRefresh(t testing.TB, edits ...func(*authserver.Config)) *issuer {
	t.Helper()
	return startWeb(t, "", append(append([]func(*authserver.Config){withSPA}, edits...), withRefresh)...)
}

// refresh takes a refresh token to the token endpoint; extra are pairs of further
// parameters.
func (i *issuer) refresh(as login, token string, extra ...string) answer {
	i.t.Helper()
	return i.post("/token", as, form(append(extra, "grant_type", "refresh_token", "refresh_token", token)...))
}

// rotated is refresh for what has to succeed: the next refresh token and the access
// token.
func (i *issuer) rotated(as login, token string, extra ...string) (next, access string) {
	i.t.Helper()
	a := i.refresh(as, token, extra...)
	next, access = a.member("refresh_token"), a.member("access_token")
	if a.status != 200 || next == "" || next == token || !i.active(orders, access) {
		i.t.Fatalf("%d %s", a.status, a.body)
	}
	return next, access
}

// signedUp gets the first tokens of a grant for web.
func (i *issuer) signedUp(extra ...string) (refresh, access string) {
	i.t.Helper()
	a := i.redeem(web, i.code(web, extra...))
	refresh, access = a.member("refresh_token"), a.member("access_token")
	if a.status != 200 || len(refresh) < 43 {
		i.t.Fatalf("%d %s", a.status, a.body)
	}
	return refresh, access
}

func TestPoint24_RotatesAndStaysTheSameGrant(t *testing.T) {
	t.Parallel()
	i := startRefresh(t)
	first, access := i.signedUp()
	_, was := parts(t, access)
	i.clock.Advance(time.Hour)
	second, access := i.rotated(web, first)
	if third, _ := i.rotated(web, second); third == first {
		t.Error("the same token again")
	}
	_, is := parts(t, access)
	for _, name := range []string{"sub", "client_id", "scope", "auth_time", "acr"} {
		if was[name] != is[name] || is[name] == nil {
			t.Errorf("%s: %v before, %v after", name, was[name], is[name])
		}
	}
	if g, h, _ := strings.Cut(was["jti"].(string), "."); !strings.HasPrefix(is["jti"].(string), g+".") || h == "" || was["jti"] == is["jti"] {
		t.Errorf("jti %v, then %v", was["jti"], is["jti"])
	}
}

func TestPoint24_IsBoundToItsClient(t *testing.T) {
	t.Parallel()
	i := startRefresh(t)
	token, _ := i.signedUp()
	next, _ := i.rotated(web, token)
	i.clock.Advance(time.Minute)
	for _, refreshToken := range []string{token, next} { // spent ones included: a stranger ends nobody's grant
		i.wantGrantRefused("another client", i.refresh(twin, refreshToken))
		i.wantGrantRefused("a public client", i.refresh(login{}, refreshToken, "client_id", spa))
	}
	if a := i.refresh(login{}, next, "client_id", web.id); a.outcome() != "401 invalid_client" {
		t.Errorf("by its word alone: %d %s", a.status, a.body)
	}
	i.rotated(web, next)
}

func TestPoint24_ScopeAndResourceOnlyNarrow(t *testing.T) {
	t.Parallel()
	i := startRefresh(t)
	token, _ := i.signedUp("scope", "orders:read orders:write")
	for _, scope := range []string{"orders:read bills:read", "bills:read", "admin", " "} {
		if a := i.refresh(web, token, "scope", scope); a.outcome() != "400 invalid_scope" {
			t.Errorf("%q: %d %s", scope, a.status, a.body)
		}
	}
	if a := i.refresh(web, token, "resource", "https://other.example"); a.outcome() != "400 invalid_target" {
		t.Errorf("%d %s", a.status, a.body)
	}
	token, access := i.rotated(web, token, "scope", "orders:write", "resource", ordersAPI)
	if _, p := parts(t, access); p["scope"] != "orders:write" || fmt.Sprint(p["aud"]) != "["+ordersAPI+"]" {
		t.Error(p)
	}
	_, access = i.rotated(web, token) // RFC 6749 section 6: the refresh token keeps its scope
	if _, p := parts(t, access); p["scope"] != "orders:read orders:write" || len(p["aud"].([]any)) != 2 {
		t.Error(p)
	}
}

func TestPoint24_AReplayKillsTheFamily(t *testing.T) {
	t.Parallel()
	for name, opaque := range map[string]bool{"JWT": false, "opaque": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var tr trail
			i := startRefresh(t, tr.attach, func(c *authserver.Config) {
				for n := range c.Clients {
					if opaque {
						c.Clients[n].AccessTokenStrategy = "opaque"
					}
				}
			})
			first, access0 := i.signedUp()
			other, otherAccess := i.signedUp() // of the same person and client
			second, access1 := i.rotated(web, first)
			third, access2 := i.rotated(web, second)
			i.clock.Advance(time.Second) // within the grace, but the successor is used
			tr.take()

			i.wantGrantRefused("the replay", i.refresh(web, first))
			got := tr.take()
			reuse := authserver.Event{
				Type: authserver.EventRefreshReuse, ClientID: web.id, Subject: "sub-of-alice", Grant: got[0].Grant, Error: "invalid_grant", Reason: "refresh token reused",
			}
			i.wantEvents("the replay", got[:1], reuse)
			if len(got) != 2 || got[1].Type != authserver.EventRefused || got[0].Grant == "" {
				t.Errorf("%+v", got)
			}
			for n, access := range []string{access0, access1, access2} {
				if i.active(orders, access) {
					t.Errorf("access token %d is still good", n)
				}
			}
			for n, token := range []string{first, second, third} {
				i.wantGrantRefused("after it", i.refresh(web, token))
				if i.active(web, token) {
					t.Errorf("refresh token %d is still good", n)
				}
			}
			for _, e := range tr.take() {
				if e.Type == authserver.EventRefreshReuse {
					t.Error("another alert for a grant that is dead")
				}
			}
			if !i.active(orders, otherAccess) {
				t.Error("another grant went with it")
			}
			i.rotated(web, other)
			if log := i.log.String(); !strings.Contains(log, `"level":"WARN","msg":"refresh token reused"`) {
				t.Error("no alert in the log")
			}
			for _, secret := range []string{first, second, third} {
				if strings.Contains(i.log.String(), secret) {
					t.Error("a refresh token in the log")
				}
			}
		})
	}
}

func TestPoint24_ARetryGetsTheSameSuccessor(t *testing.T) {
	t.Parallel()
	i := startRefresh(t)
	token, _ := i.signedUp()
	next, access := i.rotated(web, token)
	i.clock.Advance(30*time.Second - time.Millisecond)
	for range 3 {
		again, other := i.rotated(web, token, "scope", "orders:read")
		if again != next {
			t.Error("another successor")
		}
		if other == access {
			t.Error("the same access token")
		}
	}
	i.rotated(web, next)
}

func TestPoint24_ARetryTooLateIsAReplay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ grace, after time.Duration }{
		"by default": {0, 30 * time.Second}, "of a longer grace": {time.Minute, time.Minute}, "without grace": {-1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := startRefresh(t, func(cfg *authserver.Config) { cfg.RefreshTokenGrace = c.grace })
			token, _ := i.signedUp()
			next, access := i.rotated(web, token)
			i.clock.Advance(c.after)
			i.wantGrantRefused("the replay", i.refresh(web, token))
			i.wantGrantRefused("the successor", i.refresh(web, next))
			if i.active(orders, access) {
				t.Error("the access token is still good")
			}
		})
	}
}

func TestPoint24_AbsoluteLifetime(t *testing.T) {
	t.Parallel()
	i := startRefresh(t, func(c *authserver.Config) { c.RefreshTokenLifetime = 48 * time.Hour })
	began := i.clock.Now()
	token, _ := i.signedUp()
	for range 47 {
		i.clock.Advance(time.Hour)
		token, _ = i.rotated(web, token)
	}
	i.clock.Advance(time.Hour - time.Minute)
	a := i.refresh(web, token)
	_, p := parts(t, a.member("access_token"))
	if end := began.Add(48 * time.Hour).Unix(); a.status != 200 || int64(p["exp"].(float64)) != end || a.object()["expires_in"] != 60.0 {
		t.Errorf("exp %v, the grant ends at %d: %s", p["exp"], end, a.body)
	}
	i.clock.Advance(time.Minute)
	i.wantGrantRefused("after its end", i.refresh(web, a.member("refresh_token")))
	i.wantGrantRefused("after its end, and spent", i.refresh(web, token))
	if i.active(web, a.member("refresh_token")) {
		t.Error("active after its end")
	}
}

func TestPoint21_AReplayedCodeRevokesItsRefreshTokens(t *testing.T) {
	t.Parallel()
	store := authserver.NewMemoryStore(nil)
	i := startRefresh(t, withStore(store))
	code := i.code(web)
	token := i.redeem(web, code).member("refresh_token")
	i.clock.Advance(29 * 24 * time.Hour) // long after the code
	if _, err := store.Purge(t.Context(), i.clock.Now(), 1000); err != nil {
		t.Fatal(err)
	}
	token, access := i.rotated(web, token)
	i.wantGrantRefused("the replay", i.redeem(web, code))
	i.wantGrantRefused("its refresh token", i.refresh(web, token))
	if i.active(orders, access) {
		t.Error("the access token is still good")
	}
}

// A code that nobody redeems takes no room for as long as refresh tokens last:
// whoever is signed in gets as many as they like.
func TestPoint21_ACodeThatNobodyRedeemsIsSoonForgotten(t *testing.T) {
	t.Parallel()
	i := startRefresh(t, withStore(authserver.NewMemoryStore(&authserver.MemoryStoreOptions{MaxRecords: 8})))
	b := i.browser()
	for range 8 {
		b.grant(authParams(web))
	}
	if s := b.authorize(authParams(web)); s.response().Get("error") != "temporarily_unavailable" {
		t.Fatalf("%d %s", s.status, s.header.Get("Location"))
	}
	i.clock.Advance(11 * time.Minute)
	if s := b.authorize(authParams(web)); s.response().Get("code") == "" {
		t.Errorf("%d %s", s.status, s.header.Get("Location"))
	}
}

func TestPoint24_OnlyWhereRegistered(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "", func(c *authserver.Config) {
		c.Clients[len(c.Clients)-1].GrantTypes = []string{"authorization_code", "refresh_token"} // native
	})
	if a := i.redeem(web, i.code(web)); a.status != 200 || a.object()["refresh_token"] != nil {
		t.Errorf("%d %s", a.status, a.body)
	}
	a := i.redeem(native, i.code(native))
	if a.status != 200 || a.member("refresh_token") == "" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := i.refresh(web, a.member("refresh_token")); a.outcome() != "400 unauthorized_client" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := i.post("/token", shop, form("grant_type", "client_credentials")); a.object()["refresh_token"] != nil {
		t.Error("client_credentials brings a refresh token")
	}
	if a := i.refresh(native, ""); a.outcome() != "400 invalid_request" {
		t.Errorf("%d %s", a.status, a.body)
	}
	for _, token := range []string{"x", strings.Repeat("x", 43), strings.Repeat("x", 60000), a.member("access_token")} {
		i.wantGrantRefused("invented", i.refresh(native, token))
	}
}

// What a client may do is what it is registered for now.
func TestPoint24_AClientThatWasCutBack(t *testing.T) {
	t.Parallel()
	store := authserver.NewMemoryStore(nil)
	c := authserver.Client{
		ClientID: "kept", SecretHash: authserver.HashOf("secret-of-kept"), GrantTypes: []string{"authorization_code", "refresh_token"},
		RedirectURIs: []string{webURI}, Scope: "orders:read orders:write", Audience: []string{ordersAPI, billingAPI},
	}
	register := func() {
		if err := store.PutClient(t.Context(), &c); err != nil {
			t.Fatal(err)
		}
	}
	register()
	i := startWeb(t, "", withStore(store))
	kept := login{"kept", "secret-of-kept"}
	code := i.browser().grant(authParams(web, "client_id", kept.id)).response().Get("code")
	token := i.redeem(kept, code, "redirect_uri", webURI).member("refresh_token")

	c.Scope, c.Audience = "orders:read", []string{ordersAPI}
	register()
	token, access := i.rotated(kept, token)
	if _, p := parts(t, access); p["scope"] != "orders:read" || fmt.Sprint(p["aud"]) != "["+ordersAPI+"]" {
		t.Error(p)
	}
	if a := i.refresh(kept, token, "scope", "orders:write"); a.outcome() != "400 invalid_scope" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := i.refresh(kept, token, "resource", billingAPI); a.outcome() != "400 invalid_target" {
		t.Errorf("%d %s", a.status, a.body)
	}
	c.Audience = []string{"https://new.example"}
	register()
	if a := i.refresh(kept, token); a.outcome() != "400 invalid_target" {
		t.Errorf("%d %s", a.status, a.body)
	}
	c.GrantTypes = []string{"authorization_code"}
	register()
	if a := i.refresh(kept, token); a.outcome() != "400 unauthorized_client" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestPoint24_Registration(t *testing.T) {
	t.Parallel()
	for want, edit := range map[string]func(*authserver.Config){
		"Config.RefreshTokenLifetime: must be from TokenLifetime to 365 days": func(c *authserver.Config) { c.RefreshTokenLifetime = -1 },
		"RefreshTokenLifetime: must be from":                                  func(c *authserver.Config) { c.RefreshTokenLifetime = 9 * time.Minute },
		"RefreshTokenLifetime: must be":                                       func(c *authserver.Config) { c.RefreshTokenLifetime = 366 * 24 * time.Hour },
		"Config.RefreshTokenGrace: must be at most a minute":                  func(c *authserver.Config) { c.RefreshTokenGrace = time.Minute + 1 },
		`Clients[0] ("a"): grant_types: refresh_token goes with`: func(c *authserver.Config) {
			c.Clients = []authserver.Client{{ClientID: "a", SecretHash: authserver.HashOf("x"), GrantTypes: []string{"refresh_token", "client_credentials"}}}
		},
	} {
		cfg := authserver.Config{Issuer: "http://localhost", Users: users()}
		edit(&cfg)
		if _, err := authserver.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// The successor that a retry gets is kept for whoever has the token before it, and
// is no use to who reads the store.
func TestPoint40_TheStoreHoldsNoRefreshToken(t *testing.T) {
	t.Parallel()
	dump := &dumpingStore{Store: authserver.NewMemoryStore(nil)}
	i := startRefresh(t, withStore(dump))
	first, _ := i.signedUp()
	second, _ := i.rotated(web, first)
	if again, _ := i.rotated(web, first); again != second {
		t.Fatal("no retry")
	}
	third, _ := i.rotated(web, second)
	i.wantGrantRefused("the replay", i.refresh(web, first))
	dump.mu.Lock()
	defer dump.mu.Unlock()
	if seen := string(dump.seen); !strings.Contains(seen, string(authserver.RefreshToken)) || !strings.Contains(seen, `"sealed":`) {
		t.Fatalf("the dump is not what it should be: %q", seen)
	}
	for _, secret := range []string{first, second, third} {
		raw, _ := base64.RawURLEncoding.DecodeString(secret)
		for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret)), string(raw), base64.StdEncoding.EncodeToString(raw)} {
			if strings.Contains(string(dump.seen), form) {
				t.Errorf("the store was given %q", form)
			}
		}
	}
}
