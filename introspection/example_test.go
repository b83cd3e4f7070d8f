package introspection_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/countermark/countermark/introspection"
)

// Asking about an opaque token, twice: the second answer is remembered.
func Example() {
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("the issuer is asked")
		w.Header().Set("Content-Type", "application/json")
		if r.FormValue("token") == "2YotnFZFEjr1zCsicMWpAA" {
			fmt.Fprint(w, `{"active":true,"scope":"orders:read","sub":"alice"}`)
			return
		}
		fmt.Fprint(w, `{"active":false}`)
	}))
	defer issuer.Close()

	client, err := introspection.New(introspection.Config{
		URL:  issuer.URL + "/introspect",
		Auth: introspection.Basic("orders-api", "its secret"),
	})
	if err != nil {
		log.Panic(err)
	}

	for _, token := range []string{"2YotnFZFEjr1zCsicMWpAA", "2YotnFZFEjr1zCsicMWpAA", "invented"} {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		answer, err := client.Introspect(ctx, token, false)
		cancel()
		if err != nil {
			fmt.Println("nobody knows: answer 503")
			continue
		}
		fmt.Printf("%s\n", answer)
	}
	// Output:
	// the issuer is asked
	// {"active":true,"scope":"orders:read","sub":"alice"}
	// {"active":true,"scope":"orders:read","sub":"alice"}
	// the issuer is asked
	// {"active":false}
}
