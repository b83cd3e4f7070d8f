package authserver_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Who asks for documents of a host that hangs gets two of its places, by whatever
// port and spelling, and keeps nobody else out.
func TestPoint36_AHostThatHangsTakesFewPlaces(t *testing.T) {
	t.Parallel()
	asked, release := make(chan struct{}, 64), make(chan struct{})
	hang := func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-release
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"client_id":"http://%s%s","redirect_uris":["%s"]}`, r.Host, r.URL, appURI)
	}
	h, samePlace, other := startDocument(t, ""), startDocument(t, ""), startDocument(t, "")
	h.do(hang)
	samePlace.do(hang)
	other.id = strings.Replace(other.id, "127.0.0.1", "localhost", 1)
	other.document("")
	i := startDocuments(t)
	got := make(chan string)
	for n := range 2 {
		go func() { got <- i.visit(fmt.Sprint(h.URL, "/", n)).title }()
		<-asked
	}
	for _, id := range []string{h.id, samePlace.id} {
		if s := i.visit(id); !s.isPage(503) {
			t.Errorf("%s: %d %s", id, s.status, s.body)
		}
	}
	if h.fetched.Load() != 2 || samePlace.fetched.Load() != 0 {
		t.Errorf("%d and %d fetches of one host", h.fetched.Load(), samePlace.fetched.Load())
	}
	if s := i.visit(other.id); s.title != "Sign in" {
		t.Errorf("another host: %d %s", s.status, s.body)
	}
	close(release)
	for range 2 {
		if title := <-got; title != "Sign in" {
			t.Error(title)
		}
	}
	if s := i.visit(h.id); s.title != "Sign in" {
		t.Errorf("afterwards: %d %s", s.status, s.body)
	}
}

// A document that cannot be fetched again counts for an hour more, asked for every 5
// seconds at most; what its host says of it counts at once.
func TestPoint36_ADocumentOutlastsAnOutageOfItsHost(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]http.HandlerFunc{
		"500":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"429":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) },
		"hang-up": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		h := startDocument(t, `,"grant_types":["authorization_code","refresh_token"]`)
		i := startDocuments(t)
		token := i.tokens(login{id: h.id}).member("refresh_token")
		h.do(outage)
		i.clock.Advance(5 * time.Minute)
		for range 3 {
			if s := i.visit(h.id); s.title != "Sign in" {
				t.Fatalf("%s: %d %s", name, s.status, s.body)
			}
		}
		if a := i.refresh(login{}, token, "client_id", h.id); a.status != 200 || h.fetched.Load() != 2 {
			t.Errorf("%s: %d %s, %d fetches", name, a.status, a.body, h.fetched.Load())
		}
		i.clock.Advance(time.Hour - time.Millisecond)
		if s := i.visit(h.id); s.title != "Sign in" || h.fetched.Load() != 3 {
			t.Errorf("%s, nearly an hour: %d %s, %d fetches", name, s.status, s.body, h.fetched.Load())
		}
		i.clock.Advance(time.Millisecond)
		if s := i.visit(h.id); !s.isPage(503) {
			t.Errorf("%s, an hour: %d %s", name, s.status, s.body)
		}
		h.document("")
		i.clock.Advance(5 * time.Second)
		if s := i.visit(h.id); s.title != "Sign in" {
			t.Errorf("%s, when it is over: %d %s", name, s.status, s.body)
		}
		h.do(http.NotFound)
		i.clock.Advance(5 * time.Minute)
		if s := i.visit(h.id); !s.isPage(400) {
			t.Errorf("%s, when it is taken back: %d %s", name, s.status, s.body)
		}
		h.do(outage)
		i.clock.Advance(5 * time.Second)
		if s := i.visit(h.id); !s.isPage(503) {
			t.Errorf("%s, after it was taken back: %d %s", name, s.status, s.body)
		}
	}
}
