package jwks

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// Whatever an answer says of its own life, it is looked at again between a minute
// and a day later; and what it says a second time does not make it live longer.
func FuzzLifetime_IsWithinBounds(f *testing.F) {
	for _, seed := range []string{
		"", "max-age=300", "max-age=0", "max-age=99999999999999999999", "no-store", "max-age=-1", `max-age="600"`, "MAX-AGE=600", "public, max-age=600, no-cache", "max-age", ",,=,", "s-maxage=1", "max-age = 600",
	} {
		f.Add(seed, "0")
		f.Add(seed, "120")
	}
	f.Fuzz(func(t *testing.T, control, age string) {
		const fallback = 17 * time.Minute
		h := http.Header{"Cache-Control": {control}, "Age": {age}}
		got := lifetime(h, fallback)
		said := strings.Contains(strings.ToLower(control), "max-age") || strings.Contains(strings.ToLower(control), "no-")
		if got < minInterval || got > maxInterval || got != fallback && !said {
			t.Fatalf("%q: %v", control, got)
		}
		h["Cache-Control"] = append(h["Cache-Control"], "max-age=120", "no-store")
		if again := lifetime(h, fallback); again > got && got != fallback || again > 2*time.Minute {
			t.Fatalf("%q: %v, and %v with more", control, got, again)
		}
	})
}
