package authserver_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

// A trail keeps the events that a server tells of.
type trail struct {
	mu     sync.Mutex
	events []authserver.Event
}

func (tr *trail) audit(_ context.Context, e authserver.Event) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.events = append(tr.events, e)
}

// take returns the events since the last call.
func (tr *trail) take() []authserver.Event {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	events := tr.events
	tr.events = nil
	return events
}

// one demands that there was one event.
func (tr *trail) one(t *testing.T) authserver.Event {
	t.Helper()
	events := tr.take()
	if len(events) != 1 {
		t.Fatalf("%d events, want 1: %+v", len(events), events)
	}
	return events[0]
}

func (tr *trail) attach(c *authserver.Config) { c.Audit = tr.audit }

func TestAudit_TokenIssuedAndRevoked(t *testing.T) {
	t.Parallel()
	var tr trail
	i := start(t, "/tenant", tr.attach)
	for _, as := range []login{shop, kiosk} {
		token := i.token(as, "scope", "orders:read", "resource", ordersAPI)
		issued := tr.one(t)
		about := i.introspect(orders, token)
		want := authserver.Event{
			Type: authserver.EventTokenIssued, Time: i.clock.Now(), ClientID: as.id, Subject: as.id, GrantType: "client_credentials",
			Grant: about.member("jti"), TokenID: about.member("jti"), Scope: "orders:read", Audience: []string{ordersAPI},
		}
		if got, want := fmt.Sprintf("%+v", issued), fmt.Sprintf("%+v", want); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if events := tr.take(); len(events) != 0 {
			t.Errorf("introspection is told of: %+v", events)
		}
		i.post("/revoke", as, form("token", token))
		want = authserver.Event{
			Type: authserver.EventRevocation, Time: i.clock.Now(), ClientID: as.id, Subject: as.id, Grant: issued.Grant,
			TokenID: issued.TokenID, Reason: "revoked by the client",
		}
		if got, want := fmt.Sprintf("%+v", tr.one(t)), fmt.Sprintf("%+v", want); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		for _, token := range []string{token, "unknown"} {
			if a := i.post("/revoke", as, form("token", token)); a.status != 200 || len(tr.take()) != 0 {
				t.Errorf("nothing was revoked, and it is told of: %d", a.status)
			}
		}
	}
}

func TestAudit_Refused(t *testing.T) {
	t.Parallel()
	var tr trail
	broken := &faultyStore{Store: authserver.NewMemoryStore(nil)}
	i := start(t, "/tenant", tr.attach, withStore(broken))
	proof := i.proof(newDPoPKey(t), edits{"htm": "GET"})
	for name, row := range map[string]struct {
		send func() answer
		want authserver.Event
	}{
		"a wrong secret": {
			func() answer {
				return i.post("/token", login{shop.id, "wrong"}, form("grant_type", "client_credentials"))
			},
			authserver.Event{Path: "/tenant/token", Status: 401, ClientID: shop.id, Error: "invalid_client", Reason: "client authentication failed"},
		},
		"at introspection": {
			func() answer { return i.post("/introspect", login{orders.id, "wrong"}, form("token", "x")) },
			authserver.Event{Path: "/tenant/introspect", Status: 401, ClientID: orders.id, Error: "invalid_client", Reason: "client authentication failed"},
		},
		"scope": {
			func() answer {
				return i.post("/token", shop, form("grant_type", "client_credentials", "scope", "canary"))
			},
			authserver.Event{
				Path: "/tenant/token", Status: 400, ClientID: shop.id, Error: "invalid_scope", Reason: "scope goes beyond what the client is registered for",
			},
		},
		"a proof": {
			func() answer { return i.ask(shop, proof) },
			authserver.Event{
				Path: "/tenant/token", Status: 400, ClientID: shop.id, Error: "invalid_dpop_proof", Reason: "the DPoP proof is not good for this request: htm",
				Cause: errors.New("htm: another method"),
			},
		},
		"the method": {
			func() answer { return i.get(i.url + "/token") },
			authserver.Event{Path: "/tenant/token", Status: 405, Error: "invalid_request", Reason: "the method is not allowed here"},
		},
	} {
		a := row.send()
		row.want.Type, row.want.Time = authserver.EventRefused, i.clock.Now()
		if got, want := fmt.Sprintf("%+v", tr.one(t)), fmt.Sprintf("%+v", row.want); got != want || a.status != row.want.Status {
			t.Errorf("%s: %d\ngot  %s\nwant %s", name, a.status, got, want)
		}
	}
	broken.fail.Store(true)
	i.post("/token", kiosk, form("grant_type", "client_credentials"))
	if e := tr.one(t); e.Status != 503 || e.Error != "temporarily_unavailable" || !errors.Is(e.Cause, errBroken) {
		t.Errorf("the store is broken: %+v", e)
	}
}

func TestAudit_KeyRotation(t *testing.T) {
	t.Parallel()
	var tr trail
	i := start(t, "", tr.attach)
	reasons := map[string]bool{}
	for n, how := range []authserver.Rotation{authserver.RotateScheduled, authserver.RotateNow, authserver.RotateAndWithdraw} {
		if err := i.RotateKeys(t.Context(), key(t, "EdDSA", fmt.Sprint("k", n)), how); err != nil {
			t.Fatal(err)
		}
		e := tr.one(t)
		if e.Type != authserver.EventKeyRotation || e.KeyID != fmt.Sprint("k", n) || e.Algorithm != "EdDSA" || e.Reason == "" || reasons[e.Reason] {
			t.Errorf("%+v", e)
		}
		reasons[e.Reason] = true
	}
	if err := i.RotateKeys(t.Context(), key(t, "EdDSA", "k2"), authserver.RotateNow); err == nil || len(tr.take()) != 0 {
		t.Errorf("a rotation that failed is told of: %v", err)
	}
}

// The log has what Audit has, and nothing else.
func TestAudit_TheLogHasTheSame(t *testing.T) {
	t.Parallel()
	var tr trail
	i := startWeb(t, "", tr.attach)
	signInEverywhere(i)
	for _, as := range []login{shop, kiosk, stranger} {
		a := i.ask(as, i.proof(newDPoPKey(t), nil))
		i.post("/revoke", as, form("token", a.member("access_token")))
		i.ask(as, "x")
	}
	if err := i.RotateKeys(t.Context(), key(t, "ES256", ""), authserver.RotateNow); err != nil {
		t.Fatal(err)
	}
	var logged, told []string
	for line := range strings.Lines(i.log.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		logged = append(logged, fmt.Sprint(record["msg"], record["client_id"], record["jti"], record["kid"], record["error"], record["reason"]))
	}
	value := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	for _, e := range tr.take() {
		told = append(told, fmt.Sprint(e.Type, value(e.ClientID), value(e.TokenID), value(e.KeyID), value(e.Error), value(e.Reason)))
	}
	if len(told) < 9 || !slices.Equal(logged, told) {
		t.Errorf("logged %q\ntold   %q", logged, told)
	}
}

// What an event shows is a copy: nobody changes a registration through it.
func TestAudit_EventsAreCopies(t *testing.T) {
	t.Parallel()
	i := start(t, "", func(c *authserver.Config) {
		c.Audit = func(_ context.Context, e authserver.Event) {
			for n := range e.Audience {
				e.Audience[n] = "https://evil.example"
			}
		}
	})
	for range 2 {
		if _, payload := parts(t, i.token(shop)); strings.Contains(fmt.Sprint(payload["aud"]), "evil") {
			t.Error(payload["aud"])
		}
	}
}

// A watchedStore knows whether an operation of it is under way.
type watchedStore struct {
	authserver.Store
	inside atomic.Int32
}

func (s *watchedStore) Put(ctx context.Context, kind authserver.Kind, key authserver.Hash, r authserver.Record) error {
	defer s.inside.Add(-1)
	s.inside.Add(1)
	return s.Store.Put(ctx, kind, key, r)
}

func (s *watchedStore) RevokeGrant(ctx context.Context, id, reason string, now, until time.Time) error {
	defer s.inside.Add(-1)
	s.inside.Add(1)
	return s.Store.RevokeGrant(ctx, id, reason, now, until)
}

// Audit may do as it likes, calls of the server included: nobody holds a lock, nor
// a transaction, while it runs.
func TestAudit_RunsOutsideOfEverything(t *testing.T) {
	t.Parallel()
	store := &watchedStore{Store: authserver.NewMemoryStore(nil)}
	var i *issuer
	var told, depth atomic.Int32
	i = start(t, "", withStore(store), func(c *authserver.Config) {
		c.Audit = func(ctx context.Context, _ authserver.Event) {
			told.Add(1)
			if store.inside.Load() != 0 {
				t.Error("told in the middle of a store's operation")
			}
			if depth.Add(1) == 1 {
				if err := i.RotateKeys(ctx, key(t, "ES256", ""), authserver.RotateNow); err != nil {
					t.Error(err)
				}
				i.post("/revoke", kiosk, form("token", i.token(kiosk)))
			}
			depth.Add(-1)
		}
	})
	a := i.ask(kiosk, i.proof(newDPoPKey(t), nil))
	i.post("/revoke", kiosk, form("token", a.member("access_token")))
	i.ask(stranger)
	if told.Load() != 3*4 {
		t.Errorf("told of %d events", told.Load())
	}
}

// Who is told of a rotation may rotate again, and holds nobody up.
func TestAudit_RotatesWhenToldOfARotation(t *testing.T) {
	t.Parallel()
	var i *issuer
	told := 0
	i = start(t, "", func(c *authserver.Config) {
		c.Audit = func(ctx context.Context, e authserver.Event) {
			if e.Type != authserver.EventKeyRotation || told > 0 {
				return
			}
			told++
			if err := i.RotateKeys(ctx, key(t, "ES256", "second"), authserver.RotateNow); err != nil {
				t.Error(err)
			}
		}
	})
	done := make(chan error, 1)
	go func() { done <- i.RotateKeys(t.Context(), key(t, "ES256", "first"), authserver.RotateNow) }()
	select {
	case err := <-done:
		if err != nil || kidOf(t, i.token(shop)) != "second" {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("a lock is held")
	}
}

func TestAudit_ContextHasValuesAndNoEnd(t *testing.T) {
	t.Parallel()
	type address struct{}
	ctx, hangUp := context.WithCancel(context.WithValue(t.Context(), address{}, "192.0.2.1"))
	told := 0
	s, err := authserver.New(authserver.Config{
		Issuer: "https://issuer.example", Logger: slog.New(slog.DiscardHandler),
		Audit: func(ctx context.Context, _ authserver.Event) {
			if told++; ctx.Err() != nil || ctx.Value(address{}) != "192.0.2.1" {
				t.Errorf("%v, from %v", ctx.Err(), ctx.Value(address{}))
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	hangUp()
	s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "https://issuer.example/token", http.NoBody).WithContext(ctx))
	if told != 1 {
		t.Errorf("told of %d events", told)
	}
}

// However an event is printed, no secret is in it: not of a good request, and not
// of one with secrets in all the wrong places.
func TestPoint38_EventsHoldNoSecret(t *testing.T) {
	t.Parallel()
	var tr trail
	broken := &faultyStore{Store: authserver.NewMemoryStore(nil)}
	i := start(t, "", tr.attach, withStore(broken), withNonces)
	canaries := []string{stranger.secret, shop.secret, batch.secret, kiosk.secret, orders.secret, "canary", string(nonceKey)}
	everything := func() {
		for _, as := range []login{shop, kiosk} {
			k := newDPoPKey(t)
			nonce := i.ask(as, i.proof(k, edits{"jti": "canary"})).header.Get("DPoP-Nonce")
			proof := i.proof(k, edits{"jti": "canary", "nonce": nonce})
			token := i.ask(as, proof).member("access_token")
			canaries = append(canaries, strings.Split(proof, ".")...)
			if token != "" {
				canaries = append(canaries, token, token[len(token)-40:])
			}
			for _, bad := range []string{proof, "canary", i.proof(k, edits{"canary": "canary", "htu": "canary"}), i.proof(k, edits{"nonce": "canary"})} {
				i.ask(as, bad)
				i.ask(as, bad, bad)
			}
			for _, path := range endpoints {
				i.post(path, as, form("token", token, "grant_type", "canary", "scope", "canary", "resource", "canary:x"))
				i.post(path, as, form("token", "canary", "grant_type", "client_credentials", "scope", "canary"))
				i.post(path, orders, form("token", token, "client_id", "canary"))
				i.post(path, login{stranger.secret, stranger.secret}, form("token", token))
				i.post(path, login{}, form("client_id", "canary", "client_secret", "canary", "client_assertion", "canary"))
				i.post(path, login{}, url.Values{"canary": {"canary", "canary"}})
				i.do(i.request(path+"?client_secret=canary", "%canary%zz"))
			}
			i.post("/revoke", as, form("token", token))
		}
		if err := i.RotateKeys(t.Context(), key(t, "ES256", ""), authserver.RotateNow); err != nil {
			t.Fatal(err)
		}
	}
	everything()
	broken.fail.Store(true)
	everything()

	var out bytes.Buffer
	text, lines := slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil))
	types := map[authserver.EventType]int{}
	for _, e := range tr.take() {
		types[e.Type]++
		if err := json.NewEncoder(&out).Encode(e); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%v %+v %#v %v\n", e, e, e, e.Cause)
		text.Info("x", "event", e)
		lines.Info("x", "event", e)
	}
	for _, e := range []authserver.EventType{authserver.EventTokenIssued, authserver.EventRefused, authserver.EventRevocation, authserver.EventKeyRotation} {
		if types[e] == 0 {
			t.Errorf("no event %q among %v", e, types)
		}
	}
	all := out.String()
	for _, canary := range canaries {
		for _, form := range []string{canary, url.QueryEscape(canary), base64.StdEncoding.EncodeToString([]byte(canary)), hex.EncodeToString([]byte(canary))} {
			if at := strings.Index(all, form); at >= 0 {
				t.Fatalf("an event holds %q: %.300s", form, all[max(0, at-200):])
			}
		}
	}
}
