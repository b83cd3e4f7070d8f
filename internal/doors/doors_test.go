// Package doors_test holds every transport to one policy: a table of what a client
// brings, what an operation needs and what comes of it, which is run at each door
// over a real listener.
//
// A row speaks of no transport. Whatever answers says so in the terms of HTTP: its
// status, and the fields that a transport calls by other names.
package doors_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

// doors are all transports. Whoever adds one adds a file with a door, and the
// door here.
var doors = []door{netHTTP, echo4, echo5, grpcUnary, grpcStream}

// A door is a transport, and the guard that stands in it.
type door struct {
	name string
	// open serves the one operation of h until the test ends. It is guarded as h
	// says, calls h.enter, and listens with h.tls on 127.0.0.1.
	open func(tb testing.TB, h *house) entrance
}

// An entrance is the operation as clients see it.
type entrance struct {
	method, url string // what a DPoP proof names (RFC 9449 section 4.2)
	knock       func(tb testing.TB, r request) answer
}

// A request is what a client sends.
type request struct {
	authorization []string // each a value of its own
	proofs        []string // of DPoP, likewise
	certificate   *tls.Certificate
	roots         *x509.CertPool // to know the server by
}

// An answer is what the client is told.
type answer struct {
	status     int      // of HTTP
	challenges []string // WWW-Authenticate
	retryAfter string   // whole seconds; empty if nobody said
	nonce      string   // DPoP-Nonce
}

// A row is one case.
type row struct {
	name   string
	policy func(*validator.Config) // changes it; nil leaves it as newHouse has it
	party  bool                    // the issuer is one of several that the house knows
	needs  validator.Requirement
	brings visit
	before prelude
	want   outcome
}

// A visit is what a client brings. Its proofs are made for the door that it is at.
type visit struct {
	authorization []string
	proofs        []proof
	certificate   *tls.Certificate
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

func TestDoors_OnePolicyOnEveryTransport(t *testing.T) {
	t.Parallel()
	m := newMint(t)
	rows := allRows(m)
	for _, d := range doors {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			for i := range rows {
				t.Run(rows[i].name, func(t *testing.T) {
					t.Parallel()
					visitDoor(t, d, m, &rows[i], false)
				})
			}
		})
	}
}

// A transport that knows operations for whom credentials are optional adds itself
// here as well.
func TestDoors_OptionalCredentials(t *testing.T) {
	t.Parallel()
	m := newMint(t)
	rows := optionalRows(m)
	for _, d := range []door{netHTTP, echo4, echo5} {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			for i := range rows {
				t.Run(rows[i].name, func(t *testing.T) {
					t.Parallel()
					visitDoor(t, d, m, &rows[i], true)
				})
			}
		})
	}
}

func TestRows_EveryReasonToRefuseHasOne(t *testing.T) {
	t.Parallel()
	rows := allRows(newMint(t))
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
	names := map[string]bool{}
	for i := range rows {
		names[rows[i].name] = true
	}
	if len(names) != len(rows) {
		t.Errorf("%d rows have %d names", len(rows), len(names))
	}
}

func allRows(m *mint) []row {
	return slices.Concat(requestRows(m), tokenRows(m), requirementRows(m), outageRows(m), bindingRows(m), proofRows(m))
}

func visitDoor(t *testing.T, d door, m *mint, c *row, optional bool) {
	t.Helper()
	h := newHouse(t, m, c, optional)
	e := d.open(t, h)
	at := operation{method: e.method, url: e.url}
	if c.before == learnNonce {
		at.nonce = e.knock(t, m.request(t, &c.brings, at)).nonce
		if at.nonce == "" {
			t.Fatal("the client was told no nonce")
		}
	}
	r := m.request(t, &c.brings, at)
	if c.before == sameBefore {
		if first := e.knock(t, r); first.status != 200 {
			t.Fatalf("the first time: %+v, logged %v", first, h.reasons)
		}
	}
	h.forget()
	h.check(t, e.knock(t, r), &c.want)
}

// A house is what stands behind a door: an API of one operation.
type house struct {
	authorizer middleware.Authorizer
	needs      validator.Requirement
	optional   bool        // credentials are; there are no needs
	tls        *tls.Config // asks for a client certificate

	mu       sync.Mutex
	subjects []string // of those who were let in
	reasons  []error  // that were logged
}

func newHouse(tb testing.TB, m *mint, c *row, optional bool) *house {
	tb.Helper()
	cfg := m.policy()
	if c.policy != nil {
		c.policy(&cfg)
	}
	v, err := validator.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	var authorizer middleware.Authorizer = v
	if c.party {
		cfg.Issuer = "https://other.example"
		other, err := validator.New(cfg)
		if err != nil {
			tb.Fatal(err)
		}
		issuers, err := validator.NewIssuers(validator.IssuersConfig{Validators: []*validator.Validator{v, other}})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = issuers.Close() })
		authorizer = issuers
	}
	return &house{
		authorizer: authorizer, needs: c.needs, optional: optional,
		tls: &tls.Config{Certificates: []tls.Certificate{m.server}, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS13},
	}
}

// enter is the operation.
func (h *house) enter(ctx context.Context) {
	h.mu.Lock()
	defer h.mu.Unlock()
	who := "nobody"
	if t, ok := validator.TokenFromContext(ctx); ok {
		who = t.Subject()
	}
	h.subjects = append(h.subjects, who)
}

// logger returns what the guard in the door tells its reasons.
func (h *house) logger() *slog.Logger { return slog.New(reasonHandler{h}) }

func (h *house) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.subjects, h.reasons = nil, nil
}

func (h *house) check(tb testing.TB, got answer, want *outcome) {
	tb.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if got.status != want.status {
		tb.Errorf("status %d, want %d", got.status, want.status)
	}
	if !slices.Equal(got.challenges, want.challenges) {
		tb.Errorf("challenges %q\nwant       %q", got.challenges, want.challenges)
	}
	if got.retryAfter != want.retryAfter {
		tb.Errorf("Retry-After %q, want %q", got.retryAfter, want.retryAfter)
	}
	if (got.nonce != "") != (want.nonce != "") {
		tb.Errorf("DPoP-Nonce %q", got.nonce)
	}
	var let []string
	if want.why == nil {
		let = []string{want.subject}
	}
	if !slices.Equal(h.subjects, let) {
		tb.Errorf("the operation was done for %q, want %q", h.subjects, let)
	}
	switch {
	case want.why == nil && len(h.reasons) > 0:
		tb.Errorf("logged %v", h.reasons)
	case want.why != nil && (len(h.reasons) != 1 || !errors.Is(h.reasons[0], want.why)):
		tb.Errorf("logged %v, want once: %v", h.reasons, want.why)
	}
}

// reasonHandler keeps the errors that are logged.
type reasonHandler struct{ *house }

func (reasonHandler) Enabled(context.Context, slog.Level) bool { return true }

func (r reasonHandler) Handle(_ context.Context, record slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	record.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok {
			r.reasons = append(r.reasons, err)
		}
		return true
	})
	return nil
}

func (r reasonHandler) WithAttrs([]slog.Attr) slog.Handler { return r }
func (r reasonHandler) WithGroup(string) slog.Handler      { return r }

// after is the outcome of a refusal that says when to come again.
func (o outcome) after(seconds int) outcome {
	o.retryAfter = strconv.Itoa(seconds)
	return o
}
