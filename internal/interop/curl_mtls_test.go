package interop_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

// curl shows its certificate in the handshake, and the token that is bound to it
// passes (RFC 8705); without the certificate or with another it does not.
func TestMTLS_CurlGetsThrough(t *testing.T) {
	t.Parallel()
	curl, err := exec.LookPath("curl")
	if err != nil {
		missing(t, "curl", "install it")
	}
	own, others := newCertificate(t), newCertificate(t)
	s, token := serveMTLS(t, own.Leaf)
	for name, row := range map[string]struct {
		shown []string
		want  string
	}{
		"its own": {certificateFlags(t, own), "200 served to user-1"},
		"another": {certificateFlags(t, others), "401 Unauthorized\n"},
		"none":    {nil, "401 Unauthorized\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{
				"--disable", "--noproxy", "*", "--silent", "--show-error", "--max-time", "10", "--write-out", "%{stderr}%{http_code}",
				"--cacert", pemFile(t, "CERTIFICATE", s.Certificate().Raw), "--header", "Authorization: Bearer " + token,
			}, row.shown...)
			cmd := exec.CommandContext(t.Context(), curl, append(args, s.URL+"/orders")...)
			var status strings.Builder
			cmd.Stderr = &status
			body, err := cmd.Output()
			if got := status.String() + " " + string(body); err != nil || got != row.want {
				t.Errorf("%v, %q, want %q", err, got, row.want)
			}
		})
	}
}

// serveMTLS starts an API that asks for certificates, and returns a token that is
// bound to own.
func serveMTLS(t *testing.T, own *x509.Certificate) (s *httptest.Server, token string) {
	t.Helper()
	issuer := tokentest.NewKey(t, "key-1", "ES256")
	v, err := validator.New(validator.Config{Issuer: tokentest.Issuer, Audiences: []string{tokentest.Audience}, Keys: tokentest.Keys{issuer}})
	if err != nil {
		t.Fatal(err)
	}
	handler := middleware.New(v, nil).Require("orders:read")(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		token, _ := validator.TokenFromContext(req.Context())
		_, _ = io.WriteString(w, "served to "+token.Subject())
	}))
	s = httptest.NewUnstartedServer(handler)
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS13}
	s.StartTLS()
	t.Cleanup(s.Close)
	sum := sha256.Sum256(own.Raw)
	cnf := map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}
	return s, issuer.Token(t, nil, tokentest.Claims(time.Now(), map[string]any{"cnf": cnf}))
}

// certificateFlags has curl show c.
func certificateFlags(t *testing.T, c tls.Certificate) []string {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return []string{"--cert", pemFile(t, "CERTIFICATE", c.Certificate[0]), "--key", pemFile(t, "PRIVATE KEY", key)}
}
