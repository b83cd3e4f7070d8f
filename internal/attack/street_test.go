package attack_test

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/countermark/countermark/validator"
)

// doors are all transports, and the validator without one. Whoever adds a
// transport adds a file with a door, and the door here.
var doors = []door{straight, netHTTP, netHTTP2, echo4, echo5, grpcUnary, grpcStream}

// A door is a transport, and the guard that stands in it.
type door struct {
	name string
	kind doorKind
	// open serves the one operation of h until the test ends. It is guarded as h
	// says, calls h.enter, and listens with h.tls on 127.0.0.1.
	open func(tb testing.TB, h *house) entrance
}

type doorKind int

const (
	noDoor doorKind = iota
	httpKind
	grpcKind
)

// An entrance is the operation as clients see it.
type entrance struct {
	method, url string // what a DPoP proof names (RFC 9449 section 4.2)
	knock       func(tb testing.TB, r *request) answer
}

// takes reports whether a client can bring v there.
func (d *door) takes(v *visit) bool {
	switch {
	case v.bare:
		return d.kind == noDoor
	case d.kind == noDoor: // knows of one token, and nothing around it
		return v.token != "" && len(v.fields) == 0 && v.query == "" && v.form == ""
	case d.kind == grpcKind:
		return v.query == "" && v.form == ""
	default:
		return true
	}
}

// token68 is RFC 9110 section 11.2.
var token68 = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

// sendable reports whether a field of HTTP may hold all values (RFC 9110 section
// 5.5), or one of gRPC.
func (k doorKind) sendable(values ...string) bool {
	return !slices.ContainsFunc(values, func(value string) bool {
		return strings.ContainsFunc(value, func(r rune) bool {
			return r < ' ' && (r != '\t' || k == grpcKind) || r == 0x7f || r > 0x7f && k == grpcKind
		})
	})
}

// wants is what must come of r at d: a token that no field can hold, or that is
// not in the grammar of one, is refused before anybody looks at it.
func (d *door) wants(r *row) *outcome {
	if d.kind == noDoor || r.brings.token == "" || token68.MatchString(r.brings.token) {
		return &r.want
	}
	if !httpKind.sendable(r.brings.token) {
		return &outcome{answer: answer{status: 400}}
	}
	malformed := refused(validator.ErrRequest, 400, request400)
	return &malformed
}

// A street is the houses behind one kind of door, one for each thing that an
// operation may need.
type street struct {
	tb       testing.TB
	m        *mint
	door     door
	optional bool
	houses   map[string]*house
}

func (s *street) house(needs validator.Requirement) *house {
	key := fmt.Sprintf("%+v", needs)
	h := s.houses[key]
	if h == nil {
		h = newHouse(s.m, needs, s.optional)
		h.entrance = s.door.open(s.tb, h)
		if s.houses == nil {
			s.houses = map[string]*house{}
		}
		s.houses[key] = h
	}
	return h
}

// run does r twice: as the first thing that happens in a house, and after somebody
// was let in, whom the validator remembers. That what was refused is refused again,
// and that nobody else is the worse for it, is seen then too.
func (s *street) run(t *testing.T, r *row) {
	t.Helper()
	h := s.house(r.needs)
	want := s.door.wants(r)
	h.receive(t, r)
	s.visit(t, h, r, want, 1)
	if t.Failed() {
		return
	}
	h.receive(t, r)
	control := r.control
	if control == nil {
		good := bearer(s.m.good)
		control = &good
	}
	ok := passes()
	if !r.alone {
		h.visited(t, control, operation{method: h.method, url: h.url}, &ok)
	}
	s.visit(t, h, r, want, 2)
	if !r.alone && r.then == nil {
		h.visited(t, control, operation{method: h.method, url: h.url}, &ok)
	}
	if t.Failed() {
		t.Log("this was not the first visit")
	}
}

// visit is what r is about, several times if it is refused.
func (s *street) visit(t *testing.T, h *house, r *row, want *outcome, times int) {
	t.Helper()
	if r.then != nil {
		r.then(h)
	}
	at := operation{method: h.method, url: h.url}
	if r.first != nil {
		ok := passes()
		h.visited(t, r.first, at, &ok)
	}
	if r.before == learnNonce {
		at.nonce = h.knock(t, s.m.request(t, &r.brings, at)).nonce
		if at.nonce == "" {
			t.Fatal("the client was told no nonce")
		}
	}
	req := s.m.request(t, &r.brings, at)
	if r.before == sameBefore {
		ok := passes()
		h.forget()
		h.check(t, h.knock(t, req), req, &ok)
	}
	if want.status == 200 { // a proof is good once
		times = 1
	}
	for range times {
		h.forget()
		h.check(t, h.knock(t, req), req, want)
	}
}

// visited is a visit of somebody who is let in.
func (h *house) visited(t *testing.T, v *visit, at operation, want *outcome) {
	t.Helper()
	h.forget()
	req := h.m.request(t, v, at)
	h.check(t, h.knock(t, req), req, want)
	if t.Failed() {
		t.Fatal("the control is not let in")
	}
}

// policed are rows in which what a policy refuses is tried: those that change it
// let nobody in.
func policed(rows []row) []row {
	for i := range rows {
		rows[i].alone = rows[i].policy != nil || !reflect.DeepEqual(rows[i].needs, validator.Requirement{})
	}
	return rows
}
