package validator_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"fmt"
	"log"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/countermark/countermark/validator"
)

func Example() {
	// In a program, the keys come from package jwks and the token from a request.
	public, accessToken := issue()

	v, err := validator.New(validator.Config{
		Issuer:    "https://issuer.example",
		Audiences: []string{"https://api.example.com"},
		Keys:      staticKeys{"2026-03": public},
	})
	if err != nil {
		log.Fatal(err)
	}
	token, err := v.Validate(context.Background(), accessToken)
	if err != nil {
		log.Fatal(err) // a *validator.Error; errors.Is(err, validator.ErrExpired) and so on
	}
	fmt.Println(token.Subject())
	fmt.Println(token.HasScope("orders:read"), token.HasScope("orders:write"))
	// Output:
	// alice
	// true false
}

func ExampleClaims() {
	token := validToken()

	claims, err := validator.Claims[struct {
		Tenant string   `json:"tenant_id"`
		Roles  []string `json:"roles"`
	}](token)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(claims.Tenant, claims.Roles)
	// Output: acme [buyer auditor]
}

// staticKeys is a validator.KeySource of keys that never change, by kid.
type staticKeys map[string]ed25519.PublicKey

func (s staticKeys) Keys(_ context.Context, kid, alg string) ([]crypto.PublicKey, error) {
	if key, ok := s[kid]; ok && alg == "EdDSA" {
		return []crypto.PublicKey{key}, nil
	}
	return nil, nil // an answer: there is no such key
}

// issue does what an authorization server does.
func issue() (public ed25519.PublicKey, accessToken string) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		log.Fatal(err)
	}
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
		"iss": "https://issuer.example", "aud": "https://api.example.com", "sub": "alice", "client_id": "shop", "jti": "1",
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "scope": "orders:read",
		"tenant_id": "acme", "roles": []string{"buyer", "auditor"},
	})
	token.Header["typ"], token.Header["kid"] = "at+jwt", "2026-03"
	accessToken, err = token.SignedString(private)
	if err != nil {
		log.Fatal(err)
	}
	return public, accessToken
}

func validToken() *validator.Token {
	public, accessToken := issue()
	v, err := validator.New(validator.Config{
		Issuer: "https://issuer.example", Audiences: []string{"https://api.example.com"}, Keys: staticKeys{"2026-03": public},
	})
	if err != nil {
		log.Fatal(err)
	}
	token, err := v.Validate(context.Background(), accessToken)
	if err != nil {
		log.Fatal(err)
	}
	return token
}
