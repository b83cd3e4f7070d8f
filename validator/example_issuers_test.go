package validator_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/countermark/countermark/validator"
)

// Two issuers, each with its own keys and its own name for this API.
func ExampleNewIssuers() {
	staff, staffKey := trusted("https://staff.example", "https://api.example.com")
	partners, partnersKey := trusted("https://partners.example", "urn:shop:api")

	issuers, err := validator.NewIssuers(validator.IssuersConfig{Validators: []*validator.Validator{staff, partners}})
	if err != nil {
		log.Fatal(err)
	}
	for _, accessToken := range []string{
		sealed(staffKey, "https://staff.example", "https://api.example.com", "alice"),
		sealed(partnersKey, "https://partners.example", "urn:shop:api", "bob"),
		sealed(partnersKey, "https://staff.example", "https://api.example.com", "mallory"), // a partner plays staff
	} {
		token, err := issuers.Validate(context.Background(), accessToken)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(token.Subject(), "of", token.Issuer())
	}
	// Output:
	// alice of https://staff.example
	// bob of https://partners.example
	// validator: wrong signature
}

// Tenants come and go while the program runs: it looks them up when their first
// token arrives, and again after a while.
func ExampleNewIssuers_tenants() {
	var tenants sync.Map // of *validator.Validator by issuer; in a program, a database stands behind it

	issuers, err := validator.NewIssuers(validator.IssuersConfig{
		Resolve: func(_ context.Context, issuer string, _ *validator.Validator) (*validator.Validator, error) {
			found, _ := tenants.Load(issuer)
			v, _ := found.(*validator.Validator)
			return v, nil // nil: no tenant of ours
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer issuers.Close()

	acme, key := trusted("https://acme.example", "https://api.example.com")
	tenants.Store("https://acme.example", acme)

	token, err := issuers.Validate(context.Background(), sealed(key, "https://acme.example", "https://api.example.com", "carol"))
	fmt.Println(token.Subject(), err)
	_, err = issuers.Validate(context.Background(), sealed(key, "https://other.example", "https://api.example.com", "carol"))
	fmt.Println(err)
	// Output:
	// carol <nil>
	// validator: wrong issuer
}

// trusted returns the validator of a new issuer, and the key that it signs with.
func trusted(issuer, audience string) (*validator.Validator, ed25519.PrivateKey) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		log.Fatal(err)
	}
	v, err := validator.New(validator.Config{
		Issuer:    issuer,
		Audiences: []string{audience},
		Keys:      staticKeys{"1": public}, // in a program, from package jwks
	})
	if err != nil {
		log.Fatal(err)
	}
	return v, private
}

// sealed signs an access token that says what it is told to.
func sealed(key ed25519.PrivateKey, issuer, audience, subject string) string {
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
		"iss": issuer, "aud": audience, "sub": subject, "client_id": "shop", "jti": "1",
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	})
	token.Header["typ"], token.Header["kid"] = "at+jwt", "1"
	text, err := token.SignedString(key)
	if err != nil {
		log.Fatal(err)
	}
	return text
}
