package interop_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

// What came of a call of node/client.mjs.
type outcome struct {
	Call, Body, Scheme, Error string
	Status                    int
	Retry                     bool // a nonce is wanted
}

// The client of a JavaScript library gets through with every algorithm that it has
// in common with us, and understands why if it does not.
func TestDPoP_Oauth4webapiGetsThrough(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		missing(t, "node", "install Node.js 20 or later, with npm")
	}
	if _, err := os.Stat("node/node_modules/oauth4webapi"); err != nil {
		missing(t, "oauth4webapi", "run npm ci in internal/interop/node")
	}
	for _, alg := range []string{"ES256", "ES384", "ES512", "Ed25519", "PS256", "RS256"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			s := serveDPoP(t)
			roots := pemFile(t, "CERTIFICATE", s.Certificate().Raw)
			cmd := exec.CommandContext(t.Context(), node, "client.mjs", s.URL, alg)
			cmd.Dir = "node"
			cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+roots)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v\n%s%s", err, out, stderr.String())
			}
			var got []outcome
			for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
				var o outcome
				if err := dec.Decode(&o); err != nil {
					t.Fatal(err)
				}
				got = append(got, o)
			}
			served := func(call string) outcome { return outcome{Call: call, Status: 200, Body: "served to user-1"} }
			want := []outcome{
				served("a proof"),
				served("a query"),
				{Call: "no nonce yet", Status: 401, Scheme: "dpop", Error: "use_dpop_nonce", Retry: true},
				served("the nonce of the refusal"),
				served("the nonce, known by now"),
				served("a nonce where none is asked for"),
				{Call: "another key", Status: 401, Scheme: "dpop", Error: "invalid_token"},
				{Call: "no proof", Status: 401, Scheme: "dpop", Error: "invalid_token"},
			}
			if !slices.Equal(got, want) {
				t.Errorf("got\n%+v\nwant\n%+v", got, want)
			}
		})
	}
}

// serveDPoP starts an API and a token endpoint over TLS. The endpoint is the test's
// own, as authserver binds no tokens yet: it believes the proof that it is shown,
// and binds a token to its key.
func serveDPoP(t *testing.T) *httptest.Server {
	t.Helper()
	issuer := tokentest.NewKey(t, "key-1", "ES256")
	policy := validator.Config{Issuer: tokentest.Issuer, Audiences: []string{tokentest.Audience}, Keys: tokentest.Keys{issuer}}
	handler := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		token, _ := validator.TokenFromContext(req.Context())
		_, _ = io.WriteString(w, "served to "+token.Subject())
	})
	mux := http.NewServeMux()
	for pattern, nonceKey := range map[string][]byte{"GET /orders": nil, "POST /payments": make([]byte, 32)} {
		policy.NonceKey = nonceKey
		v, err := validator.New(policy)
		if err != nil {
			t.Fatal(err)
		}
		mux.Handle(pattern, middleware.New(v, nil).Require("orders:read")(handler))
	}
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, req *http.Request) {
		thumbprint, err := proofKey(req.Header.Get("DPoP"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		claims := tokentest.Claims(time.Now(), map[string]any{"cnf": map[string]any{"jkt": thumbprint}})
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"access_token": issuer.Token(t, nil, claims), "token_type": "DPoP", "expires_in": 300,
		})
	})
	s := httptest.NewTLSServer(mux)
	t.Cleanup(s.Close)
	return s
}

// proofKey returns the thumbprint of the key in a proof's header (RFC 7638).
func proofKey(proof string) (string, error) {
	header, _, _ := strings.Cut(proof, ".")
	data, err := base64.RawURLEncoding.DecodeString(header)
	if err != nil {
		return "", err
	}
	var h struct{ JWK map[string]any }
	if err := json.Unmarshal(data, &h); err != nil {
		return "", err
	}
	kty, _ := h.JWK["kty"].(string)
	required := map[string][]string{"EC": {"crv", "kty", "x", "y"}, "OKP": {"crv", "kty", "x"}, "RSA": {"e", "kty", "n"}}[kty]
	if required == nil {
		return "", fmt.Errorf("kty %q", kty)
	}
	key := map[string]any{}
	for _, name := range required {
		key[name] = h.JWK[name]
	}
	canonical, err := json.Marshal(key)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(canonical)
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// pemFile writes a file that is there until the test ends.
func pemFile(t *testing.T, kind string, der []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
