package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestRun_EveryCallGoesAsItShould(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
}

// A server that wants a nonce has read the body of the first request. Below is no
// http.Transport, which might rewind a body by itself.
func TestTransport_SendsABodyAgain(t *testing.T) {
	t.Parallel()
	var proofs, bodies []string
	base := roundTripper(func(req *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(req.Body)
		bodies, proofs = append(bodies, string(body)), append(proofs, req.Header.Get("DPoP"))
		w := httptest.NewRecorder()
		if len(bodies) == 1 {
			w.Header().Set("DPoP-Nonce", "n")
			w.Header().Set("WWW-Authenticate", `DPoP error="use_dpop_nonce"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
		return w.Result(), err
	})
	client := clientOver(t, base, "https://api.example.com")
	resp, err := client.Post("https://api.example.com/payments", "text/plain", strings.NewReader("100 florins"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 || len(bodies) != 2 || bodies[0] != "100 florins" || bodies[1] != bodies[0] || proofs[1] == proofs[0] {
		t.Errorf("%d after the bodies %q", resp.StatusCode, bodies)
	}
}

// One that never has enough is not asked for ever, and a refusal for another reason
// is the caller's to read.
func TestTransport_AsksAgainOnceOnlyAndForANonceOnly(t *testing.T) {
	t.Parallel()
	for challenge, want := range map[string]int{`DPoP error="use_dpop_nonce"`: 2, `DPoP error="invalid_dpop_proof"`: 1} {
		requests := 0
		client, api := clientOf(t, func(w http.ResponseWriter, _ *http.Request) {
			requests++
			w.Header().Set("DPoP-Nonce", "n")
			w.Header().Set("WWW-Authenticate", challenge)
			http.Error(w, "why not", http.StatusUnauthorized)
		})
		resp, err := client.Get(api)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 401 || requests != want || err != nil || string(body) != "why not\n" {
			t.Errorf("%s: %d after %d requests, want %d: %q %v", challenge, resp.StatusCode, requests, want, body, err)
		}
	}
}

// The token is the API's. A server that the API redirects to gets neither it nor a
// proof.
func TestTransport_ShowsTheTokenToTheAPIAlone(t *testing.T) {
	t.Parallel()
	var elsewhere http.Header
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { elsewhere = req.Header }))
	defer other.Close()
	client, api := clientOf(t, func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Authorization") != "DPoP token" {
			t.Errorf("Authorization: %q", req.Header.Get("Authorization"))
		}
		http.Redirect(w, req, other.URL, http.StatusFound)
	})
	resp, err := client.Get(api)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if elsewhere == nil || elsewhere.Get("Authorization") != "" || elsewhere.Get("DPoP") != "" {
		t.Errorf("the other server got %q", elsewhere)
	}
}

func clientOf(t *testing.T, handler http.HandlerFunc) (client *http.Client, api string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return clientOver(t, http.DefaultTransport, server.URL), server.URL
}

func clientOver(t *testing.T, base http.RoundTripper, api string) *http.Client {
	t.Helper()
	target, err := url.Parse(api)
	if err != nil {
		t.Fatal(err)
	}
	key, err := newDPoPKey()
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Transport: &dpopTransport{base: base, api: target, key: key, token: "token"}}
}
