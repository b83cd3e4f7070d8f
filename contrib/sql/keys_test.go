package sqlstore_test

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
	sqlstore "github.com/countermark/countermark/contrib/sql"
)

var withKey = &sqlstore.Options{KeyEncryptionKey: bytes.Repeat([]byte("k"), 32)}

func TestSigningKeys_AreTheSameAtEveryReplica(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, create func(testing.TB) database) {
		t.Helper()
		db, ctx := create(t), t.Context()
		a, b := db.open(t, withKey), db.open(t, withKey)
		if keys, version, err := a.SigningKeys(ctx, 0); len(keys) != 0 || version != 0 || err != nil {
			t.Fatalf("SigningKeys before there are any: %v, %d, %v", keys, version, err)
		}
		at := time.Date(2030, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
		want := []authserver.SharedKey{
			{SigningKey: generate(t, "z", "ES256"), From: at, Until: at.Add(time.Hour)},
			{SigningKey: generate(t, "a", "RS256"), Idle: true},
			{SigningKey: generate(t, "é", "EdDSA"), From: at.Add(time.Hour)},
			{SigningKey: generate(t, "Z", "ES512")},
		}
		if err := a.ReplaceSigningKeys(ctx, want, 0); err != nil {
			t.Fatal(err)
		}
		got, version, err := b.SigningKeys(ctx, 0)
		if err != nil || version != 1 {
			t.Fatalf("SigningKeys at the other replica: version %d, %v", version, err)
		}
		sameKeys(t, got, want)
		if got, version, err := b.SigningKeys(ctx, 1); len(got) != 0 || version != 1 || err != nil {
			t.Errorf("SigningKeys since the version that it has: %v, %d, %v; want none", got, version, err)
		}

		if err := b.ReplaceSigningKeys(ctx, want[2:], 1); err != nil {
			t.Fatal(err)
		}
		got, version, err = a.SigningKeys(ctx, 1)
		if err != nil || version != 2 {
			t.Fatalf("SigningKeys after a rotation at the other replica: version %d, %v", version, err)
		}
		sameKeys(t, got, want[2:])
		if err := a.ReplaceSigningKeys(ctx, nil, 2); err != nil {
			t.Fatal(err)
		}
		if got, version, err := b.SigningKeys(ctx, 2); len(got) != 0 || version != 3 || err != nil {
			t.Errorf("SigningKeys after all were removed: %v, %d, %v", got, version, err)
		}
	})
}

func TestReplaceSigningKeys_OfManyAtOnceOneDoes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, create func(testing.TB) database) {
		t.Helper()
		const racers, rounds = 64, 10
		db, ctx := create(t), t.Context()
		replicas := []*sqlstore.Store{db.open(t, withKey), db.open(t, withKey)}
		key := generate(t, "", "ES256").Signer
		for round := range int64(rounds) {
			errs := make([]error, racers)
			start := make(chan struct{})
			var wg sync.WaitGroup
			for n := range racers {
				wg.Go(func() {
					<-start
					errs[n] = replicas[n%2].ReplaceSigningKeys(ctx, []authserver.SharedKey{
						{SigningKey: authserver.SigningKey{ID: fmt.Sprint(n, " a"), Algorithm: "ES256", Signer: key}},
						{SigningKey: authserver.SigningKey{ID: fmt.Sprint(n, " b"), Algorithm: "ES256", Signer: key}},
					}, round)
				})
			}
			close(start)
			wg.Wait()
			winner := -1
			for n, err := range errs {
				switch {
				case err == nil && winner < 0:
					winner = n
				case !errors.Is(err, authserver.ErrConflict):
					t.Fatalf("round %d: %v, after the winner %d; want ErrConflict", round, err, winner)
				}
			}
			for _, s := range replicas {
				keys, version, err := s.SigningKeys(ctx, round)
				if err != nil || version != round+1 || len(keys) != 2 || keys[0].ID != fmt.Sprint(winner, " a") || keys[1].ID != fmt.Sprint(winner, " b") {
					t.Fatalf("round %d: %v of version %d, %v; want those of %d", round, keys, version, err, winner)
				}
			}
		}
	})
}

// Who reads while others write sees one version, whole.
func TestSigningKeys_AreOfOneMoment(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, create func(testing.TB) database) {
		t.Helper()
		const versions = 40
		db, ctx := create(t), t.Context()
		writer, reader := db.open(t, withKey), db.open(t, withKey)
		key := generate(t, "", "ES256").Signer
		done := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			defer close(done)
			for v := range int64(versions) {
				var keys []authserver.SharedKey
				for n := range v % 4 {
					keys = append(keys, authserver.SharedKey{SigningKey: authserver.SigningKey{ID: fmt.Sprint(v+1, " ", n), Algorithm: "ES256", Signer: key}})
				}
				if err := writer.ReplaceSigningKeys(ctx, keys, v); err != nil {
					t.Error(err)
					return
				}
			}
		})
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
			}
			keys, version, err := reader.SigningKeys(ctx, -1)
			if err != nil || version > 0 && int64(len(keys)) != (version-1)%4 {
				t.Fatalf("version %d: %d keys, %v", version, len(keys), err)
			}
			for n, k := range keys {
				if k.ID != fmt.Sprint(version, " ", n) {
					t.Fatalf("version %d has the key %q", version, k.ID)
				}
			}
		}
		wg.Wait()
	})
}

func TestReplaceSigningKeys_Refuses(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, create func(testing.TB) database) {
		t.Helper()
		ctx := t.Context()
		s := create(t).open(t, withKey)
		kept := []authserver.SharedKey{{SigningKey: generate(t, "kept", "ES256")}}
		if err := s.ReplaceSigningKeys(ctx, kept, 0); err != nil {
			t.Fatal(err)
		}
		good := generate(t, "good", "ES256")
		for name, row := range map[string]struct {
			keys    []authserver.SigningKey
			version int64
			want    error
			text    string
		}{
			"an ID twice":               {[]authserver.SigningKey{good, generate(t, "good", "ES256")}, 1, authserver.ErrExists, ""},
			"a version that is past":    {[]authserver.SigningKey{good}, 0, authserver.ErrConflict, ""},
			"a version that is to come": {[]authserver.SigningKey{good}, 2, authserver.ErrConflict, ""},
			"no ID":                     {[]authserver.SigningKey{generate(t, "", "ES256")}, 1, nil, "keys[0]: ID and Algorithm are required"},
			"no algorithm":              {[]authserver.SigningKey{good, {ID: "x", Signer: good.Signer}}, 1, nil, "keys[1]: ID and Algorithm are required"},
			"a key in a KMS":            {[]authserver.SigningKey{{ID: "far", Algorithm: "ES256", Signer: farSigner{good.Signer}}}, 1, nil, `"far"`},
			"no signer":                 {[]authserver.SigningKey{{ID: "x", Algorithm: "ES256"}}, 1, nil, `"x"`},
		} {
			var keys []authserver.SharedKey
			for _, k := range row.keys {
				keys = append(keys, authserver.SharedKey{SigningKey: k})
			}
			err := s.ReplaceSigningKeys(ctx, keys, row.version)
			if err == nil || row.want != nil && !errors.Is(err, row.want) || !strings.Contains(err.Error(), row.text) {
				t.Errorf("%s: %v; want %v %s", name, err, row.want, row.text)
			}
			got, version, err := s.SigningKeys(ctx, 0)
			if err != nil || version != 1 {
				t.Fatalf("%s: version %d, %v; want the one before", name, version, err)
			}
			sameKeys(t, got, kept)
		}
	})
}

func TestKeyEncryptionKey(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, create func(testing.TB) database) {
		t.Helper()
		db, ctx := create(t), t.Context()
		without := db.open(t, nil)
		keys := []authserver.SharedKey{{SigningKey: generate(t, "a", "ES256")}, {SigningKey: generate(t, "b", "ES256")}}
		if _, _, err := without.SigningKeys(ctx, 0); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("SigningKeys without an encryption key: %v; want ErrUnsupported", err)
		}
		if err := without.ReplaceSigningKeys(ctx, keys, 0); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("ReplaceSigningKeys without an encryption key: %v; want ErrUnsupported", err)
		}
		with := db.open(t, withKey)
		if err := with.ReplaceSigningKeys(ctx, keys, 0); err != nil {
			t.Fatal(err)
		}
		for _, since := range []int64{0, 1} {
			_, _, err := without.SigningKeys(ctx, since)
			if err == nil || errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "KeyEncryptionKey must be theirs") {
				t.Errorf("SigningKeys without an encryption key where others have one: %v", err)
			}
		}
		other := &sqlstore.Options{KeyEncryptionKey: bytes.Repeat([]byte("x"), 32)}
		if _, err := sqlstore.Open(ctx, db.dsn, other); err == nil || !strings.Contains(err.Error(), `key "a": Options.KeyEncryptionKey is not the one`) {
			t.Errorf("Open with another encryption key: %v", err)
		}

		// One key under the other's name.
		if _, err := raw(t, db).Exec(`UPDATE countermark_keys SET private_key = (SELECT private_key FROM countermark_keys WHERE kid = 'b')`); err != nil {
			t.Fatal(err)
		}
		if got, _, err := with.SigningKeys(ctx, 0); err == nil || !strings.Contains(err.Error(), `key "a"`) {
			t.Errorf("SigningKeys of a key in another's place: %v, %v", got, err)
		}
	})
}

func TestKeyEncryptionKey_Is32RandomBytes(t *testing.T) {
	t.Parallel()
	for _, key := range [][]byte{{}, make([]byte, 16), make([]byte, 32), make([]byte, 33), []byte(strings.Repeat("0", 64))} {
		_, err := sqlstore.Open(context.Background(), newSQLite(t).dsn, &sqlstore.Options{KeyEncryptionKey: key})
		if err == nil || !strings.Contains(err.Error(), "Options.KeyEncryptionKey: must be 32 random bytes") {
			t.Errorf("%d bytes: %v", len(key), err)
		}
	}
}

func TestParseKeyEncryptionKey(t *testing.T) {
	t.Parallel()
	want := []byte("0123456789abcdef\x00\xff\xfe\xfb0123456789ab")
	for _, text := range []string{
		"30313233343536373839616263646566" + "00fffefb303132333435363738396162",
		"30313233343536373839616263646566" + "00FFFEFB303132333435363738396162",
		"MDEyMzQ1Njc4OWFiY2RlZgD__vswMTIzNDU2Nzg5YWI",
	} {
		if got, err := sqlstore.ParseKeyEncryptionKey(text); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %x, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "secret", strings.Repeat("0", 63), strings.Repeat("0", 65), strings.Repeat("g", 64), strings.Repeat("A", 42), strings.Repeat("A", 44),
		"MDEyMzQ1Njc4OWFiY2RlZgD__vswMTIzNDU2Nzg5YWJ", "MDEyMzQ1Njc4OWFiY2RlZgD//vswMTIzNDU2Nzg5YWI", "MDEyMzQ1Njc4OWFiY2RlZgD__vswMTIzNDU2Nzg5YWI=",
	} {
		if got, err := sqlstore.ParseKeyEncryptionKey(text); err == nil || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%s: %x, %v; want an error without the text", text, got, err)
		}
	}
}

func generate(t *testing.T, kid, algorithm string) authserver.SigningKey {
	t.Helper()
	key, err := authserver.GenerateKey(algorithm)
	if err != nil {
		t.Fatal(err)
	}
	key.ID = kid
	return key
}

func sameKeys(t *testing.T, got, want []authserver.SharedKey) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d keys, %v; want %d, %v", len(got), got, len(want), want)
	}
	for i, w := range want {
		g := got[i]
		public, ok := w.Signer.Public().(interface {
			Equal(other crypto.PublicKey) bool
		})
		if g.ID != w.ID || g.Algorithm != w.Algorithm || !ok || !public.Equal(g.Signer.Public()) {
			t.Errorf("key %d is %v, want %v", i, g, w)
		}
		if g.Idle != w.Idle || !g.From.Equal(w.From) || !g.Until.Equal(w.Until) || g.Until.IsZero() != w.Until.IsZero() {
			t.Errorf("key %q: idle %v from %v until %v; want %v, %v, %v", w.ID, g.Idle, g.From, g.Until, w.Idle, w.From, w.Until)
		}
	}
}

// A farSigner is a key that only signs, as one in a KMS does.
type farSigner struct{ crypto.Signer }
