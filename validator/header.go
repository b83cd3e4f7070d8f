package validator

import (
	"slices"
	"strings"
	"sync/atomic"

	"github.com/countermark/countermark/internal/jose"
)

const maxHeaders = 8

// header is what counts of a JWT's header, read by one policy.
type header struct {
	jose.Header
	method *jose.Method // nil: its algorithm is not the policy's
	text   string       // the part of a token that it was read from
}

// headers remembers those of tokens that verified. All tokens that an issuer signs
// with one key have the same, as a rule, so that it need not be read each time.
type headers struct{ known atomic.Pointer[[]*header] }

// find returns nil if text is not known.
func (m *headers) find(text string) *header {
	if known := m.known.Load(); known != nil {
		for _, h := range *known {
			if h.text == text {
				return h
			}
		}
	}
	return nil
}

// add remembers h, if need be in the place of the one that was first. Of two that
// come at the same time, one may be lost.
func (m *headers) add(h *header) {
	var known []*header
	if old := m.known.Load(); old != nil {
		known = (*old)[max(0, len(*old)-maxHeaders+1):]
	}
	known = append(slices.Clip(known), h)
	m.known.Store(&known)
}

// header reads the header part of a JWT.
func (v *Validator) header(text string) (h *header, known bool, err error) {
	if h = v.headers.find(text); h != nil {
		return h, true, nil
	}
	h = &header{text: strings.Clone(text)} // which may be a part of a request's header block
	if h.Header, err = jose.ParseHeader(text); err != nil {
		return nil, false, malformed("header", err)
	}
	if at := slices.IndexFunc(v.methods, func(m *jose.Method) bool { return m.Alg() == h.Alg }); at >= 0 {
		h.method = v.methods[at]
	}
	return h, false, nil
}
