package jwks

import (
	"crypto"
	"slices"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/jwkset"
)

const maxCandidates = 8 // for a token without kid

// A keySet is the usable keys of a JWK Set, indexed. It is immutable but for its
// memory of misses.
type keySet struct {
	keys   []*jwkset.Key // in the set's order
	byKid  map[string]*jwkset.Key
	byAlg  map[string][]crypto.PublicKey
	misses *misses
}

// newKeySet indexes keys. A key that old has too stays that one, and a set with
// the same keys as old is old.
func newKeySet(keys []*jwkset.Key, old *keySet) *keySet {
	if old != nil {
		known := make(map[string]*jwkset.Key, len(old.keys))
		for _, k := range old.keys {
			known[k.Identity] = k
		}
		for i, k := range keys {
			if same, ok := known[k.Identity]; ok {
				keys[i] = same
			}
		}
		if slices.Equal(keys, old.keys) {
			return old
		}
	}
	set := &keySet{
		keys:   keys,
		byKid:  make(map[string]*jwkset.Key, len(keys)),
		byAlg:  make(map[string][]crypto.PublicKey),
		misses: newMisses(),
	}
	for _, k := range keys {
		if k.KID != "" {
			set.byKid[k.KID] = k
		}
		for _, alg := range k.Algorithms {
			if len(set.byAlg[alg]) < maxCandidates {
				set.byAlg[alg] = append(set.byAlg[alg], k.Public...)
			}
		}
	}
	for alg, keys := range set.byAlg {
		set.byAlg[alg] = slices.Clip(keys)
	}
	return set
}

// lookup returns the keys for kid and alg. If known is false the set has nothing
// to say about them, and a newer one may.
func (s *keySet) lookup(kid, alg string) (keys []crypto.PublicKey, known bool) {
	if kid != "" {
		k, ok := s.byKid[kid]
		if !ok || !slices.Contains(k.Algorithms, alg) {
			return nil, ok
		}
		return k.Public, true
	}
	if keys = s.byAlg[alg]; keys != nil {
		return keys, true
	}
	_, ours := jose.Lookup(alg)
	return nil, !ours
}
