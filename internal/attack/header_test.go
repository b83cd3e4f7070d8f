package attack_test

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/validator"
)

// headerRows are about what a header demands, points to or brings along: RFC 7515
// section 4.1, RFC 7797, RFC 8725 sections 2.9, 3.6 and 3.10.
func headerRows(m *mint) []row {
	visited := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.tb.Errorf("a URL in a header was visited: %s", r.URL)
		w.Write([]byte(text(edits{"keys": []any{m.stranger.JWK(m.tb)}})))
	}))
	m.tb.Cleanup(visited.Close)
	var rows []row

	// A stranger brings his key along.
	brings := func(name string, header edits, why error) {
		rows = append(rows, attack(name, m.tokenBy(m.stranger, header, edits{"sub": "canary-root"}), why))
	}
	jwk := m.stranger.JWK(m.tb)
	named := m.stranger.JWK(m.tb)
	named["kid"] = "canary-kid"
	chain := []string{base64.StdEncoding.EncodeToString(m.own.Certificate[0])}
	brings("jwk", edits{"jwk": jwk}, validator.ErrSignature)
	brings("jwk with the issuer's kid", edits{"jwk": named}, validator.ErrSignature)
	brings("jwk without kid", edits{"jwk": jwk, "kid": nil}, validator.ErrSignature)
	brings("jwk and a kid of its own", edits{"jwk": jwk, "kid": "canary-stranger"}, validator.ErrKey)
	brings("jwk in a set", edits{"jwks": edits{"keys": []any{jwk}}}, validator.ErrSignature)
	brings("jku", edits{"jku": visited.URL}, validator.ErrSignature)
	brings("jku at the issuer's host", edits{"jku": "https://issuer.example@" + strings.TrimPrefix(visited.URL, "http://")}, validator.ErrSignature)
	brings("jku of a file", edits{"jku": "file:///proc/self/environ"}, validator.ErrSignature)
	brings("x5u", edits{"x5u": visited.URL}, validator.ErrSignature)
	brings("x5c", edits{"x5c": chain}, validator.ErrSignature)
	brings("x5c and x5t", edits{"x5c": chain, "x5t": "canary", "x5t#S256": "canary"}, validator.ErrSignature)
	brings("kid that is a URL", edits{"kid": visited.URL}, validator.ErrKey)
	brings("iss in the header that is a URL", edits{"iss": visited.URL}, validator.ErrSignature)
	brings("everything at once", edits{"jwk": jwk, "jku": visited.URL, "x5u": visited.URL, "x5c": chain}, validator.ErrSignature)
	rows = append(rows, row{ // they are not looked at, rather than believed
		name: "jwk and jku in a good token", brings: bearer(m.tokenWith(edits{"jwk": jwk, "jku": visited.URL}, nil)), want: passes(),
	})

	for name, header := range map[string]edits{
		"an unknown extension":           {"crit": []string{"canary"}, "canary": 1},
		"an extension that is not there": {"crit": []string{"canary"}},
		"alg":                            {"crit": []string{"alg"}},
		"exp":                            {"crit": []string{"exp"}, "exp": m.now.Unix()},
		"b64":                            {"crit": []string{"b64"}, "b64": true},
		"b64 that is false":              {"crit": []string{"b64"}, "b64": false},
		"nothing":                        {"crit": []string{}},
		"an empty name":                  {"crit": []string{""}},
		"null":                           {"crit": null},
		"text":                           {"crit": "exp"},
		"an object":                      {"crit": edits{}},
		"false":                          {"crit": false},
		"itself":                         {"crit": []string{"crit"}},
		"a name twice":                   {"crit": []string{"exp", "exp"}, "exp": 1},
		"a number":                       {"crit": []int{1}},
	} {
		rows = append(rows, m.header("crit: "+name, header, validator.ErrMalformed))
	}
	for name, b64 := range map[string]any{"false": false, "null": null, "text": "false", "zero": 0, "array": []bool{true}} {
		rows = append(rows, m.header("b64: "+name, edits{"b64": b64}, validator.ErrMalformed))
	}
	rows = append(rows, attack("b64: false, and a payload in the clear", m.signEncoded(
		jose.Encode([]byte(`{"b64":false,`+headerText[1:])), strings.ReplaceAll(m.payloadText(nil), ".", "_")), validator.ErrMalformed))
	return append(rows, shapeRows(m)...)
}

// shapeRows are tokens of another shape than three parts of JSON.
func shapeRows(m *mint) []row {
	var deflated bytes.Buffer
	w, err := flate.NewWriter(&deflated, flate.BestCompression)
	if err != nil {
		m.tb.Fatal(err)
	}
	w.Write([]byte(m.payloadText(nil)))
	w.Close()
	var bomb bytes.Buffer
	w.Reset(&bomb)
	w.Write(make([]byte, 4<<20))
	w.Close()

	p := parts(m.good)
	h, c, s := p[0], p[1], p[2]
	jwe := jose.Encode([]byte(`{"alg":"RSA-OAEP","enc":"A256GCM","zip":"DEF","typ":"at+jwt"}`))
	pbes2 := jose.Encode([]byte(`{"alg":"PBES2-HS512+A256KW","enc":"A256GCM","p2c":2147483647,"p2s":"AAAAAAAAAAA"}`))
	bad, opaque := validator.ErrMalformed, validator.ErrInactive // what is no JWT is the issuer's to know
	return []row{
		attack("zip: a payload that is compressed", m.sign(`{"zip":"DEF",`+headerText[1:], deflated.String()), bad),
		attack("zip: a bomb", m.sign(`{"zip":"DEF",`+headerText[1:], bomb.String()), bad),
		attack("cty: a nested JWT", m.sign(`{"cty":"JWT",`+headerText[1:], m.good), bad),
		attack("a nested JWT as a string", m.sign(headerText, text(m.good)), bad),
		attack("JWE of five parts", join(jwe, s, c, c, s), bad),
		attack("JWE by an agreed key", join(jose.Encode([]byte(`{"alg":"dir","enc":"A256GCM"}`)), "", c, c, s), validator.ErrType),
		attack("JWE by a password, two thousand million rounds", join(pbes2, s, c, c, s), validator.ErrType),
		attack("JWE of three parts", join(jwe, c, s), validator.ErrAlgorithm),
		attack("a header of JWE in a JWS", m.sign(`{"enc":"A256GCM",`+strings.Replace(headerText, "ES256", "RSA-OAEP", 1)[1:], m.payloadText(nil)), validator.ErrAlgorithm),
		attack("the signature twice", join(h, c, s, s), bad),
		attack("three parts and a dot", join(h, c, s, ""), bad),
		attack("a dot, and three parts", join("", h, c, s), opaque),
		attack("five good parts", join(h, c, s, c, s), bad),
		attack("one part", c, opaque),
		attack("two parts", join(h, c), opaque),
		attack("the parts turned round", join(s, c, h), opaque),
		attack("payload first", join(c, h, s), bad),
		attack("a detached payload", join(h, "", s), bad),
		attack("no header", join("", c, s), opaque),
		attack("two dots", "..", opaque),
		attack("a thousand parts", strings.Repeat(c[:8]+".", 1000), bad),
		attack("JSON, flattened", text(edits{"protected": h, "payload": c, "signature": s}), opaque),
		attack("JSON, general", text(edits{"payload": c, "signatures": []edits{{"protected": h, "signature": s}, {"protected": h, "signature": s}}}), opaque),
		attack("JSON with an unprotected header", text(edits{"protected": h, "header": edits{"alg": "none"}, "payload": c, "signature": s}), opaque),
		attack("twice", m.good+m.good, bad),
		attack("twice, with a comma", m.good+","+m.good, bad),
		attack("in quotes", `"`+m.good+`"`, opaque),
		attack("with a scheme of its own", "Bearer "+m.good, opaque),
		attack("escaped for a URL", strings.ReplaceAll(m.good, ".", "%2E"), opaque),
		attack("SD-JWT", m.good+"~WyJjYW5hcnkiXQ~", bad),
		attack("with a fragment", m.good+"#canary", bad),
	}
}
