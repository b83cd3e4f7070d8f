package authserver_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

func withRotation(period time.Duration) func(*authserver.Config) {
	return func(c *authserver.Config) { c.KeyRotation = period }
}

// signer returns the kid of a token that is issued now and verifies.
func (i *issuer) signer() string {
	i.t.Helper()
	token := i.token(shop)
	if err := i.verify(token); err != nil {
		i.t.Error(err)
	}
	header, _ := parts(i.t, token)
	return fmt.Sprint(header["kid"])
}

// Period after period: what signs was published at least 15 minutes before, for
// which the key set may be cached, and stays until its last token has expired.
func TestPoint35_KeysRotateOnSchedule(t *testing.T) {
	t.Parallel()
	const period = 2 * time.Hour
	var tr trail
	i := start(t, "", tr.attach, withRotation(period))
	began := i.clock.Now()
	published, signed, expiry := map[string]time.Duration{}, map[string]time.Duration{}, map[string]time.Duration{}
	for at := time.Duration(0); at < 5*period; at = i.clock.Now().Sub(began) {
		kid, listed := i.signer(), strings.Fields(i.kids())
		for _, kid := range listed {
			if _, known := published[kid]; !known {
				published[kid] = at
			}
		}
		if _, known := signed[kid]; !known {
			signed[kid] = at
		}
		expiry[kid] = at + 10*time.Minute
		for kid, end := range expiry {
			if at < end && !slices.Contains(listed, kid) {
				t.Fatalf("%v: the key of a live token is withdrawn", at)
			}
		}
		if len(listed) > 2 {
			t.Fatalf("%v: %d keys at a time", at, len(listed))
		}
		i.clock.Advance(5 * time.Minute)
	}
	if len(signed) != 5 || len(published) != 6 {
		t.Errorf("%d keys signed in five periods, %d were published; want 5 and the next", len(signed), len(published))
	}
	for kid, at := range signed {
		if at%period != 0 || at > 0 && at-published[kid] != 15*time.Minute {
			t.Errorf("a key was published at %v, and signed from %v", published[kid], at)
		}
	}
	others := func(e authserver.Event) bool { return e.Type != authserver.EventKeyRotation }
	if events := slices.DeleteFunc(tr.take(), others); len(events) != 5 {
		t.Errorf("%d events of rotation, want 5", len(events))
	}
}

// Of a server that was left alone for long, the next key does not sign at once
// either: nobody has seen it yet.
func TestPoint35_ALateRotationIsAnnouncedToo(t *testing.T) {
	t.Parallel()
	i := start(t, "", withRotation(time.Hour))
	first := i.signer()
	i.clock.Advance(1000 * time.Hour)
	if got := i.signer(); got != first {
		t.Errorf("%s signs at once", got)
	}
	if kids := strings.Fields(i.kids()); len(kids) != 2 || kids[0] != first {
		t.Fatalf("%s are published", kids)
	}
	i.clock.Advance(15*time.Minute - time.Second)
	if got := i.signer(); got != first {
		t.Errorf("%s signs before the key set can have expired everywhere", got)
	}
	i.clock.Advance(time.Second)
	if got := i.signer(); got == first {
		t.Error("the next key does not sign")
	}
}

// A rotation by call begins the period anew, with the algorithm of its key.
func TestKeyRotation_GoesOnFromARotationByCall(t *testing.T) {
	t.Parallel()
	i := start(t, "", withRotation(2*time.Hour))
	i.clock.Advance(100 * time.Minute)
	if err := i.RotateKeys(t.Context(), key(t, "EdDSA", "called"), authserver.RotateNow); err != nil {
		t.Fatal(err)
	}
	i.clock.Advance(100 * time.Minute)
	if got := i.signer(); got != "called" || len(strings.Fields(i.kids())) != 1 {
		t.Errorf("%s signs, %s are published", got, i.kids())
	}
	i.clock.Advance(5 * time.Minute)
	i.signer()
	i.clock.Advance(15 * time.Minute)
	header, _ := parts(t, i.token(shop))
	if header["kid"] == "called" || header["alg"] != "EdDSA" {
		t.Errorf("%v two hours later", header)
	}
}

// However many tokens are wanted at the time, there is one next key.
func TestKeyRotation_OneNextKeyUnderLoad(t *testing.T) {
	t.Parallel()
	i := start(t, "", withRotation(time.Hour))
	if err := i.RotateKeys(t.Context(), key(t, "RS256", "slow"), authserver.RotateNow); err != nil { // which takes long to make
		t.Fatal(err)
	}
	i.clock.Advance(time.Hour)
	before := len(strings.Fields(i.kids()))
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() { i.token(shop) })
	}
	all.Wait()
	if more := len(strings.Fields(i.kids())) - before; more != 1 {
		t.Fatalf("%d keys more", more)
	}
}

// A store that is out of reach at the time keeps nobody from getting tokens: the
// key that there is goes on, and the next one comes when it can.
func TestKeyRotation_WaitsForTheStore(t *testing.T) {
	t.Parallel()
	store := newKeyStore()
	i := start(t, "", withStore(store), withRotation(time.Hour))
	first := i.signer()
	i.clock.Advance(45 * time.Minute)
	store.fail(errors.New("no route to host"))
	for range 4 { // two seconds
		if got := i.signer(); got != first {
			t.Errorf("%s signs, which no other server knows", got)
		}
		i.clock.Advance(500 * time.Millisecond)
	}
	if n := strings.Count(i.log.String(), "the next signing key cannot be put in place"); n != 2 {
		t.Errorf("logged %d times", n)
	}
	store.fail(nil)
	i.signer()
	if kids := strings.Fields(i.kids()); len(kids) != 2 || kids[0] != first {
		t.Errorf("%s are published", kids)
	}
}

func TestKeyRotation_Errors(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]authserver.Config{
		"must be at least 1h0m0s": {KeyRotation: time.Hour - 1},
		"must be at least 1h":     {KeyRotation: -time.Hour},
		"not with Config.Keys":    {KeyRotation: time.Hour, Keys: []authserver.SigningKey{key(t, "ES256", "")}},
	} {
		cfg.Issuer = "https://issuer.example"
		if _, err := authserver.New(cfg); err == nil || !strings.HasPrefix(err.Error(), "authserver: Config.KeyRotation: "+want) {
			t.Errorf("want %s, got %v", want, err)
		}
	}
}
