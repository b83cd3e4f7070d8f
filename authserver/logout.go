package authserver

import (
	"context"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
)

// logoutParams are those of a logout request that mean something here (OpenID
// Connect RP-Initiated Logout 1.0 section 2). Others are ignored.
var logoutParams = []string{"client_id", "id_token_hint", "post_logout_redirect_uri", "state"}

// A logoutRequest is that a client wants a person to be signed out, checked.
type logoutRequest struct {
	client  *client // nil if nobody knows whose it is
	subject string  // of the ID token that came along; empty if none did
	uri     string  // where the browser goes then, which the client is registered for; empty: nowhere
	state   string
}

// logout is the end-session endpoint. Who is signed in, and is meant by an ID token
// of this server, is signed out; anybody else is asked, for anybody might have sent
// them here.
func (s *Server) logout(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		s.byGet(w, r, logoutPath)
		return
	}
	params, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		s.writeErrorPage(w, r, nil, err)
		return
	}
	lr, n := s.readLogout(w, r, params)
	switch {
	case lr == nil:
	case n.Subject == "":
		s.nobodySignedIn(w, lr)
	case n.Subject == lr.subject:
		s.signOut(w, r, lr, n)
	default:
		s.showSignOut(w, r, lr, n)
	}
}

// signOutForm takes the form of the page that asks.
func (s *Server) signOutForm(w http.ResponseWriter, r *http.Request) {
	if s.cookieOf(r) == "" && isSameOrigin(r) { // nobody is signed in any more, as when it is sent twice
		s.signOutLate(w, r)
		return
	}
	form := s.readPage(w, r, signOutPath)
	if form == nil {
		return
	}
	params, err := parseQuery(form.Get("request"))
	if err != nil {
		s.writeErrorPage(w, r, nil, err)
		return
	}
	lr, n := s.readLogout(w, r, params)
	switch {
	case lr == nil:
	case n.Subject == "":
		s.nobodySignedIn(w, lr)
	default:
		s.signOut(w, r, lr, n)
	}
}

// signOutLate has the browser come again by the link that led to the page, which takes
// who is not signed in to where the first sign-out did.
func (s *Server) signOutLate(w http.ResponseWriter, r *http.Request) {
	var params url.Values
	form, err := readForm(w, r)
	if err == nil {
		params, err = parseQuery(form.Get("request"))
	}
	if err != nil {
		s.writeErrorPage(w, r, nil, err)
		return
	}
	seeOther(w, s.path+logoutPath+"?"+params.Encode())
}

// readLogout reads a logout request and the session of its browser. If it returns
// nil, there is nothing more to do.
func (s *Server) readLogout(w http.ResponseWriter, r *http.Request, params url.Values) (*logoutRequest, *session) {
	lr, err := s.checkLogout(r.Context(), params)
	if err != nil {
		s.writeErrorPage(w, r, nil, err)
		return nil, nil
	}
	n, err := s.session(r.Context(), s.cookieOf(r))
	if err != nil {
		s.writeErrorPage(w, r, lr.client, err)
		return nil, nil
	}
	return lr, n
}

// checkLogout checks the parameters of a logout request. Where client and redirect
// URI do not go together nobody is sent anywhere; where the client is not known, the
// URI does not count.
func (s *Server) checkLogout(ctx context.Context, params url.Values) (*logoutRequest, error) {
	if err := onceEach(params); err != nil {
		return nil, err
	}
	lr := &logoutRequest{}
	id := params.Get("client_id")
	hint, err := s.idTokenHint(ctx, params.Get("id_token_hint"))
	switch {
	case err != nil:
		return nil, err
	case hint == nil && id == "":
		return lr, nil
	case hint != nil && id != "" && id != hint.Audience:
		return nil, refuse(invalidRequest, "id_token_hint was issued to another client than client_id")
	case hint != nil:
		id, lr.subject = hint.Audience, hint.Subject
	}
	switch lr.client, err = s.claimed(ctx, id); {
	case err != nil && hint != nil: // who is meant is signed out whether the client is there yet or not
		lr.client = nil
		return lr, nil
	case err != nil:
		return nil, err
	}
	lr.uri, lr.state = params.Get("post_logout_redirect_uri"), params.Get("state")
	if lr.uri != "" && !slices.Contains(lr.client.PostLogoutRedirectURIs, lr.uri) {
		return nil, refuse(invalidRequest, "post_logout_redirect_uri must be one that the client is registered for")
	}
	return lr, nil
}

// query is the request without its ID token, which has said what it had to say.
func (lr *logoutRequest) query() string {
	if lr.client == nil {
		return ""
	}
	v := url.Values{"client_id": {lr.client.ClientID}}
	if lr.uri != "" {
		v.Set("post_logout_redirect_uri", lr.uri)
		v.Set("state", lr.state)
	}
	return v.Encode()
}

func (s *Server) showSignOut(w http.ResponseWriter, r *http.Request, lr *logoutRequest, n *session) {
	content := &Page{
		name:  "signout.html",
		forms: "'self'",
		Title: "Sign out?",
		User:  n.Username,
		Form:  s.newForm(s.browser(w, r), signOutPath, lr.query()),
	}
	if lr.client != nil {
		content.Client = lr.client.displayName()
	}
	if lr.uri != "" {
		content.forms += " " + formSource(lr.uri)
		content.Host = redirectHost(lr.uri)
	}
	s.pages.write(w, http.StatusOK, content)
}

// signOut ends the session of a browser. What the person let clients do does not end
// with it.
func (s *Server) signOut(w http.ResponseWriter, r *http.Request, lr *logoutRequest, n *session) {
	if err := s.endSession(r.Context(), n, "signed out"); err != nil {
		s.writeErrorPage(w, r, lr.client, err)
		return
	}
	s.clearCookie(w)
	told := Event{Type: EventSignOut, Subject: n.Subject}
	if lr.client != nil {
		told.ClientID = lr.client.ClientID
	}
	s.emit(r.Context(), told)
	s.signedOut(w, lr)
}

// signedOut sends the browser of who is signed out back to the client, if it says
// where to.
func (s *Server) signedOut(w http.ResponseWriter, lr *logoutRequest) {
	if lr.uri == "" {
		s.showSignedOut(w, &Page{})
		return
	}
	seeOther(w, lr.target())
}

// nobodySignedIn is signedOut for who was so before. To a stranger nobody is sent
// then, whom a page did not ask first and who had nothing to do with it: anybody could
// have the server send anybody anywhere (RFC 9700 section 4.11.2). There is a link.
func (s *Server) nobodySignedIn(w http.ResponseWriter, lr *logoutRequest) {
	if lr.uri == "" || !lr.client.stranger {
		s.signedOut(w, lr)
		return
	}
	s.showSignedOut(w, &Page{
		Host:   redirectHost(lr.uri),
		Target: template.URL(lr.target()), //nolint:gosec // registered, so that nothing runs of it
	})
}

func (s *Server) showSignedOut(w http.ResponseWriter, content *Page) {
	content.name, content.forms, content.Title = "signedout.html", "'none'", "Signed out"
	s.pages.write(w, http.StatusOK, content)
}

// target is where the browser goes back to.
func (lr *logoutRequest) target() string {
	params := url.Values{}
	if lr.state != "" {
		params.Set("state", lr.state)
	}
	return withParams(lr.uri, params)
}

// A hint is what an ID token says of whom it is about, and for.
type hint struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
}

// idTokenHint reads an ID token that this server issued, expired or not. Any other
// is as if it were not there, which is nil: one whose key is gone is no mistake of
// the client's.
func (s *Server) idTokenHint(ctx context.Context, token string) (*hint, error) {
	if token == "" {
		return nil, nil //nolint:nilnil // no hint is no error
	}
	h := &hint{}
	payload, err := s.signedHere(ctx, token, idTokenType)
	if errors.Is(err, ErrNotFound) || err == nil && (!readPart(payload, h) || h.Issuer != s.issuer) {
		return nil, nil //nolint:nilnil // as if it were not there
	}
	return h, err
}
