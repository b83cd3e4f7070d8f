package interop_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// startChromium starts Debian's browser, for which there is no host but 127.0.0.1.
func startChromium(t *testing.T) context.Context {
	t.Helper()
	if _, err := exec.LookPath("chromium"); err != nil {
		missing(t, "chromium", "apt-get install chromium")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath("chromium"), chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"), chromedp.Flag("lang", "en"),
		chromedp.WindowSize(1280, 1200)) // where each page fits
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// A tab is one of a browser. It fails the test for what a page must never do.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu     sync.Mutex
	hosts  map[string]bool
	faults []string
}

// another returns one more tab of the same window.
func (b *tab) another() *tab {
	b.t.Helper()
	other := &tab{t: b.t, hosts: b.hosts}
	other.start(b.ctx)
	return other
}

func (b *tab) start(parent context.Context, options ...chromedp.ContextOption) {
	b.t.Helper()
	ctx, cancel := chromedp.NewContext(parent, options...)
	b.t.Cleanup(cancel)
	b.ctx = ctx
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		b.t.Fatal(err)
	}
	call(b, network.Enable, network.EnableParams{})
	call(b, log.Enable, cdp.Empty{})
	call(b, runtime.Enable, cdp.Empty{})
	b.t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, fault := range b.faults {
			b.t.Error(fault)
		}
	})
}

// call gives a browser a command of its protocol.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, command, params); err != nil {
		b.t.Fatalf("%s: %v", command.Method, err)
	}
}

// hear keeps what a page must not do: ask another host, or have the browser
// complain, as it does of what the Content-Security-Policy forbids.
func (b *tab) hear(event any) {
	var fault string
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err != nil || u.Scheme != "data" && !b.hosts[u.Host] {
			fault = "asks " + e.Request.URL
		}
	case *log.EventEntryAdded:
		// That an error page has the status of an error is no fault.
		if e.Entry.Source != log.EntrySourceNetwork || !strings.Contains(e.Entry.Text, "responded with a status of 4") {
			fault = fmt.Sprintf("%s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *runtime.EventExceptionThrown:
		fault = e.ExceptionDetails.Text
	case *runtime.EventConsoleAPICalled:
		fault = fmt.Sprintf("console.%s", e.Type)
	}
	if fault != "" {
		b.mu.Lock()
		b.faults = append(b.faults, fault)
		b.mu.Unlock()
	}
}

func (b *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatalf("%v, at %s", err, b.where())
	}
}

// where says in a failure which page it was.
func (b *tab) where() string {
	ctx, cancel := context.WithTimeout(b.ctx, 3*time.Second)
	defer cancel()
	place, _ := chromedp.Run(ctx, chromedp.Location())
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
	return place + "\n" + text
}

// leads does what leads to another page, and returns the response that brought it.
func (b *tab) leads(actions ...chromedp.Action[chromedp.Void]) *network.Response {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	resp, err := chromedp.RunResponse(ctx, actions...)
	if err != nil {
		b.t.Fatalf("%v, at %s", err, b.where())
	}
	return resp
}

func (b *tab) open(location string) *network.Response {
	b.t.Helper()
	return b.leads(chromedp.Navigate(location))
}

// click clicks on what leads to another page.
func (b *tab) click(selector string) *network.Response {
	b.t.Helper()
	return b.leads(chromedp.Click(chromedp.CSS(selector)))
}

// signIn fills in the sign-in page, and sends it.
func (b *tab) signIn(username, password string) *network.Response {
	b.t.Helper()
	b.run(chromedp.SetValue(chromedp.ID("username"), username), chromedp.SetValue(chromedp.ID("password"), password))
	return b.click(`button:not([name])`)
}

// waitForFocus waits for what the page has the focus on by itself, which comes after
// all else.
func (b *tab) waitForFocus() {
	b.t.Helper()
	b.run(chromedp.WaitReady(chromedp.CSS(":focus")))
}

func (b *tab) press(keys ...string) {
	b.t.Helper()
	for _, key := range keys {
		b.run(chromedp.KeyEvent(key))
	}
}

func (b *tab) shiftTab() {
	b.t.Helper()
	b.run(chromedp.KeyEvent(kb.Tab, chromedp.KeyModifiers(chromedp.ModifierShift)))
}

// eval returns what an expression is in the page.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%v: %s", err, expression)
	}
	return value
}

func (b *tab) text() string { b.t.Helper(); return eval[string](b, "document.body.innerText") }

func (b *tab) at() *url.URL {
	b.t.Helper()
	u, err := url.Parse(eval[string](b, "location.href"))
	if err != nil {
		b.t.Fatal(err)
	}
	return u
}

// wantPage demands a heading, and that the title of the page says it too.
func (b *tab) wantPage(heading string) {
	b.t.Helper()
	got, title := eval[string](b, "[...document.querySelectorAll('h1')].map(h => h.innerText).join('|')"), eval[string](b, "document.title")
	if got != heading || !strings.Contains(title, heading+" · ") {
		b.t.Fatalf("heading %q and title %q, want %q, at %s", got, title, heading, b.where())
	}
}

// wantAnswer demands that the browser is at the client, with an answer that has
// these parameters, and returns all of them.
func (b *tab) wantAnswer(callback string, pairs ...string) url.Values {
	b.t.Helper()
	at := b.at()
	query := at.Query()
	if !strings.HasPrefix(at.String(), callback+"?") {
		b.t.Fatalf("not at the client: %s", b.where())
	}
	for pair := range slices.Chunk(pairs, 2) {
		if query.Get(pair[0]) != pair[1] {
			b.t.Errorf("%s is %q, want %q", pair[0], query.Get(pair[0]), pair[1])
		}
	}
	return query
}

// callback is the client's page where answers go.
func callback(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(`<!doctype html><html lang="en"><title>App</title><link rel="icon" href="data:,"><h1 data-method="` + r.Method + `">App</h1>`))
}
