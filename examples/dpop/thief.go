package main

import (
	"net/http"
	"net/url"
	"sync"
)

// An eavesdropper sees what a client sends, as a log or a proxy does that ought
// not to.
type eavesdropper struct {
	base http.RoundTripper

	mu       sync.Mutex
	requests int
	seen     http.Header // of the last request
}

func (e *eavesdropper) RoundTrip(req *http.Request) (*http.Response, error) {
	e.mu.Lock()
	e.requests++
	e.seen = req.Header.Clone()
	e.mu.Unlock()
	return e.base.RoundTrip(req)
}

func (e *eavesdropper) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.requests
}

// replay returns a client that sends again what was seen.
func (e *eavesdropper) replay() *http.Client {
	return &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
		e.mu.Lock()
		defer e.mu.Unlock()
		return send(req, e.seen)
	})}
}

// misled returns a client whose proofs, good in all else, are for another path and
// without a nonce.
func (t *dpopTransport) misled(path string) *http.Client {
	return &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
		target := url.URL{Scheme: t.server.Scheme, Host: t.server.Host, Path: path}
		proof, err := t.key.proof(req.Method, &target, t.token, "")
		if err != nil {
			return nil, err
		}
		return send(req, http.Header{"Authorization": {"DPoP " + t.token}, "Dpop": {proof}})
	})}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func send(req *http.Request, header http.Header) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header = header.Clone()
	return http.DefaultTransport.RoundTrip(req)
}
