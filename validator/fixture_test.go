package validator_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/validator"
)

// Every value of a good token that is not the policy's holds the word canary, so
// that a text that leaks one is found.
const (
	issuer   = tokentest.Issuer
	audience = tokentest.Audience
	kid      = "canary-kid"
	opaque   = "canary.opaque-token_7f83b1657ff1fc53b92dc18148a1d65d"
)

// noon is when the tests happen.
var noon = time.Date(2026, time.March, 20, 12, 0, 0, 0, time.UTC)

// The issuer's keys, one of each kind, made when first needed.
var (
	ecKey = sync.OnceValue(func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	edKey = sync.OnceValue(func() crypto.Signer { return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) })

	strangersKey = sync.OnceValue(func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })

	ec384Key = sync.OnceValue(func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)) })
	ec521Key = sync.OnceValue(func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)) })

	rsaKey = sync.OnceValue(func() crypto.Signer { return must(rsa.GenerateKey(rand.Reader, 2048)) })
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// key is the issuer's key for an algorithm. All have one kid.
func key(alg string) *tokentest.Key {
	signer := rsaKey
	switch alg {
	case "ES256":
		signer = ecKey
	case "ES384":
		signer = ec384Key
	case "ES512":
		signer = ec521Key
	case "EdDSA", "Ed25519":
		signer = edKey
	}
	return &tokentest.Key{ID: kid, Alg: alg, Private: signer()}
}

// issuerKeys are found by kid and alg, as those of package jwks are.
func issuerKeys() tokentest.Keys {
	return tokentest.Keys{key("ES256"), key("RS256"), key("PS256"), key("EdDSA")}
}

// careless is a KeySource that returns its keys whatever it is asked for: the
// validator has to be right without its help.
type careless []crypto.PublicKey

func (c careless) Keys(context.Context, string, string) ([]crypto.PublicKey, error) { return c, nil }

// failing is a KeySource, an Introspector and a Check that fails.
type failing struct{ err error }

func (f failing) Keys(context.Context, string, string) ([]crypto.PublicKey, error) {
	return nil, f.err
}

func (f failing) Introspect(context.Context, string, bool) ([]byte, error) { return nil, f.err }

func (f failing) check(context.Context, *validator.Token) error { return f.err }

// asked counts what is asked of a KeySource and an Introspector.
type asked struct {
	keys   validator.KeySource
	answer string

	forKeys, forAnswers, forFresh atomic.Int32
}

func (a *asked) Keys(ctx context.Context, kid, alg string) ([]crypto.PublicKey, error) {
	a.forKeys.Add(1)
	return a.keys.Keys(ctx, kid, alg)
}

func (a *asked) Introspect(_ context.Context, _ string, fresh bool) ([]byte, error) {
	a.forAnswers.Add(1)
	if fresh {
		a.forFresh.Add(1)
	}
	return []byte(a.answer), nil
}

// answers is an Introspector that says the same of every token.
type answers string

func (a answers) Introspect(context.Context, string, bool) ([]byte, error) { return []byte(a), nil }

// newValidator has the default policy, changed by edit, which may be nil.
func newValidator(tb testing.TB, edit func(*validator.Config)) *validator.Validator {
	tb.Helper()
	cfg := validator.Config{
		Issuer:    issuer,
		Audiences: []string{audience},
		Keys:      issuerKeys(),
		Now:       func() time.Time { return noon },
	}
	if edit != nil {
		edit(&cfg)
	}
	v, err := validator.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// edits changes a JSON object: a nil removes the member.
type edits = map[string]any

// null is a member that is there and null.
var null = json.RawMessage("null")

// goodClaims are those of a good token, edited.
func goodClaims(e edits) edits {
	claims := tokentest.Claims(noon, edits{
		"sub": "canary-subject", "client_id": "canary-client", "jti": "canary-jti", "scope": "canary:read canary:write",
		"acr": "canary-acr", "auth_time": noon.Add(-time.Minute).Unix(), "canary_name": "canary-private",
	})
	return edited(claims, e)
}

// goodAnswer is the introspection answer about a good opaque token, edited.
func goodAnswer(e edits) string {
	return marshal(edited(goodClaims(edits{"active": true}), e))
}

func edited(m, e edits) edits {
	maps.Copy(m, e)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	return m
}

func marshal(v any) string { return string(must(json.Marshal(v))) }

// The texts of a good token's header and payload, for tests that change them as
// text.
func goodHeader() string  { return `{"alg":"ES256","kid":"` + kid + `","typ":"at+jwt"}` }
func goodPayload() string { return marshal(goodClaims(nil)) }

// minted returns a token with edited header and claims, signed with the key for
// the edited alg, or that of ES256 if there is none.
func minted(header, claims edits) string {
	alg, ok := header["alg"].(string)
	if _, known := jose.Lookup(alg); !ok || !known {
		alg = "ES256"
	}
	return mintedBy(key(alg), header, claims)
}

// mintedBy is minted for another key.
func mintedBy(k *tokentest.Key, header, claims edits) string {
	base := edits{"alg": k.Alg, "kid": k.ID, "typ": "at+jwt"}
	return sign(k, marshal(edited(base, header)), marshal(goodClaims(claims)))
}

// sign returns a token with whatever is to be its header and payload.
func sign(k *tokentest.Key, header, payload string) string {
	return signText(k, jose.Encode([]byte(header)), jose.Encode([]byte(payload)))
}

// signText signs header and payload that are encoded already, well or not.
func signText(k *tokentest.Key, header, payload string) string {
	m, _ := jose.Lookup(k.Alg)
	input := join(header, payload)
	return join(input, jose.Encode(must(m.Sign(input, k.Private))))
}

// wantRefused demands a refusal for the reason want and no other.
func wantRefused(tb testing.TB, tok *validator.Token, err, want error) *validator.Error {
	tb.Helper()
	if tok != nil {
		tb.Errorf("a Token was made")
	}
	e, ok := errors.AsType[*validator.Error](err)
	if !ok {
		tb.Fatalf("error is %T (%v), want *validator.Error", err, err)
	}
	for _, sentinel := range sentinels {
		if is := errors.Is(err, sentinel); is != (sentinel == want) { //nolint:errorlint // the sentinel itself
			tb.Errorf("errors.Is(%q, %q) = %v; refused for %q is expected", err, sentinel, is, want)
		}
	}
	if model := validator.NewError(want, ""); e.Status != model.Status || e.Code != model.Code {
		tb.Errorf("status %d, code %q; want %d, %q", e.Status, e.Code, model.Status, model.Code)
	}
	return e
}

// A refusal is one way for a token to be refused: a good token under the given
// policy, changed in one respect.
type refusal struct {
	name    string
	token   func() string           // the bad token; nil for the good one of the policy
	opaque  bool                    // the good token is the opaque one
	answer  string                  // what introspection says, if the policy has any
	policy  func(*validator.Config) // the good token must be accepted under it; may be nil
	change  func(*validator.Config) // of the policy itself, if that is what is bad
	require validator.Requirement   // the good token must meet it
	want    error
}

// claim is the refusal of a token with edited claims, and text that of one with
// another text for its payload.
func claim(name string, e edits, want error) refusal {
	return refusal{name: name, token: func() string { return minted(nil, e) }, want: want}
}

func header(name string, e edits, want error) refusal {
	return refusal{name: name, token: func() string { return minted(e, nil) }, want: want}
}

func text(name, header, payload string, want error) refusal {
	return refusal{name: name, token: func() string { return sign(key("ES256"), header, payload) }, want: want}
}

// changed is the refusal of a good token whose text is changed.
func changed(name string, change func(string) string, want error) refusal {
	return refusal{name: name, token: func() string { return change(minted(nil, nil)) }, want: want}
}

// judge has the row's token judged, or its control.
func (r refusal) judge(tb testing.TB, control bool) (token string, tok *validator.Token, err error) {
	tb.Helper()
	token, answer := opaque, r.answer
	if !r.opaque {
		token = minted(nil, nil)
	}
	if control {
		answer = goodAnswer(nil)
	} else if r.token != nil {
		token = r.token()
	}
	v := newValidator(tb, func(c *validator.Config) {
		if r.answer != "" {
			c.Introspector = answers(answer)
		}
		if r.policy != nil {
			r.policy(c)
		}
		if r.change != nil && !control {
			r.change(c)
		}
	})
	tok, err = v.Authorize(tb.Context(), validator.Credentials{Token: token}, r.require)
	return token, tok, err
}

// runRefusals demands that each row is refused for its reason, and that nothing but the
// row's change is to blame.
func runRefusals(t *testing.T, rows []refusal) {
	t.Helper()
	names := map[string]bool{}
	for _, r := range rows {
		if names[r.name] {
			t.Errorf("two rows %q", r.name)
		}
		names[r.name] = true
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			if _, _, err := r.judge(t, true); err != nil {
				t.Fatalf("the unchanged token is refused: %v", err)
			}
			_, tok, err := r.judge(t, false)
			wantRefused(t, tok, err, r.want)
		})
	}
}

// accept demands that a token is good, and returns it judged.
func accept(tb testing.TB, v *validator.Validator, token string) *validator.Token {
	tb.Helper()
	tok, err := v.Validate(tb.Context(), token)
	if err != nil {
		tb.Fatalf("refused: %v", err)
	}
	return tok
}

// parts cuts a token at its dots.
func parts(token string) []string { return strings.Split(token, ".") }

func join(parts ...string) string { return strings.Join(parts, ".") }

// with returns what with a member in front of those that it has.
func with(object, member string) string { return "{" + member + "," + object[1:] }

var sentinels = []error{
	validator.ErrNoToken, validator.ErrRequest, validator.ErrMalformed, validator.ErrType, validator.ErrAlgorithm,
	validator.ErrKey, validator.ErrSignature, validator.ErrIssuer, validator.ErrAudience, validator.ErrExpired,
	validator.ErrNotYetValid, validator.ErrInactive, validator.ErrRevoked, validator.ErrBinding, validator.ErrScope,
	validator.ErrForbidden, validator.ErrStepUp, validator.ErrProof, validator.ErrNonce, validator.ErrUnavailable,
}

// allRefusals are the rows of every suite.
func allRefusals() []refusal {
	return slices.Concat(
		typeRefusals(), requiredClaimRefusals(), audienceRefusals(), issuerRefusals(),
		algorithmRefusals(), confusionRefusals(), keyRefusals(), signatureRefusals(), encodingRefusals(), headerKeyRefusals(),
		compactRefusals(), criticalRefusals(), base64Refusals(), memberRefusals(),
		dateRefusals(), answerRefusals(), freshRefusals(), scopeRefusals(), stepUpRefusals(), defaultRefusals(),
	)
}

// publicJWK is the JWK of a public key (RFC 7518 section 6, RFC 8037).
func publicJWK(public crypto.PublicKey) edits {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return edits{"kty": "RSA", "n": jose.Encode(k.N.Bytes()), "e": "AQAB"}
	case *ecdsa.PublicKey:
		point := must(k.Bytes())
		return edits{"kty": "EC", "crv": "P-256", "x": jose.Encode(point[1:33]), "y": jose.Encode(point[33:])}
	default:
		return edits{"kty": "OKP", "crv": "Ed25519", "x": jose.Encode(public.(ed25519.PublicKey))}
	}
}
