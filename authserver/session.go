package authserver

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/strictjson"
)

const (
	// sessionLifetime is how long a person stays signed in, at most: until the
	// browser ends, as a rule.
	sessionLifetime = 12 * time.Hour
	// interactionTime is how long a person may take to sign in and consent,
	// where that matters.
	interactionTime = 10 * time.Minute
)

// A session is that a person signed in with a browser. It never changes: who
// signs in again gets another one.
type session struct {
	Subject  string `json:"sub"`
	Username string `json:"username"`
	AuthTime int64  `json:"auth_time"` // Unix seconds
	ACR      string `json:"acr"`
	// Request is the hash of the authorization request that the person signed in
	// for, in hexadecimal: it asks for no other sign-in. That is heard once; then
	// the record is spent, which does not end the session.
	Request string `json:"request"`

	key Hash   // of its record
	id  string // of its grant: to revoke that ends the session
}

// madeFor reports whether the person signed in for that very request, just now.
func (n *session) madeFor(query string, now time.Time) bool {
	return n.Request == requestHash(query) && now.Before(time.Unix(n.AuthTime, 0).Add(interactionTime))
}

func requestHash(query string) string {
	h := HashOf(query)
	return hex.EncodeToString(h[:])
}

// cookieName returns the name of the server's one cookie. It tells the issuers of
// one host apart, which __Host- does not let a path do, and those of one machine,
// whose ports share their cookies.
func cookieName(issuer string) string {
	h := sha256.Sum256([]byte(issuer))
	name := "session-" + hex.EncodeToString(h[:4])
	if strings.HasPrefix(issuer, "https:") {
		name = "__Host-" + name
	}
	return name
}

// browser returns the secret that r's browser shares with the server, a new one
// if it has none yet. Before anybody has signed in, the server keeps nothing.
func (s *Server) browser(w http.ResponseWriter, r *http.Request) string {
	if secret := s.cookieOf(r); secret != "" {
		return secret
	}
	secret := newSecret()
	s.setCookie(w, secret)
	return secret
}

// cookieOf returns the secret of r's browser, or none.
func (s *Server) cookieOf(r *http.Request) string {
	if c, err := r.Cookie(s.cookie); err == nil && isSecret(c.Value) {
		return c.Value
	}
	return ""
}

// isSecret reports whether newSecret can have made text.
func isSecret(text string) bool {
	b, err := jose.Decode(nil, text)
	return err == nil && len(b) == 32
}

func (s *Server) setCookie(w http.ResponseWriter, secret string) { s.sendCookie(w, secret, 0) }

func (s *Server) clearCookie(w http.ResponseWriter) { s.sendCookie(w, "", -1) }

func (s *Server) sendCookie(w http.ResponseWriter, secret string, maxAge int) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // http is for loopback hosts, where a Secure cookie may be refused
		Name:     s.cookie,
		Value:    secret,
		Path:     "/", // which __Host- demands
		MaxAge:   maxAge,
		Secure:   strings.HasPrefix(s.issuer, "https:"),
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode, // Strict would not come along from the client
	})
}

// signedIn returns the session of a browser: one without a Subject if nobody is
// signed in, or whoever is has left.
func (s *Server) signedIn(ctx context.Context, secret string) (*session, error) {
	n, err := s.session(ctx, secret)
	if err != nil || n.Subject == "" {
		return n, err
	}
	switch gone, err := s.isGone(ctx, n.Subject); {
	case err != nil:
		return nil, err
	case gone:
		return &session{}, nil
	default:
		return n, nil
	}
}

// session is signedIn, whether the person has left or not: so that any session can
// be ended.
func (s *Server) session(ctx context.Context, secret string) (*session, error) {
	key := s.keyOf(secret)
	r, err := s.lookUp(ctx, Session, key)
	switch {
	case errors.Is(err, ErrNotFound):
		return &session{}, nil
	case err != nil:
		return nil, err
	}
	g, err := s.store.Grant(ctx, r.Grant)
	switch {
	case err == nil && !g.Revoked.IsZero():
		return &session{}, nil
	case err != nil && !errors.Is(err, ErrNotFound): // not found: never ended
		return nil, storeFailed(err)
	}
	n := &session{key: key, id: r.Grant}
	if err := strictjson.Unmarshal(r.Data, n); err != nil {
		return nil, fmt.Errorf("record of a session: %w", err)
	}
	return n, nil
}

// signIn begins a session in place of the one that the browser has, under a new
// secret: one that somebody else has planted there is of no use (RFC 9700
// section 4.7; session fixation).
func (s *Server) signIn(ctx context.Context, w http.ResponseWriter, before string, u *User, query string) error {
	now := s.now()
	old, err := s.session(ctx, before)
	if err != nil {
		return err
	}
	if old.id != "" {
		if err := s.endSession(ctx, old, "signed in again"); err != nil {
			return err
		}
	}
	data, err := json.Marshal(&session{
		Subject: u.Subject, Username: u.Username, AuthTime: now.Unix(), ACR: signInACR, Request: requestHash(query),
	})
	if err != nil {
		return fmt.Errorf("session: %w", err)
	}
	secret := newSecret()
	record := Record{Grant: rand.Text(), Data: data, Expiry: now.Add(sessionLifetime)}
	if err := s.write(ctx, func() error { return s.store.Put(ctx, Session, s.keyOf(secret), record) }); err != nil {
		return err
	}
	s.setCookie(w, secret)
	return nil
}

func (s *Server) endSession(ctx context.Context, n *session, reason string) error {
	now := s.now()
	return s.write(ctx, func() error {
		return s.store.RevokeGrant(ctx, n.id, reason, now, now.Add(sessionLifetime))
	})
}

// csrfToken returns what a form carries to show that it comes of a page that the
// server made for this browser and for what about says. Another site knows no
// browser's secret.
func csrfToken(secret string, about ...string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	for _, a := range about {
		_, _ = fmt.Fprintf(mac, "%d:%s", len(a), a)
	}
	return jose.Encode(mac.Sum(nil))
}

// genuine reports whether a form with that token comes of a page of this server.
// Sec-Fetch-Site is heard if it is there. Origin is not: with the Referrer-Policy
// of the pages it is null.
func (s *Server) genuine(r *http.Request, secret, token string, about ...string) bool {
	return secret != "" && hmac.Equal([]byte(token), []byte(csrfToken(secret, about...))) && isSameOrigin(r)
}

// isSameOrigin reports whether nothing says that r comes of another site's page.
func isSameOrigin(r *http.Request) bool {
	return !slices.ContainsFunc(r.Header.Values("Sec-Fetch-Site"), func(v string) bool { return v != "same-origin" && v != "none" })
}
