package interop_test

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/jwks"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

// An outcome is what came of a call of node/dpop.mjs.
type outcome struct {
	Call, Body, Scheme, Error string
	Status                    int
	Retry                     bool // a nonce is wanted
}

// The client of a JavaScript library gets bound tokens, and gets through with them,
// with every algorithm that it has in common with us. If not, it understands why.
func TestDPoP_Oauth4webapiGetsThrough(t *testing.T) {
	t.Parallel()
	node := findNode(t, "oauth4webapi")
	for _, alg := range []string{"ES256", "ES384", "ES512", "Ed25519", "PS256", "RS256"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			issuer := serveIssuer(t)
			api := serveDPoP(t, issuer)
			roots := pemFile(t, "CERTIFICATE", api.Certificate().Raw) // httptest has one for all its servers
			cmd := exec.CommandContext(t.Context(), node, "dpop.mjs", issuer.URL, api.URL, alg)
			cmd.Dir = "node"
			cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+roots, "CLIENT_ID="+clientID, "CLIENT_SECRET="+secret)
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
			served := func(call string) outcome { return outcome{Call: call, Status: 200, Body: "served to " + clientID} }
			want := []outcome{
				{Call: "a token, no nonce yet", Status: 400, Error: "use_dpop_nonce", Retry: true},
				{Call: "a token, the nonce of the refusal", Status: 200, Scheme: "dpop"},
				{Call: "a token, the nonce known by now", Status: 200, Scheme: "dpop"},
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

// serveIssuer starts an issuer over TLS, which wants nonces in proofs.
func serveIssuer(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	auth, err := authserver.New(authserver.Config{
		Issuer: "https://" + s.Listener.Addr().String(),
		Clients: []authserver.Client{{
			ClientID:              clientID,
			SecretHash:            authserver.HashOf(secret),
			GrantTypes:            []string{"client_credentials"},
			Scope:                 "orders:read",
			Audience:              []string{audience},
			DPoPBoundAccessTokens: true,
		}},
		DPoPNonceKey: bytes.Repeat([]byte("i"), 32),
		Logger:       slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Config.Handler = auth
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// serveDPoP starts an API over TLS, one of whose routes wants nonces in proofs.
func serveDPoP(t *testing.T, issuer *httptest.Server) *httptest.Server {
	t.Helper()
	keys, err := jwks.New(jwks.Config{Issuer: issuer.URL, Client: issuer.Client()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	policy := validator.Config{Issuer: issuer.URL, Audiences: []string{audience}, Keys: keys, RequireBinding: true}
	handler := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.WriteString(w, "served to "+client(req.Context()))
	})
	mux := http.NewServeMux()
	for pattern, nonceKey := range map[string][]byte{"GET /orders": nil, "POST /payments": bytes.Repeat([]byte("a"), 32)} {
		policy.NonceKey = nonceKey
		v, err := validator.New(policy)
		if err != nil {
			t.Fatal(err)
		}
		mux.Handle(pattern, middleware.New(v, nil).Require("orders:read")(handler))
	}
	s := httptest.NewTLSServer(mux)
	t.Cleanup(s.Close)
	return s
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
