package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
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
	client := clientOver(t, base, "https://api.example.com", "token")
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
		client, api := clientOf(t, "token", func(w http.ResponseWriter, _ *http.Request) {
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
	client, api := clientOf(t, "token", func(w http.ResponseWriter, req *http.Request) {
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

// The issuer takes the client's own credentials and a proof without a token, and
// says in the body what it wants, which is the caller's to read as well.
func TestTransport_AtTheIssuer(t *testing.T) {
	t.Parallel()
	for refusal, want := range map[string]int{`{"error":"use_dpop_nonce"}`: 2, `{"error":"invalid_dpop_proof"}`: 1} {
		var nonces []any
		client, issuer := clientOf(t, "", func(w http.ResponseWriter, req *http.Request) {
			claims := claimsOf(t, req.Header.Get("DPoP"))
			if id, secret, _ := req.BasicAuth(); id != "app" || secret != "secret" || claims["ath"] != nil {
				t.Errorf("Authorization %q, ath %v", req.Header.Get("Authorization"), claims["ath"])
			}
			nonces = append(nonces, claims["nonce"])
			w.Header().Set("DPoP-Nonce", "n")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, refusal)
		})
		req, err := http.NewRequest(http.MethodPost, issuer+"/token", strings.NewReader("grant_type=client_credentials"))
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("app", "secret")
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(body) != refusal || !slices.Equal(nonces, []any{nil, "n"}[:want]) {
			t.Errorf("%s: after the nonces %v: %q %v", refusal, nonces, body, err)
		}
	}
}

func claimsOf(t *testing.T, proof string) (claims map[string]any) {
	t.Helper()
	_, rest, _ := strings.Cut(proof, ".")
	payload, _, _ := strings.Cut(rest, ".")
	data, err := base64.RawURLEncoding.DecodeString(payload)
	if err == nil {
		err = json.Unmarshal(data, &claims)
	}
	if err != nil {
		t.Errorf("proof %q: %v", proof, err)
	}
	return claims
}

// clientOf returns a client of a new server, with a token unless that is empty.
func clientOf(t *testing.T, token string, handler http.HandlerFunc) (client *http.Client, server string) {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return clientOver(t, http.DefaultTransport, s.URL, token), s.URL
}

func clientOver(t *testing.T, base http.RoundTripper, server, token string) *http.Client {
	t.Helper()
	target, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	key, err := newDPoPKey()
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Transport: &dpopTransport{base: base, server: target, key: key, token: token}}
}
