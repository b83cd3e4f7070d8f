package introspection_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/introspection"
)

// kms hides the type of a private key.
type kms struct{ crypto.Signer }

// signers has a key for each of some algorithms.
func signers(t testing.TB) map[string]crypto.Signer {
	t.Helper()
	keys := map[string]crypto.Signer{}
	must := func(key crypto.Signer, err error) crypto.Signer {
		if err != nil {
			t.Fatal(err)
		}
		return kms{key}
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	keys["RS256"] = must(rsaKey, err)
	keys["PS256"] = keys["RS256"]
	for name, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		keys[name] = must(key, err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	keys["EdDSA"] = must(edKey, err)
	return keys
}

// decoded returns the header and the claims of a JWS that verify accepts.
func decoded(t *testing.T, token string, verify func(alg, input string, sig []byte) error) (header, claims map[string]any) {
	t.Helper()
	h, p, s, ok := jose.Split(token)
	if !ok {
		t.Fatalf("%q is no JWS", token)
	}
	for text, into := range map[string]*map[string]any{h: &header, p: &claims} {
		data, err := jose.Decode(nil, text)
		if err == nil {
			err = json.Unmarshal(data, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	sig, err := jose.Decode(nil, s)
	if err == nil {
		err = verify(fmt.Sprint(header["alg"]), h+"."+p, sig)
	}
	if err != nil {
		t.Error(err)
	}
	return header, claims
}

func TestPrivateKeyJWT_Section2_2_EveryKindOfKey(t *testing.T) {
	t.Parallel()
	for alg, key := range signers(t) {
		for _, named := range []string{alg, ""} {
			t.Run(alg+" named "+named, func(t *testing.T) {
				t.Parallel()
				want := alg
				if named == "" && alg == "PS256" {
					want = "RS256"
				}
				kid := "key of " + named
				if named == "" {
					kid = ""
				}
				c := onLoopback(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					header, _ := decoded(t, r.FormValue("client_assertion"), func(alg, input string, sig []byte) error {
						m, ok := jose.Lookup(alg)
						if !ok {
							return fmt.Errorf("alg %q", alg)
						}
						return m.Verify(input, sig, key.Public())
					})
					if header["alg"] != want || header["kid"] != any(kid) && (kid != "" || header["kid"] != nil) {
						t.Errorf("header %v", header)
					}
					says(active)(w, r)
				}), introspection.Config{Auth: introspection.PrivateKeyJWT("orders-api", introspection.SigningKey{ID: kid, Algorithm: named, Signer: key})})
				ask(t, c, token, false)
			})
		}
	}
}

func TestSecretJWT_HS256WithTheSecret(t *testing.T) {
	t.Parallel()
	c := onLoopback(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		decoded(t, r.FormValue("client_assertion"), func(alg, input string, sig []byte) error {
			mac := hmac.New(sha256.New, []byte(secret))
			mac.Write([]byte(input))
			if alg != "HS256" || !hmac.Equal(sig, mac.Sum(nil)) {
				return fmt.Errorf("%s does not verify", alg)
			}
			return nil
		})
		says(active)(w, r)
	}), introspection.Config{Auth: introspection.SecretJWT("orders-api", secret)})
	ask(t, c, token, false)
}

func TestAssertions_Section3_Claims(t *testing.T) {
	t.Parallel()
	key := introspection.SigningKey{Signer: signers(t)["ES256"]}
	for name, auth := range map[string]introspection.Authenticator{
		"private_key_jwt":   introspection.PrivateKeyJWT("orders-api", key),
		"client_secret_jwt": introspection.SecretJWT("orders-api", secret),
	} {
		for where, row := range map[string]struct{ issuer, url, audience string }{
			"endpoint given":   {"", endpointURL, endpointURL},
			"issuer and both":  {issuerURL, endpointURL, issuerURL},
			"issuer, metadata": {issuerURL, "", issuerURL},
		} {
			t.Run(name+", "+where, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					i := newIssuer()
					seen := map[any]bool{}
					i.set(func(w http.ResponseWriter, r *http.Request) {
						if got, want := fmt.Sprint(slices.Sorted(maps.Keys(r.PostForm))), "[client_assertion client_assertion_type client_id token token_type_hint]"; got != want {
							t.Errorf("body has %s", got)
						}
						if r.FormValue("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" || r.FormValue("client_id") != "orders-api" {
							t.Errorf("body %v", r.PostForm)
						}
						_, claims := decoded(t, r.FormValue("client_assertion"), func(string, string, []byte) error { return nil })
						now := float64(time.Now().Unix())
						for claim, want := range map[string]any{"iss": "orders-api", "sub": "orders-api", "aud": row.audience, "iat": now, "exp": now + 60} {
							if claims[claim] != want {
								t.Errorf("%s is %v, want %v", claim, claims[claim], want)
							}
						}
						if jti, _ := claims["jti"].(string); len(jti) < 22 || seen[jti] || len(claims) != 6 {
							t.Errorf("claims %v", claims)
						}
						seen[claims["jti"]] = true
						if len(seen)%2 == 1 {
							status(503, "")(w, r)
							return
						}
						says(active)(w, r)
					})
					c, _ := inBubble(t, i, introspection.Config{Issuer: row.issuer, URL: row.url, Auth: auth, Retries: 1})
					for range 5 { // a retry has an assertion of its own, too
						ask(t, c, token, true)
						time.Sleep(time.Second)
					}
					if len(seen) != 10 {
						t.Errorf("%d assertions", len(seen))
					}
				})
			})
		}
	}
}

// A signing key is shown by none of the ways to print it.
func TestSigningKey_IsNotPrinted(t *testing.T) {
	t.Parallel()
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{0xa5}, 32))
	key := introspection.SigningKey{ID: "k1", Algorithm: "EdDSA", Signer: private}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("made", "key", key)
	encoded, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{log.String(), string(encoded)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		texts = append(texts, fmt.Sprintf(verb, key), fmt.Sprintf(verb, &key))
	}
	for _, text := range texts {
		for _, secret := range []string{"165 165", "0xa5, 0xa5", "a5a5a5", "paWlpa"} {
			if strings.Contains(text, secret) {
				t.Errorf("%q shows %q", text, secret)
			}
		}
	}
	if text := fmt.Sprint(key); !strings.Contains(text, "EdDSA k1") {
		t.Errorf("%q does not name the key", text)
	}
}
