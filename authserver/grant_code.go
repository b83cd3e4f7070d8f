package authserver

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/strictjson"
)

const (
	authorizationCodeGrant = "authorization_code"

	codeLifetime = 60 * time.Second
)

// A codeRecord is what a code stands for. It outlasts the code, so that a replay
// is known as one, and the grant that it begins keeps it for as long as there is
// something to revoke.
type codeRecord struct {
	Authorization authorization `json:"authorization"`
	RedirectURI   string        `json:"redirect_uri,omitempty"` // as it was sent
	Challenge     string        `json:"code_challenge"`
	Until         int64         `json:"until"` // when the code expires, in Unix milliseconds
}

// newCode makes an authorization code (RFC 6749 section 4.1.2) for what the
// person with session n lets the client of ar do.
func (s *Server) newCode(ctx context.Context, ar *authorizationRequest, n *session) (string, error) {
	now := s.now()
	c := &codeRecord{
		Authorization: ar.allowedBy(n),
		Challenge:     ar.challenge,
		Until:         now.Add(codeLifetime).UnixMilli(),
	}
	if ar.redirectSent {
		c.RedirectURI = ar.reply.uri
	}
	data, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("authorization code: %w", err)
	}
	code := newSecret()
	key := s.keyOf(code)
	record := Record{Grant: grantOf(key), Data: data, Expiry: now.Add(codeLifetime + s.lifetime)}
	err = s.write(ctx, func() error { return s.store.Put(ctx, AuthorizationCode, key, record) })
	return code, err
}

// authorizationCode redeems a code (RFC 6749 section 4.1.3). Whoever has no right
// to it learns nothing about it and does not use it up.
func (s *Server) authorizationCode(ctx context.Context, r *request) (*tokenResponse, error) {
	code := r.form.Get("code")
	if code == "" {
		return nil, refuse(invalidRequest, "code is required")
	}
	key := s.keyOf(code)
	data, err := s.ticketData(ctx, AuthorizationCode, key)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, errBadCode()
	case err != nil:
		return nil, err
	}
	c := &codeRecord{}
	if err := strictjson.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("record of an authorization code: %w", err)
	}
	if err := c.check(r); err != nil {
		return nil, err
	}
	return s.redeem(ctx, r, &ticket{
		name: "authorization code", kind: AuthorizationCode, key: key, data: data, allowed: &c.Authorization, until: c.Until,
		used: errBadCode(), expired: errBadCode(),
	})
}

func errBadCode() error {
	return refuse(invalidGrant, "the code is unknown, expired, used, or bound to another client, redirect_uri or code_verifier")
}

// check holds a token request against what its code is bound to. A code_verifier
// is required, since every code has a challenge (RFC 7636 section 4.6), the
// redirect_uri if the authorization request had one (RFC 6749 section 4.1.3), and
// the key if it named one (RFC 9449 section 10).
func (c *codeRecord) check(r *request) error {
	verifier := r.form.Get("code_verifier")
	if verifier == "" {
		return refuse(invalidRequest, "code_verifier is required")
	}
	sum := sha256.Sum256([]byte(verifier))
	switch {
	case r.client.ClientID != c.Authorization.ClientID,
		r.form.Get("redirect_uri") != c.RedirectURI && (c.RedirectURI != "" || !r.client.isOnlyRedirectURI(r.form.Get("redirect_uri"))),
		!isPKCE(verifier),
		subtle.ConstantTimeCompare([]byte(jose.Encode(sum[:])), []byte(c.Challenge)) != 1:
		return errBadCode()
	default:
		return r.holds(c.Authorization.Confirmation)
	}
}

// isOnlyRedirectURI reports whether a client that left out its redirect URI meant
// that one.
func (c *client) isOnlyRedirectURI(uri string) bool {
	return slices.Equal(c.RedirectURIs, []string{uri})
}

// isPKCE reports whether s may be a code_verifier or code_challenge (RFC 7636
// section 4.1).
func isPKCE(s string) bool {
	return len(s) >= 43 && len(s) <= 128 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~", r)
	})
}
