package canary_test

import (
	"fmt"
	"log"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// outlets are all by which something comes out of the module, with what is done so
// that something does. Whoever adds an outlet adds it here.
var outlets = map[string]func(*testing.T, *witness){
	"the doors":                  visitDoors,
	"keys":                       fetchKeys,
	"introspection":              introspect,
	"answers that echo":          answerHostilely,
	"issuers that come and go":   resolveTenants,
	"claims that do not fit":     readClaims,
	"the API's configuration":    configureAPI,
	"the API's hooks that panic": panicAtAPI,
	"the API's types":            printAPI,
	"the issuer at work":         useIssuer,
	"the issuer's refusals":      misuseIssuer,
	"the issuer's configuration": configureIssuer,
	"the issuer's hooks":         panicAtIssuer,
	"the issuer's types":         printIssuer,
	"the issuer for development": runDevissuer,
}

// No token, secret or claim value comes out of the module, in whatever form. The test
// has the process for itself: what is written to its default loggers and to its
// standard error is looked at as well.
//
// What does come out, and why:
//   - of the issuer, in events and logs: who did what, as [authserver.Event] says: sub,
//     client_id, scope, jti, and when a token was issued
//   - in a challenge: the scopes and acr that the API asks for
//   - on pages, to the person: the user code and the authorization request that are theirs
//   - the banner of the issuer for development, which is for whoever started it
//   - to a log, what a stream's handler panics with, as net/http tells it of a handler
//   - as they print themselves: a store, a cache and the like that the program plugs in,
//     and in JSON, the Claims of an authserver.User
//   - of net/http, to its own log: what an issuer sends after a whole answer
func TestWalk_NoOutletShowsASecret(t *testing.T) {
	w := &witness{group: "the process", seen: map[string]bool{}, printed: map[string]bool{}, heard: map[string]int{}}
	stderr := takeProcess(t, w)
	t.Run("outlets", func(t *testing.T) {
		for name, walk := range outlets {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				walk(t, w.at(name))
			})
		}
	})
	w.tell("the process's standard error", stderr())

	leaks := map[string]bool{}
	for _, told := range w.told {
		if secret := w.secrets.Find(told.text, told.except...); secret != "" && !leaks[told.outlet+secret] {
			leaks[told.outlet+secret] = true // each once
			t.Errorf("%s shows %s\n%s", told.outlet, secret, told.text[:min(len(told.text), 2000)])
		}
	}
	for _, group := range slices.Sorted(maps.Keys(w.heard)) {
		t.Logf("%6d texts of %s", w.heard[group], group)
	}
	for name := range outlets {
		if w.heard[name] < 10 {
			t.Errorf("%s: nothing was heard", name)
		}
	}
	t.Logf("%6d different ones", len(w.told))
}

// takeProcess has w hear what the process's loggers are told, and returns what was
// written to its standard error, when that is over.
func takeProcess(t *testing.T, w *witness) (stderr func() string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "stderr")
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	oldLogger, oldStderr, oldFlags := slog.Default(), os.Stderr, log.Flags()
	os.Stderr = file
	slog.SetDefault(w.logger("the process's slog.Default")) // where log's goes, too
	t.Cleanup(func() {
		os.Stderr = oldStderr
		slog.SetDefault(oldLogger)
		log.SetOutput(oldStderr)
		log.SetFlags(oldFlags)
		_ = file.Close()
	})
	log.Print("a line of log.Default")
	fmt.Fprintln(os.Stderr, "a line of the standard error")
	return func() string {
		data, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(data), "a line") {
			t.Errorf("the standard error was not heard: %v", err)
		}
		return string(data)
	}
}
