package validator

import (
	"fmt"

	"github.com/countermark/countermark/internal/strictjson"
)

// Claims decodes the token's claims into a new T, as encoding/json does, but
// with names compared byte for byte: a claim that differs from a field of T by
// case alone is an error, and so is a claim of another type than its field.
// Claims that T has no field for are left out; absent claims leave their fields
// zero.
//
// T may be a struct, a pointer to one, or map[string]any; use json.Number or
// json.RawMessage where a number must keep its digits. A Token of an opaque
// access token has the members of the introspection answer.
func Claims[T any](t *Token) (T, error) {
	var v T
	claims := t.get().claims
	if claims == "" {
		claims = "{}"
	}
	if err := strictjson.Unmarshal([]byte(claims), &v); err != nil {
		var zero T
		return zero, fmt.Errorf("validator: claims: %w", err)
	}
	return v, nil
}
