package authserver

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/countermark/countermark/internal/authheader"
	"github.com/countermark/countermark/internal/jose"
)

// scopeClaims are what the scopes of OpenID Connect Core section 5.4 stand for.
var scopeClaims = map[string][]string{
	"profile": {
		"birthdate", "family_name", "gender", "given_name", "locale", "middle_name", "name", "nickname", "picture",
		"preferred_username", "profile", "updated_at", "website", "zoneinfo",
	},
	"email":   {"email", "email_verified"},
	"address": {"address"},
	"phone":   {"phone_number", "phone_number_verified"},
}

// tellUser is the userinfo endpoint (OpenID Connect Core section 5.3): what the
// client with an access token may know of the person.
func (s *Server) tellUser(w http.ResponseWriter, r *http.Request) {
	scheme, token, err := shownToken(r)
	if err == nil && token == "" {
		s.askForToken(w, r)
		return
	}
	var claims map[string]json.RawMessage
	if err == nil {
		claims, err = s.userClaims(r.Context(), &request{http: r, header: w.Header()}, scheme, token)
	}
	if err != nil {
		s.refuseToken(w, r, scheme, err)
		return
	}
	writeJSON(w, http.StatusOK, claims)
}

// shownToken returns the access token of a request and its scheme, if any. In the
// URL it is refused, for it goes through logs there (RFC 9700 section 4.3.2); the
// body of a POST is not looked at.
func shownToken(r *http.Request) (scheme, token string, err error) {
	params, err := parseQuery(r.URL.RawQuery)
	switch {
	case err != nil:
		return "", "", err
	case params.Has("access_token"):
		return "", "", refuse(invalidRequest, "the access token belongs in the Authorization header, not in the URL")
	}
	scheme, token, err = authheader.Read(r.Header["Authorization"])
	if err != nil {
		return "", "", refuse(invalidRequest, "Authorization must be there once, with one access token")
	}
	return scheme, token, nil
}

// userClaims returns what an access token may get: one of this issuer that is in
// force, meant for the endpoint, and shown by whoever holds the key that it is bound
// to.
func (s *Server) userClaims(ctx context.Context, r *request, scheme, token string) (map[string]json.RawMessage, error) {
	c, err := s.read(ctx, token)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, errBadToken("the access token is not one of this issuer, expired or revoked")
	case err != nil:
		return nil, err
	case !slices.Contains(c.Audience, s.userinfo()):
		return nil, errBadToken("the access token is not meant for the userinfo endpoint")
	case !hasOpenID(c.Scope):
		return nil, refuseWith(http.StatusForbidden, insufficientScope, "the scope openid is required")
	}
	if err := s.checkHolder(ctx, r, c.Confirmation, scheme, token); err != nil { // last, since it spends a proof
		return nil, err
	}
	u, err := s.user(ctx, c.Subject)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, errBadToken("the person is not there any more")
	case err != nil:
		return nil, err
	default:
		return u.claimsOf(c.Scope)
	}
}

// checkHolder sees to it that an access token which is bound to a key is shown with
// proof of that key (RFC 9449 section 7.1, RFC 8705 section 3).
func (s *Server) checkHolder(ctx context.Context, r *request, bound *confirmation, scheme, token string) error {
	var shown *confirmation
	switch {
	case (scheme == authheader.DPoP) != (bound != nil && bound.JKT != ""):
		why := errBadToken("the scheme of Authorization is not the token_type of the access token")
		why.scheme = bound.tokenType()
		return why
	case bound == nil:
		return nil
	case scheme == authheader.DPoP:
		var err error
		if shown, err = s.provedKey(ctx, r, userinfoPath, token); err != nil {
			return err
		}
		if shown == nil {
			return refuse(invalidDPoPProof, "a DPoP proof is required")
		}
	default:
		shown = s.shownCertificate(r.http)
	}
	if !shown.same(bound) {
		return errBadToken("the access token is bound to another key than the request shows")
	}
	return nil
}

// claimsOf returns sub and what scope stands for, as far as it is known. What is
// not known is left out (OpenID Connect Core section 5.3.2).
func (u *User) claimsOf(scope string) (map[string]json.RawMessage, error) {
	claims := map[string]any{"sub": u.Subject}
	for one := range strings.SplitSeq(scope, " ") {
		for _, name := range scopeClaims[one] {
			claims[name] = u.Claims[name]
		}
	}
	known := make(map[string]json.RawMessage, len(claims))
	for name, value := range claims {
		text, err := json.Marshal(value)
		switch {
		case err != nil:
			return nil, fmt.Errorf("Config.FindUser: claim %s of the User: %w", name, err)
		case string(text) != "null":
			known[name] = text
		}
	}
	return known, nil
}

func errBadToken(description string) *refusal {
	return refuseWith(http.StatusUnauthorized, invalidToken, description)
}

// refuseToken answers with the error response that err stands for, and with what the
// client should show instead: RFC 6750 section 3, for DPoP RFC 9449 section 7.1.
func (s *Server) refuseToken(w http.ResponseWriter, req *http.Request, scheme string, err error) {
	if r, ok := errors.AsType[*refusal](err); ok && r.status < http.StatusInternalServerError {
		if r.code == invalidDPoPProof || r.code == useDPoPNonce {
			r.status = http.StatusUnauthorized // 400 is the token endpoint's
		}
		params := `, error="` + r.code + `", error_description="` + r.description + `"`
		if r.code == insufficientScope {
			params += `, scope="` + openIDScope + `"`
		}
		s.challenge(w, cmp.Or(r.scheme, scheme, authheader.Bearer), params)
	}
	s.writeError(w, req, nil, err)
}

// askForToken answers a request that shows no access token. It tells no error (RFC
// 6750 section 3.1).
func (s *Server) askForToken(w http.ResponseWriter, req *http.Request) {
	r := s.report(req, nil, errBadToken("an access token is required"))
	s.challenge(w, authheader.Bearer, "")
	s.challenge(w, authheader.DPoP, "")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(r.status)
}

func (s *Server) challenge(w http.ResponseWriter, scheme, params string) {
	if scheme == authheader.DPoP {
		params += `, algs="` + strings.Join(jose.Algorithms(), " ") + `"`
	}
	w.Header().Add("WWW-Authenticate", scheme+` realm="`+s.issuer+`"`+params)
}
