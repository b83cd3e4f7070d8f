package validator_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/validator"
)

// The border of each date, to the second and with every kind of leeway. An exp
// is over when it is reached (section 4.1.4), an nbf when it is reached is not
// before (section 4.1.5).
func TestRFC7519_4_1_BordersOfTime(t *testing.T) {
	t.Parallel()
	const none = -1
	for _, row := range []struct {
		claim  string
		offset time.Duration // from now
		leeway time.Duration
		want   error
	}{
		{"exp", 1 * time.Second, none, nil},
		{"exp", 0, none, validator.ErrExpired},
		{"exp", -1 * time.Second, none, validator.ErrExpired},
		{"exp", 1 * time.Second, -time.Hour, nil},
		{"exp", 0, -time.Hour, validator.ErrExpired},
		{"exp", -29 * time.Second, 0, nil},
		{"exp", -30 * time.Second, 0, validator.ErrExpired},
		{"exp", -31 * time.Second, 0, validator.ErrExpired},
		{"exp", 0, time.Second, nil},
		{"exp", -1 * time.Second, time.Second, validator.ErrExpired},
		{"exp", -119 * time.Second, 2 * time.Minute, nil},
		{"exp", -120 * time.Second, 2 * time.Minute, validator.ErrExpired},
		{"exp", -299 * time.Second, 5 * time.Minute, nil},
		{"exp", -300 * time.Second, 5 * time.Minute, validator.ErrExpired},

		{"nbf", 0, none, nil},
		{"nbf", -time.Hour, none, nil},
		{"nbf", 1 * time.Second, none, validator.ErrNotYetValid},
		{"nbf", 30 * time.Second, 0, nil},
		{"nbf", 31 * time.Second, 0, validator.ErrNotYetValid},
		{"nbf", 120 * time.Second, 2 * time.Minute, nil},
		{"nbf", 121 * time.Second, 2 * time.Minute, validator.ErrNotYetValid},

		// When a token was issued decides nothing (section 4.1.6).
		{"iat", time.Hour, none, nil},
		{"iat", -1000 * time.Hour, none, nil},
	} {
		t.Run(fmt.Sprintf("%s %v leeway %v", row.claim, row.offset, row.leeway), func(t *testing.T) {
			t.Parallel()
			v := newValidator(t, func(c *validator.Config) { c.Leeway = row.leeway })
			tok, err := v.Validate(t.Context(), minted(nil, edits{row.claim: noon.Add(row.offset).Unix()}))
			if row.want == nil {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			wantRefused(t, tok, err, row.want)
		})
	}
}

// The clock may stand between two seconds, and so may a date.
func TestRFC7519_2_FractionsOfASecond(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		claim, fraction string
		now             time.Duration
		want            error
	}{
		{"exp", ".5", 499 * time.Millisecond, nil},
		{"exp", ".5", 500 * time.Millisecond, validator.ErrExpired},
		{"exp", "", -1 * time.Nanosecond, nil},
		{"exp", "", 1 * time.Nanosecond, validator.ErrExpired},
		{"nbf", ".5", 499 * time.Millisecond, validator.ErrNotYetValid},
		{"nbf", ".5", 500 * time.Millisecond, nil},
		{"nbf", "", -1 * time.Nanosecond, validator.ErrNotYetValid},
		{"nbf", "", 0, nil},
	} {
		t.Run(fmt.Sprintf("%s%s at %v", row.claim, row.fraction, row.now), func(t *testing.T) {
			t.Parallel()
			v := newValidator(t, func(c *validator.Config) {
				c.Leeway, c.Now = -1, func() time.Time { return noon.Add(row.now) }
			})
			date := json.RawMessage(fmt.Sprint(noon.Unix()) + row.fraction)
			tok, err := v.Validate(t.Context(), minted(nil, edits{row.claim: date}))
			if row.want == nil {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			wantRefused(t, tok, err, row.want)
		})
	}
}

// A NumericDate is any JSON number (section 2), however it is written.
func TestRFC7519_2_NumericDates(t *testing.T) {
	t.Parallel()
	v := newValidator(t, nil)
	unix := fmt.Sprint(noon.Add(time.Hour).Unix())
	for name, row := range map[string]struct {
		text string
		want time.Time
	}{
		"integer":              {unix, noon.Add(time.Hour)},
		"fraction of zero":     {unix + ".000", noon.Add(time.Hour)},
		"fraction":             {unix + ".25", noon.Add(time.Hour + 250*time.Millisecond)},
		"exponent of zero":     {unix + "e0", noon.Add(time.Hour)},
		"exponent":             {unix[:1] + "." + unix[1:] + "e9", noon.Add(time.Hour)},
		"capital exponent":     {unix[:1] + "." + unix[1:] + "E+9", noon.Add(time.Hour)},
		"negative exponent":    {unix + "0e-1", noon.Add(time.Hour)},
		"round":                {"2e9", time.Unix(2e9, 0)},
		"the end of year 9999": {"253402300799", time.Unix(253402300799, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tok := accept(t, v, minted(nil, edits{"exp": json.RawMessage(row.text)}))
			if got := tok.Expiry(); !got.Equal(row.want) {
				t.Errorf("Expiry() = %v, want %v", got.UTC(), row.want.UTC())
			}
		})
	}
	for _, name := range []string{"iat", "nbf", "auth_time"} { // long ago is a date
		accept(t, v, minted(nil, edits{name: 0}))
		accept(t, v, minted(nil, edits{name: json.RawMessage("1e-7")}))
	}
	runRefusals(t, dateRefusals())
}

func dateRefusals() []refusal {
	var rows []refusal
	for _, name := range []string{"exp", "iat", "nbf", "auth_time"} {
		for what, text := range map[string]string{
			"null":                 `null`,
			"boolean":              `true`,
			"string":               fmt.Sprintf(`"%d"`, noon.Unix()+60),
			"date as string":       `"2036-03-20T12:00:00Z"`,
			"empty string":         `""`,
			"array":                `[4102444800]`,
			"object":               `{"canary":4102444800}`,
			"negative":             `-1774008300`,
			"negative fraction":    `-0.5`,
			"past year 9999":       `253402300800`,
			"a fraction past 9999": `253402300799.5`,
			"milliseconds":         `1774008300000`,
			"beyond int64":         `9223372036854775808`,
			"beyond uint64":        `18446744073709551616`,
			"wraps to the present": `18446744075483559916`,
			"huge exponent":        `1e308`,
			"beyond float64":       `1e400`,
			"hundreds of digits":   `1` + strings.Repeat("0", 400),
		} {
			rows = append(rows, claim(name+" "+what, edits{name: json.RawMessage(text)}, validator.ErrMalformed))
		}
		for _, text := range []string{"NaN", "Infinity", "-Infinity", "0x6A000000", "01774008300", "+1774008300", ".5", "1774008300.", "1774008300e", "1_774_008_300", "1774008300n"} {
			rows = append(rows, refusal{
				name: name + " " + text,
				token: func() string {
					payload := with(marshal(goodClaims(edits{name: nil})), `"`+name+`":`+text)
					return sign(key("ES256"), goodHeader(), payload)
				},
				want: validator.ErrMalformed,
			})
		}
	}
	return append(rows,
		claim("exp long ago", edits{"exp": 0}, validator.ErrExpired),
		claim("exp minus zero", edits{"exp": json.RawMessage("-0")}, validator.ErrExpired),
		claim("exp tiny", edits{"exp": json.RawMessage("1e-300")}, validator.ErrExpired),
		claim("nbf far away", edits{"nbf": 253402300799}, validator.ErrNotYetValid),
	)
}

// Every check reads the clock of the configuration, at the moment of the check.
func TestRFC7519_4_1_4_TimePasses(t *testing.T) {
	t.Parallel()
	now := noon
	v := newValidator(t, func(c *validator.Config) { c.Leeway, c.Now = -1, func() time.Time { return now } })
	token := minted(nil, nil)
	tok := accept(t, v, token)
	now = tok.Expiry()
	tok, err := v.Validate(t.Context(), token)
	wantRefused(t, tok, err, validator.ErrExpired)
}

func TestRFC7519_4_1_4_WithoutNowTheTimeIsThePresent(t *testing.T) {
	t.Parallel()
	v := newValidator(t, func(c *validator.Config) { c.Now = nil })
	accept(t, v, minted(nil, edits{"exp": time.Now().Add(time.Minute).Unix()}))
	tok, err := v.Validate(t.Context(), minted(nil, edits{"exp": time.Now().Add(-time.Minute).Unix()}))
	wantRefused(t, tok, err, validator.ErrExpired)
}

// An aud of a surprising type names nobody; it is not "any audience"
// (CVE-2020-26160).
func TestRFC7519_4_1_3_SurprisingAudiences(t *testing.T) {
	t.Parallel()
	v := newValidator(t, nil)
	for _, aud := range []string{`null`, `true`, `false`, `0`, `1`, `{}`, `[]`, `""`, `[""]`, `[null]`, `[[]]`, `[{}]`, `[1]`, `["` + audience + `",1]`, `[["` + audience + `"]]`} {
		if tok, err := v.Validate(t.Context(), minted(nil, edits{"aud": json.RawMessage(aud)})); err == nil {
			t.Errorf("aud %s is accepted as %q", aud, tok.Audiences())
		}
	}
}
