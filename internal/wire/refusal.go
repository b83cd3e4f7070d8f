package wire

import (
	"errors"
	"iter"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/countermark/countermark/validator"
)

// Refusal returns what err tells the client. An err that is no refusal of package
// validator says nothing about the token, so it counts as ErrUnavailable.
func Refusal(err error) *validator.Error {
	e, ok := errors.AsType[*validator.Error](err)
	if !ok || e == nil || e.Status < 400 || e.Status > 599 {
		return validator.NewError(validator.ErrUnavailable, "")
	}
	return e
}

// RetryAfter is how many seconds a client that could not be judged should wait:
// at least one.
func RetryAfter(e *validator.Error) int64 {
	return int64(max(math.Ceil(e.RetryAfter.Seconds()), 1))
}

// Params yields what e tells the client, as the parameters of a challenge: RFC
// 6750 section 3, RFC 9470 section 3. None is empty, and all are printable ASCII.
func Params(e *validator.Error) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		maxAge := ""
		if e.MaxAge > 0 {
			maxAge = strconv.FormatInt(int64(e.MaxAge/time.Second), 10)
		}
		for _, p := range [...][2]string{
			{"error", e.Code},
			{"error_description", e.Description()},
			{"scope", strings.Join(e.Scopes, " ")},
			{"acr_values", strings.Join(e.ACR, " ")},
			{"max_age", maxAge},
		} {
			if value := Printable(p[1]); value != "" && !yield(p[0], value) {
				return
			}
		}
	}
}

// Printable is s without what is no printable ASCII: such characters could end a
// header or split it.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
}

// hasChallenge reports whether a client that is refused with e may come back
// with other credentials.
func hasChallenge(e *validator.Error) bool {
	return e.Status != http.StatusServiceUnavailable && (e.Status == http.StatusUnauthorized || e.Code != "")
}
