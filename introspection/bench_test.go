package introspection_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/countermark/countermark/introspection"
)

// answering is a client whose endpoint is in this process.
func answering(b *testing.B, body string, config introspection.Config) *introspection.Client {
	b.Helper()
	config.Client = &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		return jsonResponse(r, body), nil
	})}
	return newClient(b, config)
}

const typical = `{"active":true,"iss":"https://issuer.example","sub":"Z5O3upPC88QrAjx00dis","aud":"https://orders.example",` +
	`"client_id":"l238j323ds-23ij4","username":"jdoe","scope":"read write dolphin","token_type":"Bearer","exp":4102444800,"iat":1419350238}`

// A remembered answer, from the token to the caller's own bytes.
func BenchmarkIntrospect_Remembered(b *testing.B) {
	for name, body := range map[string]string{"good": typical, "bad": inactive} {
		b.Run(name, func(b *testing.B) {
			c := answering(b, body, introspection.Config{NegativeTTL: 1 << 40})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Introspect(b.Context(), token, false); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkIntrospect_RememberedParallel(b *testing.B) {
	c := answering(b, typical, introspection.Config{})
	tokens := make([]string, 1024)
	for i := range tokens {
		tokens[i] = fmt.Sprintf("%040d", i)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, err := c.Introspect(b.Context(), tokens[i%len(tokens)], false); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// All that a look costs but the network.
func BenchmarkIntrospect_Asked(b *testing.B) {
	c := answering(b, typical, introspection.Config{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Introspect(b.Context(), token, true); err != nil {
			b.Fatal(err)
		}
	}
}
