package validator_test

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/validator"
)

// target is the URL of the request in these tests, and GET its method.
const target = "https://api.example.com/orders/7"

var (
	clientsKey = sync.OnceValue(func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	thiefsKey  = sync.OnceValue(func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
)

// A client has a DPoP key, and a token bound to it.
type client struct {
	key   *tokentest.Key
	jwk   edits // as its proofs show it
	token string
}

func newClient() *client { return newClientWith("ES256", clientsKey(), nil) }

// newClientWith returns a client whose JWK is edited. The token is bound to what
// came of it.
func newClientWith(alg string, private crypto.Signer, jwk edits) *client {
	c := &client{key: &tokentest.Key{Alg: alg, Private: private}, jwk: edited(proofJWK(private.Public()), jwk)}
	c.token = minted(nil, edits{"cnf": edits{"jkt": thumbprint(c.jwk)}})
	return c
}

// proof returns a good proof for a GET of target at noon, edited.
func (c *client) proof(header, claims edits) string {
	return sign(c.key, c.header(header), c.payload(claims))
}

func (c *client) header(e edits) string {
	return marshal(edited(edits{"typ": "dpop+jwt", "alg": c.key.Alg, "jwk": c.jwk}, e))
}

func (c *client) payload(e edits) string {
	return marshal(edited(edits{
		"jti": "canary-proof", "htm": "GET", "htu": target, "iat": noon.Unix(), "ath": hashOf(c.token),
	}, e))
}

// shows returns the credentials of a GET of target with a proof.
func (c *client) shows(proof string) validator.Credentials {
	return validator.Credentials{Scheme: "DPoP", Token: c.token, Proof: proof, Method: "GET", URL: target}
}

// hashOf is the ath of a token (RFC 9449 section 4.2).
func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return jose.Encode(sum[:])
}

// thumbprint is RFC 7638, by another way than the validator's: encoding/json
// writes a map's members in order. A member that is missing counts as empty.
func thumbprint(jwk edits) string {
	names := map[any][]string{"EC": {"crv", "kty", "x", "y"}, "OKP": {"crv", "kty", "x"}, "RSA": {"e", "kty", "n"}}
	required := map[string]string{}
	for _, name := range names[jwk["kty"]] {
		required[name], _ = jwk[name].(string)
	}
	sum := sha256.Sum256([]byte(marshal(required)))
	return jose.Encode(sum[:])
}

// proofJWK is publicJWK for every curve.
func proofJWK(public crypto.PublicKey) edits {
	k, ok := public.(*ecdsa.PublicKey)
	if !ok {
		return publicJWK(public)
	}
	point := must(k.Bytes())[1:]
	half := len(point) / 2
	return edits{"kty": "EC", "crv": k.Params().Name, "x": jose.Encode(point[:half]), "y": jose.Encode(point[half:])}
}

// proofs is a ReplayCache that counts, and says what it is told to.
type proofs struct {
	stale bool
	err   error

	asked  atomic.Int32
	hash   [32]byte
	expiry time.Time
}

func (p *proofs) Add(_ context.Context, hash [32]byte, expiry time.Time) (bool, error) {
	p.asked.Add(1)
	p.hash, p.expiry = hash, expiry
	return !p.stale && p.err == nil, p.err
}

// memory is a ReplayCache that several validators may share.
type memory struct{ seen sync.Map }

func (m *memory) Add(_ context.Context, hash [32]byte, _ time.Time) (bool, error) {
	_, seen := m.seen.LoadOrStore(hash, nil)
	return !seen, nil
}

// A proofRefusal is one way for a request with a proof to be refused: a good one,
// changed in one respect.
type proofRefusal struct {
	name   string
	client func() *client                        // nil for newClient
	proof  func(*client) string                  // the bad proof; nil for the good one
	show   func(*client, *validator.Credentials) // changes the request; may be nil
	policy func(*validator.Config)               // the good proof must pass under it; may be nil
	want   error                                 // nil for ErrProof
	why    string                                // the refusal's detail begins so
}

// runProofRefusals demands that each row is refused for its reason alone, that
// the refusal shows nothing of token and proof, and that the proof is not used up.
func runProofRefusals(t *testing.T, rows []proofRefusal) {
	t.Helper()
	names := map[string]bool{}
	for _, r := range rows {
		if names[r.name] {
			t.Errorf("two rows %q", r.name)
		}
		names[r.name] = true
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			c := newClient()
			if r.client != nil {
				c = r.client()
			}
			var used proofs
			v := newValidator(t, func(cfg *validator.Config) {
				cfg.Replay = &used
				if r.policy != nil {
					r.policy(cfg)
				}
			})
			if r.client == nil { // who has a bad key has no good proof
				if _, err := v.Authorize(t.Context(), c.shows(c.proof(nil, nil)), validator.Requirement{}); err != nil {
					t.Fatalf("the unchanged proof is refused: %v", err)
				}
			}
			used.asked.Store(0)
			proof := func(c *client) string { return c.proof(nil, nil) }
			if r.proof != nil {
				proof = r.proof
			}
			shown := c.shows(proof(c))
			if r.show != nil {
				r.show(c, &shown)
			}
			tok, err := v.Authorize(t.Context(), shown, validator.Requirement{})
			want := cmp.Or(r.want, validator.ErrProof)
			wantRefused(t, tok, err, want)
			if !strings.HasPrefix(err.Error(), "validator: "+want.Error()+": "+r.why) {
				t.Errorf("refused with %q, want the detail %q", err, r.why)
			}
			for how, text := range printed(err) {
				if secret := leak(text, shown.Token) + leak(text, shown.Proof); secret != "" {
					t.Errorf("%s shows %q: %s", how, secret, text)
				}
			}
			if used.asked.Load() != 0 {
				t.Error("the refused proof was remembered")
			}
		})
	}
}

// proofClaim is the refusal of a proof with edited claims, proofHeader that of one
// with an edited header.
func proofClaim(name string, e edits, why string) proofRefusal {
	return proofRefusal{name: name, proof: func(c *client) string { return c.proof(nil, e) }, why: why}
}

func proofHeader(name string, e edits, why string) proofRefusal {
	return proofRefusal{name: name, proof: func(c *client) string { return c.proof(e, nil) }, why: why}
}

// but returns a copy of a JWK, edited.
func but(jwk, e edits) edits { return edited(maps.Clone(jwk), e) }
