package authserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func newTestDocuments(t *testing.T, client *http.Client, now func() time.Time) *documents {
	t.Helper()
	d, err := newDocuments(&ClientIDMetadataDocuments{Policy: ClientPolicy{Audience: []string{"https://api.example"}}}, false)
	if err != nil {
		t.Fatal(err)
	}
	d.egress, d.now = client, now
	return d
}

// With an issuer that is not on loopback, as with any, documents come over https.
func TestDocuments_OverHTTPS(t *testing.T) {
	t.Parallel()
	var id string
	host := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"client_id":"https://%s%s","redirect_uris":["https://app.example/cb"]}`, r.Host, r.URL)
	}))
	t.Cleanup(host.Close)
	id = host.URL + "/client.json?version=1"
	d := newTestDocuments(t, host.Client(), time.Now)
	if c, err := d.get(t.Context(), id); err != nil || c.ClientID != id || c.TokenEndpointAuthMethod != authNone || !d.covers(id) {
		t.Errorf("%+v, %v", c, err)
	}
	d = newTestDocuments(t, newEgress(true), time.Now) // which has no such authority
	if c, err := d.get(t.Context(), id); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("%+v, %v", c, err)
	}
}

// Documents and failures are forgotten, the oldest first, before they fill the
// memory; and no flood of failures throws out what is of use.
func TestDocuments_Bounded(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	host := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"client_id":"https://%s%s","redirect_uris":["https://app.example/cb"]}`, r.Host, r.URL)
	}))
	t.Cleanup(host.Close)
	d := newTestDocuments(t, host.Client(), func() time.Time { return now })
	for n := range maxDocuments + 10 {
		now = now.Add(time.Millisecond)
		remember(&d.known, fmt.Sprint("https://app.example/", n), documentState{client: &Client{}, tried: now, until: now.Add(time.Hour)})
		remember(&d.failed, fmt.Sprint("https://bad.example/", n), documentState{err: errBroken, tried: now, until: now.Add(time.Hour)})
	}
	for range 2 {
		if _, err := d.get(t.Context(), host.URL+"/client.json"); err != nil {
			t.Fatal(err)
		}
	}
	if len(d.known) != maxDocuments || len(d.failed) != maxDocuments {
		t.Errorf("%d documents and %d failures are remembered", len(d.known), len(d.failed))
	}
	for n, known := range map[int]bool{10: false, 11: true, maxDocuments + 9: true} {
		if _, ok := d.state(fmt.Sprint("https://app.example/", n)); ok != known {
			t.Errorf("number %d is remembered: %v", n, ok)
		}
	}
}

// The 17th document at once is refused, and can be had a moment later. One that is
// known can be had all the while, for an hour.
func TestDocuments_FewFetchesAtOnce(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	asked, release := make(chan struct{}, 64), make(chan struct{})
	host := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Host, "slow") {
			asked <- struct{}{}
			<-release
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"client_id":"https://%s%s","redirect_uris":["https://app.example/cb"]}`, r.Host, r.URL)
	}))
	t.Cleanup(host.Close)
	d := newTestDocuments(t, host.Client(), func() time.Time { return time.Unix(clock.Load(), 0) })
	const known, unknown = "https://known.example.com/client.json", "https://unknown.example.com/client.json"
	if _, err := d.get(t.Context(), known); err != nil {
		t.Fatal(err)
	}
	clock.Add(int64(documentFresh / time.Second))
	got := make(chan error)
	for n := range 16 {
		go func() {
			_, err := d.get(t.Context(), fmt.Sprintf("https://slow%d.example.com/%d", n/2, n))
			got <- err
		}()
		<-asked
	}
	if c, err := d.get(t.Context(), known); err != nil || c.ClientID != known {
		t.Errorf("what is known: %v, %v", c, err)
	}
	if c, err := d.get(t.Context(), unknown); err == nil || !strings.HasSuffix(err.Error(), errDocumentsBusy.Error()) || errors.Is(err, ErrNotFound) {
		t.Errorf("what is not: %v, %v", c, err)
	}
	clock.Add(int64(time.Hour / time.Second))
	if c, err := d.get(t.Context(), known); err == nil || !strings.HasSuffix(err.Error(), errDocumentsBusy.Error()) {
		t.Errorf("after an hour: %v, %v", c, err)
	}
	close(release)
	for range 16 {
		if err := <-got; err != nil {
			t.Error(err)
		}
	}
	for _, id := range []string{known, unknown} {
		if c, err := d.get(t.Context(), id); err != nil || c.ClientID != id {
			t.Errorf("afterwards: %v, %v", c, err)
		}
	}
	if d.fetches != 0 || len(d.busy) != 0 {
		t.Errorf("places taken by nobody: %d, %v", d.fetches, d.busy)
	}
}

// Who goes away takes the fetch from nobody else who waits for it.
func TestDocuments_AFetchIsForAllWhoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const id = "https://app.example/client.json"
		release := make(chan struct{})
		d := newTestDocuments(t, answering(func(r *http.Request) (*http.Response, error) {
			select {
			case <-release:
				return answerOf(strings.NewReader(`{"client_id":"` + id + `","redirect_uris":["https://app.example/cb"]}`)), nil
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		}), time.Now)
		first, leave := context.WithCancel(t.Context())
		var both sync.WaitGroup
		both.Go(func() {
			if _, err := d.get(first, id); !errors.Is(err, context.Canceled) {
				t.Errorf("who left: %v", err)
			}
		})
		synctest.Wait()
		both.Go(func() {
			if c, err := d.get(t.Context(), id); err != nil || c.ClientID != id {
				t.Errorf("who stayed: %v, %v", c, err)
			}
		})
		synctest.Wait()
		leave()
		synctest.Wait()
		close(release)
		both.Wait()
	})
}

// A host that hangs, or goes on for ever, is given up after 5 seconds. That says
// nothing of the document.
func TestDocuments_AFetchEnds(t *testing.T) {
	t.Parallel()
	for name, hang := range map[string]func(r *http.Request) (*http.Response, error){
		"without an answer": func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		},
		"within one": func(r *http.Request) (*http.Response, error) { return answerOf(endless{r.Context()}), nil },
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newTestDocuments(t, answering(hang), time.Now)
			began := time.Now()
			c, err := d.get(t.Context(), "https://app.example/client.json")
			if took := time.Since(began); err == nil || errors.Is(err, ErrNotFound) || took != 5*time.Second {
				t.Errorf("%s: after %v: %v, %v", name, took, c, err)
			}
		})
	}
}

// An endless body comes to no end of its own.
type endless struct{ ctx context.Context }

func (e endless) Read([]byte) (int, error) {
	<-e.ctx.Done()
	return 0, e.ctx.Err()
}

func answerOf(body io.Reader) *http.Response {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(body)}
}

// answering is a client whose every request f answers.
func answering(f roundTripper) *http.Client { return &http.Client{Transport: f} }

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Section 3 of the draft has what the URL may be, and Hosts whose.
func TestDocuments_Covers(t *testing.T) {
	t.Parallel()
	taking := func(local bool, hosts ...string) *documents {
		d, err := newDocuments(&ClientIDMetadataDocuments{Hosts: hosts, Policy: ClientPolicy{Audience: []string{"https://api.example"}}}, local)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	anybodys, local, two := taking(false), taking(true), taking(false, "app.example", "other.example:8443")
	for id, want := range map[string][3]bool{ // for any host, on loopback, for two hosts
		"https://app.example/client.json":                 {true, true, true},
		"https://app.example/":                            {true, true, true},
		"https://app.example/a?b=c":                       {true, true, true},
		"https://app.example/...":                         {true, true, true},
		"https://other.example:8443/client.json":          {true, true, true},
		"https://other.example/client.json":               {true, true, false},
		"https://app.example:8443/client.json":            {true, true, false},
		"https://app.example:443/client.json":             {true, true, false},
		"https://APP.example/client.json":                 {true, true, false},
		"https://app.example./client.json":                {true, true, false},
		"https://sub.app.example/client.json":             {true, true, false},
		"https://app.example.evil.example/":               {true, true, false},
		"https://xn--80ak6aa92e.example/client.json":      {true, true, false},
		"https://[2606:4700::1111]/client.json":           {true, true, false},
		"http://127.0.0.1:8080/client.json":               {false, true, false},
		"http://localhost/client.json":                    {false, true, false},
		"http://[::1]:8080/client.json":                   {false, true, false},
		"http://app.example/client.json":                  {},
		"https://app.example":                             {},
		"https://app.example?a=/b":                        {},
		"https://app.example/a/./b":                       {},
		"https://app.example/a/../b":                      {},
		"https://app.example/..":                          {},
		"https://app.example/%2e%2E/b":                    {},
		"https://app.example/a#":                          {},
		"https://app.example/a#b":                         {},
		"https://user@app.example/a":                      {},
		"https://user:pw@app.example/a":                   {},
		"https://app.example:0/a":                         {},
		"https://app.example:65536/a":                     {},
		"https://app.example:/a":                          {},
		"https://*.example/a":                             {},
		"https://ap%70.example/a":                         {},
		"https://ex%D0%B0mple.com/a":                      {},
		"https://a;b.example/a":                           {},
		"https:///a":                                      {},
		"https:app.example/a":                             {},
		"//app.example/a":                                 {},
		"app.example/a":                                   {},
		"ftp://app.example/a":                             {},
		"https://app.example/\u00e9":                      {},
		"https://app.example/a\n":                         {},
		"":                                                {},
		"https://app.example/" + strings.Repeat("x", 235): {true, true, true},
		"https://app.example/" + strings.Repeat("x", 236): {},
	} {
		if got := [3]bool{anybodys.covers(id), local.covers(id), two.covers(id)}; got != want {
			t.Errorf("%s: %v, want %v", id, got, want)
		}
	}
	if (*documents)(nil).covers("https://app.example/client.json") {
		t.Error("covered by none")
	}
}

// Names of one host are one host's.
func TestDocumentHost(t *testing.T) {
	t.Parallel()
	for _, id := range []string{
		"https://app.example/a", "https://app.example:8443/b", "https://APP.example/c", "https://app.example./d", "https://App.example.:444/e?f",
	} {
		if host := documentHost(id); host != "app.example" {
			t.Errorf("%s: %s", id, host)
		}
	}
	if host := documentHost("https://[::1]:443/a"); host != "::1" {
		t.Error(host)
	}
}

var errBroken = errors.New("broken")

func TestFreshness_CountsAge(t *testing.T) {
	t.Parallel()
	h := http.Header{"Cache-Control": {"public", "max-age=600"}, "Age": {"300"}}
	if got := freshness(h); got != 5*time.Minute {
		t.Error(got)
	}
	h.Set("Age", "900")
	if got := freshness(h); got != documentFreshLeast {
		t.Error(got)
	}
}
