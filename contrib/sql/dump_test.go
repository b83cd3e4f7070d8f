package sqlstore_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
	sqlstore "github.com/countermark/countermark/contrib/sql"
)

// Who steals the database, or a copy, has no code, token, secret or private key
// to use.
func TestDump_HoldsNoSecret(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, create func(testing.TB) database) {
		t.Helper()
		db, ctx, now := create(t), t.Context(), time.Now()
		encryption := make([]byte, 32)
		_, _ = rand.Read(encryption)
		s := db.open(t, &sqlstore.Options{KeyEncryptionKey: encryption})
		code, token, next, secret, registration := rand.Text(), rand.Text(), rand.Text(), rand.Text(), rand.Text()
		signing, err := authserver.GenerateKey("ES256")
		if err != nil {
			t.Fatal(err)
		}
		signing.ID = "kid-in-the-clear"
		r := authserver.Record{Grant: "grant-in-the-clear", Data: []byte("data-in-the-clear"), Expiry: now.Add(time.Hour)}
		_, _, consumeErr := func() (authserver.Record, authserver.Outcome, error) {
			if err := s.Put(ctx, "code", authserver.HashOf(code), r); err != nil {
				t.Fatal(err)
			}
			return s.Consume(ctx, "code", authserver.HashOf(code), now)
		}()
		_, _, rotateErr := func() (authserver.Outcome, authserver.Record, error) {
			if err := s.Put(ctx, authserver.RefreshToken, authserver.HashOf(token), r); err != nil {
				t.Fatal(err)
			}
			return s.Rotate(ctx, authserver.HashOf(token), authserver.HashOf(next), r, 0, now)
		}()
		for _, err := range []error{
			consumeErr, rotateErr,
			s.PutClient(ctx, &authserver.Client{ClientID: "client-in-the-clear", SecretHash: authserver.HashOf(secret), RegistrationTokenHash: authserver.HashOf(registration)}),
			s.CreateGrant(ctx, authserver.Grant{ID: "id-in-the-clear", Expiry: now}),
			s.RevokeGrant(ctx, "id-in-the-clear", "reason-in-the-clear", now, now),
			s.ReplaceSigningKeys(ctx, []authserver.SharedKey{{SigningKey: signing}}, 0),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}

		private := signing.Signer.(*ecdsa.PrivateKey)
		scalar, _ := private.Bytes()
		der, _ := x509.MarshalPKCS8PrivateKey(private)
		for name, dump := range dumps(t, db) {
			for _, word := range []string{"kid", "grant", "data", "client", "id", "reason"} {
				if !bytes.Contains(dump, []byte(word+"-in-the-clear")) {
					t.Errorf("%s: a dump without the %s, which sees nothing", name, word)
				}
			}
			for what, hidden := range map[string][]byte{
				"code": []byte(code), "token": []byte(token), "successor": []byte(next), "client secret": []byte(secret), "registration token": []byte(registration),
				"encryption key": encryption, "signing key": scalar, "PKCS#8": der[:16],
			} {
				if holds(dump, hidden) {
					t.Errorf("%s hold the %s in the clear", name, what)
				}
			}
		}
	})
}

// dumps returns all that somebody who has the database sees of it.
func dumps(t *testing.T, d database) map[string][]byte {
	t.Helper()
	all := map[string][]byte{"the tables": dump(t, d)}
	if file, ok := strings.CutPrefix(d.dsn, "sqlite:"); ok {
		all["the files"] = files(t, filepath.Dir(file)) // the WAL is one
	}
	return all
}

// holds reports whether a secret is in a dump: as it is, in hexadecimal, or in
// base64, be it within something longer.
func holds(dump, secret []byte) bool {
	text := hex.EncodeToString(secret)
	forms := [][]byte{secret, []byte(text), []byte(strings.ToUpper(text))}
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for shift := range 3 { // what is before it and after it shares a character with it
			encoded := encoding.EncodeToString(append(make([]byte, shift), secret...))
			first, last := (shift*8+5)/6, (shift+len(secret))*8/6
			forms = append(forms, []byte(encoded[first:last]))
		}
	}
	return slices.ContainsFunc(forms, func(form []byte) bool { return bytes.Contains(dump, form) })
}

func TestDump_WhatCountsAsASecretInIt(t *testing.T) {
	t.Parallel()
	secret := []byte("SplxlOBeZQQYbYS6WxSbIA\xfb\xff\xfe")
	for before := range 4 {
		for after := range 4 {
			text := slices.Concat(bytes.Repeat([]byte("<"), before), secret, bytes.Repeat([]byte(">"), after))
			for _, dump := range []string{
				string(text), hex.EncodeToString(text), fmt.Sprintf("%X", text), base64.StdEncoding.EncodeToString(text), base64.URLEncoding.EncodeToString(text),
			} {
				if !holds([]byte("x"+dump), secret) {
					t.Errorf("not found in %s", dump)
				}
			}
		}
	}
	if digest := authserver.HashOf(string(secret)); holds(digest[:], secret) {
		t.Error("found in its digest")
	}
}

// dump returns all columns of all tables.
func dump(t *testing.T, d database) []byte {
	t.Helper()
	db := raw(t, d)
	var out bytes.Buffer
	for _, table := range tables(t, d) {
		rows, err := db.Query("SELECT * FROM " + table) //nolint:unqueryvet // the dump is of all columns
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for ; rows.Next(); n++ {
			values := make([]any, len(columns))
			pointers := make([]any, len(columns))
			for i := range values {
				pointers[i] = &values[i]
			}
			if err := rows.Scan(pointers...); err != nil {
				t.Fatal(err)
			}
			for _, v := range values {
				if b, ok := v.([]byte); ok {
					out.Write(b)
				}
				fmt.Fprintf(&out, "\n%v\n", v)
			}
		}
		if err := rows.Err(); err != nil || n == 0 {
			t.Fatalf("%s: %d rows, %v", table, n, err)
		}
	}
	return out.Bytes()
}

// tables returns the names of all tables that there are.
func tables(t *testing.T, d database) []string {
	t.Helper()
	query, args := `SELECT name FROM sqlite_schema WHERE type = 'table'`, []any(nil)
	if !d.isSQLite() {
		query, args = `SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = $1`, []any{d.schema()}
	}
	rows, err := raw(t, d).Query(query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil || len(names) < 6 {
		t.Fatalf("tables: %v, %v", names, err)
	}
	return names
}

func files(t *testing.T, dir string) []byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	return all
}
