package validator

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/countermark/countermark/internal/bounded"
	"github.com/countermark/countermark/internal/dpop"
	"github.com/countermark/countermark/internal/jose"
)

const (
	maxToken      = 16 << 10 // bytes; refused before it is parsed
	maxKeys       = 8        // tried for one token
	defaultLeeway = 30 * time.Second
	maxLeeway     = 5 * time.Minute
	maxProofAge   = time.Hour
)

// Config is the policy of a [Validator]. The zero value of an optional field is
// the strict choice.
type Config struct {
	// Issuer is the iss that tokens must have, compared byte for byte (RFC 9068
	// section 4). Required.
	Issuer string
	// Audiences are the names of this API. A token's aud must hold at least one
	// of them, byte for byte (RFC 9068 section 4). Required.
	Audiences []string

	// Keys verifies JWTs and Introspector judges opaque tokens. At least one is
	// required. Without Keys, JWTs are introspected too; without Introspector,
	// opaque tokens are refused.
	Keys         KeySource
	Introspector Introspector

	// Types are the media types that a JWT may name as its typ (RFC 8725 section
	// 3.11), without "application/", in any case. Empty means at+jwt alone
	// (RFC 9068 section 2.1), which keeps ID tokens out. For an issuer that marks
	// access tokens by no type, add "JWT", or "" for a token without typ; then
	// nothing but the audience tells them from its ID tokens.
	Types []string
	// Algorithms are the JWS algorithms that are accepted (RFC 8725 section 3.1).
	// Empty means every asymmetric one of RFC 7518, RFC 8037 and RFC 9864; there
	// is no way to accept "none" or HMAC.
	Algorithms []string
	// ScopeClaims names the claims that may hold the scopes, as a string of words
	// or an array of strings; the first that a token has counts. Empty means
	// scope (RFC 8693 section 4.2), then scp. A claim that is read for something
	// else, as sub is, is an error.
	ScopeClaims []string
	// AnswerMayLack lists which of iss, aud and exp an introspection answer may
	// lack (RFC 7662 section 2.2 requires none). An answer without iss then
	// counts as Issuer's, and one without aud as meant for this API: right only
	// if the issuer answers about nobody else's tokens. Empty: all are required.
	// What an answer has is enforced in any case.
	AnswerMayLack []string

	// RequireBinding refuses tokens that are not bound to a DPoP key or a client
	// certificate (RFC 9700 section 2.2.1). A bound token is refused without its
	// key in any case.
	RequireBinding bool
	// ProofAge is how long after its iat a DPoP proof is good (RFC 9449 section
	// 11.1), Leeway apart. 0 means 1 minute; at most 1 hour.
	ProofAge time.Duration
	// Replay remembers the proofs that were used; nil means a memory of this
	// Validator, for a million of them: some 4,000 requests a second with the
	// default ProofAge. What cannot be remembered is refused as ErrUnavailable.
	// Replicas share one, or a proof passes once at each of them; so do Validators
	// that take each other's place.
	Replay ReplayCache
	// NonceKey, at least 32 bytes of chance, has clients put a nonce of ours into
	// their proofs (RFC 9449 section 9), which changes every minute and is good
	// for that one and the next. A proof's age is then the nonce's, and the
	// client's clock of no account. Replicas share the key. Empty means no nonces.
	NonceKey []byte

	// CacheSize is how many verified JWTs are remembered, so that their signatures
	// need not be verified again; all else is judged anew each time, and a key that
	// the issuer withdrew is good no more. Some 1.5 KiB each. 0 means 10,000, a
	// negative value means none.
	CacheSize int

	// Leeway is how far clocks may differ. 0 means 30 seconds; a negative value
	// means none; more than 5 minutes is an error.
	Leeway time.Duration
	// Check, if not nil, has the last word on a token that meets all else. An
	// error refuses the token: with the status and code of a sentinel or *Error
	// of this package if it is or wraps one, otherwise as ErrForbidden. It may be
	// called by many goroutines at once.
	Check func(context.Context, *Token) error
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// A Validator judges the tokens of one issuer for one API. It holds no
// resources of its own and is safe for concurrent use.
type Validator struct {
	cfg     Config
	methods []*jose.Method
	headers headers
	memory  memory
	proofs  dpop.Policy
	lacking claimSet    // what an introspection answer may lack
	left    atomic.Bool // set by the Issuers that owned it and closes it
}

// New returns a Validator with the policy of cfg. It does no I/O: an issuer that
// is down delays nobody's start.
func New(cfg Config) (*Validator, error) {
	v := &Validator{cfg: cfg}
	c := &v.cfg
	if c.Issuer == "" {
		return nil, errors.New("validator: Config.Issuer: required")
	}
	if len(c.Audiences) == 0 || slices.Contains(c.Audiences, "") {
		return nil, errors.New("validator: Config.Audiences: at least one is required, and none may be empty")
	}
	for name, part := range map[string]any{"Keys": c.Keys, "Introspector": c.Introspector, "Replay": c.Replay} {
		if p := reflect.ValueOf(part); p.Kind() == reflect.Pointer && p.IsNil() {
			return nil, fmt.Errorf("validator: Config.%s: is a nil %T; leave it out, or give it one", name, part)
		}
	}
	if c.Keys == nil && c.Introspector == nil {
		return nil, errors.New("validator: Config.Keys, Config.Introspector: at least one is required")
	}
	if c.Leeway > maxLeeway {
		return nil, fmt.Errorf("validator: Config.Leeway: at most %v", maxLeeway)
	}
	if c.Leeway == 0 {
		c.Leeway = defaultLeeway
	}
	c.Leeway = max(c.Leeway, 0)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.ProofAge < 0 || c.ProofAge > maxProofAge {
		return nil, fmt.Errorf("validator: Config.ProofAge: must not be negative, nor more than %v", maxProofAge)
	}
	if c.ProofAge == 0 {
		c.ProofAge = dpop.DefaultAge
	}
	v.proofs = dpop.Policy{Age: c.ProofAge, Leeway: c.Leeway}
	if len(c.NonceKey) > 0 && len(c.NonceKey) < dpop.MinNonceKey {
		return nil, fmt.Errorf("validator: Config.NonceKey: must have at least %d bytes", dpop.MinNonceKey)
	}
	if len(c.NonceKey) > 0 {
		v.proofs.Nonces = dpop.NewNonces(c.NonceKey)
		c.NonceKey = nil // a Validator that is printed does not show it
	}
	if c.Replay == nil {
		c.Replay = newMemoryReplay(v.proofs.Memory())
	}
	if c.Keys != nil {
		v.memory.tokens = bounded.New[[sha256.Size]byte, *remembered](cmp.Or(c.CacheSize, defaultCacheSize))
	}
	c.Audiences = slices.Clone(c.Audiences)
	c.Types = defaulted(c.Types, "at+jwt")
	for i, t := range c.Types {
		c.Types[i] = jose.ShortType(t)
		if slices.Contains(otherTypes, c.Types[i]) {
			return nil, fmt.Errorf("validator: Config.Types: %q is no access token's", t)
		}
	}
	if slices.Contains(c.ScopeClaims, "") {
		return nil, errors.New("validator: Config.ScopeClaims: none may be empty")
	}
	for _, name := range c.ScopeClaims {
		if slices.Contains(otherClaims, name) {
			return nil, fmt.Errorf("validator: Config.ScopeClaims: %s says something else", name)
		}
	}
	c.ScopeClaims = defaulted(c.ScopeClaims, "scope", "scp")
	for _, alg := range defaulted(c.Algorithms, jose.Algorithms()...) {
		m, ok := jose.Lookup(alg)
		if !ok {
			return nil, fmt.Errorf("validator: Config.Algorithms: %q is none of %s", alg, strings.Join(jose.Algorithms(), ", "))
		}
		v.methods = append(v.methods, m)
	}
	for _, name := range c.AnswerMayLack {
		claim, ok := map[string]claimSet{"iss": claimIssuer, "aud": claimAudience, "exp": claimExpiry}[name]
		if !ok {
			return nil, fmt.Errorf("validator: Config.AnswerMayLack: %q is none of iss, aud, exp", name)
		}
		v.lacking |= claim
	}
	return v, nil
}

// otherTypes are those of JWTs that an issuer or a client makes for other ends, and
// that must never pass for access tokens (RFC 8725 section 3.11).
var otherTypes = []string{
	"dpop+jwt",                                         // RFC 9449 section 4.2
	"logout+jwt",                                       // OpenID Connect Back-Channel Logout section 2.4
	"token-introspection+jwt",                          // RFC 9701 section 5
	"secevent+jwt",                                     // RFC 8417 section 2.3
	"client-authentication+jwt", "oauth-authz-req+jwt", // RFC 9101 section 10.8
}

// otherClaims are those that parse reads for what they say, which is not scopes.
var otherClaims = []string{
	"iss", "sub", "client_id", "jti", "acr", "aud", "exp", "iat", "nbf", "auth_time", "cnf", "token_type", "token_use", "typ", "active",
}

// Format writes the Config without its NonceKey.
func (c Config) Format(f fmt.State, verb rune) {
	type plain Config
	c.NonceKey = nil
	_, _ = fmt.Fprintf(f, fmt.FormatString(f, verb), plain(c))
}

// LogValue is what Format writes, for log/slog.
func (c Config) LogValue() slog.Value { return slog.StringValue(fmt.Sprintf("%+v", c)) }

// Validate judges a plain bearer token. An error is an [*Error].
func (v *Validator) Validate(ctx context.Context, token string) (*Token, error) {
	return v.Authorize(ctx, Credentials{Token: token}, Requirement{})
}

func defaulted(list []string, otherwise ...string) []string {
	if len(list) == 0 {
		return otherwise
	}
	return slices.Clone(list)
}
