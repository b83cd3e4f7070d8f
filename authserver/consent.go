package authserver

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/countermark/countermark/internal/fetch"
)

// consentLifetime is how long a person is not asked the same thing again.
const consentLifetime = 30 * 24 * time.Hour

// What a person may answer on the consent page.
const (
	decisionAllow  = "allow"
	decisionDeny   = "deny"
	decisionSwitch = "switch" // to sign in as somebody else
)

// consentForm takes the form of the consent page.
func (s *Server) consentForm(w http.ResponseWriter, r *http.Request) {
	step := s.readStep(w, r, consentPath)
	if step == nil {
		return
	}
	ar := step.ar
	n, err := s.signedIn(r.Context(), step.secret)
	if err != nil {
		s.refuseAuthorization(w, r, ar, err)
		return
	}
	decision := step.form.Get("decision")
	switch {
	case decision == decisionDeny:
		said := ar.consentEvent(n)
		said.Error = accessDenied
		s.emit(r.Context(), said)
		s.sendRefusal(w, r, ar, refuse(accessDenied, "the person said no"))
	case ar.wantsSignIn(n, s.now()) && !n.madeFor(ar.query, s.now()) || decision == decisionSwitch:
		s.showSignIn(w, r, ar, http.StatusOK, ar.loginHint, "")
	case !ar.isAbout(n): // whose form is none that the server showed them
		s.refuseAuthorization(w, r, ar, somebodyElse())
	case decision != decisionAllow:
		s.writeErrorPage(w, r, ar.client, refuse(invalidRequest, "decision must be allow or deny"))
	case step.form.Get("seen") != ar.seen(step.secret): // the client was registered anew meanwhile
		s.showConsent(w, r, ar, n)
	default:
		if err := s.rememberConsent(r.Context(), ar, n); err != nil {
			s.refuseAuthorization(w, r, ar, err)
			return
		}
		s.emit(r.Context(), ar.consentEvent(n))
		s.approve(w, r, ar, n)
	}
}

// consentEvent is that the person with session n said yes to ar.
func (ar *authorizationRequest) consentEvent(n *session) Event {
	return Event{Type: EventConsent, ClientID: ar.client.ClientID, Subject: n.Subject, Scope: ar.scope, Audience: ar.audience}
}

func (s *Server) showConsent(w http.ResponseWriter, r *http.Request, ar *authorizationRequest, n *session) {
	secret := s.browser(w, r)
	content := &Page{
		name:     "consent.html",
		forms:    ar.forms(),
		Title:    "Allow access?",
		Client:   ar.client.displayName(),
		Form:     s.newForm(secret, consentPath, ar.query),
		Seen:     ar.seen(secret),
		User:     n.Username,
		Scopes:   pageScopes(ar.scope),
		Audience: s.apis(ar),
	}
	if ar.device != nil {
		content.Title, content.UserCode = "Allow access on another device?", ar.device.userCode
	} else {
		content.Host = redirectHost(ar.reply.uri)
	}
	if c := ar.client; c.stranger && !c.ofDocument {
		content.SelfRegistered = c.ClientID
	}
	s.pages.write(w, http.StatusOK, content)
}

// apis are what the person is told that the client gets to. The userinfo endpoint is
// none of them: what openid and the scopes beside it allow there stands in words.
func (s *Server) apis(ar *authorizationRequest) []string {
	if !hasOpenID(ar.scope) {
		return ar.audience
	}
	return slices.DeleteFunc(slices.Clone(ar.audience), func(a string) bool { return a == s.userinfo() })
}

// seen is a token for what the consent page shows.
func (ar *authorizationRequest) seen(secret string) string {
	return csrfToken(secret, append([]string{ar.query, ar.reply.uri, ar.scope}, ar.audience...)...)
}

// insistsOnConsent reports whether the person has to be asked, whatever they
// allowed before: always about a device, which somebody else may have in hand (RFC
// 8628 section 5.4).
func (ar *authorizationRequest) insistsOnConsent() bool {
	return ar.device != nil || slices.Contains(ar.prompt, promptConsent)
}

// isProven reports whether nobody else can pass for the client: somebody here knows
// it, it authenticates, and the code goes to an https host of its own. On a person's own machine any
// program may answer, so that the person decides each time (RFC 8252 section 8.6,
// RFC 9700 section 4.14).
func (c *client) isProven(redirectURI string) bool {
	if c.stranger || c.public() {
		return false
	}
	u, err := url.Parse(redirectURI)
	return err == nil && u.Scheme == "https" && !fetch.IsLoopback(strings.TrimSuffix(strings.ToLower(u.Hostname()), "."))
}

// consentKey is the key of the record that a person let a client have exactly
// this, in the period that at is in.
func (s *Server) consentKey(ar *authorizationRequest, n *session, at time.Time) Hash {
	list := func(texts []string) string { return strings.Join(slices.Sorted(slices.Values(texts)), " ") }
	during := strconv.FormatInt(period(at, consentLifetime), 10)
	about := []string{n.Subject, ar.client.ClientID, list(strings.Fields(ar.scope)), list(ar.audience), during}
	return s.keyOf(strings.Join(about, "\x00"))
}

func (s *Server) hasConsented(ctx context.Context, ar *authorizationRequest, n *session) (bool, error) {
	now := s.now()
	for _, at := range []time.Time{now, now.Add(-consentLifetime)} {
		_, err := s.lookUp(ctx, Consent, s.consentKey(ar, n, at))
		if err == nil || !errors.Is(err, ErrNotFound) {
			return err == nil, err
		}
	}
	return false, nil
}

func (s *Server) rememberConsent(ctx context.Context, ar *authorizationRequest, n *session) error {
	if !ar.client.isProven(ar.reply.uri) {
		return nil // it would not count
	}
	now := s.now()
	_, err := s.once(ctx, Consent, s.consentKey(ar, n, now), now.Add(consentLifetime))
	return err
}

// displayName is what people know the client by. Who gave themselves a name is known
// by their host first; who registered themselves have none, which the consent page
// says.
func (c *client) displayName() string {
	switch {
	case c.ClientName == "":
		return c.ClientID
	case c.ofDocument:
		return redirectHost(c.ClientID) + " (" + c.ClientName + ")"
	default:
		return c.ClientName
	}
}
