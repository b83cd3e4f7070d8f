package attack_test

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

// A request is what a client sends.
type request struct {
	visit *visit

	authorization []string       // each a value of its own
	proofs        []string       // of DPoP, likewise
	roots         *x509.CertPool // to know the server by
}

// An answer is what the client is told.
type answer struct {
	status     int      // of HTTP
	challenges []string // WWW-Authenticate
	retryAfter string   // whole seconds; empty if nobody said
	nonce      string   // DPoP-Nonce
	text       string   // all of it
}

// A house is what stands behind a door: an API of one operation.
type house struct {
	entrance

	m        *mint
	needs    validator.Requirement
	optional bool        // credentials are; there are no needs
	tls      *tls.Config // asks for a client certificate

	mu         sync.Mutex
	authorizer middleware.Authorizer
	keys       validator.KeySource // the issuer's
	later      time.Duration       // since the mint made its tokens
	subjects   []string            // of those who were let in
	reasons    []error             // that were logged
	logged     strings.Builder
}

func newHouse(m *mint, needs validator.Requirement, optional bool) *house {
	return &house{
		m: m, needs: needs, optional: optional,
		tls: &tls.Config{Certificates: []tls.Certificate{m.server}, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS13},
	}
}

// receive has the house forget all that it knows, and judge as r says.
func (h *house) receive(tb testing.TB, r *row) {
	tb.Helper()
	h.setKeys(h.m.keys)
	h.wait(0)
	cfg := h.m.policy()
	cfg.Keys, cfg.Now = h, h.now
	if r.policy != nil {
		r.policy(&cfg)
	}
	v, err := validator.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	var authorizer middleware.Authorizer = v
	if r.party {
		cfg.Issuer, cfg.Keys = otherIssuer, tokentest.Keys{h.m.neighbour}
		other, err := validator.New(cfg)
		if err != nil {
			tb.Fatal(err)
		}
		issuers, err := validator.NewIssuers(validator.IssuersConfig{Validators: []*validator.Validator{v, other}})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = issuers.Close() })
		authorizer = issuers
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.authorizer = authorizer
}

// Authorize makes the house what its guard asks.
func (h *house) Authorize(ctx context.Context, c validator.Credentials, r validator.Requirement) (*validator.Token, error) {
	h.mu.Lock()
	a := h.authorizer
	h.mu.Unlock()
	return a.Authorize(ctx, c, r)
}

// Keys are those that the issuer has now.
func (h *house) Keys(ctx context.Context, kid, alg string) ([]crypto.PublicKey, error) {
	h.mu.Lock()
	keys := h.keys
	h.mu.Unlock()
	return keys.Keys(ctx, kid, alg)
}

func (h *house) setKeys(keys validator.KeySource) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keys = keys
}

// wait is the time that has passed since the tokens were made.
func (h *house) wait(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.later = d
}

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.m.now.Add(h.later)
}

// enter is the operation.
func (h *house) enter(ctx context.Context) {
	h.mu.Lock()
	defer h.mu.Unlock()
	who := "nobody"
	if t, ok := validator.TokenFromContext(ctx); ok {
		who = t.Subject()
	}
	h.subjects = append(h.subjects, who)
}

// logger returns what the guard in the door tells its reasons.
func (h *house) logger() *slog.Logger { return slog.New(reasonHandler{h}) }

func (h *house) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.subjects, h.reasons = nil, nil
	h.logged.Reset()
}

func (h *house) check(tb testing.TB, got answer, sent *request, want *outcome) {
	tb.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if got.status != want.status {
		tb.Errorf("status %d, want %d", got.status, want.status)
	}
	if !slices.Equal(got.challenges, want.challenges) {
		tb.Errorf("challenges %q\nwant       %q", got.challenges, want.challenges)
	}
	if got.retryAfter != want.retryAfter {
		tb.Errorf("Retry-After %q, want %q", got.retryAfter, want.retryAfter)
	}
	if (got.nonce != "") != (want.nonce != "") {
		tb.Errorf("DPoP-Nonce %q", got.nonce)
	}
	var let []string
	if want.status == http.StatusOK {
		let = []string{want.subject}
	}
	if !slices.Equal(h.subjects, let) {
		tb.Errorf("the operation was done for %q, want %q", h.subjects, let)
	}
	switch {
	case want.why == nil && len(h.reasons) > 0:
		tb.Errorf("logged %v", h.reasons)
	case want.why != nil && (len(h.reasons) != 1 || !errors.Is(h.reasons[0], want.why)):
		tb.Errorf("logged %v, want once: %v", h.reasons, want.why)
	}
	for where, text := range map[string]string{"the answer": got.text, "the log": h.logged.String()} {
		if secret := leak(text, sent); secret != "" {
			tb.Errorf("%s shows %q: %s", where, secret, text)
		}
	}
}

// leak returns what text shows of all that a client sent to be let in; empty if
// nothing. Each claim that is the client's says canary.
func leak(text string, sent *request) string {
	const enough, most = 16, 4096 // bytes: what no text has by chance, and how far a huge token is searched
	if strings.Contains(strings.ToLower(text), "canary") {
		return "canary"
	}
	secrets := slices.Concat(sent.authorization, sent.proofs, []string{sent.visit.token, sent.visit.query, sent.visit.form})
	for _, values := range sent.visit.fields {
		secrets = append(secrets, values...)
	}
	words := strings.FieldsFunc(text, func(r rune) bool { return r <= ' ' || r == '"' || r > '~' })
	for _, secret := range secrets {
		secret = secret[:min(len(secret), most)]
		for _, word := range words {
			for i := range max(len(word)-enough+1, 0) {
				if part := word[i : i+enough]; strings.Contains(secret, part) {
					return part
				}
			}
		}
	}
	return ""
}

// The search above finds what it is for.
func TestLeak_Control(t *testing.T) {
	t.Parallel()
	m := newMint(t)
	token := m.token(m.toKey())
	visit := dpop(token, m.proof(token, nil))
	visit.fields = map[string][]string{"Cookie": {"session=0123456789abcdefghij"}}
	visit.query = "access_token=klmnopqrstuvwxyz0123"
	sent := m.request(t, &visit, operation{"GET", "https://api.example.com", ""})
	for name, text := range map[string]string{
		"the token":          "no good: " + token,
		"a part of it":       `error="` + token[200:220] + `"`,
		"a part of a proof":  "(" + sent.proofs[0][300:330] + ")",
		"a field":            "Cookie: 0123456789abcdefghij",
		"the query":          "/orders?access_token=klmnopqrstuvwxyz0123",
		"a claim":            "who is " + subject,
		"a claim by letters": "CANARY-PRIVATE",
	} {
		if leak(text, sent) == "" {
			t.Errorf("%s is not found", name)
		}
	}
	if secret := leak(plain+` error="invalid_token" Content-Type: text/plain; charset=utf-8`, sent); secret != "" {
		t.Errorf("%q is found where it is not", secret)
	}
}

// reasonHandler keeps what is logged, and the errors by themselves.
type reasonHandler struct{ *house }

func (reasonHandler) Enabled(context.Context, slog.Level) bool { return true }

func (r reasonHandler) Handle(_ context.Context, record slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintln(&r.logged, record.Message)
	record.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&r.logged, "%s=%v %+v\n", a.Key, a.Value, a.Value.Any())
		if err, ok := a.Value.Any().(error); ok {
			r.reasons = append(r.reasons, err)
		}
		return true
	})
	return nil
}

func (r reasonHandler) WithAttrs([]slog.Attr) slog.Handler { return r }
func (r reasonHandler) WithGroup(string) slog.Handler      { return r }
