package attack_test

import (
	"strings"

	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/validator"
)

// keyRows are about which key is asked for, and by what name: RFC 7517 section 4.5,
// RFC 8725 sections 3.8 and 3.10.
func keyRows(m *mint) []row {
	var rows []row
	for name, kid := range map[string]string{
		"of nobody":                 "canary-other",
		"a path":                    "../../../../dev/null",
		"a file":                    "file:///etc/passwd",
		"SQL":                       "x' UNION SELECT 'canary'; --",
		"a command":                 "|/bin/true;$(id)`id`",
		"a URL":                     "https://canary.example/jwks",
		"LDAP":                      "*)(uid=*))(|(uid=*",
		"NUL":                       "canary-kid\x00",
		"NUL and more":              "canary-kid\x00.pem",
		"in another case":           "CANARY-KID",
		"with a space":              "canary-kid ",
		"a prefix":                  "canary-ki",
		"with a slash":              "canary-kid/",
		"escaped for a URL":         "canary%2Dkid",
		"with a letter of Cyrillic": "c\u0430nary-kid",
		"with a zero-width space":   "canary-kid\u200b",
		"of two lines":              "canary-kid\r\nX: canary",
		"of 8 KiB":                  strings.Repeat("canary", 1365),
		"a wildcard":                "*",
		"a template":                "{{.Kid}}${jndi:ldap://canary.example}",
		"a prototype":               "__proto__",
		"a number in text":          "0",
	} {
		rows = append(rows, m.header("kid "+name, edits{"kid": kid}, validator.ErrKey))
	}
	for name, kid := range map[string]any{
		"null":        null,
		"number":      0,
		"true":        true,
		"array":       []string{"canary-kid"},
		"empty array": []string{},
		"object":      edits{"canary-kid": 1},
	} {
		rows = append(rows, m.header("kid "+name, edits{"kid": kid}, validator.ErrMalformed))
	}

	// A name of one key with the signature of another.
	by := func(name string, key *tokentest.Key, header edits, why error) {
		rows = append(rows, attack(name, m.tokenBy(key, header, nil), why))
	}
	by("the kid of an RSA key", m.issuer, edits{"kid": m.rsa.ID}, validator.ErrKey)
	by("the kid of a longer curve", m.issuer, edits{"kid": m.p384.ID}, validator.ErrKey)
	by("the kid of an EdDSA key", m.issuer, edits{"kid": m.ed.ID}, validator.ErrKey)
	by("the kid and alg of an EdDSA key", m.issuer, edits{"kid": m.ed.ID, "alg": "EdDSA"}, validator.ErrSignature)
	by("no kid, a stranger's key", m.stranger, edits{"kid": nil}, validator.ErrSignature)
	by("empty kid, a stranger's key", m.stranger, edits{"kid": ""}, validator.ErrSignature)
	by("a stranger's key under his own kid", m.stranger, edits{"kid": "canary-stranger"}, validator.ErrKey)
	by("the client's key", m.client, edits{"kid": "canary-kid"}, validator.ErrSignature)

	// What becomes of a good token when its key does not stay.
	withdrawn := func(name string, keys tokentest.Keys, why error) {
		r := attack(name, m.good, why)
		r.then = func(h *house) { h.setKeys(keys) }
		rows = append(rows, r)
	}
	withdrawn("the key was withdrawn", tokentest.Keys{m.rsa, m.ed}, validator.ErrKey)
	withdrawn("every key was withdrawn", nil, validator.ErrKey)
	withdrawn("the key was replaced under its kid", tokentest.Keys{m.stranger}, validator.ErrSignature)
	withdrawn("the key goes by another kid", tokentest.Keys{{ID: "canary-renamed", Alg: "ES256", Private: m.issuer.Private}}, validator.ErrKey)
	withdrawn("the key is for another algorithm", tokentest.Keys{{ID: m.issuer.ID, Alg: "ES384", Private: m.issuer.Private}}, validator.ErrKey)
	unreachable := row{name: "the keys are out of reach", brings: bearer(m.good), want: refused(validator.ErrUnavailable, 503).after(1)}
	unreachable.then = func(h *house) { h.setKeys(outageError(0)) }
	rows = append(rows, unreachable)
	many := tokentest.Keys{}
	for range 8 { // of which no more are tried (RFC 7515 appendix D)
		many = append(many, m.stranger)
	}
	withdrawn("the key is the ninth of its kid", append(many, m.issuer), validator.ErrSignature)

	second := attack("by the second key of its kid, another payload", join(parts(m.tokenBy(m.stranger, nil, nil))[0],
		parts(m.token(edits{"sub": "canary-root"}))[1], parts(m.tokenBy(m.stranger, nil, nil))[2]), validator.ErrSignature)
	second.policy = func(c *validator.Config) { c.Keys = careless{m.issuer, m.stranger} }
	return append(rows, second)
}
