package authserver

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/countermark/countermark/internal/dpop"
	"github.com/countermark/countermark/internal/fetch"
)

const (
	defaultLifetime = 10 * time.Minute
	maxLifetime     = 24 * time.Hour
)

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
	// TrustedIssuers are whose assertions are taken as authorization grants (RFC
	// 7523 section 2.1). Empty means nobody's.
	TrustedIssuers []TrustedIssuer
	// Users are the people who can sign in. Without Users and Login there are
	// none: the server has no authorization endpoint, no device authorization
	// endpoint, and none of their grants.
	Users []User
	// Login takes the place of Users, for people who are kept elsewhere: it
	// returns the user with that name and password, or [ErrBadCredentials]. Any
	// other error is a failure of its own. It should take as long for a name that
	// nobody has as for a wrong password. Attempts are limited before it is
	// called.
	Login func(ctx context.Context, username, password string) (User, error)
	// Registration lets clients register themselves. Nil means that they cannot.
	Registration *Registration
	// ClientIDMetadataDocuments lets in clients whose client_id is the URL of what
	// they say of themselves. Nil means none.
	ClientIDMetadataDocuments *ClientIDMetadataDocuments
	// FindUser goes with Login: it returns the user with a Subject as they are now,
	// or [ErrNotFound] if there is nobody any more. Any other error is a failure of
	// its own, for which nobody is let in. It is asked for claims at the userinfo
	// endpoint, and whenever a session, a code or a refresh token is used, so that
	// who has left is out; access tokens of theirs last until they expire. Nil means
	// that nothing is known but the Subject, and nobody to have left.
	FindUser func(ctx context.Context, subject string) (User, error)
	// Pages is how the pages look on which people sign in and consent.
	Pages Pages
	// Development has the pages say that this is an issuer for development, and lets
	// everybody sign in as any of Users by one click, without a password: on a
	// developer's own machine, with nobody in it who exists. It is an error unless the
	// Issuer is on a loopback host. One click is for a browser whose
	// [http.Request.RemoteAddr] is on loopback and whose Host is the Issuer's; others,
	// as those that come through a container's port, need the password. So see to it
	// that the server listens on loopback alone, where all that comes through a proxy
	// or a tunnel on the machine comes from, too.
	Development bool
	// Store keeps opaque tokens, codes, sessions and revocations. Nil means a
	// [MemoryStore] of its own: a restart makes opaque tokens void, signs everybody
	// out, and forgets which JWTs were revoked, which are good again if their key
	// is still among Keys.
	Store Store
	// Keys are the signing keys. The first one signs; the others are published
	// only: keys whose tokens are still about, or one that is to sign after the
	// next start. What [Server.RotateKeys] does is then not written down: at the
	// next start, and in other processes, the keys are those given here.
	//
	// Empty means those of the Store, if it is a [KeyStore], where the first server
	// puts a new ES256 key. Without one it means a new ES256 key, whose tokens
	// nobody can verify after a restart.
	Keys []SigningKey
	// KeyRotation is how long a key signs before a new one of the same algorithm
	// takes over, in the way of RotateScheduled: at least an hour. Nothing runs in
	// the background for it. The clock is read when a token is signed, so that a
	// server of which nobody wants a token rotates later. It is for keys that the
	// server makes itself, and keeps in a [KeyStore] or loses at the next start:
	// with Keys it is an error, and RotateKeys the way. 0 means that keys change by
	// RotateKeys alone.
	KeyRotation time.Duration
	// TokenLifetime is how long an access token is good, in whole seconds and at
	// most 24 hours. 0 means 10 minutes.
	TokenLifetime time.Duration
	// RefreshTokenLifetime is how long the refresh tokens of a grant are good, all
	// of them together, from when its first token was issued: at most 365 days. Then
	// the person has to be asked again. 0 means 30 days.
	RefreshTokenLifetime time.Duration
	// RefreshTokenGrace is how long after a refresh token was used it may be used
	// again, for the same successor and while that is unused: for a client that has
	// lost the answer, or asks twice at once. Whatever comes later is a theft, and
	// ends the grant: so it is longer than clients wait for an answer. At most a
	// minute; 0 means 30 seconds, negative means none.
	RefreshTokenGrace time.Duration
	// DPoPNonceKey, at least 32 bytes of chance, has clients put a nonce of the
	// server into their DPoP proofs (RFC 9449 section 8), which changes every
	// minute and is good for that one and the next. A proof's age is then the
	// nonce's, and the client's clock of no account. Replicas share the key. Empty
	// means no nonces.
	DPoPNonceKey []byte
	// ClientCertificate returns the certificate that a client showed, for a server
	// behind a proxy that ends TLS: from where the proxy puts it, and only if
	// nobody else can put one there. The proxy must have had the client prove that
	// it holds the key. Who signed it nobody here knows then, so that tokens may be
	// bound to it and clients authenticate by self_signed_tls_client_auth, but not
	// by tls_client_auth. Nil means the first certificate of the TLS connection; the
	// [http.Server] must then ask for one (tls.RequestClientCert is enough). It is
	// called by many goroutines at once, and returns nil if there is none.
	ClientCertificate func(*http.Request) *x509.Certificate
	// AllowedOrigins are the web origins, as in https://app.example, whose pages
	// may call the server with fetch. Empty means none.
	AllowedOrigins []string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Audit is told of every [Event], after it happened and before the client has
	// its answer, which waits for it: hand over what takes long. It is called by
	// many goroutines at once and may call the server. Its context has the values
	// of the request's, in which middleware may have put an address or a trace,
	// and does not end when the client hangs up. Nil means nobody is told.
	Audit func(context.Context, Event)
	// Logger gets every [Event] as a record: failures of the server at the error
	// level, tokens issued and devices that ask too early for theirs at the debug
	// level, the reuse of a refresh token, an authorization code or a device code as
	// a warning, all else at the info level. Nil means slog.Default.
	Logger *slog.Logger
}

// Format writes the Config without its DPoPNonceKey.
func (c Config) Format(f fmt.State, verb rune) {
	type plain Config
	c.DPoPNonceKey = nil
	_, _ = fmt.Fprintf(f, fmt.FormatString(f, verb), plain(c))
}

// LogValue is what Format writes, for log/slog.
func (c Config) LogValue() slog.Value { return slog.StringValue(fmt.Sprintf("%+v", c)) }

// New returns a server. It does no I/O. An error names the field that is wrong.
func New(cfg Config) (*Server, error) {
	issuer, err := parseIssuer(cfg.Issuer)
	if err != nil {
		return nil, fmt.Errorf("authserver: Config.Issuer: %w", err)
	}
	s := &Server{
		issuer:   cfg.Issuer,
		base:     strings.TrimSuffix(cfg.Issuer, "/"),
		origin:   issuer.Scheme + "://" + issuer.Host,
		clients:  make(map[string]*client, len(cfg.Clients)),
		store:    cfg.Store,
		lifetime: cfg.TokenLifetime,

		refreshLifetime: cmp.Or(cfg.RefreshTokenLifetime, defaultRefreshLifetime),
		refreshGrace:    max(cmp.Or(cfg.RefreshTokenGrace, defaultRefreshGrace), 0),

		origins: slices.Clone(cfg.AllowedOrigins),
		now:     cfg.Now,
		log:     cfg.Logger,
		audit:   cfg.Audit,

		proofs:            dpop.Policy{Age: dpop.DefaultAge, Leeway: proofLeeway},
		clientCertificate: cfg.ClientCertificate,
	}
	for i := range cfg.Clients {
		c, err := newClient(&cfg.Clients[i], parseKeys)
		if err != nil {
			return nil, fmt.Errorf("authserver: Config.Clients[%d] (%q): %w", i, cfg.Clients[i].ClientID, err)
		}
		if s.clients[c.ClientID] != nil {
			return nil, fmt.Errorf("authserver: Config.Clients[%d] (%q): client_id: another client has it too", i, c.ClientID)
		}
		s.clients[c.ClientID] = c
	}
	if s.issuers, err = s.newTrustedIssuers(cfg.TrustedIssuers); err != nil {
		return nil, err
	}
	switch {
	case s.store == nil:
		s.store = NewMemoryStore(nil)
	case isNil(s.store):
		return nil, fmt.Errorf("authserver: Config.Store: is a nil %T; leave the field out for a store in memory", s.store)
	}
	if s.lifetime == 0 {
		s.lifetime = defaultLifetime
	}
	if s.lifetime < time.Second || s.lifetime > maxLifetime || s.lifetime%time.Second != 0 {
		return nil, errors.New("authserver: Config.TokenLifetime: must be whole seconds, from one second to 24 hours")
	}
	switch {
	case s.refreshLifetime < s.lifetime || s.refreshLifetime > maxRefreshLifetime:
		return nil, errors.New("authserver: Config.RefreshTokenLifetime: must be from TokenLifetime to 365 days")
	case s.refreshGrace > maxRefreshGrace:
		return nil, errors.New("authserver: Config.RefreshTokenGrace: must be at most a minute")
	}
	if len(cfg.DPoPNonceKey) > 0 {
		if len(cfg.DPoPNonceKey) < dpop.MinNonceKey {
			return nil, fmt.Errorf("authserver: Config.DPoPNonceKey: must have at least %d bytes", dpop.MinNonceKey)
		}
		s.proofs.Nonces = dpop.NewNonces(cfg.DPoPNonceKey)
	}
	for i, origin := range cfg.AllowedOrigins {
		if err := checkOrigin(origin); err != nil {
			return nil, fmt.Errorf("authserver: Config.AllowedOrigins[%d]: %w", i, err)
		}
	}
	if err := s.openSignIn(&cfg, issuer); err != nil {
		return nil, err
	}
	if s.now == nil {
		s.now = time.Now
	}
	local := fetch.IsLoopback(issuer.Hostname())
	s.keySets = newKeySets(newEgress(local), s.now)
	if err := s.openOnboarding(&cfg, local); err != nil {
		return nil, err
	}
	switch {
	case s.log == nil:
		s.log = slog.Default()
	case s.log.Handler() == nil:
		return nil, errors.New("authserver: Config.Logger: has no handler; slog.New makes one that has")
	}
	if s.rotation, err = checkRotation(cfg.KeyRotation, len(cfg.Keys)); err != nil {
		return nil, err
	}
	keys := cfg.Keys
	if len(keys) == 0 {
		key, err := GenerateKey("ES256")
		if err != nil {
			return nil, err
		}
		keys = []SigningKey{key}
	}
	if s.keys, err = newKeyring(keys, s.now()); err != nil {
		return nil, err
	}
	if len(cfg.Keys) == 0 {
		s.keys.share(s.store)
	}
	s.path = strings.TrimSuffix(issuer.EscapedPath(), "/")
	s.routes = s.newRoutes()
	return s, nil
}

// isNil reports whether v is a nil pointer or the like: an interface that holds
// one is not nil itself.
func isNil(v any) bool {
	r := reflect.ValueOf(v)
	switch r.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Func, reflect.Chan:
		return r.IsNil()
	default:
		return false
	}
}
