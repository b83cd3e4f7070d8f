package attack_test

import (
	"regexp"
	"slices"
	"testing"
)

// advisories are the threats of RFC 8725 and what other libraries had to publish,
// each with the rows (a pattern for their names) that would let it in here.
var advisories = map[string]string{
	"RFC 8725 2.1, 3.1: algorithms":               `^alg |^HS\d+.* by `,
	"RFC 8725 2.1, 3.2: appropriate algorithms":   `^RS256: |^alg "RS1"|that is `,
	"RFC 8725 2.2, 3.5: weak keys":                `^HS256 by (an empty secret|the word secret)|^ES256: key is `,
	"RFC 8725 2.3, 3.3: every operation":          `signature`,
	"RFC 8725 2.4, 3.4: cryptographic inputs":     `^ES256: (both|r|s) |^proof: jwk is `,
	"RFC 8725 2.5, 3.6: compression":              `^zip: `,
	"RFC 8725 2.6, 3.7: UTF-8":                    `UTF-16|Latin-1|byte order mark`,
	"RFC 8725 2.7, 3.8: issuer and subject":       `^iss: |^two issuers: `,
	"RFC 8725 2.8, 3.9: audience":                 `^aud: `,
	"RFC 8725 2.9, 3.10: claims are not trusted":  `^kid (a path|SQL|a command|LDAP)|^jku|^x5u|^kid that is a URL`,
	"RFC 8725 2.10, 3.11: explicit typing":        `^typ `,
	"RFC 8725 3.12: rules for each kind of token": `^an? (ID|refresh|logout) token|^a client assertion|^a DPoP proof`,

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

// elsewhere are advisories about what no token shows, and where they are met.
var elsewhere = map[string]string{
	"CVE-2026-33186: the :path of gRPC":            "TestSmuggling_GRPCPaths",
	"GHSA-xr7q-jx4m-x55m: tokens in logs":          "every row: house.check searches the answer and the log",
	"GHSA-rm8v-mxj3-5rmq: a panic while parsing":   "the fuzz targets of validator and internal/strictjson",
	"CVE-2025-64527, CVE-2024-45809: crashes":      "the tests of jwks and introspection",
	"CVE-2026-30246: buffers that are used again":  "validator's tests of what is remembered",
	"GHSA-hrxh-6v49-42gf: an old gRPC":             "the floor in go.mod",
	"CVE-2026-33252, CVE-2026-34742: host, origin": "the tests of authserver",
}

func checkAdvisories(t *testing.T, rows []row) {
	t.Helper()
	for name, pattern := range advisories {
		is := regexp.MustCompile(pattern)
		if !slices.ContainsFunc(rows, func(r row) bool { return r.want.why != nil && is.MatchString(r.name) }) {
			t.Errorf("no row for %s", name)
		}
	}
	t.Logf("%d, and %d that no token shows", len(advisories), len(elsewhere))
}
