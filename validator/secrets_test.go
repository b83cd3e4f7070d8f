package validator_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/countermark/countermark/validator"
)

// Every refusal of every suite, however it is printed: it holds no token, no
// part of one, and no value of a header, a claim or an answer.
func TestSecrets_NoRefusalShowsThem(t *testing.T) {
	t.Parallel()
	rows := allRefusals()
	seen := map[error]bool{}
	for _, r := range rows {
		token, _, err := r.judge(t, false)
		if err == nil {
			t.Errorf("%s: accepted", r.name)
			continue
		}
		seen[r.want] = true
		for how, text := range printed(err) {
			if how == "%#v" || how == "json" { // which show the requirement, that is what the client is told
				for _, word := range slices.Concat(r.require.Scopes, r.require.AnyScope, r.require.ACR) {
					text = strings.ReplaceAll(text, strconv.Quote(word), "")
				}
			}
			if secret := leak(text, token, r.answer); secret != "" {
				t.Errorf("%s: %s shows %q: %s", r.name, how, secret, text)
			}
		}
	}
	t.Logf("%d refusals", len(rows))
	elsewhere := []error{ // what no token leads to, or only its proof
		validator.ErrNoToken, validator.ErrRequest, validator.ErrForbidden, validator.ErrProof, validator.ErrNonce,
	}
	for _, sentinel := range sentinels {
		if !seen[sentinel] && !slices.Contains(elsewhere, sentinel) {
			t.Errorf("no row is refused for %q", sentinel)
		}
	}
}

// printed is an error, and each that it wraps, in every way that a log might
// have it.
func printed(err error) map[string]string {
	texts := map[string]string{"slog": logged(err)}
	var walk func(string, error)
	walk = func(path string, err error) {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			texts[path+verb] = fmt.Sprintf(verb, err)
		}
		switch e := err.(type) { //nolint:errorlint // every layer by itself
		case interface{ Unwrap() []error }:
			for i, inner := range e.Unwrap() {
				walk(fmt.Sprintf("%s%d.", path, i), inner)
			}
		case interface{ Unwrap() error }:
			walk(path+"0.", e.Unwrap())
		}
	}
	walk("", err)
	if e, ok := err.(*validator.Error); ok { //nolint:errorlint // as Validate returns it
		texts["description"] = e.Description()
		texts["json"] = marshal(e)
	}
	return texts
}

// leak returns what text shows of a token, or of the values in JSON documents;
// empty if nothing.
func leak(text, token string, documents ...string) string {
	const enough = 12 // bytes that no text has by chance
	if strings.Contains(strings.ToLower(text), "canary") {
		return "canary"
	}
	if strings.Contains(strings.ToLower(text), hex.EncodeToString([]byte("canary"))) {
		return "canary in hexadecimal"
	}
	for i := range max(len(text)-enough+1, 0) {
		if part := text[i : i+enough]; strings.Contains(token, part) {
			return part
		}
	}
	for _, part := range parts(token) {
		if decoded, err := base64.RawURLEncoding.DecodeString(part); err == nil {
			documents = append(documents, string(decoded))
		}
	}
	for _, document := range documents {
		var v any
		if json.Unmarshal([]byte(document), &v) != nil {
			continue
		}
		if value := shown(text, v); value != "" {
			return value
		}
	}
	return ""
}

// shown returns a value of v that text holds.
func shown(text string, v any) string {
	switch v := v.(type) {
	case map[string]any:
		for _, member := range v {
			if value := shown(text, member); value != "" {
				return value
			}
		}
	case []any:
		for _, element := range v {
			if value := shown(text, element); value != "" {
				return value
			}
		}
	case string:
		if len(v) >= 6 && strings.Contains(text, v) {
			return v
		}
	case float64:
		if number := fmt.Sprintf("%.0f", v); len(number) >= 6 && strings.Contains(text, number) {
			return number
		}
	}
	return ""
}

// The search above finds what it is for.
func TestSecrets_SearchControl(t *testing.T) {
	t.Parallel()
	token := minted(edits{"typ": "strange+jwt"}, edits{"email": "alice@example.com", "n": 27182818, "list": []any{edits{"x": "inside it"}}})
	for name, text := range map[string]string{
		"the token":     "refused: " + token,
		"its header":    parts(token)[0],
		"its payload":   parts(token)[1],
		"its signature": parts(token)[2],
		"a part of it":  "..." + token[100:120] + "...",
		"a claim":       "subject canary-subject",
		"another":       "wrong: alice@example.com",
		"a number":      "wrong: 27182818",
		"an inner one":  "wrong: inside it",
		"the type":      "type strange+jwt",
		"the kid":       "no key " + kid,
		"hexadecimal":   fmt.Sprintf("%X", "a canary"),
	} {
		if leak(text, token) == "" {
			t.Errorf("%s is not found", name)
		}
	}
	if secret := leak(validator.ErrMalformed.Error(), token); secret != "" {
		t.Errorf("%q is found where it is not", secret)
	}
}
