package jwks

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// lifetime returns how long an answer is fresh by its Cache-Control and Age
// (RFC 9111 sections 4.2.1 and 4.2.3), between minInterval and maxInterval;
// fallback is for an answer that does not say.
func lifetime(h http.Header, fallback time.Duration) time.Duration {
	said := false
	fresh := maxInterval
	for field := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			said, fresh = true, 0
		case "max-age":
			said, fresh = true, min(fresh, seconds(strings.Trim(value, `"`)))
		}
	}
	if !said {
		return fallback
	}
	return max(fresh-seconds(h.Get("Age")), minInterval)
}

// seconds reads delta-seconds (RFC 9111 section 1.2.2): a number too large is a
// large one, and what is no number is none, so that the answer is stale.
func seconds(text string) time.Duration {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil && n == 0 {
		return 0
	}
	return time.Duration(min(n, uint64(maxInterval/time.Second))) * time.Second
}
