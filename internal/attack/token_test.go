package attack_test

import (
	"strings"
	"time"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/validator"
)

// Challenges without more.
const (
	plain      = `Bearer realm="api"`
	request400 = plain + `, error="invalid_request", error_description="malformed request"`
)

// invalid is the refusal of a token.
func invalid(why error) outcome {
	return refused(why, 401, plain+`, error="invalid_token", error_description="`+why.Error()+`"`)
}

// requestRows are about how a token is shown: RFC 6750 section 2.1, and what
// section 3.1 says of requests that show none.
func requestRows(m *mint) []row {
	good := m.token(nil)
	none := refused(validator.ErrNoToken, 401, plain)
	malformed := refused(validator.ErrRequest, 400, request400)
	return []row{
		{name: "good", brings: bearer(good), want: passes()},
		{name: "scheme in lower case", brings: shows("bearer " + good), want: passes()},
		{name: "scheme in upper case", brings: shows("BEARER " + good), want: passes()},
		{name: "scheme in mixed case", brings: shows("bEaReR " + good), want: passes()},
		{name: "three spaces", brings: shows("Bearer   " + good), want: passes()},
		{name: "spaces around", brings: shows("  Bearer " + good + " "), want: passes()},
		{name: "a proof that a bearer token does not need", brings: visit{authorization: []string{"Bearer " + good}, proofs: []proof{m.proof(good, nil)}}, want: passes()},
		{name: "a certificate that a bearer token does not need", brings: bearer(good).with(m.own), want: passes()},

		{name: "no token", want: none},
		{
			name: "no token where scopes are needed", needs: validator.Requirement{Scopes: []string{"a", "b"}},
			want: refused(validator.ErrNoToken, 401, plain+`, scope="a b"`),
		},
		{
			name: "no token where one of several scopes is enough", needs: validator.Requirement{AnyScope: []string{"a", "b"}},
			want: refused(validator.ErrNoToken, 401, plain+`, scope="a"`),
		},
		{name: "an empty value", brings: shows(""), want: none},
		{name: "Basic", brings: shows("Basic dXNlcjpwdw=="), want: none},
		{name: "a scheme that begins like Bearer", brings: shows("BearerX " + good), want: none},
		{name: "the token without a scheme", brings: shows(good), want: none},

		{name: "the scheme without a token", brings: shows("Bearer"), want: malformed},
		{name: "two values", brings: shows("Bearer "+good, "Bearer "+good), want: malformed},
		{name: "two values, one of another scheme", brings: shows("Basic dXNlcjpwdw==", "Bearer "+good), want: malformed},
		{name: "two values, one empty", brings: shows("Bearer "+good, ""), want: malformed},
		{name: "two tokens in one value", brings: shows("Bearer " + good + " " + good), want: malformed},
		{name: "two credentials in one value", brings: shows("Bearer " + good + ", Bearer " + good), want: malformed},
		{name: "a token with white space", brings: shows("Bearer " + good[:20] + " " + good[20:]), want: malformed},
		{name: "a token in quotes", brings: shows(`Bearer "` + good + `"`), want: malformed},
		{name: "an auth-param", brings: shows(`Bearer token="` + good + `"`), want: malformed},
		{name: "a token of padding", brings: shows("Bearer =="), want: malformed},
	}
}

// optionalRows are about an operation that works without credentials too.
func optionalRows(m *mint) []row {
	return []row{
		{name: "no token", want: outcome{answer: answer{status: 200}, subject: "nobody"}},
		{name: "good", brings: bearer(m.token(nil)), want: passes()},
		{name: "expired", brings: bearer(m.token(edits{"exp": 1})), want: invalid(validator.ErrExpired)},
		{name: "malformed", brings: shows("Bearer"), want: refused(validator.ErrRequest, 400, request400)},
		{name: "Basic", brings: shows("Basic dXNlcjpwdw=="), want: refused(validator.ErrNoToken, 401, plain)},
		{name: "bound to a certificate that is not shown", brings: bearer(m.token(m.toCertificate())), want: invalid(validator.ErrBinding)},
	}
}

// tokenRows are about what the token is: RFC 9068 section 4, RFC 7662 section 2.2.
func tokenRows(m *mint) []row {
	good := m.token(nil)
	signed, _, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(good[len(signed)+1:], ".")
	soon, late := m.now.Add(time.Hour).Unix(), m.now.Add(-time.Hour).Unix()
	noIntrospector := func(c *validator.Config) { c.Introspector = nil }
	return []row{
		{name: "one audience of several", brings: bearer(m.token(edits{"aud": []string{"https://other.example", tokentest.Audience}})), want: passes()},
		{name: "expired, within the leeway", brings: bearer(m.token(edits{"exp": m.now.Add(-20 * time.Second).Unix()})), want: passes()},
		{name: "full media type", brings: bearer(m.tokenWith(edits{"typ": "application/AT+JWT"}, nil)), want: passes()},

		{name: "no JWT, and nobody to ask", policy: noIntrospector, brings: bearer("2YotnFZFEjr1zCsicMWpAA"), want: invalid(validator.ErrMalformed)},
		{name: "too long", brings: bearer(strings.Repeat("x", 16<<10+1)), want: invalid(validator.ErrMalformed)},
		{name: "a header that is no JSON", brings: bearer(m.issuer.Sign(m.tb, `{"alg"`, `{}`)), want: invalid(validator.ErrMalformed)},
		{name: "a claim twice", brings: bearer(m.issuer.Sign(m.tb, `{"alg":"ES256","typ":"at+jwt"}`, `{"sub":"a","sub":"b"}`)), want: invalid(validator.ErrMalformed)},
		{name: "crit", brings: bearer(m.tokenWith(edits{"crit": []string{"exp"}}, nil)), want: invalid(validator.ErrMalformed)},
		{name: "without exp", brings: bearer(m.token(edits{"exp": nil})), want: invalid(validator.ErrMalformed)},
		{name: "four parts", brings: bearer(good + ".AAAA"), want: invalid(validator.ErrMalformed)},
		{name: "an ID token", brings: bearer(m.tokenWith(edits{"typ": "JWT"}, nil)), want: invalid(validator.ErrType)},
		{name: "without a type", brings: bearer(m.tokenWith(edits{"typ": nil}, nil)), want: invalid(validator.ErrType)},
		{name: "alg none", brings: bearer(jose.Encode([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + payload + "."), want: invalid(validator.ErrAlgorithm)},
		{name: "alg HS256", brings: bearer(m.tokenWith(edits{"alg": "HS256"}, nil)), want: invalid(validator.ErrAlgorithm)},
		{
			name: "an algorithm that the policy leaves out", policy: func(c *validator.Config) { c.Algorithms = []string{"RS256"} },
			brings: bearer(good), want: invalid(validator.ErrAlgorithm),
		},
		{name: "a kid that the issuer has not", brings: bearer(m.tokenWith(edits{"kid": "key-2"}, nil)), want: invalid(validator.ErrKey)},
		{name: "another key", brings: bearer(m.stranger.Token(m.tb, nil, tokentest.Claims(m.now, nil))), want: invalid(validator.ErrSignature)},
		{name: "another payload", brings: bearer(signed + "." + jose.Encode([]byte(payloadOf(m.token(edits{"sub": "admin"})))) + "." + signature), want: invalid(validator.ErrSignature)},
		{name: "another issuer", brings: bearer(m.token(edits{"iss": "https://evil.example"})), want: invalid(validator.ErrIssuer)},
		{name: "the issuer with a slash", brings: bearer(m.token(edits{"iss": tokentest.Issuer + "/"})), want: invalid(validator.ErrIssuer)},
		{name: "another audience", brings: bearer(m.token(edits{"aud": "https://other.example"})), want: invalid(validator.ErrAudience)},
		{name: "expired", brings: bearer(m.token(edits{"exp": late})), want: invalid(validator.ErrExpired)},
		{name: "not yet valid", brings: bearer(m.token(edits{"nbf": soon})), want: invalid(validator.ErrNotYetValid)},

		{name: "opaque", brings: bearer(m.opaque(nil)), want: passes()},
		{name: "opaque, inactive", brings: bearer("2YotnFZFEjr1zCsicMWpAA"), want: invalid(validator.ErrInactive)},
		{name: "opaque, of another issuer", brings: bearer(m.opaque(edits{"iss": "https://evil.example"})), want: invalid(validator.ErrIssuer)},
		{name: "opaque, for another audience", brings: bearer(m.opaque(edits{"aud": "https://other.example"})), want: invalid(validator.ErrAudience)},
		{name: "opaque, expired", brings: bearer(m.opaque(edits{"exp": late})), want: invalid(validator.ErrExpired)},
	}
}

// payloadOf returns the payload of a JWT.
func payloadOf(token string) string {
	payload, _ := jose.Decode(nil, strings.Split(token, ".")[1])
	return string(payload)
}
