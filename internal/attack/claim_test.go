package attack_test

import (
	"strings"

	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/validator"
)

// claimRows are registered claims of every type but their own, and claims that are
// missing: RFC 7519 section 4.1, RFC 9068 section 2.2, RFC 7800 section 3.1
// (CVE-2020-26160, CVE-2026-27896, GHSA-q382-vc8q-7jhj). Those of the dates are with
// the dates.
func claimRows(m *mint) []row {
	types := map[string]any{
		"null":            null,
		"true":            true,
		"number":          1,
		"fraction":        0.5,
		"array of arrays": [][]string{{tokentest.Audience}},
		"array of null":   []any{nil},
		"object":          edits{tokentest.Audience: true},
		"empty object":    edits{},
	}
	var rows []row
	for _, name := range []string{"iss", "sub", "aud", "client_id", "jti", "acr", "scope", "scp"} {
		for what, value := range types {
			rows = append(rows, m.claim(name+" is "+what, edits{name: value}, validator.ErrMalformed))
		}
		if name != "aud" && name != "scope" && name != "scp" {
			rows = append(rows, m.claim(name+" is an array", edits{name: []string{m.claims(edits{"acr": "a"})[name].(string)}}, validator.ErrMalformed))
		}
	}
	for _, name := range []string{"iss", "sub", "aud", "exp", "iat", "client_id", "jti"} {
		rows = append(rows, m.claim(name+" is missing", edits{name: nil}, validator.ErrMalformed),
			m.claim(name+" is called "+strings.ToUpper(name), edits{name: nil, strings.ToUpper(name): m.claims(nil)[name]}, validator.ErrMalformed))
	}
	for _, name := range []string{"sub", "client_id", "jti"} {
		rows = append(rows, m.claim(name+" is empty", edits{name: ""}, validator.ErrMalformed))
	}
	for name, value := range map[string]any{
		"empty":               "",
		"an empty array":      []string{},
		"an array of nothing": []string{""},
		"several in one text": tokentest.Audience + " https://other.example",
		"with a comma":        tokentest.Audience + ",https://other.example",
		"an array in a text":  `["` + tokentest.Audience + `"]`,
	} {
		rows = append(rows, m.claim("aud is "+name, edits{"aud": value}, validator.ErrAudience))
	}
	for name, value := range map[string]any{
		"and a number":     []any{tokentest.Audience, 1},
		"and null":         []any{tokentest.Audience, nil},
		"and an array":     []any{tokentest.Audience, []string{}},
		"and false before": []any{false, tokentest.Audience},
	} {
		rows = append(rows, m.claim("aud is good "+name, edits{"aud": value}, validator.ErrMalformed))
	}

	// A cnf that cannot be confirmed is not the same as none.
	jkt := m.client.Thumbprint(m.tb)
	for name, cnf := range map[string]any{
		"null":                       null,
		"text":                       jkt,
		"number":                     1,
		"false":                      false,
		"array":                      []any{},
		"array of it":                []any{edits{"jkt": jkt}},
		"empty":                      edits{},
		"jwk":                        edits{"jwk": m.client.JWK(m.tb)},
		"jwe":                        edits{"jwe": "canary"},
		"kid":                        edits{"kid": "canary"},
		"jku":                        edits{"jku": "https://canary.example"},
		"x5t, by SHA-1":              edits{"x5t": jkt},
		"JKT":                        edits{"JKT": jkt},
		"jkt and another":            edits{"jkt": jkt, "kid": "canary"},
		"jkt and x5t#S256":           edits{"jkt": jkt, "x5t#S256": jkt},
		"jkt null":                   edits{"jkt": null},
		"jkt empty":                  edits{"jkt": ""},
		"jkt array":                  edits{"jkt": []string{jkt}},
		"jkt padded":                 edits{"jkt": jkt + "="},
		"jkt cut":                    edits{"jkt": jkt[:42]},
		"jkt and a character":        edits{"jkt": jkt + "A"},
		"jkt with stray bits":        edits{"jkt": strayed(jkt)},
		"within itself":              edits{"cnf": edits{"jkt": jkt}},
		"x5t#S256 of a shorter hash": edits{"x5t#S256": jkt[:27]},
	} {
		rows = append(rows, m.claim("cnf is "+name, edits{"cnf": cnf}, validator.ErrBinding))
	}

	// An answer that cannot be read is none, and nobody is blamed; a cnf in it that
	// cannot be confirmed is as bad as in a JWT.
	for name, answer := range map[string]edits{
		"exp is text":       {"exp": text(m.now.Unix() + 60)},
		"exp is null":       {"exp": null},
		"nbf is an object":  {"nbf": edits{}},
		"aud is a number":   {"aud": 1},
		"aud is null":       {"aud": null},
		"iss is an array":   {"iss": []string{tokentest.Issuer}},
		"iss is null":       {"iss": null},
		"scope is a number": {"scope": 1},
	} {
		rows = append(rows, row{name: "opaque: " + name, brings: bearer(m.opaque(answer)), want: refused(validator.ErrUnavailable, 503).after(1)})
	}
	for name, cnf := range map[string]any{"null": null, "empty": edits{}, "text": jkt, "another": edits{"kid": "canary"}} {
		rows = append(rows, attack("opaque: cnf is "+name, m.opaque(edits{"cnf": cnf}), validator.ErrBinding))
	}
	return rows
}
