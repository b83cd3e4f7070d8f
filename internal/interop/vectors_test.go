package interop_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/jwks"
	"github.com/countermark/countermark/validator"
)

// A vector is a token that somebody published with the keys that it goes with.
type vector struct {
	name  string
	keys  string // a JWK Set
	token string
	valid bool // says its source
}

// A disagreement is why our verdict differs from the source's, and how our own
// reason begins, so that the vector is not refused for something else.
type disagreement struct{ reason, at string }

// A tally counts verdicts. Every vector is in one of them.
type tally struct{ accepted, refused, explained int }

func (c tally) sum() int { return c.accepted + c.refused + c.explained }

// judge holds vectors against the package's verdicts: as the source has it, or
// otherwise for the reason given. It fails for a disagreement without a reason,
// and for a reason without a disagreement.
func judge(t *testing.T, vectors []vector, otherwise map[string]disagreement, want tally) {
	t.Helper()
	var got tally
	seen := map[string]bool{}
	for _, v := range vectors {
		if seen[v.name] {
			t.Errorf("%s: twice", v.name)
		}
		seen[v.name] = true
		keys := serveKeys(t, v.keys, nil)
		verdict := verify(t, keys, v.token)
		reason := "accepted"
		if verdict != nil {
			reason = verdict.Error()
		}
		other, explained := otherwise[v.name]
		switch agrees := (verdict == nil) == v.valid; {
		case agrees && explained:
			t.Errorf("%s: %s, as its source has it: nothing to explain", v.name, reason)
		case agrees && v.valid:
			got.accepted++
		case agrees:
			got.refused++
		case explained && strings.HasPrefix(reason, other.at):
			got.explained++
		default:
			t.Errorf("%s: %s, and its source says valid: %v", v.name, reason, v.valid)
		}
		refuses(t, v, keys)
	}
	for name := range otherwise {
		if !seen[name] {
			t.Errorf("%s: explained, and not there", name)
		}
	}
	if got != want || got.sum() != len(vectors) {
		t.Errorf("%+v of %d, want %+v", got, len(vectors), want)
	}
	t.Logf("%d vectors: %d accepted, %d refused as expected, %d disagreements explained", len(vectors), got.accepted, got.refused, got.explained)
}

// serveKeys returns the cache of a key set that is served on loopback until the
// test ends. The log may be nil.
func serveKeys(t *testing.T, set string, log io.Writer) *jwks.Cache {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/jwk-set+json")
		_, _ = io.WriteString(w, set)
	}))
	t.Cleanup(s.Close)
	if log == nil {
		log = io.Discard
	}
	keys, err := jwks.New(jwks.Config{URL: s.URL, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	return keys
}

var errUnavailable = errors.New("the keys are out of reach")

// verify is what package validator does with a token but for its claims, by the
// same parts: a vector's payload is no access token's.
func verify(t *testing.T, keys *jwks.Cache, token string) error {
	t.Helper()
	header, payload, signature, ok := jose.Split(token)
	if !ok {
		return errors.New("not three parts")
	}
	h, err := jose.ParseHeader(header)
	if err != nil {
		return fmt.Errorf("header: %w", err)
	}
	if _, err := jose.DecodeText(payload); err != nil {
		return fmt.Errorf("payload: %w", err)
	}
	raw, err := jose.Decode(nil, signature)
	if err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	method, ok := jose.Lookup(h.Alg)
	if !ok {
		return errors.New("alg: not accepted")
	}
	found, err := keys.Keys(t.Context(), h.Kid, h.Alg)
	if err != nil {
		t.Errorf("%v: %v", errUnavailable, err)
		return errUnavailable
	}
	if len(found) == 0 {
		return errors.New("no key fits")
	}
	for _, key := range found {
		if method.Verify(header+"."+payload, raw, key) == nil {
			return nil
		}
	}
	return errors.New("no key verifies it")
}

// refuses demands that a whole validator, as lenient as one can be made, refuses a
// vector, whatever its signature: none is an access token.
func refuses(t *testing.T, v vector, keys validator.KeySource) {
	t.Helper()
	whole, err := validator.New(validator.Config{
		Issuer: "joe", Audiences: []string{"https://api.example.com"}, Keys: keys, Types: []string{"", "JWT"}, Now: func() time.Time { return time.Unix(1300819380, 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := whole.Validate(t.Context(), v.token)
	if e := (*validator.Error)(nil); tok != nil || !errors.As(err, &e) || e.Status != http.StatusUnauthorized {
		t.Errorf("%s: the validator says %v, %v", v.name, tok, err)
	}
}

// accessTokenBy signs an access token (RFC 9068) with a private key, as its alg or
// kind has it, and returns what a validator says of it that has the key set.
func accessTokenBy(t *testing.T, private jwk, set string) error {
	t.Helper()
	data, err := json.Marshal(private)
	if err != nil {
		t.Fatal(err)
	}
	signing, err := authserver.ParseSigningKeys(data)
	if err != nil {
		return err
	}
	alg := cmp.Or(private.text("alg"), jose.AlgorithmsFor(signing[0].Signer.Public())[0])
	key := tokentest.Key{ID: private.text("kid"), Alg: alg, Private: signing[0].Signer}
	if _, ok := jose.Lookup(alg); !ok {
		return errors.New("alg: none of ours")
	}
	now := time.Now()
	v, err := validator.New(validator.Config{Issuer: tokentest.Issuer, Audiences: []string{tokentest.Audience}, Keys: serveKeys(t, set, nil)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.Validate(t.Context(), key.Token(t, nil, tokentest.Claims(now, nil)))
	return err
}

// A jsonText is JSON as it came.
type jsonText = json.RawMessage

// textOf returns the string that data is in JSON, or data itself.
func textOf(data jsonText) string {
	text := string(data)
	_ = json.Unmarshal(data, &text)
	return text
}

// A jwk is a JWK whose members are left as they are.
type jwk map[string]jsonText

// keysOf returns the keys of a JWK, an array of them or a JWK Set.
func keysOf(t *testing.T, data jsonText) []jwk {
	t.Helper()
	var keys []jwk
	var single jwk
	if json.Unmarshal(data, &keys) == nil {
		return keys
	}
	if err := json.Unmarshal(data, &single); err != nil {
		t.Fatal(err)
	}
	if single["keys"] != nil {
		return keysOf(t, single["keys"])
	}
	return []jwk{single}
}

// public returns the key without its secret members; nil if it is symmetric.
func (k jwk) public() jwk {
	if k.text("kty") == "oct" {
		return nil
	}
	public := jwk{}
	for name, value := range k {
		if !slices.Contains([]string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}, name) {
			public[name] = value
		}
	}
	return public
}

func (k jwk) text(name string) (s string) {
	_ = json.Unmarshal(k[name], &s)
	return s
}

// setOf writes a JWK Set.
func setOf(t *testing.T, keys ...jwk) string {
	t.Helper()
	data, err := json.Marshal(map[string][]jwk{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// published returns the folder of the vectors that lie beside the checkout. Who
// says where it is means it to be there.
func published(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("COUNTERMARK_VECTORS"); dir != "" {
		if _, err := os.Stat(dir); err != nil {
			t.Fatalf("COUNTERMARK_VECTORS: %v", err)
		}
		return dir
	}
	const dir = "../../../shared/vectors"
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no published vectors: keep them in ../shared/vectors beside the checkout, or name their folder: COUNTERMARK_VECTORS=/folder go test")
	}
	return dir
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
