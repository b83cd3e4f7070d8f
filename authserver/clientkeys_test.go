package authserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// A caller that gives up does not spoil the fetch for the others.
func TestKeySets_AFetchServesAllWhoWait(t *testing.T) {
	t.Parallel()
	asked, release := make(chan struct{}), make(chan struct{})
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(asked) // twice would panic: there is one fetch
		<-release
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"keys":[]}`))
	}))
	t.Cleanup(host.Close)
	sets := newKeySets(newEgress(true), time.Now)
	enough := func(keyList) bool { return true }

	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error)
	go func() {
		_, err := sets.get(ctx, host.URL, enough)
		first <- err
	}()
	<-asked
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(release)
	if _, err := sets.get(t.Context(), host.URL, enough); err != nil {
		t.Error(err)
	}
}

// Key sets are forgotten, the oldest first, before they fill the memory.
func TestKeySets_Bounded(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	host := httptest.NewServer(http.NotFoundHandler())
	host.Close() // no fetch succeeds
	sets := newKeySets(newEgress(true), func() time.Time { return now })
	for n := range maxKeySets + 10 {
		now = now.Add(time.Second)
		if state := sets.refresh(t.Context(), fmt.Sprintf("%s/%d", host.URL, n)); state.err == nil {
			t.Fatal("fetched from nowhere")
		}
	}
	if n := len(sets.byURL); n != maxKeySets {
		t.Errorf("%d are remembered", n)
	}
	for n, known := range map[int]bool{9: false, 10: true, maxKeySets + 9: true} {
		if sets.state(fmt.Sprintf("%s/%d", host.URL, n)).tried.IsZero() == known {
			t.Errorf("number %d is remembered: %v", n, !known)
		}
	}
}

// A key set of a client of the store is read once, and those that were read do
// not fill the memory.
func TestParsedKeys_ReadOnceAndBounded(t *testing.T) {
	t.Parallel()
	set := func(kid int) []byte {
		return fmt.Appendf(nil, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"%d","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`, kid)
	}
	var p parsedKeys
	for kid := range maxKeySets + 10 {
		if keys, err := p.parse(set(kid)); err != nil || len(keys.find(fmt.Sprint(kid), "EdDSA")) != 1 {
			t.Fatalf("%d: %v, %v", kid, keys, err)
		}
	}
	if n := len(p.byText); n > maxKeySets {
		t.Errorf("%d are remembered", n)
	}
	one, err1 := p.parse(set(1))
	two, err2 := p.parse(set(1))
	if err1 != nil || err2 != nil || one[0] != two[0] {
		t.Errorf("read again: %v, %v", err1, err2)
	}
	for range 2 {
		if keys, err := p.parse([]byte("{")); err == nil {
			t.Errorf("%v", keys)
		}
	}
}
