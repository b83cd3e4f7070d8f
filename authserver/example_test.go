package authserver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/countermark/countermark/authserver"
)

// The issuer's URL goes into the configuration, so the listener comes first.
func Example() {
	ts := httptest.NewUnstartedServer(nil)
	issuer := "http://" + ts.Listener.Addr().String()
	srv, err := authserver.New(authserver.Config{
		Issuer: issuer,
		Clients: []authserver.Client{{
			ClientID:   "shop",
			SecretHash: authserver.HashOf("FSF3OIaZ9fYsXHVGJCUx9A"),
			GrantTypes: []string{"client_credentials"},
			Scope:      "orders:read orders:write",
			Audience:   []string{"https://api.example.com"},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	ts.Config.Handler = srv
	ts.Start()
	defer ts.Close()

	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"orders:read"}}
	req, err := http.NewRequest(http.MethodPost, issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("shop", "FSF3OIaZ9fYsXHVGJCUx9A")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	var token struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int    `json:"expires_in"`
		Scope       string `json:"scope"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&token); err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.Status)
	fmt.Println(token.TokenType, "token for", token.Scope, "good for", token.ExpiresIn, "seconds")
	fmt.Println("a JWT:", strings.Count(token.AccessToken, ".") == 2)
	// Output:
	// 200 OK
	// Bearer token for orders:read good for 600 seconds
	// a JWT: true
}

// Keys of one's own outlive a restart; a new one takes over without a gap.
func ExampleServer_RotateKeys() {
	current, err := authserver.GenerateKey("EdDSA")
	if err != nil {
		log.Fatal(err)
	}
	srv, err := authserver.New(authserver.Config{
		Issuer: "https://issuer.example",
		Keys:   []authserver.SigningKey{current},
	})
	if err != nil {
		log.Fatal(err)
	}
	next, err := authserver.GenerateKey("EdDSA")
	if err != nil {
		log.Fatal(err)
	}
	if err := srv.RotateKeys(context.Background(), next, authserver.RotateScheduled); err != nil {
		log.Fatal(err)
	}

	w := httptest.NewRecorder()
	srv.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "https://issuer.example/jwks", http.NoBody))
	var set struct{ Keys []struct{ Alg string } }
	if err := json.NewDecoder(w.Body).Decode(&set); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(set.Keys), "keys are published;", w.Header().Get("Cache-Control"))
	// Output: 2 keys are published; public, max-age=900
}

// A password is hashed once, where it is set, and only the hash goes into the
// configuration.
func ExampleHashPassword() {
	alice := authserver.User{
		Subject:      "5f0c2d6e",
		Username:     "alice",
		PasswordHash: authserver.HashPassword("correct horse battery staple"),
	}
	_, err := authserver.New(authserver.Config{
		Issuer: "https://issuer.example",
		Users:  []authserver.User{alice},
		Clients: []authserver.Client{{
			ClientID:     "shop",
			SecretHash:   authserver.HashOf("FSF3OIaZ9fYsXHVGJCUx9A"),
			GrantTypes:   []string{"authorization_code"},
			RedirectURIs: []string{"https://shop.example/callback"},
			Audience:     []string{"https://api.example.com"},
		}},
	})
	fmt.Println(err, strings.HasPrefix(alice.PasswordHash, "$argon2id$"))
	// Output: <nil> true
}
