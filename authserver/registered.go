package authserver

import (
	"errors"
	"net/http"

	"github.com/countermark/countermark/internal/strictjson"
)

// serveRegistration serves the registration endpoint, and to whoever names a
// client the client configuration endpoint (RFC 7592 section 2).
func (s *Server) serveRegistration(w http.ResponseWriter, r *http.Request) {
	handle, status := s.register, http.StatusCreated
	switch {
	case r.URL.RawQuery != "" && r.Method != http.MethodPost:
		handle, status = s.configure, http.StatusOK
	case r.URL.RawQuery != "" || r.Method != http.MethodPost:
		handle = func(http.ResponseWriter, *http.Request) (any, *client, error) {
			return nil, nil, refuse(invalidRequest, "POST is without client_id, and all else with it alone")
		}
	}
	answer, c, err := handle(w, r)
	switch {
	case err != nil:
		s.refuseRegistration(w, r, c, err)
	case answer == nil:
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNoContent)
	default:
		writeJSON(w, status, answer)
	}
}

// configure reads, changes or deletes a registration. The token and the secret stay
// as they are: a client that lost the answer to a change would otherwise have lost
// its registration. A secret is issued if the client had none and needs one now.
func (s *Server) configure(w http.ResponseWriter, r *http.Request) (any, *client, error) {
	was, token, err := s.registrant(r)
	if err != nil {
		return nil, nil, err
	}
	c := &client{Client: *was}
	switch r.Method {
	case http.MethodDelete:
		err := s.registration.store.DeleteClient(r.Context(), was.ClientID)
		if err != nil && !errors.Is(err, ErrNotFound) { // another call was faster
			return nil, c, storeFailed(err)
		}
		s.emit(r.Context(), Event{Type: EventRegistration, ClientID: was.ClientID, Reason: "deleted"})
		return nil, c, nil
	case http.MethodPut:
		m, err := readClientMetadata(w, r)
		if err != nil {
			return nil, c, err
		}
		if was, token, err = s.registrant(r); err != nil { // as it is now that the body came
			return nil, c, err
		}
		if err := m.checkChange(was); err != nil {
			return nil, c, err
		}
		changed, secret, err := s.registration.client(m, was)
		if err != nil {
			return nil, c, err
		}
		switch err := s.registration.store.ReplaceClient(r.Context(), &changed.Client); {
		case errors.Is(err, ErrNotFound): // another call was faster
			return nil, c, unknownRegistrant()
		case err != nil:
			return nil, c, storeFailed(err)
		}
		s.tellRegistration(r.Context(), changed, "changed")
		return s.information(&changed.Client, secret, token), changed, nil
	default:
		held, err := s.checked(foundClient{was, false})
		if err != nil {
			return nil, c, err
		}
		return s.information(&held.Client, "", token), held, nil
	}
}

// registrant returns the client that a request of the client configuration endpoint
// is about, and the token that it proved to be with. Whether there is such a client
// is told to nobody else (RFC 7592 section 2.1).
func (s *Server) registrant(r *http.Request) (*Client, string, error) {
	query, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, "", err
	}
	token, err := bearerToken(r)
	if err != nil {
		return nil, "", err
	}
	id := query.Get("client_id")
	if _, configured := s.clients[id]; configured || token == "" || len(query) != 1 || len(query["client_id"]) != 1 {
		return nil, "", unknownRegistrant()
	}
	c, err := s.registered(r.Context(), id)
	switch {
	case errors.Is(err, ErrNotFound) || err == nil && !c.owns(token):
		return nil, "", unknownRegistrant()
	case err != nil:
		return nil, "", err
	default:
		return c, token, nil
	}
}

func unknownRegistrant() error {
	return noToken("it takes the registration access token of the client")
}

// checkChange checks what a change says of the registration itself (RFC 7592
// section 2.2).
func (m *clientMetadata) checkChange(was *Client) error {
	switch {
	case m.ClientID != was.ClientID:
		return badMetadata(errors.New("client_id: must be that of the client"))
	case m.AccessToken != nil || m.ClientURL != nil || m.SecretExpiry != nil || m.IssuedAt != nil:
		return badMetadata(errors.New("what the server alone says of a registration must not be sent (RFC 7592 section 2.2)"))
	case m.ClientSecret == nil:
		return nil
	}
	if secret, ok := strictjson.Value(m.ClientSecret).Text(); !ok || HashOf(secret) != was.SecretHash {
		return badMetadata(errors.New("client_secret: must be the one that the client has, or left out"))
	}
	return nil
}

// refuseRegistration is writeError with what RFC 6750 section 3 has for tokens, and
// with what is wrong with the metadata.
func (s *Server) refuseRegistration(w http.ResponseWriter, req *http.Request, c *client, err error) {
	r := s.report(req, c, err)
	switch r.status {
	case http.StatusUnauthorized:
		challenge := `Bearer realm="` + s.issuer + `"`
		if req.Header.Get("Authorization") != "" {
			challenge += `, error="` + r.code + `"`
		}
		w.Header().Set("WWW-Authenticate", challenge)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	}
	text := r.description
	if r.detail != "" {
		text += ": " + r.detail
	}
	writeJSON(w, r.status, map[string]string{"error": r.code, "error_description": text})
}
