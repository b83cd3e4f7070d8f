package authserver

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// signInACR says that a person signed in with a password and nothing more (SAML
// 2.0 Authentication Context section 3.4.5).
const signInACR = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"

// The same for an unknown name and a wrong password.
const wrongCredentials = "The name or the password is wrong."

// signInForm takes the form of the sign-in page.
func (s *Server) signInForm(w http.ResponseWriter, r *http.Request) {
	step := s.readStep(w, r, signInPath)
	if step == nil {
		return
	}
	username, password := step.form.Get("username"), step.form.Get("password")
	login := s.login
	if one := s.oneClick(r); one != nil && step.form.Has("as") {
		login, username = one.byButton, step.form.Get("as")
	}
	told := Event{Type: EventSignIn, ClientID: step.ar.client.ClientID} // without the name: people type passwords there
	attempt, wait := s.throttle.begin(username, r.RemoteAddr, s.now())
	if wait > 0 {
		told.Error, told.Reason = accessDenied, "too many attempts"
		s.emit(r.Context(), told)
		s.showSignIn(w, r, step.ar, http.StatusTooManyRequests, username, tooMany(w, wait))
		return
	}
	u, err := s.check(r.Context(), login, username, password)
	switch {
	case errors.Is(err, ErrBadCredentials):
		told.Error, told.Reason = accessDenied, ErrBadCredentials.Error()
		s.emit(r.Context(), told)
		s.showSignIn(w, r, step.ar, http.StatusOK, username, wrongCredentials)
		return
	case err != nil:
		attempt.takeBack()
		s.writeErrorPage(w, r, step.ar.client, err)
		return
	}
	attempt.succeeded()
	if err := s.signIn(r.Context(), w, step.secret, u, step.ar.query); err != nil {
		s.writeErrorPage(w, r, step.ar.client, err)
		return
	}
	told.Subject = u.Subject
	s.emit(r.Context(), told)
	s.afterSignIn(w, r, step.ar, u.Subject)
}

// oneClick returns who can sign in without a password: nobody but in development;
// nobody from another machine, which a server that listens to the network hears too;
// and nobody where the server is asked under another name than its own, which may be
// that of a site whose pages would read the answers (DNS rebinding).
func (s *Server) oneClick(r *http.Request) *people {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !from.Addr().IsLoopback() || !strings.HasSuffix(s.origin, "://"+strings.ToLower(r.Host)) {
		return nil
	}
	return s.seeded
}

// tooMany says when to try again, to browsers and to people.
func tooMany(w http.ResponseWriter, wait time.Duration) string {
	seconds := strconv.Itoa(int((wait + time.Second - 1) / time.Second))
	w.Header().Set("Retry-After", seconds)
	return "Too many attempts. Try again in " + seconds + " seconds."
}

// check returns the user with that name and password, for all that login knows.
func (s *Server) check(ctx context.Context, login loginFunc, username, password string) (*User, error) {
	if username == "" || len(username) > maxUsername || len(password) > maxPassword {
		return nil, ErrBadCredentials
	}
	u, err := login(ctx, username, password)
	switch {
	case errors.Is(err, ErrBadCredentials):
		return nil, ErrBadCredentials
	case err != nil:
		r := refuse(temporarilyUnavailable, "nobody can sign in now")
		r.cause = err
		return nil, r
	case !isSubject(u.Subject):
		return nil, errors.New("Config.Login: the Subject of a User must be 1 to 255 printable ASCII characters")
	}
	if s.subjects[u.Subject] == nil { // of those, the client would be refused
		switch taken, err := s.isClient(ctx, u.Subject); {
		case err != nil:
			return nil, err
		case taken:
			return nil, errors.New("Config.Login: the Subject of a User is the client_id of a client")
		}
	}
	u.Username = username
	return &u, nil
}

func (s *Server) showSignIn(w http.ResponseWriter, r *http.Request, ar *authorizationRequest, status int, username, problem string) {
	content := &Page{
		name:    "signin.html",
		forms:   ar.forms(),
		Title:   "Sign in",
		Problem: problem,
		Client:  ar.client.displayName(),
		Form:    s.newForm(s.browser(w, r), signInPath, ar.query),
		User:    username,
	}
	if one := s.oneClick(r); one != nil {
		content.Users = one.names()
	}
	s.pages.write(w, status, content)
}
