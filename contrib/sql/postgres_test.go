package sqlstore_test

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const howToPostgres = "set COUNTERMARK_POSTGRES to the URL of a PostgreSQL server whose tests may create schemas and roles, " +
	"or install one (Debian: apt-get install postgresql), which the tests start themselves in a temporary folder"

// cluster is the PostgreSQL server that the tests started, if they did.
var cluster struct {
	stdin io.Closer
	run   *exec.Cmd
	dir   string
}

// needPostgres skips a test, or fails where everything has to run, if there is no
// PostgreSQL.
func needPostgres(t *testing.T) {
	t.Helper()
	switch _, err := postgres(); {
	case err == nil:
	case errors.Is(err, errNoPostgres) && os.Getenv("COUNTERMARK_INTEGRATION") != "1":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
}

var errNoPostgres = errors.New("no PostgreSQL: " + howToPostgres)

// postgres returns the URL of the server, which it starts if it has to.
var postgres = sync.OnceValues(func() (string, error) {
	if dsn := os.Getenv("COUNTERMARK_POSTGRES"); dsn != "" {
		return dsn, nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	bin := ""
	if len(found) > 0 {
		version := func(dir string) int {
			n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
			return n
		}
		bin = slices.MaxFunc(found, func(a, b string) int { return cmp.Compare(version(a), version(b)) })
	} else if initdb, err := exec.LookPath("initdb"); err == nil {
		bin = filepath.Dir(initdb)
	} else {
		return "", errNoPostgres
	}
	return startPostgres(bin)
})

// startPostgres runs a new cluster that listens on a socket in its own folder. A
// shell stands between, which stops it when this process is gone, however it went.
func startPostgres(bin string) (string, error) {
	dir, err := os.MkdirTemp("", "countermark")
	if err != nil {
		return "", err
	}
	cluster.dir = dir
	as := func(name string, args ...string) []string { return append([]string{filepath.Join(bin, name)}, args...) }
	if os.Geteuid() == 0 { // as whom PostgreSQL refuses to run
		account, err := user.Lookup("postgres")
		if err != nil {
			return "", err
		}
		uid, _ := strconv.Atoi(account.Uid)
		gid, _ := strconv.Atoi(account.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			return "", err
		}
		plain := as
		as = func(name string, args ...string) []string {
			return append([]string{"setpriv", "--reuid", account.Uid, "--regid", account.Gid, "--clear-groups"}, plain(name, args...)...)
		}
	}
	data := filepath.Join(dir, "data")
	args := as("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	initdb := exec.Command(args[0], args[1:]...)
	initdb.Dir = dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return "", fmt.Errorf("initdb: %w\n%s", err, out)
	}
	args = as("postgres", "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "max_connections=200", "-c", "fsync=off")
	cluster.run = exec.Command("sh", append([]string{"-c", `"$@" & cat >/dev/null; kill -INT $!; wait $!`, "sh"}, args...)...)
	cluster.run.Dir = dir
	if cluster.stdin, err = cluster.run.StdinPipe(); err != nil {
		return "", err
	}
	stderr, err := cluster.run.StderrPipe()
	if err != nil {
		return "", err
	}
	if err := cluster.run.Start(); err != nil {
		return "", err
	}
	ready := make(chan string)
	go func() {
		var log bytes.Buffer
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			fmt.Fprintln(&log, lines.Text())
			if strings.Contains(lines.Text(), "ready to accept connections") {
				close(ready)
				_, _ = io.Copy(io.Discard, stderr)
				return
			}
		}
		ready <- log.String()
	}()
	select {
	case log, ended := <-ready:
		if ended {
			return "", fmt.Errorf("postgres ended:\n%s", log)
		}
	case <-time.After(time.Minute):
		return "", errors.New("postgres is not ready after a minute")
	}
	return "postgres://postgres@/postgres?" + url.Values{"host": {dir}}.Encode(), nil
}

func stopPostgres() {
	if cluster.run != nil && cluster.run.Process != nil {
		_ = cluster.stdin.Close()
		_ = cluster.run.Wait()
	}
	if cluster.dir != "" {
		_ = os.RemoveAll(cluster.dir)
	}
}
