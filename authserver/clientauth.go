package authserver

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// maxBasic bounds an Authorization header, which nothing else does.
const maxBasic = 8 << 10

// What a client is told that did not prove who it is: the same whether there is
// such a client or not.
const (
	authRequired = "client authentication is required"
	authFailed   = "client authentication failed"
)

// credentials are what a request offers as its client's.
type credentials struct{ id, secret string }

// authenticate returns the client that sent the request (RFC 6749 section 2.3):
// by one mechanism, the one that it is registered for.
func (s *Server) authenticate(r *http.Request, form url.Values) (*client, error) {
	header := r.Header.Values("Authorization")
	posted := form.Get("client_secret") != ""
	asserted := form.Get("client_assertion") != "" || form.Get("client_assertion_type") != ""
	id := form.Get("client_id")

	var method string
	var offers []credentials
	switch {
	case len(header) > 1 || len(header) == 1 && (posted || asserted) || posted && asserted:
		return nil, refuse(invalidRequest, "only one of Authorization, client_secret and client_assertion may be sent")
	case len(header) == 1:
		method, offers = secretBasic, basicCredentials(header[0])
	case posted:
		method, offers = secretPost, []credentials{{id, form.Get("client_secret")}}
	case asserted:
	case id != "":
		return s.unassisted(r, id)
	default:
		return s.anonymous(form)
	}
	var c *client
	var err error
	if asserted {
		c, err = s.byAssertion(r, form)
	} else {
		c, err = s.identify(r.Context(), offers)
	}
	switch {
	case err != nil:
		return nil, err
	case !asserted && c.TokenEndpointAuthMethod != method: // told to the client alone: the secret was right
		return nil, refuse(invalidClient, "the client is registered for "+c.TokenEndpointAuthMethod)
	case id != "" && id != c.ClientID:
		return nil, refuse(invalidRequest, "client_id is not the client that authenticated")
	default:
		return c, nil
	}
}

// unassisted returns the client of a request that has nothing but its client_id:
// a public one, whose word is taken, or one whose certificate tells.
func (s *Server) unassisted(r *http.Request, id string) (*client, error) {
	found, err := s.findClient(r.Context(), id)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, unknownClient(err, invalidClient, authRequired)
	case err != nil:
		return nil, err
	}
	switch found.TokenEndpointAuthMethod {
	case authNone:
	case tlsPKI, tlsSelfSigned:
		if err := s.byCertificate(r, found.Client); err != nil {
			return nil, err
		}
	default:
		return nil, refuse(invalidClient, authRequired)
	}
	return s.checked(found)
}

// basicCredentials returns what a Basic header may mean. RFC 6749 section 2.3.1
// has identifier and secret form-encoded first, which some clients leave out, so
// there are two readings if they differ.
func basicCredentials(header string) []credentials {
	scheme, encoded, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") || len(header) > maxBasic {
		return nil
	}
	pair, err := base64.StdEncoding.DecodeString(strings.TrimLeft(encoded, " "))
	if err != nil {
		return nil
	}
	id, secret, ok := strings.Cut(string(pair), ":")
	if !ok {
		return nil
	}
	raw := credentials{id, secret}
	id, err1 := url.QueryUnescape(id)
	secret, err2 := url.QueryUnescape(secret)
	decoded := credentials{id, secret}
	if err1 != nil || err2 != nil || decoded == raw {
		return []credentials{raw}
	}
	return []credentials{decoded, raw}
}

// identify returns the client whose credentials are among offers. Every offer is
// compared, in constant time, and against something even if there is no such
// client; only to whoever has the secret is anything else of a client worth a
// look. So how long it takes, apart from the store's own time, tells nobody which
// clients exist.
func (s *Server) identify(ctx context.Context, offers []credentials) (*client, error) {
	var found, tried *Client
	for _, offer := range offers {
		c, err := s.registered(ctx, offer.id)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		var want Hash
		if c != nil {
			tried, want = c, c.SecretHash
		}
		got := HashOf(offer.secret)
		if subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
			found = c
		}
	}
	if found == nil {
		refused := refuse(invalidClient, authFailed)
		if tried != nil {
			refused.tried = tried.ClientID
		}
		return nil, refused
	}
	return s.checked(foundClient{found, false})
}

// checked returns the client that registered found, its registration checked. A
// mistake in that is told after the client has proved who it is, and to it alone.
func (s *Server) checked(found foundClient) (*client, error) {
	if c, ok := s.clients[found.ClientID]; ok {
		return c, nil
	}
	c, err := newStoredClient(found.Client, s.parsed.parse)
	if err == nil && s.subjects[found.ClientID] != nil {
		err = errors.New("client_id: is the Subject of a user (RFC 9068 section 5)")
	}
	if err != nil {
		return nil, fmt.Errorf("client %q in the store: %w", found.ClientID, err)
	}
	c.ofDocument, c.stranger = found.ofDocument, found.ofDocument || c.RegistrationTokenHash != Hash{}
	if c.stranger && !c.ofDocument && s.registration != nil {
		s.registration.policy.hold(c)
	}
	return c, nil
}

// registered returns the client with an ID, those of the configuration first, or
// ErrNotFound. One of the store is not yet checked, and not to be changed.
func (s *Server) registered(ctx context.Context, id string) (*Client, error) {
	if c, ok := s.clients[id]; ok {
		return &c.Client, nil
	}
	if !isClientID(id) { // a database might choke on it
		return nil, ErrNotFound
	}
	stored, err := s.store.Client(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, ErrNotFound
	case err != nil:
		return nil, storeFailed(err)
	case stored == nil:
		return nil, storeFailed(errors.New("the client is nil and so is the error"))
	case stored.ClientID != id: // as from a database that compares without regard to case
		return nil, ErrNotFound
	default:
		return stored, nil
	}
}
