package authserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/countermark/countermark/internal/discovery"
	"github.com/countermark/countermark/internal/fetch"
)

const defaultLifetime = 10 * time.Minute

// Config is what a [Server] is made of. It is copied: changes after [New] have
// no effect.
type Config struct {
	// Issuer is the issuer identifier, the URL under which the server is reached
	// (RFC 8414 section 2): https, or http on a loopback host; it may have a
	// path. It stands in every token as it is written here. Required.
	Issuer string
	// Clients are the clients that are known besides those of the Store. They
	// take precedence over them, and are not written to it.
	Clients []Client
	// Users are the people who can sign in. Without Users and Login there are
	// none: the server has no authorization endpoint and no authorization_code
	// grant.
	Users []User
	// Login takes the place of Users, for people who are kept elsewhere: it
	// returns the user with that name and password, or [ErrBadCredentials]. Any
	// other error is a failure of its own. It should take as long for a name that
	// nobody has as for a wrong password. Attempts are limited before it is
	// called.
	Login func(ctx context.Context, username, password string) (User, error)
	// Store keeps opaque tokens and revocations. Nil means a [MemoryStore] of
	// its own.
	Store Store
	// Keys are the signing keys. The first one signs; the others are published
	// only: keys whose tokens are still about, or one that is to sign after the
	// next start. Empty means a new ES256 key, whose tokens nobody can verify
	// after a restart.
	Keys []SigningKey
	// TokenLifetime is how long an access token is good, in whole seconds. 0
	// means 10 minutes.
	TokenLifetime time.Duration
	// AllowedOrigins are the web origins, as in https://app.example, whose pages
	// may call the server with fetch. Empty means none.
	AllowedOrigins []string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Logger gets what was refused and why, failures, key rotations and, at the
	// debug level, tokens issued: never a secret or a token. Nil means
	// slog.Default.
	Logger *slog.Logger
}

// New returns a server. It does no I/O. An error names the field that is wrong.
func New(cfg Config) (*Server, error) {
	issuer, err := parseIssuer(cfg.Issuer)
	if err != nil {
		return nil, fmt.Errorf("authserver: Config.Issuer: %w", err)
	}
	s := &Server{
		issuer:   cfg.Issuer,
		clients:  make(map[string]*client, len(cfg.Clients)),
		store:    cfg.Store,
		lifetime: cfg.TokenLifetime,
		origins:  slices.Clone(cfg.AllowedOrigins),
		now:      cfg.Now,
		log:      cfg.Logger,
	}
	for i := range cfg.Clients {
		c, err := newClient(&cfg.Clients[i])
		if err != nil {
			return nil, fmt.Errorf("authserver: Config.Clients[%d] (%q): %w", i, cfg.Clients[i].ClientID, err)
		}
		if s.clients[c.ClientID] != nil {
			return nil, fmt.Errorf("authserver: Config.Clients[%d] (%q): client_id: another client has it too", i, c.ClientID)
		}
		s.clients[c.ClientID] = c
	}
	if s.store == nil {
		s.store = NewMemoryStore(nil)
	}
	if s.lifetime == 0 {
		s.lifetime = defaultLifetime
	}
	if s.lifetime < time.Second || s.lifetime%time.Second != 0 {
		return nil, errors.New("authserver: Config.TokenLifetime: must be whole seconds, one at least")
	}
	for i, origin := range cfg.AllowedOrigins {
		if err := checkOrigin(origin); err != nil {
			return nil, fmt.Errorf("authserver: Config.AllowedOrigins[%d]: %w", i, err)
		}
	}
	if err := s.openSignIn(&cfg); err != nil {
		return nil, err
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	keys := cfg.Keys
	if len(keys) == 0 {
		key, err := GenerateKey("ES256")
		if err != nil {
			return nil, err
		}
		keys = []SigningKey{key}
	}
	if s.keys, err = newKeyring(keys); err != nil {
		return nil, err
	}
	s.path = strings.TrimSuffix(issuer.EscapedPath(), "/")
	s.routes = s.newRoutes(strings.TrimSuffix(cfg.Issuer, "/"))
	return s, nil
}

// parseIssuer wants a URL that nobody rewrites on its way, so that all have the
// same one byte for byte.
func parseIssuer(raw string) (*url.URL, error) {
	if raw == "" {
		return nil, errors.New("required")
	}
	if err := discovery.CheckIssuer(raw); err != nil {
		return nil, err
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, err
	}
	if u.String() != raw || !isClean(u.Path) {
		return nil, errors.New("must be in normal form: scheme in lower case, escapes where needed, no dots or empty parts in its path")
	}
	return u, nil
}

// isClean reports whether nobody would shorten p, but for a slash at its end.
func isClean(p string) bool { return p == "" || path.Clean(p) == p || path.Clean(p)+"/" == p }

// checkOrigin wants what a browser sends as Origin (RFC 6454 section 6.2): it is
// compared byte for byte.
func checkOrigin(raw string) error {
	if err := fetch.CheckURL(raw); err != nil {
		return err
	}
	scheme, host, _ := strings.Cut(raw, "://")
	defaultPort := map[string]string{"https": ":443", "http": ":80"}[scheme]
	if raw != strings.ToLower(raw) || strings.ContainsAny(host, "/?") || strings.HasSuffix(host, defaultPort) {
		return errors.New("must be scheme and host in lower case, with the port unless it is the default one, and nothing else")
	}
	return nil
}
