package memhttp_test

import (
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermark/countermark/internal/memhttp"
)

func TestServer_InABubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memhttp.New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Hour) // of the bubble
			_, _ = io.WriteString(w, r.Host)
		}))
		defer s.Close()
		start := time.Now()
		resp, err := s.Client().Get("https://issuer.example/keys")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || string(body) != "issuer.example" || time.Since(start) != time.Hour {
			t.Errorf("%q, %v after %v", body, err, time.Since(start))
		}
		s.SetDown(true)
		if _, err := s.Client().Get("https://issuer.example/keys"); err == nil {
			t.Error("a server that is down answers")
		}
	})
}
