package jwks

import (
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/strictjson"
)

const (
	maxKeys       = 1000
	maxCandidates = 8 // for a token without kid
)

// A keySet is the usable keys of a JWK Set, indexed. It is immutable but for its
// memory of misses.
type keySet struct {
	keys   []*key // in the set's order
	byKid  map[string]*key
	byAlg  map[string][]crypto.PublicKey
	misses *misses
}

// A problem is why a key of a set is not used.
type problem struct{ kid, reason string }

// newKeySet indexes keys. A key that old has too stays that one, and a set with
// the same keys as old is old.
func newKeySet(keys []*key, old *keySet) *keySet {
	if old != nil {
		known := make(map[string]*key, len(old.keys))
		for _, k := range old.keys {
			known[k.identity] = k
		}
		for i, k := range keys {
			if same, ok := known[k.identity]; ok {
				keys[i] = same
			}
		}
		if slices.Equal(keys, old.keys) {
			return old
		}
	}
	set := &keySet{
		keys:   keys,
		byKid:  make(map[string]*key, len(keys)),
		byAlg:  make(map[string][]crypto.PublicKey),
		misses: newMisses(),
	}
	for _, k := range keys {
		if k.kid != "" {
			set.byKid[k.kid] = k
		}
		for _, alg := range k.algs {
			if len(set.byAlg[alg]) < maxCandidates {
				set.byAlg[alg] = append(set.byAlg[alg], k.public...)
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
		if !ok || !slices.Contains(k.algs, alg) {
			return nil, ok
		}
		return k.public, true
	}
	if keys = s.byAlg[alg]; keys != nil {
		return keys, true
	}
	_, ours := jose.Lookup(alg)
	return nil, !ours
}

// parseSet reads a JWK Set (RFC 7517 section 5). A key that is not good does not
// spoil the others; what is not a set is an error.
func parseSet(data []byte) ([]*key, []problem, error) {
	var list strictjson.Value
	err := strictjson.Object(data, func(name []byte, v strictjson.Value) error {
		if string(name) == "keys" {
			list = v
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("key set: %w", err)
	}
	var keys []*key
	var problems []problem
	taken := make(map[string]bool)
	count := 0
	isArray := list.Elements(func(v strictjson.Value) bool {
		if count++; count > maxKeys {
			return false
		}
		k, err := parseKey(v)
		switch {
		case errors.Is(err, errOtherUse):
		case err != nil:
			problems = append(problems, problem{abridge(k.kid), err.Error()})
		case k.kid != "" && taken[k.kid]:
			problems = append(problems, problem{abridge(k.kid), "a key before it has the same kid"})
		default:
			taken[k.kid] = true
			keys = append(keys, k)
		}
		return true
	})
	switch {
	case count > maxKeys:
		return nil, nil, fmt.Errorf("key set: more than %d keys", maxKeys)
	case !isArray:
		return nil, nil, errors.New("key set: no array of keys")
	default:
		return keys, problems, nil
	}
}

// abridge shortens a kid for the log.
func abridge(kid string) string {
	const enough = 64
	if len(kid) > enough {
		return strings.ToValidUTF8(kid[:enough], "") + "..."
	}
	return kid
}
