package introspection

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/countermark/countermark/internal/strictjson"
)

// inactive is what is said of every token that is not good. The issuer's own
// words for it are not kept: RFC 7662 section 2.2 wants no more in them.
const inactive = `{"active":false}`

// An answer is what the issuer said of a token. It is never changed.
type answer struct {
	active bool
	json   []byte
	asked  time.Time // when the question was sent: the answer is as old as that
	exp    int64     // seconds since 1970; of an active token
}

// usable reports whether the answer is neither too old nor past the token's
// exp, which is a time of the wall clock.
func (a *answer) usable(now time.Time, ttl time.Duration) bool {
	return now.Sub(a.asked) < ttl && now.Unix() < a.exp
}

// left is how long the answer stays usable.
func (a *answer) left(now time.Time, ttl time.Duration) time.Duration {
	return min(ttl-now.Sub(a.asked), time.Unix(a.exp, 0).Sub(now))
}

// parseAnswer reads an introspection response (RFC 7662 section 2.2) and keeps
// nothing of data. What has no boolean active, or an exp that is no time, is no
// answer.
func parseAnswer(data []byte, asked time.Time) (*answer, error) {
	var active, exp strictjson.Value
	if err := strictjson.Object(string(data), func(name string, v strictjson.Value) error {
		switch name {
		case "active":
			active = v
		case "exp":
			exp = v
		}
		return nil
	}); err != nil {
		return nil, err
	}
	switch active {
	case "false":
		return &answer{json: []byte(inactive), asked: asked, exp: maxTime}, nil
	case "true":
	default:
		return nil, errors.New(`the answer has no member "active" that is a boolean`)
	}
	a := &answer{active: true, json: bytes.Clone(data), asked: asked, exp: maxTime}
	if exp == "" {
		return a, nil
	}
	seconds, err := parseTime(exp)
	if err != nil {
		return nil, errors.New(`the answer's "exp" is not a time`)
	}
	a.exp = seconds
	return a, nil
}

// maxTime is the end of the year 9999, far enough for any exp.
const maxTime = 253402300799

// parseTime reads a NumericDate (RFC 7519 section 2), rounded down.
func parseTime(v strictjson.Value) (int64, error) {
	seconds, err := strconv.ParseFloat(string(v), 64) // of all JSON, it takes numbers alone
	if err != nil {
		return 0, err
	}
	return int64(math.Floor(min(max(seconds, -maxTime), maxTime))), nil
}
