package authserver

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/countermark/countermark/internal/authheader"
)

const (
	registerPath = "/register"

	maxClientMetadata = 16 << 10 // bytes
)

// A Registration lets clients register themselves (RFC 7591) and see to their
// registration afterwards (RFC 7592). Registered clients are kept in the Store,
// which is a [ClientStore], until they are deleted; without a Registration they stay
// what they are.
type Registration struct {
	// InitialAccessTokens are the hashes ([HashOf]) of the bearer tokens with which
	// clients may register, each any number of times. A token holds at least 128
	// random bits.
	InitialAccessTokens []Hash
	// Authorize takes the place of InitialAccessTokens: it reports whether who sends
	// this token, "" if none, may register. If it lets anybody, then anybody can
	// fill the Store: limit in front of the server how often they may. An error is
	// a failure of its own. It is called by many goroutines at once.
	Authorize func(ctx context.Context, token string) (bool, error)
	// Policy is what registered clients may have at most. A registration that asks
	// for more is refused.
	Policy ClientPolicy
}

// registration is a Registration that was checked.
type registration struct {
	authorize func(ctx context.Context, token string) (bool, error)
	policy    *clientPolicy
	store     ClientStore
}

// newRegistration checks r. An error begins with what follows the field of Config.
func newRegistration(r *Registration, store Store) (*registration, error) {
	n := &registration{authorize: r.Authorize}
	var ok bool
	if n.store, ok = store.(ClientStore); !ok {
		return nil, fmt.Errorf(": needs a Config.Store that is a ClientStore (PutClient, ReplaceClient, DeleteClient); a %T is none", store)
	}
	switch tokens := r.InitialAccessTokens; {
	case (n.authorize == nil) == (len(tokens) == 0):
		return nil, errors.New(".InitialAccessTokens: either they or Authorize must be set, which say who may register")
	case slices.Contains(tokens, Hash{}) || slices.Contains(tokens, HashOf("")):
		return nil, errors.New(".InitialAccessTokens: one is the hash of nothing: HashOf the token")
	case n.authorize == nil:
		n.authorize = oneOf(slices.Clone(tokens))
	}
	var err error
	n.policy, err = newClientPolicy(&r.Policy, []string{authNone, privateKeyJWT, secretBasic, secretPost})
	return n, err
}

// oneOf is an Authorize for the tokens with those hashes. Hashes hide by how far
// they agree nothing of what was hashed.
func oneOf(tokens []Hash) func(context.Context, string) (bool, error) {
	return func(_ context.Context, token string) (bool, error) {
		return slices.Contains(tokens, HashOf(token)), nil
	}
}

// clientInformation is what a client learns of its registration (RFC 7591 section
// 3.2.1, RFC 7592 section 3).
type clientInformation struct {
	Client
	ResponseTypes           []string `json:"response_types,omitempty"`
	ClientSecret            string   `json:"client_secret,omitempty"` // once: it is kept by its hash alone
	ClientSecretExpiresAt   *int     `json:"client_secret_expires_at,omitempty"`
	RegistrationAccessToken string   `json:"registration_access_token"`
	RegistrationClientURI   string   `json:"registration_client_uri"`
}

// information is what the client c with that token learns. The secret is empty
// unless it is new.
func (s *Server) information(c *Client, secret, token string) clientInformation {
	n := clientInformation{Client: *c, ClientSecret: secret, RegistrationAccessToken: token}
	n.RegistrationClientURI = s.base + registerPath + "?client_id=" + c.ClientID // which is of letters and digits
	if secret != "" {
		n.ClientSecretExpiresAt = new(int) // never
	}
	if c.may(authorizationCodeGrant) {
		n.ResponseTypes = []string{responseTypeCode}
	}
	return n
}

// register is the client registration endpoint (RFC 7591 section 3).
func (s *Server) register(w http.ResponseWriter, r *http.Request) (any, *client, error) {
	token, err := bearerToken(r)
	if err != nil {
		return nil, nil, err
	}
	may, err := s.registration.authorize(r.Context(), token)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("Registration.Authorize: %w", err)
	case !may:
		return nil, nil, noToken("registration takes an initial access token, and one that is good")
	}
	m, err := readClientMetadata(w, r)
	if err != nil {
		return nil, nil, err
	}
	token = newSecret()
	c, secret, err := s.registration.client(m, &Client{ClientID: rand.Text(), RegistrationTokenHash: HashOf(token)})
	if err != nil {
		return nil, nil, err
	}
	if err := s.write(r.Context(), func() error { return s.registration.store.PutClient(r.Context(), &c.Client) }); err != nil {
		return nil, nil, err
	}
	s.tellRegistration(r.Context(), c, "registered")
	return s.information(&c.Client, secret, token), c, nil
}

func (s *Server) tellRegistration(ctx context.Context, c *client, reason string) {
	s.emit(ctx, Event{Type: EventRegistration, ClientID: c.ClientID, Scope: c.Scope, Audience: c.Audience, Reason: reason})
}

// client returns the client that m describes and that takes the place of was, of
// which it has the ID, the registration token, and the secret if both have one. The
// secret is not empty if it is a new one.
func (r *registration) client(m *clientMetadata, was *Client) (c *client, secret string, err error) {
	if m.TokenEndpointAuthMethod == "" {
		m.TokenEndpointAuthMethod = secretBasic // RFC 7591 section 2
	}
	if err := r.policy.check(m); err != nil {
		return nil, "", badMetadata(err)
	}
	n := m.client(was.ClientID, r.policy)
	n.RegistrationTokenHash = was.RegistrationTokenHash
	if method := n.TokenEndpointAuthMethod; method == secretBasic || method == secretPost {
		if n.SecretHash = was.SecretHash; n.SecretHash == (Hash{}) {
			secret = newSecret()
			n.SecretHash = HashOf(secret)
		}
	}
	if c, err = newStoredClient(n, parseKeys); err != nil {
		return nil, "", badMetadata(err)
	}
	if len(common(c.scopes, r.policy.scopes)) < len(c.scopes) {
		return nil, "", badMetadata(errors.New("scope: has more than registered clients may have"))
	}
	return c, secret, nil
}

// check refuses what goes beyond the policy: a client that is registered for less
// than it asked for would learn it too late.
func (p *clientPolicy) check(m *clientMetadata) error {
	beyond := func(asked, allowed []string) bool {
		return slices.ContainsFunc(asked, func(a string) bool { return !slices.Contains(allowed, a) })
	}
	code := slices.Contains(m.GrantTypes, authorizationCodeGrant)
	switch {
	case beyond(m.GrantTypes, p.grants):
		return errors.New("grant_types: registered clients may have " + strings.Join(p.grants, ", "))
	case beyond([]string{m.TokenEndpointAuthMethod}, p.methods):
		return errors.New("token_endpoint_auth_method: registered clients may have " + strings.Join(p.methods, ", "))
	case beyond(m.ResponseTypes, []string{responseTypeCode}) || len(m.ResponseTypes) > 0 && !code:
		return errors.New("response_types: there is code alone, with the grant type authorization_code")
	default:
		return nil
	}
}

// badMetadata refuses what a client says of itself (RFC 7591 section 3.2.2).
func badMetadata(err error) error {
	code := "invalid_client_metadata"
	if strings.HasPrefix(err.Error(), "redirect_uris") {
		code = "invalid_redirect_uri"
	}
	refused := refuse(code, "the client metadata cannot be registered")
	refused.detail = legible(err)
	return refused
}

// readClientMetadata reads the body of a registration.
func readClientMetadata(w http.ResponseWriter, r *http.Request) (*clientMetadata, error) {
	data, err := readAll(w, r, "application/json", maxClientMetadata)
	if err != nil {
		return nil, err
	}
	m, err := parseClientMetadata(data)
	if err != nil {
		return nil, badMetadata(err)
	}
	return m, nil
}

// bearerToken returns the token of a request (RFC 6750 section 2.1), "" if there is
// none.
func bearerToken(r *http.Request) (string, error) {
	header := r.Header.Values("Authorization")
	if len(header) == 0 {
		return "", nil
	}
	scheme, token, err := authheader.Read(header)
	if err != nil || scheme != authheader.Bearer || len(token) > maxBasic {
		return "", noToken("Authorization must be a bearer token, once")
	}
	return token, nil
}

func noToken(description string) error {
	return refuseWith(http.StatusUnauthorized, "invalid_token", description)
}

// owns reports whether token is the one that the client sees to its registration
// with.
func (c *Client) owns(token string) bool {
	got := HashOf(token)
	return subtle.ConstantTimeCompare(got[:], c.RegistrationTokenHash[:]) == 1
}
