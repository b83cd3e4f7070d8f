package dpop

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/tokentest"
)

// A proof that differs from the client's in one byte or more is not the client's,
// and one that passes is the same to the memory of those that were used. As with
// tokens, that holds for keys whose signatures have no twin.
func FuzzCheck_MutatedProofNeverPasses(f *testing.F) {
	const method, target, token = "GET", "https://api.example.com/orders", "a.token"
	now := time.Unix(1_800_000_000, 0)
	nonces := NewNonces(bytes.Repeat([]byte{7}, MinNonceKey))
	key := tokentest.NewKey(f, "", "EdDSA")
	proof := key.Proof(f, nil, tokentest.ProofClaims(now, method, target, token, map[string]any{"nonce": nonces.At(now)}))
	header, payload, _, _ := jose.Split(proof)
	for _, at := range []int{0, 1, 20, len(header) - 1, len(header), len(header) + 1, len(header) + len(payload), len(header) + len(payload) + 1, len(proof) - 1, len(proof)} {
		for _, insert := range []string{"", "A", ".", "=", "\r\n", "-_", " "} {
			f.Add(uint16(at), uint16(0), insert, false)
			f.Add(uint16(at), uint16(1), insert, true)
		}
	}
	request := Request{Proof: proof, Method: method, URL: target, Token: token}
	policies := map[bool]*Policy{false: {Age: DefaultAge, Leeway: time.Second}, true: {Age: DefaultAge, Leeway: time.Second, Nonces: nonces}}
	want, err := policies[false].Check(&request, now)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, at, remove uint16, insert string, withNonces bool) {
		from := min(int(at), len(proof))
		request := request
		request.Proof = proof[:from] + insert + proof[min(from+int(remove), len(proof)):]
		got, err := policies[withNonces].Check(&request, now)
		if (err == nil) != (request.Proof == proof) {
			t.Errorf("%v for\n%s, made of\n%s", err, request.Proof, proof)
		}
		if err == nil && (got.ID != want.ID || got.Thumbprint != want.Thumbprint) {
			t.Errorf("%+v, and before %+v", got, want)
		}
		if err != nil && (got != Proof{} || len(insert) > 2 && strings.Contains(err.Error(), insert)) {
			t.Errorf("refused with %+v, %v", got, err)
		}
	})
}

// Two proofs are one to the memory of those that were used if they have the same
// target and jti, and only then: no length of one part makes up for another.
func FuzzIdentity_IsInjective(f *testing.F) {
	f.Add("GET", "https://a/b", "1", "GET", "https://a/b", "1")
	f.Add("GET", "https://a/b1", "", "GET", "https://a/b", "1")
	f.Add("GETh", "ttps://a/b", "1", "GET", "https://a/b", "1")
	f.Add("", "\x00\x00\x00\x01", "", "", "", "\x00\x00\x00\x01")
	f.Fuzz(func(t *testing.T, htmA, htuA, jtiA, htmB, htuB, jtiB string) {
		a, b := payload{htm: htmA, htu: htuA, jti: jtiA}, payload{htm: htmB, htu: htuB, jti: jtiB}
		if same := a.identity([32]byte{1}) == b.identity([32]byte{1}); same != (a == b) {
			t.Errorf("%+v and %+v: %v", a, b, same)
		}
		if a.identity([32]byte{1}) == a.identity([32]byte{2}) {
			t.Error("the key does not count")
		}
	})
}

// No text is a nonce of ours but that of this minute and of the one before.
func FuzzNonces_ValidAreTheTwoOfNow(f *testing.F) {
	nonces := NewNonces(bytes.Repeat([]byte{7}, MinNonceKey))
	for _, at := range []int64{0, 59, 60, 119, 120, -1, -60, 1_800_000_000} {
		f.Add(nonces.At(time.Unix(at, 0)), int64(100))
	}
	f.Add("", int64(0))
	f.Add(strings.Repeat("A", 22), int64(0))
	f.Fuzz(func(t *testing.T, nonce string, at int64) {
		now := time.Unix(at%(1<<40), 0)
		want := nonce == nonces.At(now) || nonce == nonces.At(now.Add(-noncePeriod))
		if got := nonces.valid(nonce, now); got != want && now.Unix() >= 60 {
			t.Errorf("%q at %v: %v", nonce, now, got)
		}
		if !nonces.valid(nonces.At(now), now) || nonces.valid(nonces.At(now.Add(2*noncePeriod)), now) {
			t.Errorf("at %v", now)
		}
	})
}
