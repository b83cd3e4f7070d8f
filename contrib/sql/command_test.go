package sqlstore_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/issuertest"
)

// storeKey is a variable of the environment of every devissuer.
const storeKey = "COUNTERMARK_STORE_KEY=5f0c2d6e5f0c2d6e5f0c2d6e5f0c2d6e5f0c2d6e5f0c2d6e5f0c2d6e5f0c2d6e"

// commandDir is where the command was built, if it was.
var commandDir string

// command builds the devissuer that has stores.
var command = sync.OnceValues(func() (file string, err error) {
	if commandDir, err = os.MkdirTemp("", "devissuer"); err != nil {
		return "", err
	}
	return issuertest.Build(commandDir, "./cmd/devissuer")
})

// startIssuer runs a devissuer on a database, and returns the clients of i there.
func startIssuer(t *testing.T, i *issuertest.Issuer, config string, db database) (p *issuertest.Process, web, kiosk, orders *issuertest.App) {
	t.Helper()
	file, err := command()
	if err != nil {
		t.Fatal(err)
	}
	p = issuertest.Start(t, file, []string{storeKey}, "-config", config, "-store", db.dsn)
	way := issuertest.Dial(p.Field(t, "Listening on"))
	t.Cleanup(way.CloseIdleConnections)
	return p, i.Web.At(way), i.Kiosk.At(way), i.Orders.At(way)
}

func TestCommand_ARestartKeepsEverything(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, create func(testing.TB) database) {
		t.Helper()
		db, ctx := create(t), t.Context()
		i := issuertest.New(t)
		i.Web = i.Web.At(nil) // the same browser at both
		config := i.ConfigFile(t)

		p, web, kiosk, _ := startIssuer(t, i, config, db)
		if got := p.Field(t, "Signing key"); got != "in the store, encrypted" {
			t.Errorf("the banner says of the signing key: %s", got)
		}
		keys := must(web.Get(ctx, "/jwks"))(t)
		spent, code := must(web.Code(ctx))(t), must(web.Code(ctx))(t)
		tokens := map[string]string{
			"JWT":    must(web.Redeem(ctx, spent))(t).Text("access_token"),
			"opaque": must(kiosk.Redeem(ctx, must(kiosk.Code(ctx))(t)))(t).Text("access_token"),
		}
		if exit := p.Stop(t, os.Interrupt); exit != 0 {
			t.Fatalf("exit %d: %s", exit, &p.Stderr)
		}

		_, web, _, orders := startIssuer(t, i, config, db)
		if again := must(web.Get(ctx, "/jwks"))(t); string(again.Body) != string(keys.Body) {
			t.Errorf("the key set was %s, is %s", keys.Body, again.Body)
		}
		for kind, token := range tokens {
			if token == "" || !must(orders.Active(ctx, token))(t) {
				t.Errorf("the %s token is not active", kind)
			}
		}
		if a := must(web.Redeem(ctx, code))(t); a.Status != 200 {
			t.Errorf("the code that was not redeemed: %s", a.Outcome())
		}
		if a := must(web.Redeem(ctx, spent))(t); a.Outcome() != "400 invalid_grant" || must(orders.Active(ctx, tokens["JWT"]))(t) {
			t.Errorf("the code that was redeemed: %s, and what it brought is not revoked", a.Outcome())
		}
		if _, err := web.Code(ctx, "prompt", "none"); err != nil {
			t.Errorf("who was signed in: %v", err)
		}
	})
}

func TestCommand_Errors(t *testing.T) {
	t.Parallel()
	file, err := command()
	if err != nil {
		t.Fatal(err)
	}
	another := strings.Replace(storeKey, "5f", "f5", 1)
	db := newSQLite(t)
	p := issuertest.Start(t, file, []string{storeKey}, "-store", db.dsn)
	must(issuertest.New(t).Web.At(issuertest.Dial(p.Field(t, "Listening on"))).Get(t.Context(), "/jwks"))(t) // which makes a key
	p.Stop(t, os.Interrupt)

	for name, row := range map[string]struct {
		variable string
		args     []string
		code     int
		says     string
	}{
		"help":               {"", []string{"-h"}, 0, "-store store\n    \tkeep everything in this store, sqlite:FILE or postgres://USER@HOST/DATABASE"},
		"no key":             {"", []string{"-store", db.dsn}, 1, "no COUNTERMARK_STORE_KEY, which encrypts the signing keys in the store; make one, and keep it: export COUNTERMARK_STORE_KEY=$(openssl rand -hex 32)"},
		"a bad key":          {"COUNTERMARK_STORE_KEY=geheim", []string{"-store", db.dsn}, 1, "-store: COUNTERMARK_STORE_KEY: must be 32 random bytes in hexadecimal, as openssl rand -hex 32 makes them"},
		"another key":        {another, []string{"-store", db.dsn}, 1, "COUNTERMARK_STORE_KEY is not the one that it was encrypted with"},
		"no store":           {storeKey, []string{"-store", ""}, 2, "flag -store: names none"},
		"no kind of store":   {storeKey, []string{"-store", "tokens.db"}, 1, "-store: the database must be sqlite:FILE or postgres://USER@HOST/DATABASE"},
		"an unknown kind":    {storeKey, []string{"-store", "mysql://u:geheim@h/d"}, 1, "-store: the database must be sqlite:FILE or postgres://USER@HOST/DATABASE"},
		"no file":            {storeKey, []string{"-store", "sqlite:"}, 1, "-store: sqlite: needs the name of a file"},
		"nobody there":       {storeKey, []string{"-store", "postgres://u:geheim@127.0.0.1:1/d"}, 1, "-store: failed to connect"},
		"a bad URL":          {storeKey, []string{"-store", "postgres://u:1/geheim@127.0.0.1:1/d"}, 1, "is its password percent-encoded?"},
		"a URL alone":        {storeKey, []string{"postgres://u:geheim@127.0.0.1:1/d"}, 2, `unexpected argument "postgres://…"`},
		"another key's file": {storeKey, []string{"-store", db.dsn, "-keys", "keys.pem"}, 2, "-keys: with -store the signing keys are in the store"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // should it serve instead
			defer cancel()
			cmd := exec.CommandContext(ctx, file, append([]string{"-addr", "127.0.0.1:0"}, row.args...)...)
			cmd.Env = append(os.Environ(), "COUNTERMARK_STORE_KEY=", row.variable)
			out, _ := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != row.code || !strings.Contains(string(out), row.says) {
				t.Errorf("exit %d, want %d and %q: %s", code, row.code, row.says, out)
			}
			if strings.Contains(string(out), "geheim") {
				t.Errorf("it shows the password: %s", out)
			}
		})
	}
}

// must is for what a test goes on from.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
