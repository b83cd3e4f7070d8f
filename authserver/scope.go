package authserver

import (
	"slices"
	"strconv"
	"strings"
)

// maxScopes bounds the work of comparing scopes with each other, which grows with
// the square of their number.
const maxScopes = 256

// parseScope returns the scope tokens of s, each once, in their order, and false
// if s breaks the grammar of RFC 6749 section 3.3 or has too many. An empty s has
// none.
func parseScope(s string) ([]string, bool) {
	if s == "" {
		return nil, true
	}
	if strings.Count(s, " ") >= maxScopes {
		return nil, false
	}
	var scopes []string
	for token := range strings.SplitSeq(s, " ") {
		if token == "" || !printable(token) || strings.ContainsAny(token, `"\`) {
			return nil, false
		}
		if !slices.Contains(scopes, token) {
			scopes = append(scopes, token)
		}
	}
	return scopes, true
}

// scope returns the scope to grant: what the request asks for, which is at most
// what the client is registered for, or all of that if it does not ask.
func (r *request) scope() (string, error) {
	return narrow(r.form.Get("scope"), r.client.scopes, beyondClient)
}

const beyondClient = "scope goes beyond what the client is registered for"

// narrow returns the scope that is asked for, which is at most what is allowed, or
// all of that if nothing is asked for. What goes beyond is refused, not cut off: a
// client that goes without what it asked for would learn it too late.
func narrow(scope string, allowed []string, beyond string) (string, error) {
	asked, ok := parseScope(scope)
	if !ok {
		return "", refuse(invalidScope, "scope must be scope tokens with single spaces between, "+strconv.Itoa(maxScopes)+" at most")
	}
	if asked == nil {
		return strings.Join(allowed, " "), nil
	}
	for _, s := range asked {
		if !slices.Contains(allowed, s) {
			return "", refuse(invalidScope, beyond)
		}
	}
	return strings.Join(asked, " "), nil
}

// common returns the scopes of a that are in b too.
func common(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return !slices.Contains(b, s) })
}
