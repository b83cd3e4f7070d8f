package validator_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/strictjson"
	"github.com/countermark/countermark/validator"
)

func TestRFC7515_7_1_ThreePartsAndNoOther(t *testing.T) {
	t.Parallel()
	runRefusals(t, compactRefusals())
}

func compactRefusals() []refusal {
	reshaped := func(name string, shape func(h, p, s string) string) refusal {
		return changed(name, func(token string) string {
			p := parts(token)
			return shape(p[0], p[1], p[2])
		}, validator.ErrMalformed)
	}
	return []refusal{
		reshaped("one part", func(_, p, _ string) string { return p }),
		reshaped("two parts", func(h, p, _ string) string { return join(h, p) }),
		reshaped("four parts", func(h, p, s string) string { return join(h, p, s, s) }),
		reshaped("a dot after", func(h, p, s string) string { return join(h, p, s, "") }),
		reshaped("two dots after", func(h, p, s string) string { return join(h, p, s, "", "") }),
		reshaped("a dot before", func(h, p, s string) string { return join("", h, p, s) }),
		reshaped("five parts, as a JWE", func(h, p, s string) string { return join(h, p, s, p, s) }),
		reshaped("without header", func(_, p, s string) string { return join("", p, s) }),
		reshaped("without payload", func(h, _, s string) string { return join(h, "", s) }),
		reshaped("detached and moved", func(h, p, s string) string { return join(h, s, p) }),
		reshaped("header and payload exchanged", func(h, p, s string) string { return join(p, h, s) }),
		reshaped("no part", func(string, string, string) string { return ".." }),
		reshaped("a scheme before", func(h, p, s string) string { return "Bearer " + join(h, p, s) }),
		reshaped("quoted", func(h, p, s string) string { return `"` + join(h, p, s) + `"` }),
		reshaped("space before", func(h, p, s string) string { return " " + join(h, p, s) }),
		reshaped("space after", func(h, p, s string) string { return join(h, p, s) + " " }),
		reshaped("line feed after", func(h, p, s string) string { return join(h, p, s) + "\n" }),
		reshaped("NUL after", func(h, p, s string) string { return join(h, p, s) + "\x00" }),
		reshaped("twice", func(h, p, s string) string { return join(h, p, s) + "," + join(h, p, s) }),
		reshaped("JSON serialization", func(h, p, s string) string {
			return marshal(edits{"protected": h, "payload": p, "signature": s})
		}),
	}
}

func TestRFC7515_4_1_11_CriticalHeaders(t *testing.T) {
	t.Parallel()
	accept(t, newValidator(t, nil), minted(edits{"b64": true}, nil))                     // RFC 7797: true changes nothing
	accept(t, newValidator(t, nil), minted(nil, edits{"crit": []string{"x"}, "b64": 1})) // claims of that name mean nothing
	runRefusals(t, criticalRefusals())
}

func criticalRefusals() []refusal {
	m := validator.ErrMalformed
	return []refusal{
		header("unknown", edits{"crit": []string{"canary"}, "canary": true}, m),
		header("unknown and absent", edits{"crit": []string{"canary"}}, m),
		header("known name exp", edits{"crit": []string{"exp"}, "exp": noon.Unix()}, m),
		header("known name alg", edits{"crit": []string{"alg"}}, m),
		header("known name b64", edits{"crit": []string{"b64"}, "b64": true}, m),
		header("empty", edits{"crit": []string{}}, m),
		header("empty name", edits{"crit": []string{""}}, m),
		header("null", edits{"crit": null}, m),
		header("string", edits{"crit": "canary"}, m),
		header("object", edits{"crit": edits{}}, m),
		header("false", edits{"crit": false}, m),
		header("b64 false (RFC 7797)", edits{"b64": false}, m),
		header("b64 false and critical", edits{"crit": []string{"b64"}, "b64": false}, m),
		header("b64 as text", edits{"b64": "true"}, m),
		header("b64 null", edits{"b64": null}, m),
		header("b64 number", edits{"b64": 1}, m),
	}
}

// What was signed is the text, so the issuer may have signed text that is not
// canonical: its signature is good, and the token is refused nevertheless.
func TestRFC7515_2_Base64URLIsCanonical(t *testing.T) {
	t.Parallel()
	runRefusals(t, base64Refusals())
}

func base64Refusals() []refusal {
	// Texts of each length modulo 3, so that there are bits to stray, and which
	// hold both characters that base64 and base64url write differently.
	head := with(goodHeader(), `"x":"~~~???.~~~???.~~~???"`) + strings.Repeat(" ", (5-len(with(goodHeader(), `"x":"~~~???.~~~???.~~~???"`))%3)%3)
	body := with(goodPayload(), `"x":"~~~???.~~~???.~~~???"`) + strings.Repeat(" ", (4-len(with(goodPayload(), `"x":"~~~???.~~~???.~~~???"`))%3)%3)

	type change struct {
		name string
		do   func(string) string
	}
	after := func(what string) func(string) string { return func(s string) string { return s + what } }
	inside := func(what string) func(string) string { return func(s string) string { return s[:8] + what + s[8:] } }
	changes := []change{
		{"padded", func(s string) string { return s + strings.Repeat("=", (4-len(s)%4)%4) }},
		{"padded by one", after("=")},
		{"padded by two", after("==")},
		{"padding encoded", after("%3D")},
		{"stray bits", func(s string) string { return s[:len(s)-1] + string(successor(s[len(s)-1])) }},
		{"a space after", after(" ")},
		{"a tab inside", inside("\t")},
		{"a line feed after", after("\n")},
		{"a line feed inside", inside("\n")},
		{"a carriage return after", after("\r")},
		{"CRLF inside", inside("\r\n")},
		{"NUL after", after("\x00")},
		{"+ for -", func(s string) string { return standard(s, "-", "+") }},
		{"/ for _", func(s string) string { return standard(s, "_", "/") }},
		{"a letter beyond ASCII", inside("\u017f")},
	}
	var rows []refusal
	for _, c := range changes {
		rows = append(rows,
			refusal{name: "header " + c.name, want: validator.ErrMalformed, token: func() string {
				return signText(key("ES256"), c.do(jose.Encode([]byte(head))), jose.Encode([]byte(body)))
			}},
			refusal{name: "payload " + c.name, want: validator.ErrMalformed, token: func() string {
				return signText(key("ES256"), jose.Encode([]byte(head)), c.do(jose.Encode([]byte(body))))
			}},
			refusal{name: "signature " + c.name, want: validator.ErrMalformed, token: func() string {
				for { // until the signature holds what the change is about
					p := parts(signText(key("ES256"), jose.Encode([]byte(head)), jose.Encode([]byte(body))))
					if strings.Contains(p[2], "-") && strings.Contains(p[2], "_") {
						return join(p[0], p[1], c.do(p[2]))
					}
				}
			}})
	}
	return rows
}

// The texts that the rows above change are good before the change.
func TestRFC7515_2_Base64URLControl(t *testing.T) {
	t.Parallel()
	v := newValidator(t, nil)
	for _, pad := range []string{"", " ", "  "} {
		accept(t, v, signText(key("ES256"), jose.Encode([]byte(with(goodHeader(), `"x":"~~~???.~~~???.~~~???"`)+pad)), jose.Encode([]byte(with(goodPayload(), `"x":"~~~???.~~~???.~~~???"`)+pad))))
	}
}

// successor is the base64url character for the next value.
func successor(c byte) byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[strings.IndexByte(alphabet, c)+1]
}

func standard(s, from, to string) string {
	if !strings.Contains(s, from) {
		panic("nothing to change")
	}
	return strings.ReplaceAll(s, from, to)
}

func TestRFC7515_4_HeaderAndPayloadAreOneStrictObject(t *testing.T) {
	t.Parallel()
	v := newValidator(t, nil)
	space := func(object string) string { return " \t\r\n" + strings.ReplaceAll(object, ",", " ,\n") + "\r\n" }
	accept(t, v, sign(key("ES256"), goodHeader()+"\r\n", space(goodPayload())))
	deep := strings.Repeat(`[`, strictjson.MaxDepth-1) + strings.Repeat(`]`, strictjson.MaxDepth-1)
	accept(t, v, sign(key("ES256"), with(goodHeader(), `"x":`+deep), with(goodPayload(), `"x":`+deep)))
	runRefusals(t, memberRefusals())
}

func memberRefusals() []refusal {
	deep := func(open, inside, end string) string {
		return strings.Repeat(open, strictjson.MaxDepth) + inside + strings.Repeat(end, strictjson.MaxDepth)
	}
	var rows []refusal
	inHeader := func(name, bad string) {
		rows = append(rows, text("header "+name, bad, goodPayload(), validator.ErrMalformed))
	}
	inPayload := func(name, bad string) {
		rows = append(rows, text("payload "+name, goodHeader(), bad, validator.ErrMalformed))
	}
	for name, member := range map[string]string{
		"duplicate":                      `"kid":"canary-kid"`,
		"duplicate, other value":         `"alg":"none"`,
		"duplicate, escaped":             `"\u0061lg":"ES256"`,
		"duplicate, upper case":          `"ALG":"ES256"`,
		"duplicate, upper case, escaped": `"\u0041lg":"ES256"`,
		"Kelvin sign":                    "\"\u212aid\":\"canary-kid\"",
		"Kelvin sign, escaped":           `"\u212aid":"canary-kid"`,
	} {
		inHeader(name, with(goodHeader(), member))
	}
	for name, member := range map[string]string{
		"duplicate":              `"iss":"` + issuer + `"`,
		"duplicate, other value": `"iss":"https://canary.example"`,
		"duplicate exp":          `"exp":4102444800`,
		"duplicate, escaped":     `"\u0069ss":"` + issuer + `"`,
		"duplicate, all escaped": `"\u0069\u0073\u0073":"` + issuer + `"`,
		"duplicate, upper case":  `"Sub":"canary-root"`,
		"long s":                 "\"i\u017fs\":\"" + issuer + "\"",
		"long s, escaped":        `"\u017fub":"canary-root"`,
		"long s in scope":        "\"\u017fcope\":\"canary:admin\"",
		"of a claim of its own":  `"canary_name":"canary"`,
		"of a nested object":     `"x":{"canary":1,"canary":2}`,
		"of a nested object's":   `"x":[{"canary":1,"CANARY":2}]`,
	} {
		inPayload(name, with(goodPayload(), member))
	}
	for name, change := range map[string]func(string) string{
		"letter after":        func(s string) string { return s + "x" },
		"NUL after":           func(s string) string { return s + "\x00" },
		"object after":        func(s string) string { return s + "{}" },
		"twice":               func(s string) string { return s + s },
		"comma after":         func(s string) string { return s + "," },
		"comment after":       func(s string) string { return s + "//canary" },
		"unfinished":          func(s string) string { return s[:len(s)-1] },
		"trailing comma":      func(s string) string { return s[:len(s)-1] + ",}" },
		"raw NUL in a string": func(s string) string { return with(s, "\"x\":\"canary\x00\"") },
		"raw NUL in a name":   func(s string) string { return with(s, "\"canary\x00\":1") },
		"NUL before":          func(s string) string { return "\x00" + s },
		"array":               func(s string) string { return "[" + s + "]" },
		"string":              func(s string) string { return marshal(s) },
		"null":                func(string) string { return "null" },
		"number":              func(string) string { return "31415926" },
		"nothing":             func(string) string { return "" },
		"NaN":                 func(s string) string { return with(s, `"x":NaN`) },
		"single quotes":       func(s string) string { return strings.ReplaceAll(s, `"`, `'`) },
		"arrays too deep":     func(s string) string { return with(s, `"x":`+deep("[", "", "]")) },
		"objects too deep":    func(s string) string { return with(s, `"x":`+deep(`{"canary":`, "1", "}")) },
	} {
		inHeader(name, change(goodHeader()))
		inPayload(name, change(goodPayload()))
	}
	return rows
}

func TestValidate_TokenIsAtMost16KiB(t *testing.T) {
	t.Parallel()
	const limit = 16 << 10
	source := &asked{keys: issuerKeys(), answer: goodAnswer(nil)}
	v := newValidator(t, func(c *validator.Config) { c.Keys = source })
	accept(t, v, ofLength(t, limit))
	for _, n := range []int{limit + 1, limit + 2, limit + 3, 1 << 20} {
		tok, err := v.Validate(t.Context(), ofLength(t, n))
		wantRefused(t, tok, err, validator.ErrMalformed)
	}
	if got := source.forKeys.Load(); got != 1 {
		t.Errorf("keys were asked for %d times, want 1", got)
	}
	v = newValidator(t, func(c *validator.Config) { c.Introspector = source }) // an opaque one likewise
	accept(t, v, strings.Repeat("x", limit))
	tok, err := v.Validate(t.Context(), strings.Repeat("x", limit+1))
	wantRefused(t, tok, err, validator.ErrMalformed)
	if got := source.forAnswers.Load(); got != 1 {
		t.Errorf("introspected %d times, want 1", got)
	}
}

// ofLength is a good token of n bytes.
func ofLength(tb testing.TB, n int) string {
	tb.Helper()
	empty := len(sign(key("EdDSA"), `{"alg":"EdDSA","kid":"`+kid+`","typ":"at+jwt"}`, goodPayload()))
	for extra := range 4 { // header and payload share the bytes that base64 cannot split
		size := (n-empty)*3/4 - 4
		for payload := size; payload < size+10; payload++ {
			token := sign(key("EdDSA"), `{"alg":"EdDSA","kid":"`+kid+`","typ":"at+jwt"}`+strings.Repeat(" ", extra), goodPayload()+strings.Repeat(" ", payload))
			if len(token) == n {
				return token
			}
		}
	}
	tb.Fatalf("no token of %d bytes", n)
	return ""
}

// A megabyte of dots costs nothing (CVE-2025-30204).
func TestValidate_DotsAllocateNothingMuch(t *testing.T) {
	v := newValidator(t, func(c *validator.Config) { c.Introspector = failing{} })
	for _, token := range []string{strings.Repeat(".", 1<<20), strings.Repeat(".", 16<<10), "eyJh" + strings.Repeat(".", 16<<10-4)} {
		const runs = 100
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			if _, err := v.Validate(t.Context(), token); err == nil {
				t.Fatal("accepted")
			}
		}
		runtime.ReadMemStats(&after)
		if got := (after.TotalAlloc - before.TotalAlloc) / runs; got > 1024 {
			t.Errorf("%d bytes allocated for %d bytes of dots", got, len(token))
		}
	}
}
