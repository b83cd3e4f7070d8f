package sqlstore_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/authserver/storetest"
	sqlstore "github.com/countermark/countermark/contrib/sql"
)

func TestStore_Conforms(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, create func(testing.TB) database) {
		t.Helper()
		storetest.Run(t, func(t *testing.T) authserver.Store {
			t.Helper()
			t.Parallel()
			return create(t).open(t, nil)
		})
	})
}

// All of the suite holds for two servers on one database, of which every other
// call goes to the other.
func TestStore_ConformsAcrossReplicas(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, create func(testing.TB) database) {
		t.Helper()
		storetest.Run(t, func(t *testing.T) authserver.Store {
			t.Helper()
			t.Parallel()
			db := create(t)
			return &replicas{each: [2]*sqlstore.Store{db.open(t, nil), db.open(t, nil)}}
		})
	})
}

func TestConsume_IsReplayedAtTheOtherReplica(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, create func(testing.TB) database) {
		t.Helper()
		db := create(t)
		a, b := db.open(t, nil), db.open(t, nil)
		ctx, now := t.Context(), time.Now()
		code, old, next := authserver.HashOf("code"), authserver.HashOf("old"), authserver.HashOf("next")
		r := authserver.Record{Grant: "g", Data: []byte("data"), Expiry: now.Add(time.Hour)}
		for _, err := range []error{a.Put(ctx, "code", code, r), a.Put(ctx, authserver.RefreshToken, old, r)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if got, o, err := a.Consume(ctx, "code", code, now); err != nil || o != authserver.First {
			t.Fatalf("%v, %v, %v", got, o, err)
		}
		if got, o, err := b.Consume(ctx, "code", code, now); err != nil || o != authserver.Replayed || got.Grant != "g" {
			t.Errorf("a code spent at the other replica: %v, %v, %v; want Replayed", got, o, err)
		}
		if o, _, err := a.Rotate(ctx, old, next, r, time.Minute, now); err != nil || o != authserver.Rotated {
			t.Fatalf("%v, %v", o, err)
		}
		if o, _, err := b.Rotate(ctx, old, authserver.HashOf("x"), r, time.Minute, now.Add(time.Second)); err != nil || o != authserver.Retry {
			t.Errorf("a retry at the other replica: %v, %v; want Retry", o, err)
		}
		if o, _, err := b.Rotate(ctx, old, authserver.HashOf("x"), r, time.Minute, now.Add(time.Hour-1e9)); err != nil || o != authserver.Reused {
			t.Errorf("a reuse at the other replica: %v, %v; want Reused", o, err)
		}
	})
}

// What comes into being at the same moment is either not there or spent by
// somebody, but not replayed or reused by all.
func TestConsumeAndRotate_RaceWithPut(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, create func(testing.TB) database) {
		t.Helper()
		db, ctx, now := create(t), t.Context(), time.Now()
		stores := []*sqlstore.Store{db.open(t, nil), db.open(t, nil)}
		r := authserver.Record{Expiry: now.Add(time.Hour)}
		for round := range 300 {
			key := authserver.HashOf(fmt.Sprint(round))
			outcomes := make([]authserver.Outcome, 12)
			start := make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() {
				<-start
				if err := stores[0].Put(ctx, authserver.RefreshToken, key, r); err != nil {
					t.Error(err)
				}
			})
			for n := range outcomes {
				wg.Go(func() {
					<-start
					var err error
					if round%2 == 0 {
						_, outcomes[n], err = stores[n%2].Consume(ctx, authserver.RefreshToken, key, now)
					} else {
						outcomes[n], _, err = stores[n%2].Rotate(ctx, key, authserver.HashOf(fmt.Sprint(round, " next ", n)), r, 0, now)
					}
					if err != nil && !errors.Is(err, authserver.ErrNotFound) {
						t.Error(err)
					}
				})
			}
			close(start)
			wg.Wait()
			winners, losers := 0, 0
			for _, o := range outcomes {
				switch o {
				case authserver.First, authserver.Rotated:
					winners++
				case authserver.Replayed, authserver.Reused:
					losers++
				default: // not there
				}
			}
			if winners > 1 || winners == 0 && losers > 0 {
				t.Fatalf("round %d: %d winners, %d losers", round, winners, losers)
			}
		}
	})
}

// Whatever a client will have, it is kept, and nothing else of it gets lost.
func TestPutClient_KeepsEveryField(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, create func(testing.TB) database) {
		t.Helper()
		s := create(t).open(t, nil)
		want := &authserver.Client{}
		fill(t, reflect.ValueOf(want).Elem())
		if err := s.PutClient(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		got, err := s.Client(t.Context(), want.ClientID)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Client: %+v, %v; want %+v", got, err, want)
		}
		if err := s.PutClient(t.Context(), &authserver.Client{ClientID: want.ClientID}); err != nil {
			t.Fatal(err)
		}
		got, err = s.Client(t.Context(), want.ClientID)
		if err != nil || !reflect.DeepEqual(got, &authserver.Client{ClientID: want.ClientID}) {
			t.Errorf("Client after one without anything: %+v, %v", got, err)
		}
		if s.PutClient(t.Context(), nil) == nil || s.PutClient(t.Context(), &authserver.Client{ClientID: "x", Secret: "in the clear"}) == nil {
			t.Error("no client, or one with a secret in the clear, is kept")
		}
	})
}

// A newer server's restriction must not be overlooked by an older one.
func TestClient_RefusesMetadataThatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, create func(testing.TB) database) {
		t.Helper()
		db := create(t)
		s := db.open(t, nil)
		for id, metadata := range map[string]string{
			"unknown": `{"client_id":"unknown","novel_restriction":"very-secret"}`, "other": `{"client_id":"another"}`, "broken": `{`,
		} {
			if _, err := raw(t, db).Exec(`INSERT INTO countermark_clients (id, metadata) VALUES ($1, $2)`, id, metadata); err != nil {
				t.Fatal(err)
			}
			if c, err := s.Client(t.Context(), id); err == nil || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: %+v, %v; want an error that says nothing of it", id, c, err)
			}
		}
	})
}

// fill sets every field to what is not its zero value.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Interface().(type) {
		case string:
			f.SetString(v.Type().Field(i).Name + " é\"")
		case []string:
			f.Set(reflect.ValueOf([]string{v.Type().Field(i).Name, "<&>"}))
		case bool:
			f.SetBool(true)
		case authserver.Hash:
			f.Set(reflect.ValueOf(authserver.HashOf("secret")))
		case authserver.Secret: // no store keeps it
		case json.RawMessage:
			f.Set(reflect.ValueOf(json.RawMessage(`{"keys":[]}`)))
		default:
			if f.Kind() == reflect.Struct {
				fill(t, f)
				continue
			}
			t.Fatalf("say here how to fill %s, a %s", v.Type().Field(i).Name, f.Type())
		}
	}
}

// raw opens a database beside the store.
func raw(t testing.TB, d database) *sql.DB {
	t.Helper()
	driver, dsn := "pgx", d.dsn
	if file, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		driver, dsn = "sqlite", "file:"+file+"?_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// replicas is a store made of two that share a database.
type replicas struct {
	each [2]*sqlstore.Store
	n    atomic.Uint64
}

func (r *replicas) next() *sqlstore.Store { return r.each[r.n.Add(1)%2] }

func (r *replicas) ReplaceClient(ctx context.Context, c *authserver.Client) error {
	return r.next().ReplaceClient(ctx, c)
}

func (r *replicas) PutClient(ctx context.Context, c *authserver.Client) error {
	return r.next().PutClient(ctx, c)
}

func (r *replicas) Client(ctx context.Context, id string) (*authserver.Client, error) {
	return r.next().Client(ctx, id)
}

func (r *replicas) CreateGrant(ctx context.Context, g authserver.Grant) error {
	return r.next().CreateGrant(ctx, g)
}

func (r *replicas) Put(ctx context.Context, kind authserver.Kind, key authserver.Hash, rec authserver.Record) error {
	return r.next().Put(ctx, kind, key, rec)
}

func (r *replicas) Get(ctx context.Context, kind authserver.Kind, key authserver.Hash) (authserver.Record, error) {
	return r.next().Get(ctx, kind, key)
}

func (r *replicas) Consume(ctx context.Context, kind authserver.Kind, key authserver.Hash, now time.Time) (authserver.Record, authserver.Outcome, error) {
	return r.next().Consume(ctx, kind, key, now)
}

func (r *replicas) Rotate(ctx context.Context, old, next authserver.Hash, rec authserver.Record, grace time.Duration, now time.Time) (authserver.Outcome, authserver.Record, error) {
	return r.next().Rotate(ctx, old, next, rec, grace, now)
}

func (r *replicas) Grant(ctx context.Context, id string) (authserver.Grant, error) {
	return r.next().Grant(ctx, id)
}

func (r *replicas) RevokeGrant(ctx context.Context, id, reason string, now, until time.Time) error {
	return r.next().RevokeGrant(ctx, id, reason, now, until)
}

func (r *replicas) Purge(ctx context.Context, now time.Time, limit int) (int, error) {
	return r.next().Purge(ctx, now, limit)
}
