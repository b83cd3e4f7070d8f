package authserver_test

import (
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

func TestPoint30_AProofWorksOnce(t *testing.T) {
	t.Parallel()
	store := authserver.NewMemoryStore(nil)
	i := start(t, "", withStore(store))
	k := newDPoPKey(t)
	proof := i.proof(k, nil)
	if a := i.ask(shop, proof); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for _, as := range []login{shop, kiosk} { // whoever shows it
		wantError(t, i.ask(as, proof), 400, "invalid_dpop_proof")
	}
	i.clock.Advance(time.Second)
	same := i.proof(k, edits{"jti": "one"})
	i.ask(shop, same)
	wantError(t, i.ask(shop, i.proof(k, edits{"jti": "one", "iat": i.clock.Now().Unix() - 1})), 400, "invalid_dpop_proof")
	if a := i.ask(shop, i.proof(newDPoPKey(t), edits{"jti": "one"})); a.status != 200 {
		t.Errorf("another client that chose the same jti: %d %s", a.status, a.body)
	}
}

// Replicas that share a store share the proofs that were used.
func TestPoint30_AProofWorksOnceAcrossReplicas(t *testing.T) {
	t.Parallel()
	store := authserver.NewMemoryStore(nil)
	i := start(t, "", withStore(store))
	j := start(t, "", withStore(store), func(c *authserver.Config) { c.Issuer = i.url })
	proof := i.proof(newDPoPKey(t), nil)
	if a := j.ask(shop, proof); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	wantError(t, i.ask(shop, proof), 400, "invalid_dpop_proof")
}

// A proof is remembered for as long as it would pass, however many others come
// and are cleared away meanwhile.
func TestPoint30_AProofIsRememberedAsLongAsItWouldPass(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		edit func(*authserver.Config)
		life time.Duration // almost all of it, at the time when the tests begin
	}{
		"iat":   {func(*authserver.Config) {}, 118 * time.Second},
		"nonce": {withNonces, 114 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			counted := &countingStore{Store: authserver.NewMemoryStore(nil)}
			i := start(t, "", withStore(counted), row.edit)
			k := newDPoPKey(t)
			claims := edits{"nonce": i.ask(shop, i.proof(k, nil)).header.Get("DPoP-Nonce"), "iat": i.clock.Now().Add(29 * time.Second).Unix()}
			proof := i.proof(k, claims)
			if a := i.ask(shop, proof); a.status != 200 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			i.clock.Advance(row.life)
			claims["jti"] = "fresh"
			if a := i.ask(shop, i.proof(k, claims)); a.status != 200 {
				t.Fatalf("the proof would not pass now in any case: %d %s", a.status, a.body)
			}
			for range 300 {
				i.token(kiosk)
			}
			if counted.purges.Load() == 0 {
				t.Fatal("nothing was cleared away")
			}
			wantError(t, i.ask(shop, proof), 400, "invalid_dpop_proof")
		})
	}
}

// What is refused for another reason has not used the proof up: a client may send
// it again, with the right secret or for the right grant.
func TestPoint30_ARefusedRequestDoesNotUseTheProofUp(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	proof := i.proof(newDPoPKey(t), nil)
	send := func(as login, params ...string) answer {
		req := i.request("/token", form(params...).Encode())
		req.SetBasicAuth(as.id, as.secret)
		req.Header.Set("DPoP", proof)
		return i.do(req)
	}
	wantError(t, send(login{shop.id, "wrong"}, "grant_type", "client_credentials"), 401, "invalid_client")
	wantError(t, send(stranger, "grant_type", "client_credentials"), 401, "invalid_client")
	wantError(t, send(shop, "grant_type", "password"), 400, "unsupported_grant_type")
	wantError(t, send(orders, "grant_type", "client_credentials"), 400, "unauthorized_client")
	if a := send(shop, "grant_type", "client_credentials"); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// No store, no token: a proof that cannot be remembered might come again.
func TestPoint30_WithoutItsStoreThereIsNoBoundToken(t *testing.T) {
	t.Parallel()
	broken := &faultyStore{Store: authserver.NewMemoryStore(nil)}
	i := start(t, "", withStore(broken))
	proof := i.proof(newDPoPKey(t), nil)
	broken.fail.Store(true)
	wantError(t, i.ask(shop, proof), 503, "temporarily_unavailable")
	broken.fail.Store(false)
	if a := i.ask(shop, proof); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	i = start(t, "", withStore(authserver.NewMemoryStore(&authserver.MemoryStoreOptions{MaxRecords: 1})))
	i.ask(shop, i.proof(newDPoPKey(t), nil))
	wantError(t, i.ask(shop, i.proof(newDPoPKey(t), nil)), 503, "temporarily_unavailable")
}

func TestPoint32_IntrospectionShowsHowATokenIsBound(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	k := newDPoPKey(t)
	for _, as := range []login{shop, kiosk} {
		a := i.ask(as, i.proof(k, nil))
		for _, asker := range []login{orders, as} { // introspection itself needs no proof: the token is its subject
			about := i.introspect(asker, a.member("access_token")).object()
			cnf, _ := about["cnf"].(edits)
			if about["active"] != true || about["token_type"] != "DPoP" || len(cnf) != 1 || cnf["jkt"] != k.Thumbprint(t) {
				t.Errorf("%s learns %v", asker.id, about)
			}
		}
		plain := i.introspect(orders, i.token(as)).object()
		if _, has := plain["cnf"]; has || plain["token_type"] != "Bearer" {
			t.Errorf("of a plain token: %v", plain)
		}
		i.clock.Advance(11 * time.Minute)
		if about := i.introspect(orders, a.member("access_token")); string(about.body) != `{"active":false}` {
			t.Errorf("expired: %s", about.body)
		}
	}
}

func TestPoint33_ABoundTokenIsRevokedAsAnyOther(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	for _, as := range []login{shop, kiosk} {
		token := i.ask(as, i.proof(newDPoPKey(t), nil)).member("access_token")
		if a := i.post("/revoke", batch, form("token", token)); a.status != 400 || !i.active(orders, token) {
			t.Errorf("another client: %d %s", a.status, a.body)
		}
		if a := i.post("/revoke", as, form("token", token)); a.status != 200 || i.active(orders, token) {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

// A page may send a proof, and read the nonce that it is asked for.
func TestPoint39_CORSForDPoP(t *testing.T) {
	t.Parallel()
	const app = "https://app.example"
	i := start(t, "", withNonces, func(c *authserver.Config) { c.AllowedOrigins = []string{app} })
	req := i.request("/token", "")
	req.Method = "OPTIONS"
	req.Header.Set("Origin", app)
	req.Header.Set("Access-Control-Request-Method", "POST")
	req.Header.Set("Access-Control-Request-Headers", "authorization, dpop")
	if a := i.do(req); !strings.Contains(a.header.Get("Access-Control-Allow-Headers"), "DPoP") {
		t.Error(a.header)
	}
	req = i.request("/token", "grant_type=client_credentials")
	req.SetBasicAuth(shop.id, shop.secret)
	req.Header.Set("Origin", app)
	req.Header.Set("DPoP", i.proof(newDPoPKey(t), nil))
	a := i.do(req)
	if a.header.Get("DPoP-Nonce") == "" || !strings.Contains(a.header.Get("Access-Control-Expose-Headers"), "DPoP-Nonce") {
		t.Error(a.header)
	}
}

// The store learns of a proof its hash alone.
func TestPoint40_TheStoreHoldsNoProof(t *testing.T) {
	t.Parallel()
	dump := &dumpingStore{Store: authserver.NewMemoryStore(nil)}
	i := start(t, "", withStore(dump))
	k := newDPoPKey(t)
	proof := i.proof(k, edits{"jti": "canary"})
	if a := i.ask(shop, proof); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	dump.mu.Lock()
	defer dump.mu.Unlock()
	if !strings.Contains(string(dump.seen), "dpop_proof") {
		t.Fatalf("the dump is not what it should be: %q", dump.seen)
	}
	for _, part := range append(strings.Split(proof, "."), "canary", k.Thumbprint(t)) {
		if strings.Contains(string(dump.seen), part) {
			t.Errorf("the store was given %q", part)
		}
	}
}
