package attack_test

import (
	"crypto/fips140"
	"crypto/tls"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"testing"

	"github.com/countermark/countermark/validator"
)

// A row is one case.
type row struct {
	name   string
	policy func(*validator.Config) // changes it; nil leaves it as mint.policy has it
	party  bool                    // the issuer is one of several that the house knows
	needs  validator.Requirement
	brings visit
	before prelude
	want   outcome

	control *visit       // what is let in where this is not; nil means a good bearer token
	first   *visit       // what is let in just before
	alone   bool         // nobody is let in there: it is the policy that refuses
	then    func(*house) // what happens after the control was let in
}

// A visit is what a client brings. Its proofs are made for the door that it is at.
type visit struct {
	scheme, token string
	authorization []string // instead of these two: each a value of its own
	proofs        []proof
	certificate   *tls.Certificate
	fields        http.Header // others; of gRPC, metadata
	query, form   string      // of HTTP alone
	bare          bool        // no field of a transport can hold the token: it ends before
}

// A proof makes a DPoP proof.
type proof func(tb testing.TB, at operation) string

// An operation is what a proof is made for.
type operation struct{ method, url, nonce string }

// A prelude is what the client did before.
type prelude int

const (
	nothing    prelude = iota
	sameBefore         // sent the very same request, and was let in
	learnNonce         // was refused, and told a nonce, which its proof now has
)

// An outcome is what must come of a visit.
type outcome struct {
	answer

	subject string // whom the operation was done for; empty for nobody
	why     error  // what the log says; nil if the visitor was let in
}

// passes is the outcome of good credentials.
func passes() outcome { return outcome{answer: answer{status: 200}, subject: subject} }

// refused is the outcome of others.
func refused(why error, status int, challenges ...string) outcome {
	return outcome{why: why, answer: answer{status: status, challenges: challenges}}
}

// after is the outcome of a refusal that says when to come again.
func (o outcome) after(seconds int) outcome {
	o.retryAfter = strconv.Itoa(seconds)
	return o
}

// The catalogue is made once, so that its keys are.
func TestCatalogue(t *testing.T) {
	t.Parallel()
	m := newMint(t)
	var all []group
	fips140.WithoutEnforcement(func() { all = groups(m) }) // what somebody else signs is signed in any way
	t.Run("is whole", func(t *testing.T) {
		t.Parallel()
		checkGroups(t, all)
	})
	t.Run("has a row for every reason to refuse", func(t *testing.T) {
		t.Parallel()
		checkReasons(t, rowsOf(all))
	})
	t.Run("has a row for every advisory", func(t *testing.T) {
		t.Parallel()
		checkAdvisories(t, rowsOf(all))
	})
	t.Run("at the door", func(t *testing.T) {
		t.Parallel()
		for _, d := range doors {
			t.Run(d.name, func(t *testing.T) {
				t.Parallel()
				runAll(t, &street{tb: t, m: m, door: d}, rowsOf(all))
			})
		}
	})
	// A transport that knows operations for whom credentials are optional adds itself
	// here as well.
	optional := optionalRows(m)
	t.Run("at the door of an operation that needs no credentials", func(t *testing.T) {
		t.Parallel()
		for _, d := range []door{netHTTP, echo4, echo5} {
			t.Run(d.name, func(t *testing.T) {
				t.Parallel()
				runAll(t, &street{tb: t, m: m, door: d, optional: true}, optional)
			})
		}
	})
}

// runAll runs one row after another, since they share houses.
func runAll(t *testing.T, s *street, rows []row) {
	t.Helper()
	for i := range rows {
		if s.door.takes(&rows[i].brings) {
			t.Run(rows[i].name, func(t *testing.T) { s.run(t, &rows[i]) })
		}
	}
}

func checkReasons(t *testing.T, rows []row) {
	t.Helper()
	for _, why := range []error{
		validator.ErrNoToken, validator.ErrRequest, validator.ErrMalformed, validator.ErrType, validator.ErrAlgorithm, validator.ErrKey,
		validator.ErrSignature, validator.ErrIssuer, validator.ErrAudience, validator.ErrExpired, validator.ErrNotYetValid,
		validator.ErrInactive, validator.ErrRevoked, validator.ErrBinding, validator.ErrScope, validator.ErrForbidden,
		validator.ErrStepUp, validator.ErrProof, validator.ErrNonce, validator.ErrUnavailable,
	} {
		if !slices.ContainsFunc(rows, func(r row) bool { return errors.Is(r.want.why, why) }) {
			t.Errorf("no row for: %v", why)
		}
	}
}

// checkGroups sees to it that the catalogue does not shrink unseen, that no two rows
// have one name, and that each attack has a control.
func checkGroups(t *testing.T, all []group) {
	t.Helper()
	names := map[string]bool{}
	attacks, direct := 0, 0
	for _, g := range all {
		refusals := 0
		for i := range g.rows {
			r := &g.rows[i]
			if names[r.name] {
				t.Errorf("two rows %q", r.name)
			}
			names[r.name] = true
			if r.want.why == nil {
				continue
			}
			refusals++
			if straight.takes(&r.brings) {
				direct++
			}
			if r.alone && !g.policies {
				t.Errorf("%s: an attack without a control", r.name)
			}
		}
		t.Logf("%-12s %3d rows, %3d refused", g.name, len(g.rows), refusals)
		if !g.policies {
			attacks += refusals
		}
	}
	t.Logf("%d rows; %d attacks; %d refusals reach Validate", len(names), attacks, direct)
	if attacks < 1200 || direct < 1220 {
		t.Errorf("%d attacks, %d refusals at Validate; there were more", attacks, direct)
	}
}

// A group is the rows about one thing.
type group struct {
	name     string
	rows     []row
	policies bool // they hold a policy rather than attack one
}

func groups(m *mint) []group {
	return []group{
		{"requests", policed(requestRows(m)), true},
		{"tokens", policed(tokenRows(m)), true},
		{"requirements", policed(requirementRows(m)), true},
		{"outages", policed(outageRows(m)), true},
		{"bindings", policed(bindingRows(m)), true},
		{"proofs", policed(proofRows(m)), true},

		{"algorithms", algorithmRows(m), false},
		{"signatures", signatureRows(m), false},
		{"remembered", rememberedRows(m), false},
		{"keys", keyRows(m), false},
		{"headers", headerRows(m), false},
		{"JSON", jsonRows(m), false},
		{"base64", base64Rows(m), false},
		{"sizes", sizeRows(m), false},
		{"times", timeRows(m), false},
		{"claims", claimRows(m), false},
		{"substitution", substitutionRows(m), false},
		{"types", typeRows(m), false},
		{"replay", replayRows(m), false},
		{"smuggling", smugglingRows(m), false},
	}
}

func rowsOf(all []group) []row {
	var rows []row
	for _, g := range all {
		rows = append(rows, g.rows...)
	}
	return rows
}
