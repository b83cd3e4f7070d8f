package attack_test

import (
	"strings"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/validator"
)

// base64Rows are the same bytes written in another way, which would make two tokens
// of one: RFC 7515 section 2, RFC 4648 sections 3.3, 3.5 and 5. The issuer signed
// the text of header and payload as it is, so only its form is to blame.
func base64Rows(m *mint) []row {
	// Texts of such lengths that the last character has bits to stray, and which hold
	// both characters that base64 writes differently.
	const odd = `"x":"~~~???.~~~???.~~~???",`
	fill := func(s string) string { return s + strings.Repeat(" ", (4-len(s)%3)%3) }
	header, payload := jose.Encode([]byte(fill("{"+odd+headerText[1:]))), jose.Encode([]byte(fill("{"+odd+m.payloadText(nil)[1:])))
	signature := func() string { // one that holds both as well
		for {
			if s := parts(m.signEncoded(header, payload))[2]; strings.ContainsRune(s, '-') && strings.ContainsRune(s, '_') {
				return s
			}
		}
	}()
	rows := []row{{name: "base64url in every part", brings: bearer(join(header, payload, signature)), want: passes()}}
	inside := func(what string) func(string) string { return func(s string) string { return s[:8] + what + s[8:] } }
	for name, change := range map[string]func(string) string{
		"padded":                 func(s string) string { return s + "==" },
		"padded by one":          func(s string) string { return s + "=" },
		"padding inside":         inside("="),
		"stray bits":             strayed,
		"a character left over":  func(s string) string { return s + strings.Repeat("A", 5-len(s)%4) },
		"space after":            func(s string) string { return s + " " },
		"space inside":           inside(" "),
		"tab inside":             inside("\t"),
		"line feed inside":       inside("\n"),
		"carriage return inside": inside("\r"),
		"CRLF inside":            inside("\r\n"),
		"line feed first":        func(s string) string { return s[:2] + "\n" + s[2:] },
		"line feed last":         func(s string) string { return s + "\n" },
		"NUL inside":             inside("\x00"),
		"+ for -":                func(s string) string { return strings.ReplaceAll(s, "-", "+") },
		"/ for _":                func(s string) string { return strings.ReplaceAll(s, "_", "/") },
		"a digit of full width":  inside("\uff11"),
		"an Arabic digit":        inside("\u0661"),
		"a long s":               inside("\u017f"),
		"a zero-width joiner":    inside("\u200d"),
		"an exclamation mark":    inside("!"),
		"a tilde":                inside("~"),
		"a percent sign":         inside("%2B"),
		"a byte beyond ASCII":    inside("\xff"),
	} {
		rows = append(rows,
			attack("base64: header, "+name, m.signEncoded(change(header), payload), validator.ErrMalformed),
			attack("base64: payload, "+name, m.signEncoded(header, change(payload)), validator.ErrMalformed),
			attack("base64: signature, "+name, join(header, payload, change(signature)), validator.ErrMalformed))
		if last := rows[len(rows)-1].brings.token; last != strings.TrimSpace(last) {
			rows[len(rows)-1].brings.bare = true // white space after it is none of a field's value (RFC 9110 section 5.5)
		}
	}
	return rows
}

// strayed is the text with a bit that decodes to nothing set.
func strayed(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return s[:len(s)-1] + string(alphabet[strings.IndexByte(alphabet, s[len(s)-1])+1])
}
