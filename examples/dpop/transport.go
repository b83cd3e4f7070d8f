package main

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// A dpopTransport adds a DPoP-bound access token to requests for one API, and to
// each a proof that the client has the key (RFC 9449). It does what the API asks
// about nonces by itself. It is safe for concurrent use.
type dpopTransport struct {
	base  http.RoundTripper
	api   *url.URL // its scheme and host; other servers, after a redirect say, are shown nothing
	key   *dpopKey
	token string

	mu    sync.Mutex
	nonce string // the last that the API handed out
}

func (t *dpopTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != t.api.Scheme || req.URL.Host != t.api.Host {
		return t.base.RoundTrip(req)
	}
	resp, err := t.send(req)
	if err != nil || !wantsNonce(resp) || !rewindable(req) {
		return resp, err
	}
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10) // so that the connection can be used again
	_ = resp.Body.Close()
	again := req.Clone(req.Context())
	if req.GetBody != nil {
		if again.Body, err = req.GetBody(); err != nil {
			return nil, err
		}
	}
	return t.send(again)
}

func (t *dpopTransport) send(req *http.Request) (*http.Response, error) {
	t.mu.Lock()
	nonce := t.nonce
	t.mu.Unlock()
	proof, err := t.key.proof(req.Method, req.URL, t.token, nonce)
	if err != nil {
		closeBody(req) // a RoundTripper does, whatever happens
		return nil, err
	}
	shown := req.Clone(req.Context()) // a RoundTripper must not change its caller's request
	shown.Header.Set("Authorization", "DPoP "+t.token)
	shown.Header.Set("DPoP", proof)
	resp, err := t.base.RoundTrip(shown)
	if err != nil {
		return nil, err
	}
	if next := resp.Header.Get("DPoP-Nonce"); next != "" { // any answer may have one: section 8.2
		t.mu.Lock()
		t.nonce = next
		t.mu.Unlock()
	}
	return resp, nil
}

// wantsNonce finds the challenge of section 9.
func wantsNonce(resp *http.Response) bool {
	return resp.StatusCode == http.StatusUnauthorized && resp.Header.Get("DPoP-Nonce") != "" &&
		slices.ContainsFunc(resp.Header.Values("WWW-Authenticate"), func(challenge string) bool {
			return strings.Contains(challenge, `error="use_dpop_nonce"`)
		})
}

func rewindable(req *http.Request) bool {
	return req.Body == nil || req.Body == http.NoBody || req.GetBody != nil
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}
