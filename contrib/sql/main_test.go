package sqlstore_test

import (
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sqlstore "github.com/countermark/countermark/contrib/sql"
)

// TestMain is also the child that the crash test kills.
func TestMain(m *testing.M) {
	if file := os.Getenv(crashFile); file != "" {
		if err := storm(file, os.Getenv(crashTips)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	stopPostgres()
	if commandDir != "" {
		_ = os.RemoveAll(commandDir)
	}
	os.Exit(code)
}

// A database is an empty one, made for one test. Opening it again is another
// replica.
type database struct {
	dsn string
}

func (d database) open(t testing.TB, opts *sqlstore.Options) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), d.dsn, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (d database) isSQLite() bool { return strings.HasPrefix(d.dsn, "sqlite:") }

// schema returns the one that newSchema made.
func (d database) schema() string {
	_, schema, _ := strings.Cut(d.dsn, "search_path=")
	schema, _, _ = strings.Cut(schema, "&")
	return schema
}

// each runs a test with each engine, in parallel. create makes an empty database.
func each(t *testing.T, run func(t *testing.T, create func(t testing.TB) database)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		run(t, newSQLite)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		needPostgres(t)
		run(t, newSchema)
	})
}

func newSQLite(t testing.TB) database {
	t.Helper()
	return database{"sqlite:" + filepath.Join(t.TempDir(), "tokens.db")}
}

// newSchema makes an empty schema on the one server, for as long as the test runs.
func newSchema(t testing.TB) database {
	t.Helper()
	server, err := postgres()
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal("COUNTERMARK_POSTGRES is not a URL")
	}
	name := "countermark_test_" + strings.ToLower(rand.Text())
	admin := raw(t, database{server})
	if _, err := admin.Exec("CREATE SCHEMA " + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := admin.Exec("DROP SCHEMA " + name + " CASCADE"); err != nil {
			t.Error(err)
		}
	})
	query := u.Query()
	query.Set("search_path", name)
	u.RawQuery = query.Encode()
	return database{u.String()}
}
