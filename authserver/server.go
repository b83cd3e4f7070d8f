package authserver

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/countermark/countermark/internal/dpop"
)

// A Server is an OAuth 2.0 authorization server: an [http.Handler] for the paths
// of its issuer. It runs nothing in the background, has nothing to close, and is
// safe for concurrent use.
type Server struct {
	issuer   string
	base     string             // the issuer without a slash at its end
	origin   string             // the issuer's scheme and host
	path     string             // the issuer's, escaped, without a slash at its end
	clients  map[string]*client // those of the configuration, by client_id
	issuers  map[string]*trustedIssuer
	keySets  *keySets // of clients
	parsed   parsedKeys
	store    Store
	keys     *keyring
	rotation time.Duration // how long a key signs; 0: until RotateKeys
	rotating atomic.Bool   // whether somebody sees to the next key
	stalled  time.Time     // when whoever sees to it last failed
	lifetime time.Duration // of access tokens
	origins  []string
	now      func() time.Time
	log      *slog.Logger
	audit    func(context.Context, Event) // may be nil

	refreshLifetime   time.Duration // of all refresh tokens of a grant
	refreshGrace      time.Duration // 0: none
	proofs            dpop.Policy
	clientCertificate func(*http.Request) *x509.Certificate // nil: that of the TLS connection

	registration *registration // nil: clients do not register themselves
	documents    *documents    // nil: no client_id is a URL to ask at

	// For people to sign in; login is nil where nobody can.
	login    loginFunc
	subjects map[string]*person                                      // of Config.Users
	findUser func(ctx context.Context, subject string) (User, error) // nil: nobody knows who is there
	seeded   *people                                                 // who need no password, for development; else nil
	throttle *throttle                                               // of passwords
	guesses  *throttle                                               // of user codes
	pages    *pages
	cookie   string // its name

	routes map[string]route // by path, escaped
	writes atomic.Uint64    // to the store
}

// String names the issuer. Without it, %s would show what the server knows.
func (s *Server) String() string { return "authserver.Server(" + s.issuer + ")" }

// A route is what a path leads to.
type route struct {
	methods []string
	cors    bool // whether pages of other origins may use it
	page    bool // whether it is for people
	serve   http.HandlerFunc
}

// ServeHTTP implements [http.Handler]. It knows whole paths, those of well-known
// documents at the root of the host included: mount it at the root, and not
// behind [http.StripPrefix].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// A client that never finishes its body must not hold a goroutine, whatever
	// it is answered: net/http reads a body to its end that nobody asked for.
	// Where deadlines are not supported there is no connection to wait on.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	rt, ok := s.routes[r.URL.EscapedPath()]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if rt.cors && s.crossOrigin(w, r, rt.methods) {
		return
	}
	if !slices.Contains(rt.methods, r.Method) {
		w.Header().Set("Allow", strings.Join(rt.methods, ", "))
		refused := refuseWith(http.StatusMethodNotAllowed, invalidRequest, "the method is not allowed here")
		if rt.page {
			s.writeErrorPage(w, r, nil, refused)
			return
		}
		s.writeError(w, r, nil, refused)
		return
	}
	rt.serve(w, r)
}

// newRoutes returns what is served under the issuer.
func (s *Server) newRoutes() map[string]route {
	get := []string{http.MethodGet, http.MethodHead}
	post := []string{http.MethodPost}
	about := route{methods: get, cors: true, serve: document(func() any { return s.metadata() })}
	if s.login != nil {
		about.serve = s.withKeys(about.serve) // it tells what they sign with
	}
	path := s.path
	routes := map[string]route{
		path + tokenPath:      {methods: post, cors: true, serve: s.form(s.token)},
		path + revokePath:     {methods: post, cors: true, serve: s.form(s.revoke)},
		path + introspectPath: {methods: post, serve: s.form(s.introspect)},
		path + jwksPath:       {methods: get, cors: true, serve: s.withKeys(document(s.keySet))},

		"/.well-known/oauth-authorization-server" + path: about, // RFC 8414 section 3.1
		path + "/.well-known/openid-configuration":       about, // OpenID Connect Discovery section 4.1
		"/.well-known/openid-configuration" + path:       about, // RFC 8414 section 5
	}
	if s.registration != nil {
		methods := []string{http.MethodPost, http.MethodGet, http.MethodPut, http.MethodDelete}
		routes[path+registerPath] = route{methods: methods, cors: true, serve: s.serveRegistration}
	}
	if s.login != nil {
		routes[path+userinfoPath] = route{methods: []string{http.MethodGet, http.MethodPost}, cors: true, serve: s.tellUser}
		routes[path+authorizePath] = route{methods: []string{http.MethodGet, http.MethodPost}, page: true, serve: s.authorize}
		routes[path+logoutPath] = route{methods: []string{http.MethodGet, http.MethodPost}, page: true, serve: s.logout}
		routes[path+signOutPath] = route{methods: post, page: true, serve: s.signOutForm}
		routes[path+signInPath] = route{methods: post, page: true, serve: s.signInForm}
		routes[path+consentPath] = route{methods: post, page: true, serve: s.consentForm}
		routes[path+deviceAuthorizationPath] = route{methods: post, cors: true, serve: s.form(s.authorizeDevice)}
		routes[path+devicePath] = route{methods: []string{http.MethodGet, http.MethodPost}, page: true, serve: s.device}
		routes[path+parPath] = route{methods: post, cors: true, serve: s.formWith(http.StatusCreated, s.push)}
	}
	return routes
}
