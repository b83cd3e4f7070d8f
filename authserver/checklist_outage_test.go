package authserver_test

import (
	"context"
	"crypto"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

// An absentSigner is a key in a KMS that cannot be reached while down is set.
type absentSigner struct {
	crypto.Signer
	down atomic.Bool
}

func (s *absentSigner) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if s.down.Load() {
		return nil, errBroken
	}
	return s.Signer.Sign(random, digest, opts)
}

// A halfStore keeps no records of the kinds that are down.
type halfStore struct {
	authserver.Store
	down atomic.Value // string: the kind
}

func (s *halfStore) Put(ctx context.Context, kind authserver.Kind, key authserver.Hash, r authserver.Record) error {
	if s.down.Load() == string(kind) {
		return errBroken
	}
	return s.Store.Put(ctx, kind, key, r)
}

// wantNoAlert says that nobody was told of a theft.
func (tr *trail) wantNoAlert(t *testing.T) {
	t.Helper()
	for _, e := range tr.take() {
		if e.Type == authserver.EventRefreshReuse || e.Type == authserver.EventRevocation {
			t.Errorf("a false alert: %s, %s", e.Type, e.Reason)
		}
	}
}

// As long as no access token can be made, nothing is used up for it: who comes
// again when it can is no thief.
func TestPoint24_WhatCannotBeSignedUsesNothingUp(t *testing.T) {
	t.Parallel()
	var tr trail
	kms := &absentSigner{Signer: key(t, "ES256", "").Signer}
	i := startRefresh(t, tr.attach, withKeys(authserver.SigningKey{Signer: kms}))
	token, _ := i.signedUp()
	code, d := i.code(web), i.device(tv).decide("allow")
	tr.take()

	kms.down.Store(true)
	for _, a := range []answer{i.refresh(web, token), i.redeem(web, code), d.poll()} {
		if a.outcome() != "500 server_error" {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	kms.down.Store(false)
	i.clock.Advance(30 * time.Second) // which is longer than the grace
	i.rotated(web, token)
	if a := i.redeem(web, code); a.status != 200 || !i.active(orders, a.member("access_token")) {
		t.Errorf("the code: %d %s", a.status, a.body)
	}
	d.want("200")
	tr.wantNoAlert(t)
}

func TestPoint24_WhatCannotBeKeptUsesNothingUp(t *testing.T) {
	t.Parallel()
	for _, kind := range []authserver.Kind{authserver.AccessToken, authserver.RefreshToken} {
		var tr trail
		store := &halfStore{Store: authserver.NewMemoryStore(nil)}
		i := startRefresh(t, tr.attach, withStore(store), func(c *authserver.Config) {
			for n := range c.Clients {
				c.Clients[n].AccessTokenStrategy = "opaque"
			}
		})
		token, _ := i.signedUp()
		code := i.code(web)
		tr.take()

		store.down.Store(string(kind))
		if a := i.redeem(web, code); a.outcome() != "503 temporarily_unavailable" {
			t.Errorf("%d %s", a.status, a.body)
		}
		if a := i.refresh(web, token); kind == authserver.AccessToken && a.outcome() != "503 temporarily_unavailable" {
			t.Errorf("%d %s", a.status, a.body)
		} else if a.status == 200 { // Rotate is another operation
			token = a.member("refresh_token")
		}
		store.down.Store("")
		i.clock.Advance(30 * time.Second)
		i.rotated(web, token)
		if a := i.redeem(web, code); a.status != 200 || !i.active(orders, a.member("access_token")) {
			t.Errorf("the code: %d %s", a.status, a.body)
		}
		tr.wantNoAlert(t)
	}
}

// A request that is refused for its length can be made again, narrower.
func TestPoint24_ATokenThatWouldBeTooLongUsesNothingUp(t *testing.T) {
	t.Parallel()
	var tr trail
	i := startRefresh(t, tr.attach, func(c *authserver.Config) {
		for n := range c.Clients {
			if c.Clients[n].ClientID == web.id {
				c.Clients[n].Audience = []string{ordersAPI, "https://long.example/" + strings.Repeat("x", 12_100)}
			}
		}
	})
	code := i.code(web)
	if a := i.redeem(web, code); a.outcome() != "400 invalid_scope" {
		t.Fatalf("%d %.200s", a.status, a.body)
	}
	a := i.redeem(web, code, "resource", ordersAPI)
	token := a.member("refresh_token")
	if a.status != 200 || token == "" {
		t.Fatalf("%d %.200s", a.status, a.body)
	}
	if a := i.refresh(web, token); a.outcome() != "400 invalid_scope" {
		t.Fatalf("%d %.200s", a.status, a.body)
	}
	i.clock.Advance(30 * time.Second)
	i.rotated(web, token, "resource", ordersAPI)
	tr.wantNoAlert(t)
}

// Who comes again too late has never had anything that could be stolen.
func TestPoint21_ACodeThatExpiredUnusedIsNoReplay(t *testing.T) {
	t.Parallel()
	var tr trail
	kms := &absentSigner{Signer: key(t, "ES256", "").Signer}
	i := startRefresh(t, tr.attach, withKeys(authserver.SigningKey{Signer: kms}))
	code, d := i.code(web), i.device(tv).decide("allow")
	kms.down.Store(true)
	i.redeem(web, code)
	d.poll()
	kms.down.Store(false)
	i.clock.Advance(10 * time.Minute)
	tr.take()
	i.wantGrantRefused("the code", i.redeem(web, code))
	d.want("400 expired_token")
	tr.wantNoAlert(t)
}

// Replays of one code make nothing that would take room.
func TestPoint21_ReplaysTakeNoRoom(t *testing.T) {
	t.Parallel()
	i := startRefresh(t, withStore(authserver.NewMemoryStore(&authserver.MemoryStoreOptions{MaxRecords: 4})))
	code := i.code(web)
	i.redeem(web, code)
	for range 8 {
		i.wantGrantRefused("a replay", i.redeem(web, code))
	}
	i.signedUp()
}
