package main

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/countermark/countermark/internal/rehearsal"
)

const (
	kept    = 2                // keys that stay published beside the one that signs
	batch   = 40               // tokens of one key that are shown again and again
	flooded = 15 * time.Second // after a rotation, in which invented kids may hide the new key: 5 s and a fetch, for a busy machine
	held    = 12               // opaque tokens in use at once
	used    = 8 * time.Second  // is an opaque token; not half as long as an answer is
	dead    = answerTTL + 10*time.Second
)

// A generation is the tokens of one key.
type generation struct {
	since    time.Time
	tokens   []string
	bound    []string    // to the holder
	known    bool        // one was accepted, so the key set was fetched since
	replaced *generation // was published when this was withdrawn; nil: this is not
}

// A secret is an opaque token.
type secret struct {
	token    string
	accepted time.Time // first; zero: not yet
	revoked  time.Time // zero: not yet
}

// A wallet is the tokens that are shown, and what is known of them.
type wallet struct {
	issuer *rehearsal.Issuer
	holder *rehearsal.Holder

	mu        sync.Mutex
	published []*generation // the last one signs
	withdrawn []*generation
	opaque    []*secret
	revoked   []*secret
	rotations int
}

func newWallet(i *rehearsal.Issuer) *wallet {
	w := &wallet{issuer: i, holder: rehearsal.NewHolder()}
	w.publish(new(generation))
	for range held {
		w.opaque = append(w.opaque, &secret{token: i.Opaque()})
	}
	return w
}

// rotateKeys has the issuer sign with a new key. The oldest counts as withdrawn before
// it is, the new one as published after that.
func (w *wallet) rotateKeys() {
	g := new(generation)
	w.mu.Lock()
	gone := max(len(w.published)-kept, 0)
	for _, old := range w.published[:gone] {
		old.replaced = g
		w.withdrawn = append(w.withdrawn, old)
	}
	w.published = slices.Delete(w.published, 0, gone)
	w.withdrawn = slices.Delete(w.withdrawn, 0, max(len(w.withdrawn)-kept, 0))
	w.rotations++
	w.mu.Unlock()
	w.issuer.Rotate(kept)
	w.publish(g)
}

func (w *wallet) publish(g *generation) {
	tokens, bound := make([]string, batch), make([]string, batch)
	for n := range batch {
		tokens[n] = w.issuer.Token(nil, nil)
		bound[n] = w.issuer.Token(nil, map[string]any{"cnf": w.holder.Confirmation()})
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	g.since, g.tokens, g.bound = time.Now(), tokens, bound
	w.published = append(w.published, g)
}

// renew revokes what was used long enough, and issues others.
func (w *wallet) renew() {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for n, s := range w.opaque {
		if !s.accepted.IsZero() && now.Sub(s.accepted) > used {
			w.issuer.Revoke(s.token)
			s.revoked = now
			w.revoked = append(w.revoked, s)
			w.opaque[n] = &secret{token: w.issuer.Opaque()}
		}
	}
	w.revoked = slices.Delete(w.revoked, 0, max(len(w.revoked)-100, 0))
}

// of returns one of all, nil of none.
func of[T any](w *wallet, all *[]*T) *T {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(*all) == 0 {
		return nil
	}
	return (*all)[rand.IntN(len(*all))] //nolint:gosec // any will do
}

func (w *wallet) passed(g *generation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	g.known = true
}

func (w *wallet) accepted(s *secret) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.accepted.IsZero() {
		s.accepted = time.Now()
	}
}

// may returns the statuses that are right for a good token of g at this moment.
func (w *wallet) may(g *generation) []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case g.replaced != nil && g.replaced.known: // the set without g's key was fetched
		return []int{401, 503}
	case g.replaced != nil:
		return []int{200, 401, 503}
	case g.known:
		return []int{200}
	case time.Since(g.since) < flooded:
		return []int{200, 401, 503}
	default:
		return []int{200, 503}
	}
}

// mayOpaque does so for an opaque token.
func (w *wallet) mayOpaque(s *secret) []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !s.revoked.IsZero() && time.Since(s.revoked) > dead:
		return []int{401, 503}
	case !s.revoked.IsZero():
		return []int{200, 401, 503}
	case !s.accepted.IsZero() && time.Since(s.accepted) < used:
		return []int{200}
	default:
		return []int{200, 503}
	}
}
