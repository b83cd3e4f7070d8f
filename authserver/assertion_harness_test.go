package authserver_test

import (
	"crypto"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/countermark/countermark/authserver"
)

const (
	clientAssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	jwtBearer           = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	tokenExchange       = "urn:ietf:params:oauth:grant-type:token-exchange"
	accessTokenKind     = "urn:ietf:params:oauth:token-type:access_token"

	robot  = "robot"  // private_key_jwt
	sealer = "sealer" // client_secret_jwt
	pocket = "pocket" // public

	sealed = "secret-of-sealer-0123456789abcdef0123456789abcdef0123456789abcdef" // 64 bytes and more
)

// A signer makes assertions. golang-jwt does the signing, with keys of its own
// kind, so that what verifies is held against another implementation.
type signer struct {
	alg, kid string
	key      any // a private key, or []byte for HMAC
}

func newSigner(t testing.TB, alg, kid string) signer {
	t.Helper()
	return signer{alg, kid, key(t, alg, kid).Signer}
}

// jwks is the key set of signers.
func jwks(t testing.TB, signers ...signer) json.RawMessage {
	t.Helper()
	set := jwk.NewSet()
	for _, s := range signers {
		k, err := jwk.Import(s.key.(crypto.Signer).Public())
		if err != nil {
			t.Fatal(err)
		}
		if s.kid != "" {
			_ = k.Set(jwk.KeyIDKey, s.kid)
		}
		_ = set.AddKey(k)
	}
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// members are those of a JWT's header or payload; nil takes one away.
type members map[string]any

func (m members) with(changes members) members {
	m = maps.Clone(m)
	for name, v := range changes {
		if m[name] = v; v == nil {
			delete(m, name)
		}
	}
	return m
}

// sign makes a JWT. The header has alg, kid and what else there is.
func (s signer) sign(t testing.TB, header, payload members) string {
	t.Helper()
	h := members{"alg": s.alg, "typ": "JWT"}
	if s.kid != "" {
		h["kid"] = s.kid
	}
	method := jwt.GetSigningMethod(s.alg)
	text, err := (&jwt.Token{Header: h.with(header), Claims: jwt.MapClaims(payload), Method: method}).SignedString(s.key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// claims are those of a client assertion as it should be.
func (i *issuer) claims(client string) members {
	now := i.clock.Now().Unix()
	return members{"iss": client, "sub": client, "aud": i.url, "exp": now + 60, "iat": now, "jti": rand.Text()}
}

// assert sends a form with a client assertion.
func (i *issuer) assert(path, assertion string, extra ...string) answer {
	i.t.Helper()
	v := form(extra...)
	v.Set("client_assertion_type", clientAssertionType)
	v.Set("client_assertion", assertion)
	return i.do(i.request(path, v.Encode()))
}

// send sends a form as it is.
func (i *issuer) send(path string, v url.Values) answer {
	i.t.Helper()
	return i.do(i.request(path, v.Encode()))
}

// startAsserting starts an issuer with clients of each way of assertion.
func startAsserting(t testing.TB, s signer, edits ...func(*authserver.Config)) *issuer {
	t.Helper()
	all := append([]func(*authserver.Config){func(c *authserver.Config) {
		c.Clients = append(c.Clients,
			authserver.Client{
				ClientID: robot, TokenEndpointAuthMethod: "private_key_jwt", JWKS: jwks(t, s),
				GrantTypes: []string{"client_credentials"}, Scope: "orders:read", Audience: []string{ordersAPI},
			},
			authserver.Client{
				ClientID: sealer, TokenEndpointAuthMethod: "client_secret_jwt", Secret: sealed,
				GrantTypes: []string{"client_credentials"}, Scope: "orders:read", Audience: []string{ordersAPI},
			},
			authserver.Client{
				ClientID: pocket, TokenEndpointAuthMethod: "none",
				GrantTypes: []string{jwtBearer}, Scope: "orders:read orders:write", Audience: []string{ordersAPI},
			})
	}}, edits...)
	return start(t, "", all...)
}

func hmacSigner(alg string) signer { return signer{alg: alg, key: []byte(sealed)} }

// all64 does something 64 times at once and returns how often it came out as
// wanted.
func all64(do func(n int) bool) int64 {
	var wins atomic.Int64
	var wait sync.WaitGroup
	begin := make(chan struct{})
	for n := range 64 {
		wait.Go(func() {
			<-begin
			if do(n) {
				wins.Add(1)
			}
		})
	}
	close(begin)
	wait.Wait()
	return wins.Load()
}

// outcome is an answer in short.
func (a answer) outcome() string {
	return strings.TrimSpace(fmt.Sprint(a.status, " ", a.member("error")))
}
