package main

import (
	"crypto/rand"
	"maps"
	"net/http"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

const (
	cookieName      = "orders-application"
	sessionLifetime = 8 * time.Hour
	maxSessions     = 10_000
)

// A session is what the application knows of a browser: that it is on its way to
// the issuer, or whose it is.
type session struct {
	state, verifier string             // of the way there
	tokens          oauth2.TokenSource // nil until somebody signed in
	idToken         string             // which says to the issuer who is to be signed out
	began           time.Time
}

// signedIn reports whether there is a session, and whose it is.
func (n *session) signedIn() bool { return n != nil && n.tokens != nil }

// sessions are kept in memory, by the secret in a browser's cookie.
type sessions struct {
	mu   sync.Mutex
	byID map[string]*session
}

func newSecret() string { return rand.Text() + rand.Text() }

// of returns the session of r's browser, nil if it has none.
func (s *sessions) of(r *http.Request) *session {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.byID[cookie.Value]
	if one == nil || one.isOver() {
		return nil
	}
	return one
}

func (n *session) isOver() bool { return time.Since(n.began) > sessionLifetime }

// begin puts a session in the place of the one that the browser has, under a new
// secret: so that nobody can plant one whose secret they know.
func (s *sessions) begin(w http.ResponseWriter, r *http.Request, one *session) {
	s.end(w, r)
	id := newSecret()
	one.began = time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.byID) >= maxSessions { // anybody can begin sign-ins, and nobody is to be signed out by that
		maps.DeleteFunc(s.byID, func(_ string, n *session) bool { return !n.signedIn() || n.isOver() })
	}
	if len(s.byID) >= maxSessions || s.byID == nil {
		s.byID = map[string]*session{} // no demonstration has so many people
	}
	s.byID[id] = one
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // without Secure: http on loopback
		Name: cookieName, Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// end ends the session that the browser has, if it has one.
func (s *sessions) end(w http.ResponseWriter, r *http.Request) {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byID, cookie.Value)
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // as above
		Name: cookieName, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}
