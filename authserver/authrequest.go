package authserver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/countermark/countermark/internal/strictjson"
)

// Values of prompt (OpenID Connect Core section 3.1.2.1). There is one account to
// a browser, so that to select one is to sign in.
const (
	promptNone          = "none"
	promptLogin         = "login"
	promptConsent       = "consent"
	promptSelectAccount = "select_account"
)

var promptValues = []string{promptNone, promptLogin, promptConsent, promptSelectAccount}

const (
	responseTypeCode = "code"
	challengeS256    = "S256" // RFC 7636 section 4.2

	dpopJKT = "dpop_jkt" // RFC 9449 section 10

	maxQuery = 16 << 10 // bytes of an authorization request, as it is in a URL
)

// authorizationParams are those of an authorization request that mean something
// here. Others are ignored (RFC 6749 section 3.1), not kept, and not carried on.
var authorizationParams = []string{
	"client_id", "code_challenge", "code_challenge_method", dpopJKT, "id_token_hint", "login_hint", "max_age", "nonce", "prompt",
	"redirect_uri", "request", "request_uri", "resource", "response_mode", "response_type", "scope", "state",
}

// An authorizationRequest is what a client asks of a person (RFC 6749 section
// 4.1.1), checked. It lasts as long as one HTTP request: the pages carry its
// query, and every step reads it again.
type authorizationRequest struct {
	query  string // in normal form
	pushed string // its request_uri, if it was pushed
	client *client
	reply  reply

	redirectSent bool // whether the request named the redirect URI
	scope        string
	audience     []string
	challenge    string
	prompt       []string
	maxAge       int64 // seconds; negative: any
	nonce        string
	subject      string // whom the id_token_hint is about; empty: anybody
	loginHint    string
	confirmation *confirmation // the key that the code is bound to, nil if to none

	// device is where the answer goes, if there is no reply: a device that shows a
	// user code (RFC 8628).
	device *waitingDevice
}

// A pushedRequest is what a client pushed (RFC 9126 section 2).
type pushedRequest struct {
	ClientID string `json:"client_id"`
	Params   string `json:"params"` // form-encoded: JSON cannot hold the bytes of every state
	// Until is when a browser must have brought it here, in Unix milliseconds.
	// The record lasts longer, for those who are at it.
	Until int64 `json:"until"`
}

// readAuthorization reads the authorization request of a query. If there is an
// error and the request's reply has no URI, then nobody is to be sent anywhere: it
// is not sure who the client is, or where. A pushed request is good for a while
// longer if resumed says that a person is at it already.
func (s *Server) readAuthorization(ctx context.Context, params url.Values, resumed bool) (*authorizationRequest, error) {
	ar := &authorizationRequest{query: normalQuery(params)}
	if len(params["client_id"]) != 1 {
		return ar, refuse(invalidRequest, "client_id is required, once")
	}
	var err error
	ar.client, err = s.claimed(ctx, params.Get("client_id"))
	if err != nil {
		return ar, err
	}
	if uri := params.Get("request_uri"); strings.HasPrefix(uri, requestURIPrefix) && len(params["request_uri"]) == 1 {
		if params, err = s.pushedParams(ctx, uri, ar.client, resumed); err != nil {
			return ar, err
		}
		ar.pushed = uri // what else is in the query does not count (RFC 9126 section 4)
	}
	if err := ar.check(params, s.userinfo(), nil); err != nil {
		return ar, err
	}
	if ar.client.RequirePushedRequests && ar.pushed == "" {
		return ar, refuse(invalidRequest, "the client is registered for pushed authorization requests only")
	}
	if hint, err := s.idTokenHint(ctx, params.Get("id_token_hint")); err != nil {
		return ar, err
	} else if hint != nil {
		ar.subject = hint.Subject
	}
	return ar, nil
}

// claimed returns the client that an authorization request says it is of, which
// nothing proves.
func (s *Server) claimed(ctx context.Context, id string) (*client, error) {
	found, err := s.findClient(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, unknownClient(err, invalidRequest, "client_id is not that of a client that is registered")
	case err != nil:
		return nil, err
	default:
		return s.checked(found)
	}
}

// normalQuery writes the parameters that count in one order and one escaping.
func normalQuery(params url.Values) string {
	known := url.Values{}
	for _, name := range authorizationParams {
		if values, sent := params[name]; sent {
			known[name] = values
		}
	}
	return known.Encode()
}

// pushedParams returns the parameters that c pushed.
func (s *Server) pushedParams(ctx context.Context, uri string, c *client, resumed bool) (url.Values, error) {
	unusable := refuse(invalidRequestURI, "the request_uri is unknown, expired or used")
	r, err := s.lookUp(ctx, PushedRequest, s.keyOf(uri))
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, unusable
	case err != nil:
		return nil, err
	}
	var p pushedRequest
	if err := strictjson.Unmarshal(r.Data, &p); err != nil {
		return nil, fmt.Errorf("record of a pushed request: %w", err)
	}
	if p.ClientID != c.ClientID || !resumed && s.now().UnixMilli() >= p.Until {
		return nil, unusable
	}
	return url.ParseQuery(p.Params)
}

// check checks the parameters of ar.client's request and keeps what they say: the
// redirect URI first, for as long as it is not sure, nobody is sent anywhere. The
// key is the one that the request proved, nil if it proved none.
func (ar *authorizationRequest) check(params url.Values, userinfo string, proved *confirmation) error {
	uri, ok := ar.client.redirectURI(params.Get("redirect_uri"))
	if !ok || len(params["redirect_uri"]) > 1 {
		return refuse(invalidRequest, "redirect_uri must be sent once, and be one that the client is registered for")
	}
	ar.redirectSent = params.Get("redirect_uri") != ""
	ar.reply = reply{uri: uri, mode: modeQuery}
	if len(params["state"]) == 1 {
		ar.reply.state = params.Get("state")
	}
	if err := ar.reply.check(params["response_mode"]); err != nil {
		return err
	}
	if err := onceEach(params); err != nil {
		return err
	}
	switch responseType := params.Get("response_type"); {
	case params.Get("request") != "":
		return refuse(requestNotSupported, "request is not supported: the parameters must be sent by themselves")
	case params.Get("request_uri") != "":
		return refuse(requestURINotSupported, "request_uri must come from the pushed authorization request endpoint")
	case responseType == "":
		return refuse(invalidRequest, "response_type is required")
	case responseType != responseTypeCode:
		return refuse(unsupportedResponseType, "the only response_type is code")
	case !ar.client.may(authorizationCodeGrant):
		return refuseGrant(authorizationCodeGrant)
	}
	if err := ar.checkChallenge(params); err != nil {
		return err
	}
	if err := ar.checkPrompt(params); err != nil {
		return err
	}
	if err := ar.checkNonce(params); err != nil {
		return err
	}
	if err := ar.checkAccess(params, userinfo); err != nil {
		return err
	}
	var err error
	ar.confirmation, err = ar.client.codeKey(params.Get(dpopJKT), proved)
	return err
}

// checkAccess keeps what is asked for: which scope, where.
func (ar *authorizationRequest) checkAccess(params url.Values, userinfo string) error {
	asked := &request{form: params, client: ar.client}
	var err error
	if ar.scope, err = asked.scope(); err != nil {
		return err
	}
	ar.audience, err = asked.personalAudience(ar.scope, userinfo)
	return err
}

// checkChallenge wants PKCE (RFC 7636 section 4.3), of every client: it also
// shows that the code comes back to the browser session that asked for it
// (RFC 9700 section 2.1.1).
func (ar *authorizationRequest) checkChallenge(params url.Values) error {
	ar.challenge = params.Get("code_challenge")
	switch {
	case ar.challenge == "":
		return refuse(invalidRequest, "code_challenge is required (PKCE, RFC 7636)")
	case params.Get("code_challenge_method") != challengeS256: // plain is the default there
		return refuse(invalidRequest, "code_challenge_method must be S256")
	case !isPKCE(ar.challenge):
		return refuse(invalidRequest, "code_challenge must be 43 to 128 characters of A-Z, a-z, 0-9 and -._~")
	default:
		return nil
	}
}

func (ar *authorizationRequest) checkPrompt(params url.Values) error {
	ar.prompt = strings.Fields(params.Get("prompt"))
	for _, value := range ar.prompt {
		if !slices.Contains(promptValues, value) {
			return refuse(invalidRequest, "prompt must be of none, login, consent and select_account")
		}
	}
	if slices.Contains(ar.prompt, promptNone) && len(ar.prompt) > 1 {
		return refuse(invalidRequest, "prompt must have none alone, if it has none")
	}
	ar.maxAge = -1
	if text := params.Get("max_age"); text != "" {
		seconds, err := strconv.ParseUint(text, 10, 62)
		if err != nil {
			return refuse(invalidRequest, "max_age must be a number of seconds")
		}
		ar.maxAge = int64(seconds)
	}
	if ar.loginHint = params.Get("login_hint"); len(ar.loginHint) > maxUsername {
		ar.loginHint = ""
	}
	return nil
}

// resumeURL is where the browser begins ar again.
func (s *Server) resumeURL(ar *authorizationRequest) string {
	path := authorizePath
	if ar.device != nil {
		path = devicePath
	}
	return s.path + path + "?" + ar.query
}

// forms is where the forms of its pages may lead, in the end.
func (ar *authorizationRequest) forms() string {
	if ar.device != nil {
		return "'self'"
	}
	return "'self' " + formSource(ar.reply.uri)
}

// isSilent reports whether no page may be shown.
func (ar *authorizationRequest) isSilent() bool { return slices.Contains(ar.prompt, promptNone) }

// isAbout reports whether n is the session of whom the client means, if it says so.
func (ar *authorizationRequest) isAbout(n *session) bool {
	return ar.subject == "" || ar.subject == n.Subject
}

// somebodyElse refuses who signed in although the client means another (OpenID
// Connect Core section 3.1.2.1).
func somebodyElse() *refusal {
	return refuse(loginRequired, "somebody else has signed in than id_token_hint is about")
}

// wantsSignIn reports whether the person has to sign in, whose session n is.
func (ar *authorizationRequest) wantsSignIn(n *session, now time.Time) bool {
	switch {
	case n.Subject == "" || !ar.isAbout(n):
		return true
	case slices.Contains(ar.prompt, promptLogin) || slices.Contains(ar.prompt, promptSelectAccount) || ar.maxAge == 0:
		return true
	default:
		return ar.maxAge > 0 && now.Unix()-n.AuthTime > ar.maxAge
	}
}
