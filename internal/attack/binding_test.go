package attack_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/validator"
)

// dpopRefused is the refusal of what was shown with the scheme DPoP: RFC 9449
// section 7.1.
func dpopRefused(why error, code string) outcome {
	return refused(why, 401, `DPoP realm="api", error="`+code+`", error_description="`+why.Error()+`", algs="`+strings.Join(jose.Algorithms(), " ")+`"`)
}

// bindingRows are about tokens that are worth nothing without a key: RFC 7800, RFC
// 8705 section 3, RFC 9449 section 6.
func bindingRows(m *mint) []row {
	required := func(c *validator.Config) { c.RequireBinding = true }
	algs := `, algs="` + strings.Join(jose.Algorithms(), " ") + `"`
	either := func(why error, status int, params string) outcome {
		return refused(why, status, `Bearer realm="api"`+params, `DPoP realm="api"`+params+algs)
	}
	const notShown = `, error="invalid_token", error_description="bound to a key that was not shown"`
	wrong := invalid(validator.ErrBinding)
	wrongDPoP := dpopRefused(validator.ErrBinding, "invalid_token")

	toKey, toCertificate, unbound := m.token(m.toKey()), m.token(m.toCertificate()), m.token(nil)
	both := edits{}
	maps.Copy(both, m.toKey()["cnf"].(edits))
	maps.Copy(both, m.toCertificate()["cnf"].(edits))
	opaqueToKey, opaqueToCertificate := m.opaque(m.toKey()), m.opaque(m.toCertificate())
	odd := func(cnf any) string { return m.token(edits{"cnf": cnf}) }
	return []row{
		{name: "bound to a certificate", brings: bearer(toCertificate).with(m.own), want: passes()},
		{name: "bound to a certificate, opaque", brings: bearer(opaqueToCertificate).with(m.own), want: passes()},
		{name: "bound to a certificate, none shown", brings: bearer(toCertificate), want: wrong},
		{name: "bound to a certificate, another shown", brings: bearer(toCertificate).with(m.others), want: wrong},
		{name: "bound to a certificate, opaque, none shown", brings: bearer(opaqueToCertificate), want: wrong},
		{name: "bound to a certificate, as DPoP", brings: dpop(toCertificate, m.proof(toCertificate, nil)).with(m.own), want: wrongDPoP},

		{name: "bound to a DPoP key", brings: dpop(toKey, m.proof(toKey, nil)), want: passes()},
		{name: "bound to a DPoP key, opaque", brings: dpop(opaqueToKey, m.proof(opaqueToKey, nil)), want: passes()},
		{name: "bound to a DPoP key, scheme in lower case", brings: visit{authorization: []string{"dpop " + toKey}, proofs: []proof{m.proof(toKey, nil)}}, want: passes()},
		{name: "bound to a DPoP key, as bearer", brings: bearer(toKey), want: wrongDPoP},
		{name: "bound to a DPoP key, as bearer with its proof", brings: visit{authorization: []string{"Bearer " + toKey}, proofs: []proof{m.proof(toKey, nil)}}, want: wrongDPoP},
		{name: "bound to a DPoP key, as bearer with a certificate", brings: bearer(toKey).with(m.own), want: wrongDPoP},
		{name: "bound to a DPoP key, another shown", brings: dpop(toKey, m.proofBy(m.thief, toKey, nil)), want: wrongDPoP},
		{name: "bound to a DPoP key, expired", brings: expiredDPoP(m), want: dpopRefused(validator.ErrExpired, "invalid_token")},
		{name: "not bound, as DPoP", brings: dpop(unbound, m.proof(unbound, nil)), want: wrongDPoP},

		{name: "bound to both", brings: bearer(odd(both)).with(m.own), want: wrong},
		{name: "bound to both, as DPoP", brings: dpop(odd(both), m.proof(odd(both), nil)).with(m.own), want: wrongDPoP},
		{name: "bound in a way unknown", brings: bearer(odd(edits{"kid": "key-1"})).with(m.own), want: wrong},
		{name: "bound to nothing", brings: bearer(odd(edits{})), want: wrong},
		{name: "bound to a malformed thumbprint", brings: bearer(odd(edits{"x5t#S256": "AAAA"})).with(m.own), want: wrong},
		{name: "cnf that is no object", brings: bearer(odd("key-1")), want: wrong},

		{name: "binding required, bearer", policy: required, brings: bearer(unbound), want: either(validator.ErrBinding, 401, notShown)},
		{name: "binding required, no token", policy: required, want: either(validator.ErrNoToken, 401, "")},
		{name: "binding required, Basic", policy: required, brings: shows("Basic dXNlcjpwdw=="), want: either(validator.ErrNoToken, 401, "")},
		{name: "binding required by one of several issuers, no token", policy: required, party: true, want: either(validator.ErrNoToken, 401, "")},
		{name: "binding required by one of several issuers, bearer", policy: required, party: true, brings: bearer(unbound), want: either(validator.ErrBinding, 401, notShown)},
		{name: "binding required by one of several issuers, DPoP", policy: required, party: true, brings: dpop(toKey, m.proof(toKey, nil)), want: passes()},
		{name: "binding required, certificate", policy: required, brings: bearer(toCertificate).with(m.own), want: passes()},
		{name: "binding required, DPoP", policy: required, brings: dpop(toKey, m.proof(toKey, nil)), want: passes()},
		{
			name: "bound to a DPoP key, without the scope", needs: validator.Requirement{Scopes: []string{"a"}}, brings: dpop(toKey, m.proof(toKey, nil)),
			want: refused(validator.ErrScope, 403, `DPoP realm="api", error="insufficient_scope", error_description="insufficient scope", scope="a"`+algs),
		},
	}
}

func expiredDPoP(m *mint) visit {
	claims := m.toKey()
	claims["exp"] = m.now.Add(-time.Hour).Unix()
	token := m.token(claims)
	return dpop(token, m.proof(token, nil))
}

// spaced is p with white space around it.
func spaced(p proof) proof {
	return func(tb testing.TB, at operation) string {
		tb.Helper()
		return " " + p(tb, at) + "  "
	}
}

// byEdDSA is a visit with a key of another kind.
func byEdDSA(m *mint) visit {
	token := m.token(edits{"cnf": edits{"jkt": m.thief.Thumbprint(m.tb)}})
	return dpop(token, m.proofBy(m.thief, token, nil))
}

// proofRows are the checks of a DPoP proof: RFC 9449 section 4.3. Each proof but
// the good ones has one thing wrong.
func proofRows(m *mint) []row {
	token := m.token(m.toKey())
	shown := func(edit func(header, claims edits)) visit { return dpop(token, m.proof(token, edit)) }
	claim := func(name string, value any) visit { return shown(func(_, claims edits) { claims[name] = value }) }
	header := func(name string, value any) visit { return shown(func(header, _ edits) { header[name] = value }) }
	url := func(change func(string) string) visit {
		return shown(func(_, claims edits) { claims["htu"] = change(claims["htu"].(string)) })
	}
	wrong := dpopRefused(validator.ErrProof, "invalid_dpop_proof")
	private := m.client.JWK(m.tb)
	private["d"] = "AAAA"
	forged := m.proofBy(m.stranger, token, func(header, _ edits) { header["jwk"] = m.client.JWK(m.tb) })
	nonces := func(c *validator.Config) { c.NonceKey = []byte(strings.Repeat("k", 32)) }
	askedForNonce := dpopRefused(validator.ErrNonce, "use_dpop_nonce")
	askedForNonce.nonce = "one"
	long := strings.Repeat("x", 9<<10)
	return []row{
		{name: "proof: query and fragment do not count", brings: url(func(u string) string { return u + "?x=1#top" }), want: passes()},
		{name: "proof: scheme in upper case", brings: url(func(u string) string { return strings.Replace(u, "https", "HTTPS", 1) }), want: passes()},
		{name: "proof: a needless escape", brings: url(func(u string) string { return fmt.Sprintf("%s%%%x", u[:len(u)-1], u[len(u)-1]) }), want: passes()},
		{name: "proof: EdDSA", brings: byEdDSA(m), want: passes()},
		{name: "proof: spaces around", brings: dpop(token, spaced(m.proof(token, nil))), want: passes()},

		{name: "proof: none", brings: dpop(token), want: wrong},
		{name: "proof: two", brings: dpop(token, m.proof(token, nil), m.proof(token, nil)), want: wrong},
		{name: "proof: no JWT", brings: dpop(token, noProof("abc")), want: wrong},
		{name: "proof: too long", brings: claim("padding", long), want: wrong},
		{name: "proof: another type", brings: header("typ", "at+jwt"), want: wrong},
		{name: "proof: alg none", brings: header("alg", "none"), want: wrong},
		{name: "proof: alg HS256", brings: header("alg", "HS256"), want: wrong},
		{name: "proof: crit", brings: header("crit", []string{"exp"}), want: wrong},
		{name: "proof: no key", brings: header("jwk", nil), want: wrong},
		{name: "proof: a private key", brings: header("jwk", private), want: wrong},
		{name: "proof: signed with another key", brings: dpop(token, forged), want: wrong},
		{name: "proof: another method", brings: claim("htm", "PATCH"), want: wrong},
		{name: "proof: another path", brings: url(func(u string) string { return u + "0" }), want: wrong},
		{name: "proof: another host", brings: url(func(u string) string { return strings.Replace(u, "127.0.0.1", "localhost", 1) }), want: wrong},
		{name: "proof: another scheme", brings: url(func(u string) string { return strings.Replace(u, "https", "http", 1) }), want: wrong},
		{name: "proof: no URL", brings: claim("htu", "/orders"), want: wrong},
		{name: "proof: another token", brings: dpop(token, m.proof(m.token(nil), nil)), want: wrong},
		{name: "proof: no ath", brings: claim("ath", nil), want: wrong},
		{name: "proof: no jti", brings: claim("jti", nil), want: wrong},
		{name: "proof: too old", brings: claim("iat", m.now.Add(-5*time.Minute).Unix()), want: wrong},
		{name: "proof: of the future", brings: claim("iat", m.now.Add(5*time.Minute).Unix()), want: wrong},
		{name: "proof: expired by its own word", brings: claim("exp", m.now.Add(-time.Hour).Unix()), want: wrong},
		{name: "proof: not yet valid by its own word", brings: claim("nbf", m.now.Add(time.Hour).Unix()), want: wrong},
		{name: "proof: replayed", brings: shown(nil), before: sameBefore, want: wrong},

		{name: "nonce: asked for", policy: nonces, brings: shown(nil), want: askedForNonce},
		{name: "nonce: somebody else's", policy: nonces, brings: claim("nonce", "eyJ7S_zG.eyJH0-Z.HX4w-7v"), want: askedForNonce},
		{name: "nonce: ours", policy: nonces, brings: shown(nil), before: learnNonce, want: passes()},
		{name: "nonce: ours, by a wrong clock", policy: nonces, brings: claim("iat", 1), before: learnNonce, want: passes()},
	}
}
