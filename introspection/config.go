package introspection

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/countermark/countermark/internal/discovery"
	"github.com/countermark/countermark/internal/fetch"
)

const (
	defaultTimeout     = 5 * time.Second
	defaultTTL         = 60 * time.Second
	defaultNegativeTTL = 5 * time.Second
	defaultCacheSize   = 10_000
	maxRetries         = 5
)

// Config says whom to ask, as whom, and how long answers are good for. Auth and
// one of Issuer and URL are required; every other zero value is a safe default.
type Config struct {
	// Issuer is the authorization server's identifier: an https URL (http for
	// a loopback host), as in its metadata. The endpoint is found there at
	// the first use (RFC 8414, OpenID Connect Discovery), unless URL says it.
	Issuer string

	// URL is the introspection endpoint, an https URL (http for a loopback
	// host). Empty: what the metadata of Issuer says.
	URL string

	// Auth is how this client authenticates: [Basic], [Post],
	// [PrivateKeyJWT], [SecretJWT], [TLS], [Bearer] or [AuthFunc]. Required,
	// since an endpoint that answers everybody lets everybody scan for tokens
	// (RFC 7662 section 2.1).
	Auth Authenticator

	// Client sends the requests; nil means [http.DefaultClient]. Whatever it
	// says, a request with a token is not redirected, and no cookie is kept.
	// For many requests a second to an endpoint without HTTP/2, give it a
	// Transport with MaxIdleConnsPerHost above the default of 2. A Transport
	// of one's own needs a TLSHandshakeTimeout as well: net/http goes on with
	// a handshake that no request waits for any more, by default for ever.
	Client *http.Client

	// Timeout bounds one request, from its authentication to the keys that a
	// signed answer is verified with. Reading the metadata may take as long,
	// and so may waiting while too many requests are under way. 0: 5 s.
	Timeout time.Duration

	// Retries is how many more times a request is sent that got no answer, or
	// a status of 429 or 5xx, after pauses from 100 ms that double. If the
	// endpoint asks for more than 2 s of patience, that is left to the
	// caller. 0: none; at most 5.
	Retries int

	// TTL bounds how long a good answer is used; the token's exp bounds it
	// too. It is how long a revoked token may go on working where no fresh
	// look is asked for. 0: 60 s; negative: good answers are not remembered.
	TTL time.Duration

	// NegativeTTL is how long a bad answer is used. 0: 5 s; negative: bad
	// answers are not remembered.
	NegativeTTL time.Duration

	// CacheSize is how many good answers are remembered in this process and,
	// apart from them, how many bad ones. An answer has at most 64 KiB, and a
	// bad one takes a few bytes. 0: 10,000; negative: none.
	CacheSize int

	// Cache is a cache that several processes share; it is asked when this
	// process does not know. Nil: none.
	Cache Cache

	// Keys verifies signed answers (RFC 9701). If it is set, signed answers
	// are asked for and others refused. It needs Issuer, whose keys these are.
	// Nil: answers are not signed.
	Keys KeySource

	// Audience is how the issuer names this resource server in a signed
	// answer. Empty: by the client identifier of Auth.
	Audience string

	// Logger is told when the endpoint begins to refuse this client's
	// authentication and when Cache begins to fail, once each until it works
	// again. Nil: [slog.Default].
	Logger *slog.Logger
}

// A KeySource finds the public keys of the issuer that a signature with this
// kid (empty if it names none) and algorithm may have been made with. No keys
// and no error means that there are none.
type KeySource interface {
	Keys(ctx context.Context, kid, alg string) ([]crypto.PublicKey, error)
}

// complete checks c and returns it with the defaults filled in.
func (c Config) complete() (Config, error) {
	if err := c.check(); err != nil {
		return Config{}, err
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.TTL == 0 {
		c.TTL = defaultTTL
	}
	if c.NegativeTTL == 0 {
		c.NegativeTTL = defaultNegativeTTL
	}
	if c.CacheSize == 0 {
		c.CacheSize = defaultCacheSize
	}
	if c.Keys != nil && c.Audience == "" {
		c.Audience = c.Auth.clientID
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	c.Client = fetch.Client(c.Client)
	return c, nil
}

func (c Config) check() error {
	if c.Issuer == "" && c.URL == "" {
		return errors.New("introspection: Config.Issuer: is empty, and so is URL: set one, or both to skip discovery")
	}
	if c.Issuer != "" {
		if err := discovery.CheckIssuer(c.Issuer); err != nil {
			return fmt.Errorf("introspection: Config.Issuer: %w", err)
		}
	}
	if c.URL != "" {
		if err := fetch.CheckURL(c.URL); err != nil {
			return fmt.Errorf("introspection: Config.URL: %w", err)
		}
	}
	switch {
	case c.Auth.err != nil:
		return fmt.Errorf("introspection: Config.Auth: %w", c.Auth.err)
	case c.Auth.apply == nil:
		return errors.New("introspection: Config.Auth: is required: use Basic, Post, PrivateKeyJWT, SecretJWT, TLS, Bearer or AuthFunc")
	case c.Auth.mutualTLS && c.Client == nil:
		return errors.New("introspection: Config.Client: is required with TLS: the client certificate is in its Transport")
	case c.Timeout < 0:
		return errors.New("introspection: Config.Timeout: is negative; 0 means 5 s")
	case c.Retries < 0 || c.Retries > maxRetries:
		return fmt.Errorf("introspection: Config.Retries: is out of range: 0 to %d", maxRetries)
	case c.Cache != nil && c.TTL < 0:
		return errors.New("introspection: Config.Cache: has nothing to hold: TTL is negative")
	case c.Keys != nil && c.Issuer == "":
		return errors.New("introspection: Config.Issuer: is required with Keys: a signed answer names it")
	case c.Keys == nil && c.Audience != "":
		return errors.New("introspection: Config.Audience: is for signed answers: set Keys")
	}
	return nil
}
