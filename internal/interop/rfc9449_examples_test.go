package interop_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/dpop"
	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/validator"
)

// The examples of RFC 9449: two proofs for the token endpoint (sections 5 and 5.1),
// one for a resource (section 7.1), a bound token (section 6.1).
type dpopExamples struct {
	Proofs []struct {
		RequestLine string `json:"request_line"`
		Host        string
		AccessToken string `json:"access_token"`
		Proof       string
		Payload     struct{ IAT int64 }
	}
	BoundAccessTokens []struct {
		Token   string
		Payload struct {
			Exp int64
			Cnf struct{ JKT string }
		}
	} `json:"bound_access_tokens"`
	JKT string `json:"jkt_of_proof_key"`
}

func readDPoPExamples(t *testing.T) *dpopExamples {
	t.Helper()
	e := new(dpopExamples)
	readJSON(t, filepath.Join(published(t), "rfc9449", "dpop_examples.json"), e)
	if len(e.Proofs) != 3 || len(e.BoundAccessTokens) != 1 || e.Proofs[2].AccessToken == "" {
		t.Fatalf("%d proofs, %d tokens", len(e.Proofs), len(e.BoundAccessTokens))
	}
	return e
}

// Every proof passes at its clock, and not after its time, for another method, URL
// or token; its key is the one of section 6.1.
func TestRFC9449Examples_Proofs(t *testing.T) {
	t.Parallel()
	examples := readDPoPExamples(t)
	policy := dpop.Policy{Age: dpop.DefaultAge, Leeway: 30 * time.Second}
	var proofs []dpop.Proof
	for _, e := range examples.Proofs {
		line := strings.Fields(e.RequestLine)
		good := dpop.Request{Proof: e.Proof, Method: line[0], URL: "https://" + e.Host + line[1], Token: e.AccessToken}
		clock := time.Unix(e.Payload.IAT, 0)
		proof, err := policy.Check(&good, clock)
		if err != nil || jose.Encode(proof.Thumbprint[:]) != examples.JKT {
			t.Errorf("%s: %x, %v", e.RequestLine, proof.Thumbprint, err)
		}
		proofs = append(proofs, proof)
		for name, edit := range map[string]func(*dpop.Request){
			"another method": func(r *dpop.Request) { r.Method = "PUT" },
			"another host":   func(r *dpop.Request) { r.URL = "https://evil.example" + line[1] },
			"another path":   func(r *dpop.Request) { r.URL += "/" },
			"http":           func(r *dpop.Request) { r.URL = strings.Replace(r.URL, "https", "http", 1) },
			"another token":  func(r *dpop.Request) { r.Token += "x" },
			"another key":    func(r *dpop.Request) { r.Bound = new([32]byte) },
			"a changed byte": func(r *dpop.Request) { r.Proof = strings.Replace(r.Proof, ".", ".e", 1) },
		} {
			bad := good
			edit(&bad)
			if _, err := policy.Check(&bad, clock); err == nil {
				t.Errorf("%s passes for %s", e.RequestLine, name)
			}
		}
		for _, off := range []time.Duration{-31 * time.Second, 90 * time.Second} {
			if _, err := policy.Check(&good, clock.Add(off)); err == nil {
				t.Errorf("%s passes %v after its iat", e.RequestLine, off)
			}
		}
	}
	// Two are of one jti, key and target. At one clock the second were a replay; at
	// theirs the first is long forgotten.
	if first, second := proofs[0], proofs[1]; first.ID != second.ID || !first.Until.Before(second.Until.Add(-40*time.Minute)) || first.ID == proofs[2].ID {
		t.Errorf("%x until %v, %x until %v", first.ID, first.Until, second.ID, second.Until)
	}
}

// answering is an introspector that says one thing.
type answering string

func (a answering) Introspect(context.Context, string, bool) ([]byte, error) { return []byte(a), nil }

// The validator accepts the token of section 7.1 with its proof, once.
func TestRFC9449Examples_Resource(t *testing.T) {
	t.Parallel()
	examples := readDPoPExamples(t)
	e := examples.Proofs[2]
	clock := time.Unix(e.Payload.IAT, 0)
	v, err := validator.New(validator.Config{
		Issuer: "https://server.example.com", Audiences: []string{"https://resource.example.org"}, RequireBinding: true,
		Introspector: answering(fmt.Sprintf(`{"active":true,"iss":"https://server.example.com","aud":"https://resource.example.org","exp":%d,"token_type":"DPoP","cnf":{"jkt":%q}}`,
			clock.Unix()+60, examples.JKT)),
		Now: func() time.Time { return clock },
	})
	if err != nil {
		t.Fatal(err)
	}
	method, path, _ := strings.Cut(strings.TrimSuffix(e.RequestLine, " HTTP/1.1"), " ")
	credentials := validator.Credentials{Scheme: "DPoP", Token: e.AccessToken, Proof: e.Proof, Method: method, URL: "https://" + e.Host + path}
	if tok, err := v.Authorize(t.Context(), credentials, validator.Requirement{}); err != nil || !tok.Bound() {
		t.Errorf("%v, %v", tok, err)
	}
	if _, err := v.Authorize(t.Context(), credentials, validator.Requirement{}); !errors.Is(err, validator.ErrProof) {
		t.Errorf("again: %v", err)
	}
	if _, err := v.Validate(t.Context(), e.AccessToken); !errors.Is(err, validator.ErrBinding) {
		t.Errorf("as a plain bearer token: %v", err)
	}
}

// The authorization server binds tokens to the key of the proofs for its token
// endpoint: of each once, at its clock.
func TestRFC9449Examples_TokenEndpoint(t *testing.T) {
	t.Parallel()
	examples := readDPoPExamples(t)
	var clock time.Time
	store := authserver.NewMemoryStore(nil)
	s, err := authserver.New(authserver.Config{
		Store: store, Issuer: "https://server.example.com", Now: func() time.Time { return clock }, Logger: slog.New(slog.DiscardHandler),
		Clients: []authserver.Client{{
			ClientID: clientID, SecretHash: authserver.HashOf(secret), GrantTypes: []string{"client_credentials"}, Audience: []string{audience}, DPoPBoundAccessTokens: true,
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range examples.Proofs[:2] {
		clock = time.Unix(e.Payload.IAT, 0)
		if _, err := store.Purge(t.Context(), clock, 100); err != nil { // the server does so now and then: both have one jti
			t.Fatal(err)
		}
		for i, want := range []int{http.StatusOK, http.StatusBadRequest} {
			req := httptest.NewRequest(http.MethodPost, "https://"+e.Host+"/token", strings.NewReader(url.Values{"grant_type": {"client_credentials"}}.Encode()))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set("DPoP", e.Proof)
			req.SetBasicAuth(clientID, secret)
			w := httptest.NewRecorder()
			s.ServeHTTP(w, req)
			if w.Code != want {
				t.Fatalf("%v, %d: %d %s", clock, i, w.Code, w.Body)
			}
			if want != http.StatusOK {
				continue
			}
			var answer struct {
				Token string `json:"access_token"`
				Type  string `json:"token_type"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.Type != "DPoP" {
				t.Fatalf("%s: %v", w.Body, err)
			}
			if got := jktOf(t, answer.Token); got != examples.JKT {
				t.Errorf("bound to %s, want %s", got, examples.JKT)
			}
		}
	}
}

// The bound token of section 6.1 names the key of the proofs. That is all that it
// tells: its signature's key is in no example, and it lacks an aud, so that the
// validator refuses it.
func TestRFC9449Examples_BoundToken(t *testing.T) {
	t.Parallel()
	examples := readDPoPExamples(t)
	e := examples.BoundAccessTokens[0]
	if got := jktOf(t, e.Token); got != examples.JKT || e.Payload.Cnf.JKT != examples.JKT {
		t.Errorf("bound to %s, want %s", got, examples.JKT)
	}
	keys := serveKeys(t, `{"keys":[]}`, nil)
	if err := verify(t, keys, e.Token); err == nil || err.Error() != "no key fits" {
		t.Errorf("without the key: %v", err)
	}
	v, err := validator.New(validator.Config{
		Issuer: "https://server.example.com", Audiences: []string{"https://resource.example.org"}, Keys: keys, Types: []string{""},
		Now: func() time.Time { return time.Unix(e.Payload.Exp-1, 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Validate(t.Context(), e.Token); !errors.Is(err, validator.ErrMalformed) || !strings.Contains(err.Error(), "aud") {
		t.Errorf("without an aud: %v", err)
	}
}

// jktOf returns what a token says that it is bound to.
func jktOf(t *testing.T, token string) string {
	t.Helper()
	text, err := jose.DecodeText(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct{ Cnf struct{ JKT string } }
	if err := json.Unmarshal([]byte(text), &claims); err != nil {
		t.Fatal(err)
	}
	return claims.Cnf.JKT
}
