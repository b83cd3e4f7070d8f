package authserver

import (
	"errors"
	"net/http"
)

// The same for a code that is unknown, expired or used.
const wrongUserCode = "This code is not in use: it is mistyped, has expired, or was answered already. Look at your device."

// device is the page where people take the code that a device shows (RFC 8628
// section 3.3). That it is filled in already is not enough: the person says that it
// is the one that they see.
func (s *Server) device(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		s.deviceForm(w, r)
		return
	}
	params, n := s.readVisit(w, r)
	if n == nil {
		return
	}
	code := parseUserCode(params.Get(userCodeParam)) // what can be none is not shown
	if !n.madeFor(deviceQuery(code), s.now()) {
		s.showDevice(w, r, http.StatusOK, code, "")
		return
	}
	if ar := s.findDevice(w, r, code); ar != nil { // the person has just said so, and then signed in
		s.proceed(w, r, ar, n)
	}
}

// deviceForm takes the form of that page.
func (s *Server) deviceForm(w http.ResponseWriter, r *http.Request) {
	form := s.readPage(w, r, devicePath)
	if form == nil {
		return
	}
	ar := s.findDevice(w, r, form.Get(userCodeParam))
	if ar == nil {
		return
	}
	n, err := s.signedIn(r.Context(), s.cookieOf(r))
	if err != nil {
		s.writeErrorPage(w, r, ar.client, err)
		return
	}
	s.proceed(w, r, ar, n)
}

// findDevice returns the request of the device with a user code. It is the one way
// to it, so that nobody tries codes past the throttle (RFC 8628 section 5.1). If it
// returns nil, there is nothing more to do.
func (s *Server) findDevice(w http.ResponseWriter, r *http.Request, typed string) *authorizationRequest {
	code := parseUserCode(typed)
	// A code is nobody's name: the address is the only one, and has the lower limit of one.
	attempt, wait := s.guesses.begin(network(r.RemoteAddr), r.RemoteAddr, s.now())
	if wait > 0 {
		why := s.report(r, nil, refuseWith(http.StatusTooManyRequests, accessDenied, "too many wrong user codes"))
		s.showDevice(w, r, why.status, code, tooMany(w, wait))
		return nil
	}
	ar, err := s.byUserCode(r.Context(), code)
	if errors.Is(err, ErrNotFound) {
		s.refuseUserCode(w, r, nil, code)
		return nil
	}
	attempt.takeBack() // no more: who has a code of their own gets no more guesses for it
	if err != nil {
		s.writeErrorPage(w, r, nil, err)
		return nil
	}
	return ar
}

func (s *Server) refuseUserCode(w http.ResponseWriter, r *http.Request, c *client, code string) {
	why := s.report(r, c, refuse(invalidRequest, "the user code is unknown, expired or used"))
	s.showDevice(w, r, why.status, code, wrongUserCode)
}

func (s *Server) showDevice(w http.ResponseWriter, r *http.Request, status int, code, problem string) {
	s.pages.write(w, status, &Page{
		name:     "device.html",
		forms:    "'self'",
		Title:    "Connect a device",
		Problem:  problem,
		UserCode: code,
		Form:     s.newForm(s.browser(w, r), devicePath, ""),
	})
}

// decideDevice has the device of ar learn what the person with session n answered,
// nil being no. Of several answers the first one counts.
func (s *Server) decideDevice(w http.ResponseWriter, r *http.Request, ar *authorizationRequest, n *session) {
	first, err := s.keepDecision(r.Context(), ar, n)
	switch {
	case err != nil:
		s.writeErrorPage(w, r, ar.client, err)
	case !first:
		s.refuseUserCode(w, r, ar.client, ar.device.userCode)
	default:
		title := "Go back to your device"
		if n == nil {
			title = "Access denied"
		}
		s.pages.write(w, http.StatusOK, &Page{
			name: "devicedone.html", forms: "'none'", Title: title, Client: ar.client.displayName(), Denied: n == nil,
		})
	}
}
