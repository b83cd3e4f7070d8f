// Package storetest holds implementations of [authserver.Store] to their
// contract, as testing/fstest does for file systems.
package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

const (
	racers = 64 // goroutines that go for one thing at once
	rounds = 50 // times that they do
)

// Run tests the stores that open returns, one for each test with nothing in it.
// It takes tens of thousands of operations, many of them 64 at once; under
// go test -race it finds data races too.
//
// A store that is an [authserver.ClientStore], too, is tested with clients; any other
// only without.
func Run(t *testing.T, open func(t *testing.T) authserver.Store) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

var cases = []struct {
	name string
	run  func(t testing.TB, s authserver.Store)
}{
	{"Client", testClient},
	{"ReplaceClient", testReplaceClient},
	{"ReplaceClientRace", testReplaceClientRace},
	{"DeleteClient", testDeleteClient},
	{"Put", testPut},
	{"PutRace", testPutRace},
	{"Copies", testCopies},
	{"Consume", testConsume},
	{"ConsumeExpiry", testConsumeExpiry},
	{"ConsumeRace", testConsumeRace},
	{"Rotate", testRotate},
	{"RotateGrace", testRotateGrace},
	{"RotateRefused", testRotateRefused},
	{"RotateRace", testRotateRace},
	{"RotateConsumeRace", testRotateConsumeRace},
	{"Grant", testGrant},
	{"RevokeGrant", testRevokeGrant},
	{"RevokeGrantRace", testRevokeGrantRace},
	{"Purge", testPurge},
	{"PurgeGrants", testPurgeGrants},
}

func testClient(t testing.TB, s authserver.Store) {
	ctx := t.Context()
	if c, err := s.Client(ctx, "nobody"); !errors.Is(err, authserver.ErrNotFound) {
		t.Errorf("Client of an unknown ID: %v, %v; want ErrNotFound", c, err)
	}
	w, ok := s.(authserver.ClientStore)
	if !ok {
		return
	}
	c := authserver.Client{
		ClientID: "shop", ClientName: "Shop", SecretHash: authserver.HashOf("secret"), TokenEndpointAuthMethod: "client_secret_post",
		RegistrationTokenHash: authserver.HashOf("registration token"),
		GrantTypes:            []string{"client_credentials"}, RedirectURIs: []string{"https://shop.example/cb"}, Scope: "a b",
		Audience: []string{"https://api.example", "urn:x"}, AccessTokenStrategy: "opaque",
	}
	want := fmt.Sprintf("%+v", c)
	must(t, w.PutClient(ctx, &c))
	c.Scope, c.GrantTypes[0], c.RedirectURIs[0], c.Audience[0] = "x", "x", "x", "x"
	for range 2 {
		got, err := s.Client(ctx, "shop")
		must(t, err)
		if fmt.Sprintf("%+v", *got) != want {
			t.Fatalf("Client returns %+v, want %s", *got, want)
		}
		got.Scope, got.GrantTypes[0], got.RedirectURIs[0], got.Audience[0] = "x", "x", "x", "x"
	}
	must(t, w.PutClient(ctx, &authserver.Client{ClientID: "shop", SecretHash: authserver.HashOf("other"), Scope: "new"}))
	if got, err := s.Client(ctx, "shop"); err != nil || got.Scope != "new" || len(got.Audience) != 0 || got.RegistrationTokenHash != (authserver.Hash{}) {
		t.Errorf("Client after another PutClient: %+v, %v", got, err)
	}
	if _, err := s.Client(ctx, "Shop"); !errors.Is(err, authserver.ErrNotFound) {
		t.Errorf("Client of an ID in another case: %v; want ErrNotFound", err)
	}
}

func testReplaceClient(t testing.TB, s authserver.Store) {
	w, ok := s.(authserver.ClientStore)
	if !ok {
		return
	}
	ctx := t.Context()
	registered := authserver.Client{ClientID: "shop", SecretHash: authserver.HashOf("secret"), RegistrationTokenHash: authserver.HashOf("token"), Scope: "old"}
	changed := registered
	changed.SecretHash, changed.Scope = authserver.HashOf("other"), "new"
	other, own := changed, changed
	other.RegistrationTokenHash, own.RegistrationTokenHash = authserver.HashOf("another token"), authserver.Hash{}
	refused := func(what string, c authserver.Client) {
		t.Helper()
		if err := w.ReplaceClient(ctx, &c); !errors.Is(err, authserver.ErrNotFound) {
			t.Errorf("ReplaceClient of %s: %v; want ErrNotFound", what, err)
		}
	}
	refused("one that is not there", changed)
	if c, err := s.Client(ctx, "shop"); !errors.Is(err, authserver.ErrNotFound) {
		t.Errorf("Client after ReplaceClient of nobody: %+v, %v; want ErrNotFound", c, err)
	}
	must(t, w.PutClient(ctx, &registered))
	refused("one with another RegistrationTokenHash", other)
	refused("one with a RegistrationTokenHash, by none", own)
	if got, err := s.Client(ctx, "shop"); err != nil || got.Scope != "old" {
		t.Errorf("Client after ReplaceClient of another: %+v, %v", got, err)
	}
	must(t, w.ReplaceClient(ctx, &changed))
	if got, err := s.Client(ctx, "shop"); err != nil || got.Scope != "new" || got.SecretHash != changed.SecretHash || got.RegistrationTokenHash != changed.RegistrationTokenHash {
		t.Errorf("Client after ReplaceClient: %+v, %v", got, err)
	}
	must(t, w.PutClient(ctx, &own))
	refused("one that is the operator's own", changed)
	refused("one that is the operator's own, as it is", own)
}

// Of a change and a deletion at once, whichever comes first, nothing is left.
func testReplaceClientRace(t testing.TB, s authserver.Store) {
	w, ok := s.(authserver.ClientStore)
	if !ok {
		return
	}
	ctx := t.Context()
	for n := range 16 {
		c := authserver.Client{ClientID: fmt.Sprint("shop", n), SecretHash: authserver.HashOf("secret"), RegistrationTokenHash: authserver.HashOf("token")}
		must(t, w.PutClient(ctx, &c))
		var both sync.WaitGroup
		for step := range 3 {
			both.Go(func() {
				if step == n%3 { // what begins last often comes first
					if err := w.DeleteClient(ctx, c.ClientID); err != nil {
						t.Errorf("DeleteClient: %v", err)
					}
				} else if err := w.ReplaceClient(ctx, &c); err != nil && !errors.Is(err, authserver.ErrNotFound) {
					t.Errorf("ReplaceClient: %v", err)
				}
			})
		}
		both.Wait()
		if got, err := s.Client(ctx, c.ClientID); !errors.Is(err, authserver.ErrNotFound) {
			t.Errorf("Client of one that was deleted while it changed: %+v, %v; want ErrNotFound", got, err)
		}
	}
}

func testDeleteClient(t testing.TB, s authserver.Store) {
	w, ok := s.(authserver.ClientStore)
	if !ok {
		return
	}
	ctx := t.Context()
	for _, id := range []string{"shop", "Shop"} {
		must(t, w.PutClient(ctx, &authserver.Client{ClientID: id, SecretHash: authserver.HashOf("secret")}))
	}
	must(t, w.DeleteClient(ctx, "shop"))
	if c, err := s.Client(ctx, "shop"); !errors.Is(err, authserver.ErrNotFound) {
		t.Errorf("Client of one that was deleted: %+v, %v; want ErrNotFound", c, err)
	}
	if err := w.DeleteClient(ctx, "shop"); !errors.Is(err, authserver.ErrNotFound) {
		t.Errorf("DeleteClient of one that is not there: %v; want ErrNotFound", err)
	}
	if _, err := s.Client(ctx, "Shop"); err != nil {
		t.Errorf("Client of another one than was deleted: %v", err)
	}
	must(t, w.PutClient(ctx, &authserver.Client{ClientID: "shop", SecretHash: authserver.HashOf("secret")}))
	if _, err := s.Client(ctx, "shop"); err != nil {
		t.Errorf("Client of one that is there again: %v", err)
	}
}

// now is when the tests are. Stores have no clock of their own.
var now = time.Date(2030, 1, 2, 3, 4, 5, 678_000_000, time.UTC)

// record returns a record that lasts for an hour, with every kind of byte in it.
func record(name string) authserver.Record {
	return authserver.Record{Grant: "grant of " + name, Data: []byte(name + "\x00\xff\n'\"\\é"), Expiry: now.Add(time.Hour)}
}

func key(name string) authserver.Hash { return authserver.HashOf(name) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// is checks that an operation returned a record, with the outcome that is due.
func is(t testing.TB, what string, got, want authserver.Record, outcome, due authserver.Outcome, err error) {
	t.Helper()
	if err != nil || outcome != due {
		t.Fatalf("%s: %v, %v; want %v", what, outcome, err, due)
	}
	same(t, what, got, want)
}

func same(t testing.TB, what string, got, want authserver.Record) {
	t.Helper()
	if got.Grant != want.Grant || !bytes.Equal(got.Data, want.Data) || !got.Expiry.Truncate(time.Millisecond).Equal(want.Expiry) {
		t.Fatalf("%s: the record is %+v, want %+v", what, got, want)
	}
}

// spent checks what Get tells of a record besides what it holds.
func spent(t testing.TB, what string, got authserver.Record, want bool) {
	t.Helper()
	if got.Spent != want {
		t.Fatalf("%s: Spent is %t, want %t", what, got.Spent, want)
	}
}

// fails checks that an operation returned the error that is due.
func fails(t testing.TB, what string, err, due error) {
	t.Helper()
	if !errors.Is(err, due) {
		t.Fatalf("%s: error %v, want %v", what, err, due)
	}
}

// race calls f in many goroutines at once and returns what it returned.
func race[T any](f func(n int) T) []T {
	results := make([]T, racers)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for n := range racers {
		wg.Go(func() {
			<-start
			results[n] = f(n)
		})
	}
	close(start)
	wg.Wait()
	return results
}
