// Package jwkset reads JWK Sets (RFC 7517) that came from somebody else: strictly,
// for the keys that verify signatures, and nothing that is secret.
package jwkset

import (
	"errors"
	"fmt"
	"strings"

	"github.com/countermark/countermark/internal/strictjson"
)

// maxKeys is how many keys a set may have.
const maxKeys = 1000

// A Problem is why a key of a set is not used. It tells nothing of the key but its
// kid, shortened.
type Problem struct{ KID, Reason string }

// Parse reads a JWK Set (RFC 7517 section 5). A key that is not good does not
// spoil the others; what is not a set is an error, as is one that has elements and
// among them no JWK of whatever type.
func Parse(data []byte) ([]*Key, []Problem, error) {
	var list strictjson.Value
	err := strictjson.Object(string(data), func(name string, v strictjson.Value) error {
		if name == "keys" {
			list = v
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("key set: %w", err)
	}
	var keys []*Key
	var problems []Problem
	taken := make(map[string]bool)
	count, some := 0, false
	isArray := list.Elements(func(v strictjson.Value) bool {
		if count++; count > maxKeys {
			return false
		}
		k, err := parseKey(v)
		some = some || k.typed
		switch {
		case errors.Is(err, errOtherUse):
		case err != nil:
			problems = append(problems, Problem{abridge(k.KID), err.Error()})
		case k.KID != "" && taken[k.KID]:
			problems = append(problems, Problem{abridge(k.KID), "a key before it has the same kid"})
		default:
			taken[k.KID] = true
			keys = append(keys, k)
		}
		return true
	})
	switch {
	case count > maxKeys:
		return nil, nil, fmt.Errorf("key set: more than %d keys", maxKeys)
	case !isArray:
		return nil, nil, errors.New("key set: no array of keys")
	case count > 0 && !some: // it is broken, which says nothing of the keys that there are
		return nil, nil, errors.New("key set: no element is a key")
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
