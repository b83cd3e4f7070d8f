package sqlstore_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
	sqlstore "github.com/countermark/countermark/contrib/sql"
)

const (
	crashFile = "COUNTERMARK_CRASH_FILE" // makes this program the child
	crashTips = "COUNTERMARK_CRASH_TIPS" // the token that each family is at

	families = 8
	crashes  = 6
)

// A server that is killed in the middle of a storm of rotations finds all that it
// acknowledged, and each family at exactly one token.
func TestSQLite_SurvivesSIGKILL(t *testing.T) {
	t.Parallel()
	db := newSQLite(t)
	s := db.open(t, nil)
	for f := range families {
		if err := s.Put(t.Context(), authserver.RefreshToken, refreshToken(f, 0), refreshRecord(f, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	tips := make([]int, families)
	for crash := range crashes {
		acknowledged := crashOnce(t, db, tips, 20+rand.IntN(200))
		s := db.open(t, nil)
		unspent := unspentTokens(t, db)
		if len(unspent) != families {
			t.Fatalf("crash %d: %d tokens are unspent, of %d families", crash, len(unspent), families)
		}
		for f, acked := range acknowledged {
			tip := acked // or one more, which was committed and not acknowledged
			if unspent[refreshToken(f, acked+1)] {
				tip++
			} else if !unspent[refreshToken(f, acked)] {
				t.Fatalf("crash %d: family %d is not at token %d, which was acknowledged", crash, f, acked)
			}
			for n := range tip + 1 {
				r, err := s.Get(t.Context(), authserver.RefreshToken, refreshToken(f, n))
				if err != nil || string(r.Data) != string(refreshRecord(f, n).Data) {
					t.Fatalf("crash %d: token %d of family %d: %q, %v", crash, n, f, r.Data, err)
				}
			}
			tips[f] = tip
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// crashOnce runs the child, kills it after so many acknowledgements, and returns
// the last token of each family that was acknowledged.
func crashOnce(t *testing.T, db database, tips []int, after int) []int {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), crashFile+"="+db.dsn, crashTips+"="+strings.Trim(fmt.Sprint(tips), "[]"))
	child.Stderr = os.Stderr
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged := append([]int(nil), tips...)
	count := 0
	for lines := bufio.NewScanner(stdout); lines.Scan(); { // what it wrote before its death is read after it
		var f, n int
		if _, err := fmt.Sscanf(lines.Text(), "family %d token %d.", &f, &n); err != nil || !strings.HasSuffix(lines.Text(), ".") {
			continue // cut off by the kill
		}
		acknowledged[f] = n
		if count++; count == after {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); err == nil || count < after {
		t.Fatalf("the child ended by itself after %d acknowledgements: %v", count, err)
	}
	return acknowledged
}

// storm is the child: it rotates until it is killed.
func storm(dsn, at string) error {
	ctx := context.Background()
	s, err := sqlstore.Open(ctx, dsn, nil)
	if err != nil {
		return err
	}
	var mu sync.Mutex // so that lines stay whole
	var wg sync.WaitGroup
	failures := make(chan error, families)
	for f, tip := range strings.Fields(at) {
		n, err := strconv.Atoi(tip)
		if err != nil {
			return err
		}
		wg.Go(func() {
			for ; ; n++ {
				o, _, err := s.Rotate(ctx, refreshToken(f, n), refreshToken(f, n+1), refreshRecord(f, n+1), 0, time.Now())
				if err != nil || o != authserver.Rotated {
					failures <- fmt.Errorf("family %d token %d: %v, %w", f, n, o, errors.Join(err, errors.New("not rotated")))
					return
				}
				mu.Lock()
				fmt.Fprintf(os.Stdout, "family %d token %d.\n", f, n+1)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return <-failures
}

func refreshToken(family, n int) authserver.Hash {
	return authserver.HashOf(fmt.Sprintf("family %d token %d", family, n))
}

func refreshRecord(family, n int) authserver.Record {
	return authserver.Record{
		Grant:  fmt.Sprintf("family %d", family),
		Data:   fmt.Appendf(nil, "data of family %d token %d", family, n),
		Expiry: time.Now().Add(time.Hour),
	}
}

// unspentTokens looks past the store, which has no way to list anything.
func unspentTokens(t *testing.T, db database) map[authserver.Hash]bool {
	t.Helper()
	rows, err := raw(t, db).Query(`SELECT key FROM countermark_records WHERE spent IS NULL`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	unspent := map[authserver.Hash]bool{}
	for rows.Next() {
		var key sql.RawBytes
		if err := rows.Scan(&key); err != nil {
			t.Fatal(err)
		}
		unspent[authserver.Hash(key)] = true
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return unspent
}
