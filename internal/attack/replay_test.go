package attack_test

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/validator"
)

// replayRows are tokens and proofs of somebody else, or of before: RFC 9449 sections
// 4.3 and 11, RFC 8705 section 3, CVE-2020-15222. In each, the rightful client was
// let in just before.
func replayRows(m *mint) []row {
	token, other := m.token(m.toKey()), m.token(edits{"cnf": m.toKey()["cnf"], "jti": "canary-2"})
	byThief := m.token(edits{"cnf": edits{"jkt": m.thief.Thumbprint(m.tb)}})
	toCertificate := m.token(m.toCertificate())
	good := dpop(token, m.proof(token, nil))
	wrong, unbound := dpopRefused(validator.ErrProof, "invalid_dpop_proof"), dpopRefused(validator.ErrBinding, "invalid_token")
	var rows []row
	shown := func(name string, v visit, want outcome) {
		rows = append(rows, row{name: name, control: &good, brings: v, want: want})
	}

	// Remembered tokens.
	shown("stolen: a DPoP token as bearer", bearer(token), unbound)
	shown("stolen: a DPoP token without a proof", dpop(token), wrong)
	shown("stolen: a DPoP token with a proof by the thief", dpop(token, m.proofBy(m.thief, token, nil)), unbound)
	shown("stolen: a DPoP token with a proof for another token", dpop(token, m.proof(other, nil)), wrong)
	shown("stolen: a DPoP token with the thief's proof for his own", dpop(token, m.proofBy(m.thief, byThief, nil)), unbound)
	shown("stolen: the client's proof with the thief's token", dpop(byThief, m.proof(byThief, nil)), unbound)
	shown("stolen: a DPoP token, with the client's key in the thief's proof", dpop(token, m.proofBy(m.thief, token, func(header, _ edits) {
		header["jwk"] = m.client.JWK(m.tb)
	})), wrong)
	shown("stolen: a DPoP token, its cnf taken out", dpop(join(parts(token)[0], parts(m.good)[1], parts(token)[2])), dpopRefused(validator.ErrSignature, "invalid_token"))
	shown("stolen: the token as its own proof", dpop(token, noProof(token)), wrong)
	withCertificate := bearer(toCertificate).with(m.own)
	for name, v := range map[string]visit{
		"without the certificate": bearer(toCertificate), "with the thief's": bearer(toCertificate).with(m.others),
	} {
		rows = append(rows, row{name: "stolen: a certificate's token " + name, control: &withCertificate, brings: v, want: invalid(validator.ErrBinding)})
	}
	fields := bearer(toCertificate)
	der := hex.EncodeToString(m.own.Certificate[0])
	fields.fields = map[string][]string{"X-Forwarded-Client-Cert": {"Cert=" + der}, "X-Ssl-Client-Cert": {der}, "Client-Cert": {":" + der + ":"}}
	rows = append(rows, row{name: "stolen: a certificate's token, and the certificate in a header", control: &withCertificate, brings: fields, want: invalid(validator.ErrBinding)})

	// Proofs that were used. The first is the very same jti, in all of them.
	jti := func(_, claims edits) { claims["jti"] = "canary-once" }
	first := dpop(token, m.proof(token, jti))
	again := func(name string, v visit, want outcome) {
		rows = append(rows, row{name: "jti again: " + name, control: &good, first: &first, brings: v, want: want})
	}
	again("in a new proof", dpop(token, m.proof(token, jti)), wrong)
	again("of another second", dpop(token, m.proof(token, func(h, c edits) { jti(h, c); c["iat"] = m.now.Unix() + 1 })), wrong)
	again("with another token", dpop(other, m.proof(other, jti)), wrong)
	again("escaped", dpop(token, m.rawProof(token, `"jti":"\u0063anary-once"`)), wrong)
	// Its key may sign as many proofs as it likes: a thief cannot change one.
	again("in a proof for the URL written otherwise", dpop(token, m.proof(token, func(h, c edits) { jti(h, c); c["htu"] = c["htu"].(string) + "?x" })), passes())
	again("by another client", dpop(byThief, m.proofBy(m.thief, byThief, jti)), passes())

	// Proofs for something else.
	claim := func(name string, change func(claims edits)) {
		shown("proof: "+name, dpop(token, m.proof(token, func(_, claims edits) { change(claims) })), wrong)
	}
	set := func(name string, values map[string]any) {
		for what, value := range values {
			claim(name+" is "+what, func(claims edits) { claims[name] = value })
		}
	}
	sum := sha256.Sum256([]byte(token))
	set("ath", map[string]any{
		"hexadecimal":     hex.EncodeToString(sum[:]),
		"padded":          jose.Encode(sum[:]) + "=",
		"cut":             jose.Encode(sum[:16]),
		"empty":           "",
		"null":            null,
		"the token":       token,
		"an array":        []string{jose.Encode(sum[:])},
		"with stray bits": strayed(jose.Encode(sum[:])),
	})
	set("jti", map[string]any{"empty": "", "null": null, "number": 1, "array": []string{"canary"}, "object": edits{}})
	set("iat", map[string]any{
		"missing":                   nil,
		"null":                      null,
		"text":                      text(m.now.Unix()),
		"negative":                  -1,
		"zero":                      0,
		"1e400":                     raw("1e400"),
		"array":                     []int64{m.now.Unix()},
		"too old by a second":       m.now.Add(-91 * time.Second).Unix(),
		"too far ahead by a second": m.now.Add(31 * time.Second).Unix(),
	})
	set("htm", map[string]any{"missing": nil, "empty": "", "null": null, "array": []string{"GET", "POST"}, "another": "DELETE", "any": "*"})
	claim("htm is in lower case", func(claims edits) { claims["htm"] = strings.ToLower(claims["htm"].(string)) })
	claim("htm has a space", func(claims edits) { claims["htm"] = claims["htm"].(string) + " " })
	set("htu", map[string]any{"missing": nil, "empty": "", "null": null, "any": "*", "a path": "/orders/7", "another": "https://canary.example/orders/7", "array": []string{"https://127.0.0.1/orders/7"}})
	for name, change := range map[string]func(string) string{
		"with a slash": func(u string) string { return u + "/" },
		"with a segment before": func(u string) string {
			return u[:strings.LastIndexByte(u, '/')] + "/.." + u[strings.LastIndexByte(u, '/'):]
		},
		"with a user":                  func(u string) string { return strings.Replace(u, "://", "://canary@", 1) },
		"with a host before":           func(u string) string { return strings.Replace(u, "://", "://canary.example\\@", 1) },
		"in upper case":                strings.ToUpper,
		"with a slash that is escaped": func(u string) string { i := strings.LastIndexByte(u, '/'); return u[:i] + "%2F" + u[i+1:] },
		"cut":                          func(u string) string { return u[:len(u)-1] },
		"with a space":                 func(u string) string { return u + " " },
		"with NUL":                     func(u string) string { return u + "\x00" },
		"without a host":               func(u string) string { return "https://" + u[strings.LastIndexByte(u, '/'):] },
		"with a semicolon":             func(u string) string { return u + ";x=1" },
	} {
		claim("htu is "+name, func(claims edits) { claims["htu"] = change(claims["htu"].(string)) })
	}
	return append(rows, proofHeaderRows(m, token, &good)...)
}

// proofHeaderRows are proofs that say something else of themselves.
func proofHeaderRows(m *mint, token string, good *visit) []row {
	wrong, unbound := dpopRefused(validator.ErrProof, "invalid_dpop_proof"), dpopRefused(validator.ErrBinding, "invalid_token")
	jwk := func(change func(edits)) any {
		key := m.client.JWK(m.tb)
		change(key)
		return key
	}
	var rows []row
	for name, header := range map[string]edits{
		"typ is JWT":                    {"typ": "JWT"},
		"typ is missing":                {"typ": nil},
		"typ has a parameter":           {"typ": "dpop+jwt;v=1"},
		"typ is an array":               {"typ": []string{"dpop+jwt"}},
		"alg is None":                   {"alg": "None"},
		"alg is empty":                  {"alg": ""},
		"alg is missing":                {"alg": nil},
		"alg is of another curve":       {"alg": "ES384"},
		"alg is RS256":                  {"alg": "RS256"},
		"b64 is false":                  {"b64": false},
		"jwk is a text":                 {"jwk": "canary"},
		"jwk is null":                   {"jwk": null},
		"jwk is empty":                  {"jwk": edits{}},
		"jwk is an array":               {"jwk": []any{jwk(func(edits) {})}},
		"jwk is symmetric":              {"jwk": edits{"kty": "oct", "k": "Y2FuYXJ5"}, "alg": "HS256"},
		"jwk has a symmetric part":      {"jwk": jwk(func(k edits) { k["k"] = "Y2FuYXJ5" })},
		"jwk is private":                {"jwk": jwk(func(k edits) { k["d"] = "Y2FuYXJ5" })},
		"jwk is of another curve":       {"jwk": jwk(func(k edits) { k["crv"] = "P-384" })},
		"jwk is of secp256k1":           {"jwk": jwk(func(k edits) { k["crv"] = "secp256k1" })},
		"jwk is off its curve":          {"jwk": jwk(func(k edits) { k["y"] = k["x"] })},
		"jwk is padded":                 {"jwk": jwk(func(k edits) { k["x"] = k["x"].(string) + "=" })},
		"jwk has its kty in lower case": {"jwk": jwk(func(k edits) { k["kty"] = "ec" })},
		"jwk has KTY":                   {"jwk": jwk(func(k edits) { k["KTY"] = "EC" })},
		"jwk is behind a URL":           {"jwk": nil, "jku": "https://canary.example/jwks"},
		"jwk is a kid":                  {"jwk": nil, "kid": "canary-kid"},
	} {
		rows = append(rows, row{
			name: "proof: " + name, control: good, want: wrong,
			brings: dpop(token, m.proof(token, func(h, _ edits) { maps.Copy(h, header) })),
		})
	}
	for name, change := range map[string]func(string) string{
		"unsigned":     func(p string) string { return p[:strings.LastIndexByte(p, '.')+1] },
		"four parts":   func(p string) string { return p + ".AAAA" },
		"padded":       func(p string) string { return p + "=" },
		"of zeros":     func(p string) string { return p[:strings.LastIndexByte(p, '.')+1] + strings.Repeat("A", 86) },
		"with a comma": func(p string) string { return p + "," + p },
		"of 9 KiB":     func(string) string { return strings.Repeat("A", 9<<10) },
		"in two lines": func(p string) string { return p[:20] + " " + p[20:] },
		"of dots":      func(string) string { return strings.Repeat(".", 8<<10) },
	} {
		rows = append(rows, row{name: "proof: " + name, control: good, want: wrong, brings: dpop(token, func(tb testing.TB, at operation) string {
			tb.Helper()
			return change(m.proof(token, nil)(tb, at))
		})})
	}
	return append(rows,
		row{name: "proof: by the issuer", control: good, brings: dpop(token, m.proofBy(m.issuer, token, nil)), want: unbound},
		row{name: "proof: a claim twice", control: good, brings: dpop(token, m.rawProof(token, `"jti":"canary-1","jti":"canary-2"`)), want: wrong},
		row{name: "proof: a claim twice, by case", control: good, brings: dpop(token, m.rawProof(token, `"jti":"canary-1","JTI":"canary-2"`)), want: wrong},
	)
}

// rawProof is a good proof but for its jti, which is written as it stands.
func (m *mint) rawProof(token, jti string) proof {
	return func(tb testing.TB, at operation) string {
		tb.Helper()
		claims := tokentest.ProofClaims(m.now, at.method, at.url, token, edits{"jti": nil})
		header := edits{"alg": "ES256", "typ": "dpop+jwt", "jwk": m.client.JWK(tb)}
		return m.client.Sign(tb, text(header), "{"+jti+","+text(claims)[1:])
	}
}
