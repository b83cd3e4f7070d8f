package jwks

import (
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/countermark/countermark/internal/memhttp"
)

// httprc may call Sync for a refresh that a lookup has just made unnecessary.
func TestSync_DoesNothingBeforeItsTime(t *testing.T) {
	t.Parallel()
	var fetches atomic.Int64
	server := memhttp.New(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetches.Add(1)
		_, _ = io.WriteString(w, `{"keys":[]}`)
	}))
	defer server.Close()
	c, err := New(Config{URL: "https://issuer.example/keys", Client: server.Client()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 2 {
		if err := c.refresh.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}
