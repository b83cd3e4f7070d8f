package attack_test

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// advisories are the threats of RFC 8725 and what other libraries had to publish,
// each with the rows (a pattern for their names) that would let it in here.
var advisories = map[string]string{
	"RFC 8725 2.1: weak signatures":                  `^alg none|^HS256 by RSA PEM`,
	"RFC 8725 2.2: weak symmetric keys":              `^HS256 by (an empty secret|the word secret)`,
	"RFC 8725 2.3, 2.4, 2.5: encryption":             `^JWE `,
	"RFC 8725 2.6: several encodings of JSON":        `UTF-16|Latin-1`,
	"RFC 8725 2.7: substitution":                     `^iss: |^aud: `,
	"RFC 8725 2.8: one kind of JWT for another":      `^an? (ID|refresh|logout) token`,
	"RFC 8725 2.9: attacks by way of the server":     `^jku|^kid (a path|SQL|LDAP)`,
	"RFC 8725 3.1: the algorithm is verified":        ` that is |^alg `,
	"RFC 8725 3.2: the algorithm is appropriate":     `^alg "RS1"|a bare SHA-1 digest`,
	"RFC 8725 3.3: every operation is validated":     `under a good signature|^cty: a nested JWT`,
	"RFC 8725 3.4: inputs of the cryptography":       `^ES256: key is |^proof: jwk is off its curve`,
	"RFC 8725 3.5: keys are strong":                  `^RS256 by a key of 1024 bits`,
	"RFC 8725 3.6: nothing is decompressed":          `^zip: `,
	"RFC 8725 3.7: UTF-8":                            `no UTF-8|byte order mark`,
	"RFC 8725 3.8: issuer and subject":               `^iss: |^two issuers: iss of`,
	"RFC 8725 3.9: audience":                         `^aud: `,
	"RFC 8725 3.10: what is received is not trusted": `^kid (a path|SQL|a command|LDAP)|^jku|^x5u`,
	"RFC 8725 3.11: explicit types":                  `^typ `,
	"RFC 8725 3.12: rules that exclude each other":   `^a client assertion|^a DPoP proof|^an introspection answer`,

	"CVE-2015-9235: a public key as secret":                            `^HS256 by RSA PEM`,
	"CVE-2018-0114: the key in the header":                             `^jwk$`,
	"CVE-2022-21449: psychic signatures":                               `zeros \(CVE-2022-21449\)`,
	"CVE-2025-30204, CVE-2025-22868, CVE-2025-27144: dots":             `^dots, `,
	"CVE-2024-51744: one reason, and not that it is expired":           `^expired, and `,
	"CVE-2020-26160: aud of another type":                              `^aud is `,
	"CVE-2024-28180: a bomb":                                           `^zip: a bomb`,
	"CVE-2026-34986, CVE-2024-28122, CVE-2024-21664, CVE-2023-49290":   `^JWE `,
	"CVE-2025-63811, CVE-2023-50658: passwords of many rounds":         `^JWE by a password`,
	"CVE-2025-22149: a key that was withdrawn":                         `^(the|every) key was withdrawn`,
	"CVE-2026-27896: names without regard to case":                     `by case|in another case`,
	"GHSA-q382-vc8q-7jhj: null and Unicode":                            `Kelvin|long s|is null`,
	"hashicorp/cap 191: claims that look alike":                        `^claim twice: .*(case|long s)`,
	"CVE-2026-33729, CVE-2026-48096, GHSA-rp9m-7r4c-75qg: collisions":  `under a good signature|^the signature of another token`,
	"CVE-2026-44428, CVE-2026-55689: audiences shared or not asked":    `^aud among others: `,
	"CVE-2026-58196, CVE-2026-54450: URLs that a token names":          `^jku|^x5u|^iss in the header that is a URL`,
	"CVE-2026-40575, CVE-2025-54576, CVE-2026-41059: forwarded fields": `^the token in X-Forwarded|^another URL, by `,
	"CVE-2026-22748: an issuer that is not compared":                   `^iss: another$`,
	"CVE-2025-59936: keys of another issuer":                           `^two issuers: iss of`,
	"CVE-2026-48526, CVE-2026-45363: a JWK or nothing as secret":       `^HS256 by (RSA JWK|an empty secret)`,
	"CVE-2026-27840: an opaque token cut short":                        `^an opaque token cut short`,
	"CVE-2020-15222: jti again":                                        `^jti again: `,
	"CVE-2026-59276: thumbprints that are nearly right":                `^cnf is jkt |^stolen: `,
}

// elsewhere are advisories about what no token shows: the file in which each is met,
// and a pattern for what is there.
var elsewhere = map[string][2]string{
	"CVE-2026-33186: the :path of gRPC":            {"internal/attack/smuggling_test.go", `func TestSmuggling_GRPCPaths\(`},
	"GHSA-xr7q-jx4m-x55m: tokens in logs":          {"internal/attack/house_test.go", `func leak\(`}, // of every row
	"GHSA-rm8v-mxj3-5rmq: a panic while parsing":   {"validator/fuzz_test.go", `func FuzzValidate_MutatedTokenIsNeverAccepted\(`},
	"CVE-2025-64527, CVE-2024-45809: fetched keys": {"jwks/fuzz_test.go", `func FuzzParseSet\(`},
	"CVE-2026-30246: buffers that are used again":  {"middleware/memory_test.go", `func TestGuard_ARememberedTokenTakesAKiBAndAHalf\(`},
	"GHSA-hrxh-6v49-42gf: an old gRPC":             {"go.mod", `google\.golang\.org/grpc v1\.(8[3-9]|9\d|\d{3,})\.`},
	"CVE-2026-33252, CVE-2026-34742: any host":     {"authserver/cmd/devissuer/main_test.go", `func TestAddr_NothingElse\(`},
}

func checkAdvisories(t *testing.T, rows []row) {
	t.Helper()
	for name, pattern := range advisories {
		is := regexp.MustCompile(pattern)
		if !slices.ContainsFunc(rows, func(r row) bool { return r.want.why != nil && is.MatchString(r.name) }) {
			t.Errorf("no row for %s", name)
		}
	}
	for name, at := range elsewhere {
		file, err := os.ReadFile("../../" + at[0])
		if err != nil || !regexp.MustCompile(at[1]).Match(file) {
			t.Errorf("%s: %q is not in %s any more (%v)", name, at[1], at[0], err)
		}
	}
}
