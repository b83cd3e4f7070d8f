package introspection

import (
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/countermark/countermark/internal/jose"
)

const (
	assertionType     = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	assertionLifetime = time.Minute
	minHMACKey        = 32 // bytes: as long as the hash (RFC 7518 section 3.2)
)

// A SigningKey signs client assertions. It prints without the key.
type SigningKey struct {
	// ID is the kid by which the issuer finds the public key. Empty: none is
	// sent, and the issuer tries the keys it has.
	ID string

	// Algorithm is a JWS name: RS256, PS256, ES256, EdDSA and their kin.
	// Empty: RS256 for an RSA key, for others the one that fits.
	Algorithm string

	// Signer is the private key, which may live in a KMS or HSM. Required.
	Signer crypto.Signer `json:"-"`
}

// String names the key and does not show it.
func (k SigningKey) String() string {
	return "introspection.SigningKey(" + k.Algorithm + " " + k.ID + ")"
}

// Format writes String, whatever the verb: without it, %d would show the key.
func (k SigningKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// LogValue is String, for log/slog.
func (k SigningKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// PrivateKeyJWT is private_key_jwt: a client assertion signed with a private
// key (RFC 7523 section 2.2, OpenID Connect Core section 9).
//
// Each request has an assertion of its own, good for a minute. Its audience is
// Config.Issuer, or Config.URL if that is empty.
func PrivateKeyJWT(clientID string, key SigningKey) Authenticator {
	method, err := key.method()
	return newAuthenticator(clientID, err, func(_ *http.Request, form url.Values, audience string) error {
		return assert(form, clientID, audience, key.ID, method, key.Signer)
	})
}

// SecretJWT is client_secret_jwt: a client assertion with an HMAC by HS256, as
// PrivateKeyJWT otherwise. The secret has at least 32 bytes.
func SecretJWT(clientID, secret string) Authenticator {
	var err error
	if len(secret) < minHMACKey {
		err = fmt.Errorf("the secret has fewer than %d bytes", minHMACKey)
	}
	return newAuthenticator(clientID, err, func(_ *http.Request, form url.Values, audience string) error {
		return assert(form, clientID, audience, "", jwt.SigningMethodHS256, []byte(secret))
	})
}

func (k SigningKey) method() (*jose.Method, error) {
	public, err := jose.PublicKey(k.Signer)
	if err != nil {
		return nil, fmt.Errorf("SigningKey.Signer: %w", err)
	}
	name := k.Algorithm
	if name == "" {
		names := jose.AlgorithmsFor(public)
		if len(names) == 0 {
			return nil, fmt.Errorf("SigningKey.Signer: no algorithm fits its %T, or its size", public)
		}
		name = names[0]
	}
	method, ok := jose.Lookup(name)
	if !ok {
		return nil, errors.New("SigningKey.Algorithm is not an asymmetric signature algorithm of JWS")
	}
	if !method.Fits(public) {
		return nil, fmt.Errorf("SigningKey.Signer: its %T, or its size, does not fit %s", public, name)
	}
	return method, nil
}

// assert adds a client assertion to form (RFC 7521 section 4.2, RFC 7523
// section 3).
func assert(form url.Values, clientID, audience, kid string, method jwt.SigningMethod, key any) error {
	now := time.Now()
	token := jwt.NewWithClaims(method, jwt.MapClaims{
		"iss": clientID,
		"sub": clientID,
		"aud": audience, // one string: all that some servers understand
		"jti": rand.Text(),
		"iat": now.Unix(),
		"exp": now.Add(assertionLifetime).Unix(),
	})
	if kid != "" {
		token.Header["kid"] = kid
	}
	signed, err := token.SignedString(key)
	if err != nil {
		return err
	}
	form.Set("client_id", clientID)
	form.Set("client_assertion_type", assertionType)
	form.Set("client_assertion", signed)
	return nil
}
