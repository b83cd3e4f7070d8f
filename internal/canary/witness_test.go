package canary_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/canary"
)

// A witness hears all that comes out, and knows all that should not. It is judged at
// the end, when all secrets are known.
type witness struct {
	group   string
	parent  *witness // nil for the one that holds what follows
	secrets canary.Secrets

	mu      sync.Mutex
	seen    map[string]bool // texts
	printed map[string]bool // values, as %+v has them
	heard   map[string]int  // how often, by group
	told    []testimony
}

// A testimony is a text that came out.
type testimony struct {
	outlet, text string

	except []string // the secrets that belong there, with a reason where it is told
}

// at is w for one group of outlets.
func (w *witness) at(group string) *witness { return &witness{group: group, parent: w} }

// secret makes a secret, which nothing else has a part of.
func (w *witness) secret(name string) string {
	secret := "canary" + rand.Text()
	w.hide(name, secret)
	return secret
}

func (w *witness) hide(name, secret string) { w.hidden().Add(name, secret) }

// hideToken hides a token and what is in it but for the members that are open.
func (w *witness) hideToken(name, token string, open ...string) {
	w.hidden().AddJWT(name, token, open...)
}

func (w *witness) hidden() *canary.Secrets {
	if w.parent != nil {
		return w.parent.hidden()
	}
	return &w.secrets
}

// tell is that something came out.
func (w *witness) tell(outlet, text string, except ...string) {
	top := w
	if w.parent != nil {
		top, outlet = w.parent, w.group+": "+outlet
	}
	top.mu.Lock()
	defer top.mu.Unlock()
	top.heard[w.group]++
	if key := fmt.Sprint(except, text); !top.seen[key] {
		top.seen[key] = true
		top.told = append(top.told, testimony{outlet, text, except})
	}
}

// print tells of v, in every way to print it.
func (w *witness) print(outlet string, v any, except ...string) {
	if w.wasPrinted(fmt.Sprintf("%T %+v %v", v, v, except)) {
		return
	}
	for how, text := range canary.Printed(v) {
		w.tell(outlet+" as "+how, text, except...)
	}
}

// wasPrinted reports whether a value was printed before, and remembers it.
func (w *witness) wasPrinted(value string) bool {
	if w.parent != nil {
		return w.parent.wasPrinted(value)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.printed[value]
	w.printed[value] = true
	return was
}

// failed tells of an error, which has to be there.
func (w *witness) failed(t *testing.T, outlet string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error, where one was to be looked at", outlet)
	}
	w.tell(outlet, fmt.Sprint(err))
	w.print(outlet, err)
}

// panicked tells of what f panics with, which it has to.
func (w *witness) panicked(t *testing.T, outlet string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		p := recover()
		if p == nil {
			t.Errorf("%s: no panic, where one was to be looked at", outlet)
		}
		w.print(outlet, p)
	}()
	f()
}

// logger tells of what it is told, at every level, as text and as JSON, and of every
// attribute by itself.
func (w *witness) logger(outlet string, except ...string) *slog.Logger {
	return slog.New(ear{w, outlet, except})
}

// errorLog is for an http.Server.
func (w *witness) errorLog(outlet string) *log.Logger { return log.New(mouth{w, outlet}, "", 0) }

type ear struct {
	w      *witness
	outlet string
	except []string
}

func (ear) Enabled(context.Context, slog.Level) bool { return true }

func (e ear) Handle(ctx context.Context, r slog.Record) error {
	r.Time = time.Time{} // so that a line that came before is known
	var text bytes.Buffer
	options := &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}
	for _, h := range []slog.Handler{slog.NewTextHandler(&text, options), slog.NewJSONHandler(&text, options)} {
		if err := h.Handle(ctx, r); err != nil {
			return err
		}
	}
	e.w.tell(e.outlet, text.String(), e.except...)
	r.Attrs(func(a slog.Attr) bool {
		e.w.print(e.outlet+", "+a.Key, a.Value.Any(), e.except...)
		return true
	})
	return nil
}

func (e ear) WithAttrs([]slog.Attr) slog.Handler { return e }
func (e ear) WithGroup(string) slog.Handler      { return e }

// A mouth tells of what is written to it.
type mouth struct {
	w      *witness
	outlet string
}

func (m mouth) Write(p []byte) (int, error) {
	m.w.tell(m.outlet, string(p))
	return len(p), nil
}

// A tracer is what a program puts around its transport to have a span for each
// request: it tells of the URL and of the names of the fields, and of what came of it.
type tracer struct {
	w      *witness
	outlet string
}

func (tr tracer) RoundTrip(req *http.Request) (*http.Response, error) {
	tr.w.tell("a span of "+tr.outlet, fmt.Sprint(req.Method, " ", req.URL, " ", slices.Sorted(maps.Keys(req.Header))))
	return http.DefaultTransport.RoundTrip(req)
}
