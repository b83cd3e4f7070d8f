package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// A dpopTransport adds to requests for one server a proof that the client has its
// key (RFC 9449): for the issuer, which binds a token to it, and for the API, with
// that token. It does what the server asks about nonces by itself. It is safe for
// concurrent use.
type dpopTransport struct {
	base   http.RoundTripper
	server *url.URL // its scheme and host; others, after a redirect say, are shown nothing
	key    *dpopKey
	token  string // for the API; empty for the issuer

	mu    sync.Mutex
	nonce string // the last that the server handed out
}

func (t *dpopTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != t.server.Scheme || req.URL.Host != t.server.Host {
		return t.base.RoundTrip(req)
	}
	resp, err := t.send(req)
	if err != nil || !t.wantsNonce(resp) || !rewindable(req) {
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
	if t.token != "" {
		shown.Header.Set("Authorization", "DPoP "+t.token)
	}
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

// wantsNonce reports whether a request was refused for want of a nonce. The issuer
// says so in the body (section 8), the API in its challenge (section 9).
func (t *dpopTransport) wantsNonce(resp *http.Response) bool {
	switch {
	case resp.Header.Get("DPoP-Nonce") == "":
		return false
	case t.token == "":
		return resp.StatusCode == http.StatusBadRequest && errorCode(resp) == "use_dpop_nonce"
	default:
		return resp.StatusCode == http.StatusUnauthorized &&
			slices.ContainsFunc(resp.Header.Values("WWW-Authenticate"), func(challenge string) bool {
				return strings.Contains(challenge, `error="use_dpop_nonce"`)
			})
	}
}

// errorCode returns the error of a token endpoint (RFC 6749 section 5.2), empty if
// there is none. The body can be read again.
func errorCode(resp *http.Response) string {
	var refusal struct {
		Error string `json:"error"`
	}
	start, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(start), resp.Body), resp.Body}
	if err != nil || json.Unmarshal(start, &refusal) != nil {
		return ""
	}
	return refusal.Error
}

func rewindable(req *http.Request) bool {
	return req.Body == nil || req.Body == http.NoBody || req.GetBody != nil
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}
