package attack_test

import (
	"strconv"
	"strings"

	"github.com/countermark/countermark/internal/strictjson"
	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/validator"
)

// jsonRows are texts that two readers of JSON read in two ways, or that one chokes
// on, signed by the issuer: RFC 8259, RFC 7515 section 4, RFC 8725 sections 2.6 and
// 3.7.
func jsonRows(m *mint) []row {
	bad := validator.ErrMalformed
	var rows []row
	for name, member := range map[string]string{
		"the same":                          `"alg":"ES256"`,
		"another value":                     `"alg":"none"`,
		"escaped":                           `"\u0061lg":"none"`,
		"in upper case":                     `"ALG":"none"`,
		"in upper case, escaped":            `"\u0041LG":"none"`,
		"a second kid":                      `"kid":"canary-other"`,
		"kid with the Kelvin sign":          "\"\u212aid\":\"canary-other\"",
		"kid with the Kelvin sign, escaped": `"\u212aid":"canary-other"`,
		"a second typ":                      `"typ":"JWT"`,
		"typ in another case":               `"Typ":"JWT"`,
	} {
		rows = append(rows, m.inHeader("header twice: "+name, "{"+member+",", bad))
	}
	for name, member := range map[string]string{
		"iss":                        `"iss":"` + tokentest.Issuer + `"`,
		"iss of another":             `"iss":"https://canary.example"`,
		"iss escaped":                `"\u0069\u0073\u0073":"canary"`,
		"iss with a long s":          "\"i\u017fs\":\"canary\"",
		"iss with a long s, escaped": `"i\u017fs":"canary"`,
		"sub in another case":        `"SUB":"canary-root"`,
		"sub with a long s":          "\"\u017fub\":\"canary-root\"",
		"exp":                        `"exp":4102444800`,
		"exp in another case":        `"Exp":4102444800`,
		"aud":                        `"aud":"` + tokentest.Audience + `"`,
		"scope with a long s":        "\"\u017fcope\":\"canary:admin\"",
		"scope in another case":      `"Scope":"canary:admin"`,
		"a claim of its own":         `"canary_name":"canary"`,
		"within an object":           `"x":{"a":1,"a":2}`,
		"within an object, by case":  `"x":{"a":1,"A":2}`,
		"deep within":                `"x":[[{"y":{"a":1,"\u0061":2}}]]`,
		"cnf":                        `"cnf":{},"cnf":{}`,
		"the empty name":             `"":1,"":2`,
		"a K of three kinds":         "\"x\":{\"k\":1,\"K\":2,\"\u212a\":3}",
		"sigma and its last form":    "\"x\":{\"\u03c3\":1,\"\u03c2\":2}",
		"beyond 32 names":            manyMembers(40, "x") + `,"x7":1`,
		"beyond 32 names, by case":   manyMembers(40, "x") + `,"X39":1`,
	} {
		rows = append(rows, m.inPayload("claim twice: "+name, "{"+member+",", bad))
	}
	for name, value := range map[string]string{
		"hexadecimal":               "0x10",
		"octal":                     "017",
		"a leading zero":            "01",
		"a plus":                    "+1",
		"no whole part":             ".5",
		"no fraction":               "1.",
		"no exponent":               "1e",
		"NaN":                       "NaN",
		"infinity":                  "Infinity",
		"minus infinity":            "-Infinity",
		"minus alone":               "-",
		"a suffix":                  "1n",
		"underscores":               "1_000",
		"undefined":                 "undefined",
		"None":                      "None",
		"True":                      "True",
		"single quotes":             "'canary'",
		"a template":                "`canary`",
		"nothing":                   "",
		"a bare word":               "canary",
		"a comment":                 "1/*canary*/",
		"a comment to the end":      "1//canary\n",
		"a comma too many":          "[1,]",
		"no comma":                  "[1 2]",
		"a comma alone":             "[,]",
		"an open array":             "[1",
		"a wrong bracket":           "[1}",
		"half a text":               `"canary`,
		"a line break in a text":    "\"a\nb\"",
		"a tab in a text":           "\"a\tb\"",
		"NUL in a text":             "\"a\x00b\"",
		"an unknown escape":         `"\x41"`,
		"a short escape":            `"\u004"`,
		"an escaped nothing":        `"\`,
		"half a surrogate":          `"\ud800"`,
		"the other half":            `"\udc00"`,
		"halves exchanged":          `"\udc00\ud800"`,
		"half and a letter":         `"\ud800x"`,
		"a byte that is no UTF-8":   "\"\xff\"",
		"Latin-1":                   "\"caf\xe9\"",
		"an overlong slash":         "\"\xc0\xaf\"",
		"an overlong NUL":           "\"\xc0\x80\"",
		"a surrogate in UTF-8":      "\"\xed\xa0\x80\"",
		"beyond Unicode":            "\"\xf4\x90\x80\x80\"",
		"half a rune":               "\"\xe2\x82\"",
		"arrays too deep":           strings.Repeat("[", strictjson.MaxDepth) + strings.Repeat("]", strictjson.MaxDepth),
		"objects too deep":          strings.Repeat(`{"a":`, strictjson.MaxDepth) + "1" + strings.Repeat("}", strictjson.MaxDepth),
		"five thousand open arrays": strings.Repeat("[", 5000),
	} {
		rows = append(rows, m.inPayload("value: "+name, `{"x":`+value+",", bad))
	}
	for name, change := range map[string]func(string) string{
		"a letter after":        func(s string) string { return s + "x" },
		"NUL after":             func(s string) string { return s + "\x00" },
		"an object after":       func(s string) string { return s + "{}" },
		"twice":                 func(s string) string { return s + s },
		"a comment after":       func(s string) string { return s + "//canary" },
		"a brace too many":      func(s string) string { return s + "}" },
		"a brace too few":       func(s string) string { return s[:len(s)-1] },
		"a comma at the end":    func(s string) string { return s[:len(s)-1] + ",}" },
		"a byte order mark":     func(s string) string { return "\ufeff" + s },
		"UTF-16":                func(s string) string { return strings.Join(strings.Split(s, ""), "\x00") + "\x00" },
		"a no-break space":      func(s string) string { return s + "\u00a0" },
		"a form feed":           func(s string) string { return s + "\f" },
		"an array of it":        func(s string) string { return "[" + s + "]" },
		"a text of it":          func(s string) string { return text(s) },
		"null":                  func(string) string { return "null" },
		"empty":                 func(string) string { return "" },
		"a space":               func(string) string { return " " },
		"in single quotes":      func(s string) string { return strings.ReplaceAll(s, `"`, "'") },
		"with = for :":          func(s string) string { return strings.Replace(s, ":", "=", 1) },
		"a name without quotes": func(s string) string { return "{x:1," + s[1:] },
		"a number for a name":   func(s string) string { return "{1:1," + s[1:] },
	} {
		rows = append(rows,
			attack("payload: "+name, m.sign(headerText, change(m.payloadText(nil))), bad),
			attack("header: "+name, m.sign(change(headerText), m.payloadText(nil)), headerless(name)))
	}
	return append(rows,
		row{name: "a thousand members", brings: bearer(m.sign(headerText, "{"+manyMembers(1000, "x")+","+m.payloadText(nil)[1:])), want: passes()},
		row{name: "an array of four thousand", brings: bearer(m.sign(headerText, `{"x":[`+strings.Repeat("1,", 4000)+"1],"+m.payloadText(nil)[1:])), want: passes()},
		row{name: "a number beyond all others", brings: bearer(m.sign(headerText, `{"x":1e400,"y":-0,`+m.payloadText(nil)[1:])), want: passes()},
	)
}

// headerless is the refusal of a token whose header is changed as name says: what
// does not begin as a header does is no JWT, and the issuer's to know.
func headerless(name string) error {
	switch name {
	case "a byte order mark", "an array of it", "a text of it", "null", "empty", "a space", "a number for a name":
		return validator.ErrInactive
	default:
		return validator.ErrMalformed
	}
}

// manyMembers are n members of different names.
func manyMembers(n int, name string) string {
	list := make([]string, n)
	for i := range list {
		list[i] = text(name+strconv.Itoa(i)) + ":1"
	}
	return strings.Join(list, ",")
}
