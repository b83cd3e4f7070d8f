package attack_test

import (
	"strings"

	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/validator"
)

// substitutionRows are good tokens of another issuer or for another API: RFC 8725
// sections 2.7, 3.8 and 3.9, RFC 9068 section 5.
func substitutionRows(m *mint) []row {
	var rows []row
	for name, other := range tokentest.LookAlikes(tokentest.Issuer) {
		rows = append(rows, m.claim("iss: "+name, edits{"iss": other}, validator.ErrIssuer))
	}
	for name, other := range tokentest.LookAlikes(tokentest.Audience) {
		rows = append(rows, m.claim("aud: "+name, edits{"aud": other}, validator.ErrAudience),
			m.claim("aud among others: "+name, edits{"aud": []string{"https://canary.example", other}}, validator.ErrAudience))
	}
	rows = append(rows,
		m.claim("aud is the issuer", edits{"aud": tokentest.Issuer}, validator.ErrAudience),
		m.claim("aud is the client", edits{"aud": "canary-client"}, validator.ErrAudience),
		m.claim("the API's name as azp and resource", edits{"aud": "https://canary.example", "azp": tokentest.Audience, "resource": tokentest.Audience}, validator.ErrAudience),
		m.claim("iss is the API", edits{"iss": tokentest.Audience}, validator.ErrIssuer),
		attack("a stranger's, with his iss", m.tokenBy(m.stranger, nil, edits{"iss": "https://canary.example"}), validator.ErrIssuer),
		attack("a stranger's, with alg none", m.tokenBy(m.stranger, edits{"alg": "none"}, edits{"iss": "https://canary.example"}), validator.ErrIssuer),
		attack("opaque, of another issuer's answer", m.opaque(edits{"iss": tokentest.Issuer + "/"}), validator.ErrIssuer),
		attack("opaque, for a prefix of the audience", m.opaque(edits{"aud": tokentest.Audience[:len(tokentest.Audience)-1]}), validator.ErrAudience),
		attack("an opaque token cut short", m.opaque(nil)[:20], validator.ErrInactive),
		attack("an opaque token with more", m.opaque(nil)+"A", validator.ErrInactive),
		attack("an opaque token in lower case", strings.ToLower(m.opaque(nil)), validator.ErrInactive),
	)

	// Two issuers, one API: whoever may speak for one may not for the other.
	theirs := edits{"iss": otherIssuer}
	mixed := []row{
		{name: "two issuers: one", brings: bearer(m.good), want: passes()},
		{name: "two issuers: the other", brings: bearer(m.tokenBy(m.neighbour, nil, theirs)), want: passes()},
		attack("two issuers: iss of one, key of the other", m.tokenBy(m.neighbour, nil, nil), validator.ErrSignature),
		attack("two issuers: iss of the other, key of one", m.token(theirs), validator.ErrSignature),
		attack("two issuers: iss of the other, another key of one", m.tokenBy(m.ed, nil, theirs), validator.ErrKey),
		attack("two issuers: a third", m.token(edits{"iss": "https://canary.example"}), validator.ErrIssuer),
		attack("two issuers: both in one text", m.token(edits{"iss": tokentest.Issuer + " " + otherIssuer}), validator.ErrIssuer),
		attack("two issuers: both in an array", m.token(edits{"iss": []string{tokentest.Issuer, otherIssuer}}), validator.ErrMalformed),
		attack("two issuers: both, by a long s", m.sign(headerText, "{\"i\u017fs\":\""+otherIssuer+"\","+m.payloadText(nil)[1:]), validator.ErrMalformed),
		attack("two issuers: both, one after the other", m.sign(headerText, `{"iss":"`+otherIssuer+`",`+m.payloadText(nil)[1:]), validator.ErrMalformed),
		attack("two issuers: one in the header, the other in the payload", m.tokenBy(m.neighbour, edits{"iss": otherIssuer}, nil), validator.ErrSignature),
		attack("two issuers: a good token's signature under the other's payload", join(parts(m.good)[0], parts(m.token(theirs))[1], parts(m.good)[2]), validator.ErrSignature),
		attack("two issuers: with a slash", m.tokenBy(m.neighbour, nil, edits{"iss": otherIssuer + "/"}), validator.ErrIssuer),
		attack("two issuers: no iss", m.token(edits{"iss": nil}), validator.ErrMalformed),
	}
	for i := range mixed {
		mixed[i].party = true
	}
	return append(rows, mixed...)
}
