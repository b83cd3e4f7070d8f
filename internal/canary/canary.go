// Package canary finds secrets where none may be, in whatever form they come out.
package canary

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/countermark/countermark/internal/jose"
)

const (
	enough = 12 // bytes of a secret that no text has by chance
	least  = 6  // bytes of a secret that is looked for at all
)

// Secrets are what no text may show: no secret, no twelve bytes of one, and neither
// of these in another encoding, however often it was encoded. The zero value has
// none. It is safe for concurrent use.
type Secrets struct {
	mu    sync.Mutex
	parts map[string][]string // the names of the secrets that have these bytes, in lower case
	short map[string][]string // of those with fewer than enough bytes, whole
}

// Add adds a secret, which Find calls by name. One with fewer than six bytes is in
// too much by chance, and not added.
func (s *Secrets) Add(name, secret string) {
	if len(secret) < least {
		return
	}
	secret = lower(secret)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.parts == nil {
		s.parts, s.short = map[string][]string{}, map[string][]string{}
	}
	if len(secret) < enough {
		add(s.short, secret, name)
	}
	for i := range max(len(secret)-enough+1, 0) {
		add(s.parts, secret[i:i+enough], name)
	}
}

// AddJSON adds every value of a JSON document, but for those of the members that
// are open, wherever they stand.
func (s *Secrets) AddJSON(name, document string, open ...string) {
	d := json.NewDecoder(strings.NewReader(document)) //nolint:forbidigo // also what is not strict holds secrets
	d.UseNumber()
	var v any
	if d.Decode(&v) == nil {
		s.addValue(name, v, open)
	}
}

// AddJWT adds a token, whatever it is, and if it is a JWT, every value of its header
// and its claims, as AddJSON does.
func (s *Secrets) AddJWT(name, token string, open ...string) {
	s.Add(name, token)
	for part := range strings.SplitSeq(token, ".") {
		if text, err := jose.Decode(nil, part); err == nil {
			s.AddJSON(name, string(text), open...)
		}
	}
}

// Find returns which secret text shows, by its name, and what of it; empty if none.
// Those that are called except may be there.
func (s *Secrets) Find(text string, except ...string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, view := range views(text) {
		view = lower(view)
		for i := range max(len(view)-enough+1, 0) {
			if name := first(s.parts[view[i:i+enough]], except); name != "" {
				return fmt.Sprintf("%s: %q", name, view[i:i+enough])
			}
		}
		for secret, names := range s.short {
			if name := first(names, except); name != "" && strings.Contains(view, secret) {
				return fmt.Sprintf("%s: %q", name, secret)
			}
		}
	}
	return ""
}

func (s *Secrets) addValue(name string, v any, open []string) {
	switch v := v.(type) {
	case map[string]any:
		for member, value := range v {
			if !slices.Contains(open, member) {
				s.addValue(name+"'s "+member, value, open)
			}
		}
	case []any:
		for _, element := range v {
			s.addValue(name, element, open)
		}
	case string:
		s.Add(name, v)
	case json.Number:
		s.Add(name, v.String())
		if f, err := v.Float64(); err == nil {
			s.Add(name, fmt.Sprintf("%.0f", f))
		}
	}
}

// lower changes the letters of ASCII alone: the bytes of a key are no text.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] += 'a' - 'A'
		}
	}
	return string(b)
}

func add(names map[string][]string, part, name string) {
	if !slices.Contains(names[part], name) {
		names[part] = append(names[part], name)
	}
}

// first is the first of names, unless one of them may be there: what two secrets
// have in common tells nothing of the other.
func first(names, except []string) string {
	if len(names) == 0 || slices.ContainsFunc(names, func(name string) bool { return slices.Contains(except, name) }) {
		return ""
	}
	return names[0]
}
