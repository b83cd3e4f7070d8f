package attack_test

import (
	"context"
	"errors"
	"time"

	"github.com/countermark/countermark/validator"
)

// requirementRows are about what an operation needs: RFC 6750 section 3.1, RFC
// 9470, and the API's own last word.
func requirementRows(m *mint) []row {
	insufficient := func(scope string) outcome {
		return refused(validator.ErrScope, 403, plain+`, error="insufficient_scope", error_description="insufficient scope", scope="`+scope+`"`)
	}
	stepUp := func(params string) outcome {
		return refused(validator.ErrStepUp, 401, plain+`, error="insufficient_user_authentication", error_description="insufficient user authentication"`+params)
	}
	all := func(scopes ...string) validator.Requirement { return validator.Requirement{Scopes: scopes} }
	one := func(scopes ...string) validator.Requirement { return validator.Requirement{AnyScope: scopes} }
	scoped := func(scope string) visit { return bearer(m.token(edits{"scope": scope})) }

	mfa := validator.Requirement{ACR: []string{"urn:mfa", "urn:hardware"}}
	recent := validator.Requirement{AuthMaxAge: 5 * time.Minute}
	signedIn := func(acr any, ago time.Duration) visit {
		return bearer(m.token(edits{"acr": acr, "auth_time": m.now.Add(-ago).Unix()}))
	}

	fresh := validator.Requirement{Fresh: true}
	active, narrowed := m.token(edits{"jti": "active"}), m.token(edits{"jti": "narrowed", "scope": "a b"})
	m.answer(active, nil)
	m.answer(narrowed, edits{"scope": "b"})

	check := func(err error) func(*validator.Config) {
		return func(c *validator.Config) {
			c.Check = func(context.Context, *validator.Token) error { return err }
		}
	}
	own := func(status int, retry time.Duration) error {
		e := validator.NewError(validator.ErrForbidden, "")
		e.Status, e.RetryAfter = status, retry
		return e
	}
	return []row{
		{name: "every scope", needs: all("a", "b"), brings: scoped("b a c"), want: passes()},
		{name: "every scope but one", needs: all("a", "b"), brings: scoped("a"), want: insufficient("a b")},
		{name: "no scope", needs: all("a"), brings: bearer(m.token(edits{"scope": nil})), want: insufficient("a")},
		{name: "a scope that begins alike", needs: all("orders"), brings: scoped("orders:read"), want: insufficient("orders")},
		{name: "one scope of several", needs: one("a", "b"), brings: scoped("b"), want: passes()},
		{name: "no scope of several", needs: one("a", "b"), brings: scoped("c"), want: insufficient("a")},
		{name: "both kinds of scope", needs: validator.Requirement{Scopes: []string{"a"}, AnyScope: []string{"b", "c"}}, brings: scoped("a c"), want: passes()},
		{name: "one kind of scope of two", needs: validator.Requirement{Scopes: []string{"a"}, AnyScope: []string{"b", "c"}}, brings: scoped("b"), want: insufficient("a b")},
		{name: "opaque, with the scope", needs: all("a"), brings: bearer(m.opaque(edits{"scope": "a"})), want: passes()},
		{name: "opaque, without the scope", needs: all("a"), brings: bearer(m.opaque(nil)), want: insufficient("a")},

		{name: "acr", needs: mfa, brings: signedIn("urn:hardware", 0), want: passes()},
		{name: "another acr", needs: mfa, brings: signedIn("urn:password", 0), want: stepUp(`, acr_values="urn:mfa urn:hardware"`)},
		{name: "no acr", needs: mfa, brings: signedIn(nil, 0), want: stepUp(`, acr_values="urn:mfa urn:hardware"`)},
		{name: "signed in lately", needs: recent, brings: signedIn(nil, time.Minute), want: passes()},
		{name: "signed in long ago", needs: recent, brings: signedIn(nil, time.Hour), want: stepUp(`, max_age="300"`)},
		{name: "signed in nobody knows when", needs: recent, brings: bearer(m.token(nil)), want: stepUp(`, max_age="300"`)},
		{
			name: "acr and age", needs: validator.Requirement{ACR: []string{"urn:mfa"}, AuthMaxAge: time.Minute},
			brings: signedIn("urn:password", time.Hour), want: stepUp(`, acr_values="urn:mfa", max_age="60"`),
		},

		{name: "asked about afresh", needs: fresh, brings: bearer(active), want: passes()},
		{name: "revoked", needs: fresh, brings: bearer(m.token(edits{"jti": "revoked"})), want: invalid(validator.ErrRevoked)},
		{name: "revoked in part", needs: validator.Requirement{Fresh: true, Scopes: []string{"a"}}, brings: bearer(narrowed), want: insufficient("a")},

		{name: "the API agrees", policy: check(nil), brings: bearer(m.token(nil)), want: passes()},
		{name: "the API forbids it", policy: check(errors.New("not on a Sunday")), brings: bearer(m.token(nil)), want: refused(validator.ErrForbidden, 403)},
		{name: "the API revoked it", policy: check(validator.ErrRevoked), brings: bearer(m.token(nil)), want: invalid(validator.ErrRevoked)},
		{name: "the API hides it", policy: check(own(404, 0)), brings: bearer(m.token(nil)), want: refused(validator.ErrForbidden, 404)},
		{name: "the API is of another state", policy: check(own(409, 0)), brings: bearer(m.token(nil)), want: refused(validator.ErrForbidden, 409)},
		{name: "the API has had enough", policy: check(own(429, 0)), brings: bearer(m.token(nil)), want: refused(validator.ErrForbidden, 429)},
		{name: "the API has had enough for now", policy: check(own(429, 6500*time.Millisecond)), brings: bearer(m.token(nil)), want: refused(validator.ErrForbidden, 429).after(7)},
		{name: "the API fails", policy: check(own(500, 0)), brings: bearer(m.token(nil)), want: refused(validator.ErrForbidden, 500)},
	}
}

// outageRows are about not being able to find out. No challenge: a client that
// got one would throw its good token away.
func outageRows(m *mint) []row {
	unavailable := refused(validator.ErrUnavailable, 503)
	keys := func(wait time.Duration) func(*validator.Config) {
		return func(c *validator.Config) { c.Keys = outageError(wait) }
	}
	introspector := func(c *validator.Config) { c.Introspector = outageError(1500 * time.Millisecond) }
	bound := m.token(m.toKey())
	return []row{
		{name: "keys out of reach", policy: keys(7 * time.Second), brings: bearer(m.token(nil)), want: unavailable.after(7)},
		{name: "keys out of reach, nobody knows for how long", policy: keys(0), brings: bearer(m.token(nil)), want: unavailable.after(1)},
		{name: "introspection out of reach", policy: introspector, brings: bearer(m.opaque(nil)), want: unavailable.after(2)},
		{name: "introspection out of reach for a fresh look", policy: introspector, needs: validator.Requirement{Fresh: true}, brings: bearer(m.token(nil)), want: unavailable.after(2)},
		{
			name: "nobody to ask for a fresh look", policy: func(c *validator.Config) { c.Introspector = nil },
			needs: validator.Requirement{Fresh: true}, brings: bearer(m.token(nil)), want: unavailable.after(1),
		},
		{
			name: "replay cache out of reach", policy: func(c *validator.Config) { c.Replay = outageError(3 * time.Second) },
			brings: dpop(bound, m.proof(bound, nil)), want: unavailable.after(3),
		},
		{name: "keys out of reach, but the issuer is wrong", policy: keys(0), brings: bearer(m.token(edits{"iss": "https://evil.example"})), want: invalid(validator.ErrIssuer)},
	}
}
