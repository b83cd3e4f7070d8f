package attack_test

import (
	"strings"

	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/validator"
)

// typeRows are good tokens of an issuer that are for something else than access:
// RFC 8725 sections 2.8, 3.11 and 3.12, RFC 9068 section 5.
func typeRows(m *mint) []row {
	wrong, bad := validator.ErrType, validator.ErrMalformed
	var rows []row
	for _, typ := range []string{
		"JWT", "jwt", "logout+jwt", "refresh+jwt", "rt+jwt", "id+jwt", "dpop+jwt", "secevent+jwt", "token-introspection+jwt", "oauth-authz-req+jwt",
		"client-authentication+jwt", "oauth-client-attestation+jwt", "entity-statement+jwt", "kb+jwt", "dc+sd-jwt", "JWE", "JOSE", "JOSE+JSON",
		"", "at+jwt;v=1", "at+jwt; charset=utf-8", " at+jwt", "at+jwt ", "at+jwt\x00", "at+jwt\r\n", "at+jwt,JWT", "JWT,at+jwt", "at jwt", "at", "+jwt", "at+", "at+jwts",
		"application/", "application/jwt", "application/at+jwt;v=1", "application/application/at+jwt", "application//at+jwt", "/at+jwt", "text/at+jwt",
		"application/x/at+jwt", "*/at+jwt", "appl\u0131cation/at+jwt", "at+\u017fjwt", "a\u0442+jwt", "\uff41t+jwt",
	} {
		rows = append(rows, m.header("typ "+text(typ), edits{"typ": typ}, wrong))
	}
	for name, typ := range map[string]any{"null": null, "number": 1, "array": []string{"at+jwt"}, "object": edits{"at+jwt": 1}, "true": true} {
		rows = append(rows, m.header("typ is "+name, edits{"typ": typ}, bad))
	}

	idToken := edits{"aud": "canary-client", "nonce": "canary", "at_hash": "canary", "client_id": nil, "jti": nil, "scope": nil}
	logout := edits{"events": edits{"http://schemas.openid.net/event/backchannel-logout": edits{}}, "sid": "canary", "client_id": nil}
	assertion := edits{"iss": "canary-client", "sub": "canary-client", "aud": tokentest.Issuer}
	introspected := edits{"token_introspection": edits{"active": true, "sub": subject}, "exp": nil, "sub": nil}
	rows = append(rows,
		attack("an ID token for the client", m.tokenWith(edits{"typ": "JWT"}, idToken), wrong),
		attack("an ID token without typ", m.tokenWith(edits{"typ": nil}, idToken), wrong),
		attack("an ID token that names the API", m.tokenWith(edits{"typ": "JWT"}, edits{"nonce": "canary"}), wrong),
		attack("an ID token that is typed as access token", m.token(idToken), bad),
		attack("a refresh token", m.tokenWith(edits{"typ": "JWT"}, edits{"typ": "Refresh", "token_use": "refresh_token"}), wrong),
		attack("a logout token", m.tokenWith(edits{"typ": "logout+jwt"}, logout), wrong),
		attack("a logout token of the elder kind", m.tokenWith(edits{"typ": nil}, logout), wrong),
		attack("a client assertion", m.tokenBy(m.client, edits{"typ": "JWT", "kid": nil}, assertion), wrong),
		attack("a client assertion that is typed as access token", m.tokenBy(m.client, edits{"kid": nil}, assertion), validator.ErrIssuer),
		attack("an authorization grant", m.tokenWith(edits{"typ": "JWT"}, edits{"aud": tokentest.Issuer + "/token"}), wrong),
		attack("an introspection answer", m.tokenWith(edits{"typ": "token-introspection+jwt"}, introspected), wrong),
		attack("an introspection answer that is typed as access token", m.token(introspected), bad),
		attack("an authorization response", m.tokenWith(edits{"typ": "JWT"}, edits{"code": "canary", "state": "canary", "aud": "canary-client"}), wrong),
		attack("a request object", m.tokenBy(m.client, edits{"typ": "oauth-authz-req+jwt"}, assertion), wrong),
		attack("a DPoP proof", m.client.Proof(m.tb, nil, tokentest.ProofClaims(m.now, "GET", "https://127.0.0.1/orders/7", m.good, nil)), wrong),
		attack("a DPoP proof that is typed as access token", m.client.Proof(m.tb, edits{"typ": "at+jwt"}, m.claims(nil)), validator.ErrSignature),
		m.header("the type as cty", edits{"typ": nil, "cty": "at+jwt"}, wrong),
		m.header("the type as TYP", edits{"typ": nil, "TYP": "at+jwt"}, wrong),
		m.header("the type in the payload's place", edits{"typ": nil, "token_type": "at+jwt"}, wrong),
	)

	// The same at an issuer that is asked (RFC 7662): what its answer says counts.
	for name, answer := range map[string]edits{
		"a refresh token":                      {"token_type": "refresh_token"},
		"a refresh token, as Hydra says it":    {"token_use": "refresh_token"},
		"a refresh token, as Keycloak says it": {"typ": "Refresh"},
		"an ID token, as Keycloak says it":     {"typ": "ID"},
		"a token of no kind":                   {"token_type": "N_A"},
	} {
		rows = append(rows, attack("opaque: the answer is about "+name, m.opaque(answer), wrong))
	}
	rows = append(rows, askedRows(m)...)
	for name, answer := range map[string]edits{
		"text":            {"active": "true"},
		"number":          {"active": 1},
		"missing":         {"active": nil},
		"null":            {"active": null},
		"in another case": {"active": nil, "Active": true},
	} { // what cannot be read is no answer, and nobody is blamed
		rows = append(rows, row{
			name: "opaque: active is " + name, brings: bearer(m.opaque(answer)), want: refused(validator.ErrUnavailable, 503).after(1),
		})
	}
	return append(rows,
		attack("opaque: active is false", m.opaque(edits{"active": false}), validator.ErrInactive),
		attack("opaque: bound to a key that the answer leaves out", m.opaque(edits{"token_type": "DPoP"}), validator.ErrBinding),
		attack("opaque: in base64 of a good token", strings.ReplaceAll(m.good, ".", "-"), validator.ErrInactive),
	)
}

// askedRows are JWTs where nobody has keys, so that the issuer is asked about them:
// it vouches for all that it signed, and would say active.
func askedRows(m *mint) []row {
	m.answer(m.good, nil)
	vouched := func(token string, answer edits) string {
		m.answer(token, answer)
		return token
	}
	typed := func(typ string) string { return vouched(m.tokenWith(edits{"typ": typ}, nil), nil) }
	rows := []row{
		attack("asked about a logout token", typed("logout+jwt"), validator.ErrType),
		attack("asked about a DPoP proof", typed("dpop+jwt"), validator.ErrType),
		attack("asked about an introspection answer", typed("token-introspection+jwt"), validator.ErrType),
		attack("asked about a type with a parameter", typed("at+jwt;v=1"), validator.ErrType),
		attack("asked about a token for another API", vouched(m.token(edits{"jti": "canary-3"}), edits{"aud": "https://canary.example"}), validator.ErrAudience),
		attack("asked about a token of another issuer", vouched(m.token(edits{"jti": "canary-4"}), edits{"iss": otherIssuer}), validator.ErrIssuer),
		{
			name: "asked about a bound token", brings: bearer(vouched(m.token(edits{"jti": "canary-5"}), m.toKey())),
			want: dpopRefused(validator.ErrBinding, "invalid_token"),
		},
		attack("asked about a token that nobody signed", join(parts(m.good)[0], parts(m.good)[1], ""), validator.ErrInactive),
		attack("asked about a token by a stranger", m.tokenBy(m.stranger, nil, nil), validator.ErrInactive),
	}
	for i := range rows {
		rows[i].policy = func(c *validator.Config) { c.Keys = nil }
	}
	return rows
}
