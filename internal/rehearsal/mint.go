package rehearsal

import (
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/tokentest"
)

// Audience is the API that tokens are for, and Scope is what they allow.
const (
	Audience = tokentest.Audience
	Scope    = "orders:read"
)

// A mint makes an issuer's tokens.
type mint struct {
	issuer string

	mu      sync.Mutex
	keys    []*tokentest.Key // that are published; the last one signs
	rotated int
	active  map[string]bool // the opaque tokens
}

// Rotate makes a new key and signs with it. Keep is how many of the keys before it
// stay published.
func (m *mint) Rotate(keep int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rotated++
	alg := []string{"ES256", "EdDSA"}[m.rotated%2]
	key := tokentest.NewKey(must{}, fmt.Sprint("key-", m.rotated), alg)
	m.keys = append(slices.Clone(m.keys[max(len(m.keys)-keep, 0):]), key)
}

// Token signs a good token, whose header and claims are changed by edits: nil
// removes a member.
func (m *mint) Token(headerEdits, claimEdits map[string]any) string {
	m.mu.Lock()
	key := m.keys[len(m.keys)-1]
	m.mu.Unlock()
	return m.sign(key, headerEdits, claimEdits)
}

// Forged is a token as good as Token's, but for its signature by a key that is not
// the issuer's.
func (m *mint) Forged() string {
	m.mu.Lock()
	key := m.keys[len(m.keys)-1]
	m.mu.Unlock()
	return m.sign(tokentest.NewKey(must{}, key.ID, key.Alg), nil, nil)
}

// Opaque issues a token that only introspection tells about.
func (m *mint) Opaque() string {
	token := rand.Text()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.active[token] = true
	return token
}

// Revoke ends an opaque token.
func (m *mint) Revoke(token string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.active, token)
}

func (m *mint) sign(key *tokentest.Key, headerEdits, claimEdits map[string]any) string {
	claims := tokentest.Claims(time.Now(), map[string]any{"iss": m.issuer, "scope": Scope, "jti": rand.Text()})
	for name, value := range claimEdits {
		if value == nil {
			delete(claims, name)
		} else {
			claims[name] = value
		}
	}
	return key.Token(must{}, headerEdits, claims)
}

// set is the key set (RFC 7517 section 5).
func (m *mint) set() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	published := make([]map[string]any, 0, len(m.keys))
	for _, k := range m.keys {
		jwk := k.JWK(must{})
		jwk["kid"], jwk["alg"], jwk["use"] = k.ID, k.Alg, "sig"
		published = append(published, jwk)
	}
	return encode(map[string]any{"keys": published})
}

// answer is what introspection says (RFC 7662 section 2.2).
func (m *mint) answer(token string) []byte {
	m.mu.Lock()
	active := m.active[token]
	m.mu.Unlock()
	if !active {
		return encode(map[string]bool{"active": false})
	}
	claims := tokentest.Claims(time.Now(), map[string]any{"iss": m.issuer, "scope": Scope, "active": true})
	return encode(claims)
}

// must stands where package tokentest wants a test, for programs that have none: to
// make a key or a token fails only if chance does.
type must struct{ testing.TB }

func (must) Helper()           {}
func (must) Fatal(args ...any) { panic(fmt.Sprint(args...)) }
