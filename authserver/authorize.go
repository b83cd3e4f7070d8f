package authserver

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// authorize is the authorization endpoint (RFC 6749 section 3.1): it asks who the
// person is and whether the client may, in that order and only if need be, and
// sends the answer to the client.
//
// It keeps nothing meanwhile: the pages carry the request, and each step checks
// all of it again.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		s.byGet(w, r, authorizePath)
		return
	}
	params, n := s.readVisit(w, r)
	if n == nil {
		return
	}
	ar, err := s.readAuthorization(r.Context(), params, n.madeFor(normalQuery(params), s.now()))
	if err != nil {
		s.refuseAuthorization(w, r, ar, err)
		return
	}
	s.proceed(w, r, ar, n)
}

// byGet has the browser send a request to path by GET that a page of the client
// posted: the cookie, which is SameSite=Lax, comes along only then.
func (s *Server) byGet(w http.ResponseWriter, r *http.Request, path string) {
	form, err := readBody(w, r)
	if err != nil {
		s.writeErrorPage(w, r, nil, err)
		return
	}
	seeOther(w, s.path+path+"?"+form.Encode())
}

// readVisit reads the parameters that a browser comes with and its session. If that
// is nil, there is nothing more to do.
func (s *Server) readVisit(w http.ResponseWriter, r *http.Request) (url.Values, *session) {
	params, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		s.writeErrorPage(w, r, nil, err)
		return nil, nil
	}
	n, err := s.signedIn(r.Context(), s.cookieOf(r))
	if err != nil {
		s.writeErrorPage(w, r, nil, err)
		return nil, nil
	}
	return params, n
}

func parseQuery(query string) (url.Values, error) {
	if len(query) > maxQuery {
		return nil, refuseWith(http.StatusRequestURITooLong, invalidRequest, "the request is larger than "+strconv.Itoa(maxQuery)+" bytes")
	}
	return parseParams(query)
}

// proceed does what ar needs next, n being the session of the person.
func (s *Server) proceed(w http.ResponseWriter, r *http.Request, ar *authorizationRequest, n *session) {
	signIn, err := s.wantsSignIn(r.Context(), ar, n)
	asked := false
	if err == nil && !signIn {
		asked, err = s.wantsConsent(r.Context(), ar, n)
	}
	switch {
	case err != nil:
		s.refuseAuthorization(w, r, ar, err)
	case signIn && ar.isSilent():
		s.refuseAuthorization(w, r, ar, refuse(loginRequired, "nobody is signed in, or not lately enough, and prompt is none"))
	case signIn:
		s.showSignIn(w, r, ar, http.StatusOK, ar.loginHint, "")
	case !ar.isAbout(n):
		s.refuseAuthorization(w, r, ar, somebodyElse())
	case asked && ar.isSilent():
		s.refuseAuthorization(w, r, ar, refuse(consentRequired, "the person has to be asked, and prompt is none"))
	case asked:
		s.showConsent(w, r, ar, n)
	default:
		s.approve(w, r, ar, n)
	}
}

// approve sends the client a code, or lets the device have its tokens.
func (s *Server) approve(w http.ResponseWriter, r *http.Request, ar *authorizationRequest, n *session) {
	if ar.device != nil {
		s.decideDevice(w, r, ar, n)
		return
	}
	if err := s.spendPushed(r.Context(), ar); err != nil {
		ar.reply = reply{} // it had its answer
		s.refuseAuthorization(w, r, ar, err)
		return
	}
	code, err := s.newCode(r.Context(), ar, n)
	if err != nil {
		s.refuseAuthorization(w, r, ar, err)
		return
	}
	s.send(w, ar.reply, url.Values{"code": {code}})
}

// refuseAuthorization answers with the error response that err stands for (RFC
// 6749 section 4.1.2.1): at the client, if that is where the browser may go. To a
// stranger nobody is sent whom a page did not ask first, unless the client asked
// for silence: anybody could have the server send anybody anywhere (RFC 9700
// section 4.11.2).
func (s *Server) refuseAuthorization(w http.ResponseWriter, r *http.Request, ar *authorizationRequest, err error) {
	if ar.reply.uri == "" || ar.client.stranger && !ar.isSilent() {
		s.writeErrorPage(w, r, ar.client, err)
		return
	}
	s.sendRefusal(w, r, ar, s.report(r, ar.client, err))
}

// sendRefusal is refuseAuthorization for a client whose redirect URI is sure, and
// for a refusal that was told of. A device learns that it was denied.
func (s *Server) sendRefusal(w http.ResponseWriter, r *http.Request, ar *authorizationRequest, why *refusal) {
	if ar.device != nil {
		s.decideDevice(w, r, ar, nil)
		return
	}
	if err := s.spendPushed(r.Context(), ar); err != nil {
		_ = s.report(r, ar.client, err) // this answer brings no code, so that it may be a second one
	}
	s.send(w, ar.reply, url.Values{"error": {why.code}, "error_description": {why.description}})
}

// A step is a form of one of the pages: what a person answered about an
// authorization request.
type step struct {
	form   url.Values
	secret string // of the browser
	ar     *authorizationRequest
}

// readStep reads a form that belongs at path. If it returns nil, there is nothing
// more to do.
func (s *Server) readStep(w http.ResponseWriter, r *http.Request, path string) *step {
	form := s.readPage(w, r, path)
	if form == nil {
		return nil
	}
	params, err := parseQuery(form.Get("request"))
	if err != nil {
		s.writeErrorPage(w, r, nil, err)
		return nil
	}
	var ar *authorizationRequest
	if params.Has(userCodeParam) {
		if ar = s.findDevice(w, r, params.Get(userCodeParam)); ar == nil {
			return nil
		}
	} else if ar, err = s.readAuthorization(r.Context(), params, true); err != nil {
		s.refuseAuthorization(w, r, ar, err)
		return nil
	}
	return &step{form: form, secret: s.cookieOf(r), ar: ar}
}

// readPage reads a form that belongs at path and that comes of a page of this
// server. If it returns nil, there is nothing more to do.
func (s *Server) readPage(w http.ResponseWriter, r *http.Request, path string) url.Values {
	form, err := readForm(w, r)
	if err != nil {
		s.writeErrorPage(w, r, nil, err)
		return nil
	}
	secret, query := s.cookieOf(r), form.Get("request")
	if !s.genuine(r, secret, form.Get("csrf"), path, query) {
		s.writeErrorPage(w, r, nil, foreignForm(r, secret, path, form))
		return nil
	}
	return form
}

// foreignForm refuses a form that is not genuine. It may be one of a page that was
// open before somebody signed in on another. From there a person can go on, by a
// link that does no more than one of anybody else's.
func foreignForm(r *http.Request, secret, path string, form url.Values) *refusal {
	if secret == "" {
		return refuseWith(http.StatusForbidden, invalidRequest, "the form came without the cookie of its page; cookies may be turned off")
	}
	refused := refuseWith(http.StatusForbidden, invalidRequest, "the form does not come from a page of this browser session")
	params, err := parseQuery(form.Get("request"))
	code := parseUserCode(cmp.Or(form.Get(userCodeParam), params.Get(userCodeParam)))
	switch {
	case err != nil || !isSameOrigin(r):
	case path == signOutPath:
		refused.again = logoutPath + "?" + params.Encode()
	case path == devicePath || params.Has(userCodeParam):
		refused.again = devicePath + "?" + deviceQuery(code)
	case normalQuery(params) != "":
		refused.again = authorizePath + "?" + normalQuery(params)
	}
	return refused
}

// wantsSignIn reports whether the person has to sign in, which they may just have
// done for that request: that is heard once, so that the same request later asks
// again.
func (s *Server) wantsSignIn(ctx context.Context, ar *authorizationRequest, n *session) (bool, error) {
	if !ar.wantsSignIn(n, s.now()) {
		return false, nil
	}
	if !n.madeFor(ar.query, s.now()) {
		return true, nil
	}
	outcome, err := s.consume(ctx, Session, n.key)
	return outcome != First, err
}

// wantsConsent reports whether the person has to be asked.
func (s *Server) wantsConsent(ctx context.Context, ar *authorizationRequest, n *session) (bool, error) {
	switch {
	case ar.insistsOnConsent() || !ar.client.isProven(ar.reply.uri):
		return true, nil
	case ar.client.SkipConsent:
		return false, nil
	default:
		remembered, err := s.hasConsented(ctx, ar, n)
		return !remembered, err
	}
}
