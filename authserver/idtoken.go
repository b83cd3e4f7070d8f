package authserver

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// openIDScope asks who the person is (OpenID Connect Core section 3.1.2.1).
	openIDScope = "openid"

	idTokenType = "JWT" // nothing that takes access tokens takes it: those are at+jwt

	maxNonce = 1 << 10 // bytes
)

// idClaims are what an ID token says (OpenID Connect Core section 2): who signed in
// for which client, when and how. What else is known of the person is at the
// userinfo endpoint (section 5.4). There is one audience, so that there is no azp.
type idClaims struct {
	jwt.RegisteredClaims
	Audience        string `json:"aud"`
	AuthTime        int64  `json:"auth_time"`
	Nonce           string `json:"nonce,omitempty"`
	ACR             string `json:"acr,omitempty"`
	AccessTokenHash string `json:"at_hash"` // section 3.1.3.6
}

// idToken makes the ID token that goes with an access token, whose claims are c. It
// lasts as long.
func (s *Server) idToken(ctx context.Context, a *authorization, c *claims, accessToken string) (string, error) {
	key, err := s.signer(ctx)
	if err != nil {
		return "", err
	}
	return key.sign(idTokenType, &idClaims{
		RegisteredClaims: jwt.RegisteredClaims{Issuer: c.Issuer, Subject: c.Subject, IssuedAt: c.IssuedAt, ExpiresAt: c.ExpiresAt},
		Audience:         a.ClientID,
		AuthTime:         a.AuthTime,
		Nonce:            a.Nonce,
		ACR:              a.ACR,
		AccessTokenHash:  key.method.HalfHash(accessToken),
	})
}

// checkNonce keeps the nonce that the ID token is to repeat, which JSON must be able
// to hold.
func (ar *authorizationRequest) checkNonce(params url.Values) error {
	ar.nonce = params.Get("nonce")
	if len(ar.nonce) > maxNonce || !utf8.ValidString(ar.nonce) {
		return refuse(invalidRequest, "nonce must be text in UTF-8 of at most 1024 bytes")
	}
	return nil
}

func hasOpenID(scope string) bool {
	return slices.Contains(strings.Split(scope, " "), openIDScope)
}

// unattended returns what of scopes is there without a person who has signed in for
// the client: nobody, as the ID token and the userinfo endpoint would have it.
func unattended(scopes []string) []string {
	return slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return s == openIDScope })
}

// unattendedScope is scope where no person signs in.
func (r *request) unattendedScope() (string, error) {
	asked := r.form.Get("scope")
	if hasOpenID(asked) {
		return "", refuse(invalidScope, "openid is for what a person signs in for")
	}
	return narrow(asked, unattended(r.client.scopes), beyondClient)
}

// userinfo is the URL of the userinfo endpoint, which openid adds to the aud of
// access tokens.
func (s *Server) userinfo() string { return s.base + userinfoPath }
