package attack_test

import (
	"strings"
	"time"

	"github.com/countermark/countermark/validator"
)

// timeRows are about the borders of time, and dates that are none: RFC 7519 sections
// 2, 4.1.4 to 4.1.6. A mint's clock stands at a whole second, and the leeway is 30.
func timeRows(m *mint) []row {
	at := func(d time.Duration) int64 { return m.now.Add(d).Unix() }
	expired, early := validator.ErrExpired, validator.ErrNotYetValid
	const leeway = 30 * time.Second
	rows := []row{
		m.claim("exp at the leeway's end", edits{"exp": at(-leeway)}, expired),
		m.claim("exp a second past the leeway", edits{"exp": at(-leeway - time.Second)}, expired),
		m.claim("exp long ago", edits{"exp": at(-1000 * time.Hour)}, expired),
		m.claim("exp zero", edits{"exp": 0}, expired),
		m.claim("exp minus zero", edits{"exp": raw("-0")}, expired),
		m.claim("exp a second after 1970", edits{"exp": 1}, expired),
		m.claim("exp tiny", edits{"exp": raw("1e-300")}, expired),
		m.claim("exp with an exponent, past", edits{"exp": raw("1e9")}, expired),
		m.claim("nbf a second past the leeway", edits{"nbf": at(leeway + time.Second)}, early),
		m.claim("nbf a fraction past the leeway", edits{"nbf": raw(text(at(leeway)) + ".001")}, early),
		m.claim("nbf in the year 9999", edits{"nbf": 253402300799}, early),
		m.claim("exp before nbf, both to come", edits{"nbf": at(2 * time.Hour), "exp": at(time.Hour)}, early),
		m.claim("exp past and nbf to come", edits{"nbf": at(time.Hour), "exp": at(-time.Hour)}, expired),
		m.claim("expired, and for another audience", edits{"exp": 0, "aud": "https://canary.example"}, validator.ErrAudience),
		attack("expired, and signed by a stranger", m.tokenBy(m.stranger, nil, edits{"exp": 0}), validator.ErrSignature),
		{name: "exp a second within the leeway", brings: bearer(m.token(edits{"exp": at(time.Second - leeway)})), want: passes()},
		{name: "exp a fraction within the leeway", brings: bearer(m.token(edits{"exp": raw(text(at(-leeway)) + ".5")})), want: passes()},
		{name: "nbf at the leeway's end", brings: bearer(m.token(edits{"nbf": at(leeway)})), want: passes()},
		{name: "nbf a second within", brings: bearer(m.token(edits{"nbf": at(leeway - time.Second)})), want: passes()},
		// When a token was issued decides nothing (section 4.1.6).
		{name: "iat to come", brings: bearer(m.token(edits{"iat": at(time.Hour)})), want: passes()},
		{name: "exp with an exponent, to come", brings: bearer(m.token(edits{"exp": raw("2.5e11")})), want: passes()},
	}
	for name, step := range map[string]time.Duration{
		"the very moment":    5*time.Minute + leeway,
		"a nanosecond after": 5*time.Minute + leeway + 1,
		"an hour":            time.Hour,
		"a year":             8760 * time.Hour,
	} {
		r := attack("expired meanwhile: "+name, m.good, expired)
		r.then = func(h *house) { h.wait(step) }
		rows = append(rows, r)
	}
	still := row{name: "not yet expired: a nanosecond before", brings: bearer(m.good), want: passes()}
	still.then = func(h *house) { h.wait(5*time.Minute + leeway - 1) }
	sooner := attack("not yet valid: the clock was put back", m.token(edits{"nbf": at(0)}), early)
	sooner.then = func(h *house) { h.wait(-leeway - 1) }
	exact := attack("without leeway, exp is now", m.token(edits{"exp": at(0)}), expired)
	exact.policy = func(c *validator.Config) { c.Leeway = -1 }
	future := attack("without leeway, nbf is a second away", m.token(edits{"nbf": at(time.Second)}), early)
	future.policy = exact.policy
	rows = append(rows, still, sooner, exact, future)
	for _, name := range []string{"exp", "nbf", "iat", "auth_time"} {
		for what, value := range map[string]string{
			"text":                   `"4102444800"`,
			"a date":                 `"2099-01-01T00:00:00Z"`,
			"null":                   "null",
			"true":                   "true",
			"an array":               "[4102444800]",
			"an object":              `{"$date":4102444800}`,
			"negative":               "-1",
			"a negative fraction":    "-0.5",
			"past 9999":              "253402300800",
			"milliseconds":           "4102444800000",
			"beyond 63 bits":         "9223372036854775808",
			"beyond 64 bits":         "18446744073709551616",
			"wrapped to the present": text(m.now.Unix()) + "0000000000000",
			"1e400":                  "1e400",
			"-1e400":                 "-1e400",
			"1e308":                  "1e308",
			"of 400 digits":          "1" + strings.Repeat("0", 400),
			"NaN":                    "NaN",
			"Infinity":               "Infinity",
			"hexadecimal":            "0xF4865700",
			"with a leading zero":    "04102444800",
			"with a plus":            "+4102444800",
			"with an open fraction":  "4102444800.",
			"with an open exponent":  "4e",
			"with underscores":       "4_102_444_800",
			"a sum":                  "4102444800+1",
		} {
			payload := strings.Replace(m.payloadText(edits{name: 31415926}), `"`+name+`":31415926`, `"`+name+`":`+value, 1)
			rows = append(rows, attack(name+" is "+what, m.sign(headerText, payload), validator.ErrMalformed))
		}
	}
	return rows
}
