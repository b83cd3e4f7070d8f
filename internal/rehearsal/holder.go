package rehearsal

import (
	"time"

	"github.com/countermark/countermark/internal/tokentest"
)

// A Holder is a client with a DPoP key.
type Holder struct{ key *tokentest.Key }

// NewHolder makes a client's key.
func NewHolder() *Holder { return &Holder{tokentest.NewKey(must{}, "", "ES256")} }

// Confirmation is the claim cnf that binds a token to h (RFC 9449 section 6.1).
func (h *Holder) Confirmation() map[string]any {
	return map[string]any{"jkt": h.key.Thumbprint(must{})}
}

// Proof makes a proof for one request that shows token.
func (h *Holder) Proof(method, url, token string) string {
	return h.key.Proof(must{}, nil, tokentest.ProofClaims(time.Now(), method, url, token, nil))
}
