package jwks_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/countermark/countermark/jwks"
)

func Example() {
	// An issuer with one key. A real one is named by Config.Issuer.
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/jwk-set+json")
		_, _ = io.WriteString(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"2026-01","use":"sig",
			"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`)
	}))
	defer issuer.Close()

	keys, err := jwks.New(jwks.Config{URL: issuer.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer keys.Close()

	found, err := keys.Keys(context.Background(), "2026-01", "EdDSA") // the first use fetches the set
	fmt.Println(len(found), err)

	found, err = keys.Keys(context.Background(), "2026-02", "EdDSA") // an unknown kid fetches it again
	fmt.Println(len(found), err)

	// Output:
	// 1 <nil>
	// 0 <nil>
}
