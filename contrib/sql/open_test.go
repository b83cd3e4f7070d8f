package sqlstore_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
	sqlstore "github.com/countermark/countermark/contrib/sql"
)

func TestOpen_ByManyAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, create func(testing.TB) database) {
		t.Helper()
		for range 10 {
			db := create(t)
			var wg sync.WaitGroup
			for n := range 12 {
				wg.Go(func() {
					s, err := sqlstore.Open(t.Context(), db.dsn, nil)
					if err != nil {
						t.Error(err)
						return
					}
					defer s.Close()
					if err := s.CreateGrant(t.Context(), authserver.Grant{ID: fmt.Sprint(n), Expiry: time.Now()}); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			var version, grants int
			row := raw(t, db).QueryRow(`SELECT version, (SELECT count(*) FROM countermark_grants) FROM countermark_schema`)
			if err := row.Scan(&version, &grants); err != nil || version != 2 || grants != 12 {
				t.Errorf("version %d and %d grants, %v; want 2 and 12", version, grants, err)
			}
		}
	})
}

func TestOpen_FindsEverythingAgain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, create func(testing.TB) database) {
		t.Helper()
		db, ctx, now := create(t), t.Context(), time.Now()
		s := db.open(t, nil)
		r := authserver.Record{Grant: "g", Data: []byte("data"), Expiry: now.Add(time.Hour)}
		for _, err := range []error{
			s.PutClient(ctx, &authserver.Client{ClientID: "shop"}), s.CreateGrant(ctx, authserver.Grant{ID: "g", Expiry: now}),
			s.Put(ctx, "code", authserver.HashOf("code"), r), s.Close(),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		s = db.open(t, nil)
		if _, err := s.Client(ctx, "shop"); err != nil {
			t.Error(err)
		}
		if _, err := s.Grant(ctx, "g"); err != nil {
			t.Error(err)
		}
		if got, o, err := s.Consume(ctx, "code", authserver.HashOf("code"), now); err != nil || o != authserver.First || string(got.Data) != "data" {
			t.Errorf("%+v, %v, %v", got, o, err)
		}
	})
}

func TestOpen_RefusesTablesOfANewerVersion(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, create func(testing.TB) database) {
		t.Helper()
		db := create(t)
		db.open(t, nil)
		if _, err := raw(t, db).Exec(`UPDATE countermark_schema SET version = 99`); err != nil {
			t.Fatal(err)
		}
		if _, err := sqlstore.Open(t.Context(), db.dsn, nil); err == nil || !strings.Contains(err.Error(), "version 99") {
			t.Errorf("Open: %v; want one that names the version", err)
		}
	})
}

// A role that may only read and write rows will do, once the tables are there.
func TestOpen_NeedsNoRightToCreateTables(t *testing.T) {
	t.Parallel()
	needPostgres(t)
	db := newSchema(t)
	db.open(t, nil)
	admin, role := raw(t, db), db.schema()+"_role"
	t.Cleanup(func() {
		if _, err := admin.Exec(`DROP OWNED BY ` + role + `; DROP ROLE ` + role); err != nil {
			t.Error(err)
		}
	})
	for _, query := range []string{
		`CREATE ROLE ` + role,
		`GRANT USAGE ON SCHEMA ` + db.schema() + ` TO ` + role,
		`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ` + db.schema() + ` TO ` + role,
	} {
		if _, err := admin.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	s := database{db.dsn + "&role=" + role}.open(t, nil)
	if err := s.CreateGrant(t.Context(), authserver.Grant{ID: "g"}); err != nil {
		t.Error(err)
	}
	if n, err := s.Purge(t.Context(), time.Now(), 10); n != 1 || err != nil {
		t.Errorf("Purge: %d, %v", n, err)
	}
}

func TestOpen_RefusesSettingsThatBreakPromises(t *testing.T) {
	t.Parallel()
	needPostgres(t)
	dsn := newSchema(t).dsn
	for setting, want := range map[string]string{
		"synchronous_commit=off":                         "synchronous_commit is off",
		"default_transaction_isolation=serializable":     "transactions are serializable",
		"default_transaction_isolation=read%20committed": "",
	} {
		s, err := sqlstore.Open(t.Context(), dsn+"&"+setting, nil)
		switch {
		case err == nil:
			s.Close()
			if want != "" {
				t.Errorf("%s: opens; want an error", setting)
			}
		case want == "" || !strings.Contains(err.Error(), want):
			t.Errorf("%s: %v; want %q", setting, err, want)
		}
	}
}

func TestOpen_RefusesWhatNamesNoDatabase(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string]string{
		"":                        "must be sqlite:FILE or postgres://",
		"tokens.db":               "must be sqlite:FILE or postgres://",
		"mysql://u:geheim@h/d":    "must be sqlite:FILE or postgres://",
		"sqlite:":                 "needs the name of a file",
		"sqlite::memory:":         "needs the name of a file",
		"sqlite:///tmp/x.db":      "takes no slashes",
		"sqlite:x.db?mode=memory": "takes no parameters",
		"sqlite:" + filepath.Join(t.TempDir(), "no", "x"):   "no such file",
		"postgres://u:gehe/im%@host/d":                      "percent-encoded",
		"postgres://u:12/geheim@127.0.0.1:1/d":              "percent-encoded",
		"postgres://u:1@geheim@127.0.0.1:1/d":               "percent-encoded",
		"postgres://u:1#geheim@127.0.0.1:1/d":               "connect",
		"postgres://u:1?geheim@127.0.0.1:1/d":               "connect",
		"postgres://u@127.0.0.1:1/d?password=geheim":        "connect",
		"postgres://u:geheim@host/d?sslmode=geht-so":        "sslmode",
		"postgres://u:geheim@127.0.0.1:1/d?sslmode=disable": "connect",
	} {
		s, err := sqlstore.Open(t.Context(), dsn, nil)
		if err == nil {
			s.Close()
			t.Errorf("%s: opens", dsn)
			continue
		}
		if !strings.HasPrefix(err.Error(), "sqlstore: Open: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", dsn, err, want)
		}
		if strings.Contains(err.Error(), "geheim") || strings.Contains(err.Error(), "im%") {
			t.Errorf("%s: the error shows the password: %v", dsn, err)
		}
	}
}

func TestSQLite_FilesAreTheOwnersAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// A name in which nothing must be taken for an escape or a parameter.
	s := database{"sqlite:" + filepath.Join(dir, "to kens%41#1&é.db")}.open(t, nil)
	if err := s.CreateGrant(t.Context(), authserver.Grant{ID: "g"}); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 3 || files[0].Name() != "to kens%41#1&é.db" {
		t.Fatalf("%v, %v; want the file, its -shm and its -wal", files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want -rw-------", f.Name(), info.Mode(), err)
		}
	}
}

func TestErrors_HoldNoData(t *testing.T) {
	t.Parallel()
	needPostgres(t)
	s := newSchema(t).open(t, nil)
	err := s.CreateGrant(t.Context(), authserver.Grant{ID: "geheim\xff"})
	if err == nil || strings.Contains(err.Error(), "0x") || strings.Contains(fmt.Sprintf("%+v", err), "geheim") {
		t.Errorf("CreateGrant: %+v; want an error without the value", err)
	}
}

func TestOptions_PrintWithoutTheKey(t *testing.T) {
	t.Parallel()
	opts := sqlstore.Options{KeyEncryptionKey: bytes.Repeat([]byte{42}, 32)}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("opening", "options", opts, "again", &opts)
	for _, got := range []string{fmt.Sprintf("%v %+v %#v %s", opts, &opts, opts, opts), log.String()} {
		if strings.Contains(got, "42 42") || strings.Contains(got, "2a2a") || strings.Contains(got, "Kioq") || !strings.Contains(got, "redacted") {
			t.Errorf("it prints as %s", got)
		}
	}
}
