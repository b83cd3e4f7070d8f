package authserver_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/jose"
)

// BenchmarkClientCredentials shows what a token costs: the bare signature, the
// server's own work with it, and all of it over HTTP on loopback, where client
// and server share the machine.
func BenchmarkClientCredentials(b *testing.B) {
	for _, alg := range []string{"ES256", "EdDSA", "RS256"} {
		k := key(b, alg, "")
		s, err := authserver.New(authserver.Config{
			Issuer: "https://issuer.example", Clients: clients(), Keys: []authserver.SigningKey{k}, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(alg+"/signature", func(b *testing.B) {
			method, _ := jose.Lookup(alg)
			input := strings.Repeat("x", 400)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := method.Sign(input, k.Signer); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(alg+"/server", func(b *testing.B) { benchmarkServer(b, s, shop) })
		b.Run(alg+"/http", func(b *testing.B) { benchmarkHTTP(b, s) })
		if alg == "ES256" {
			b.Run("opaque/server", func(b *testing.B) { benchmarkServer(b, s, kiosk) })
		}
	}
}

func benchmarkServer(b *testing.B, s *authserver.Server, as login) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		req := httptest.NewRequest(http.MethodPost, "https://issuer.example/token", strings.NewReader("grant_type=client_credentials"))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth(as.id, as.secret)
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, req); w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
}

func benchmarkHTTP(b *testing.B, s *authserver.Server) {
	b.Helper()
	ts := httptest.NewServer(s)
	defer ts.Close()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		for pb.Next() {
			req, _ := http.NewRequest(http.MethodPost, ts.URL+"/token", strings.NewReader("grant_type=client_credentials"))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.SetBasicAuth(shop.id, shop.secret)
			resp, err := client.Do(req)
			if err != nil {
				b.Error(err)
				return
			}
			if _, _ = io.Copy(io.Discard, resp.Body); resp.StatusCode != http.StatusOK {
				b.Error(resp.Status)
			}
			_ = resp.Body.Close()
		}
	})
}
