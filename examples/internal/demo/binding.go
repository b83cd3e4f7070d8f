package demo

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// A BindingIssuer makes access tokens that are bound to a key of the client's. It
// has no token endpoint, as it is there for the resource server's half only.
type BindingIssuer struct {
	URL     string
	KeysURL string // of its key set

	key    ed25519.PrivateKey
	server *http.Server
}

// StartBindingIssuer starts an issuer on a free loopback port.
func StartBindingIssuer(ctx context.Context) (*BindingIssuer, error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	set, err := json.Marshal(map[string]any{"keys": []any{map[string]string{ // RFC 7517, RFC 8037
		"kty": "OKP", "crv": "Ed25519", "kid": "key-1", "use": "sig", "alg": "EdDSA",
		"x": base64.RawURLEncoding.EncodeToString(public),
	}}})
	if err != nil {
		return nil, err
	}
	listener, err := listen(ctx)
	if err != nil {
		return nil, err
	}
	url := "http://" + listener.Addr().String()
	return &BindingIssuer{
		URL: url, KeysURL: url + "/jwks", key: private,
		server: serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/jwk-set+json")
			_, _ = w.Write(set)
		})),
	}, nil
}

// Stop ends the issuer.
func (iss *BindingIssuer) Stop() { _ = iss.server.Close() }

// Token makes an access token (RFC 9068) that is bound by one confirmation method
// (RFC 7800): jkt to a DPoP key, x5t#S256 to a certificate.
func (iss *BindingIssuer) Token(audience, scope, method, thumbprint string) (string, error) {
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
		"iss": iss.URL, "aud": audience, "sub": "app", "client_id": "app", "scope": scope, "jti": now.Format(time.RFC3339Nano),
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"cnf": map[string]string{method: thumbprint},
	})
	token.Header["typ"], token.Header["kid"] = "at+jwt", "key-1"
	return token.SignedString(iss.key)
}
