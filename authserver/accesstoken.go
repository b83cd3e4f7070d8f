package authserver

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/strictjson"
)

const (
	accessTokenType = "at+jwt" // RFC 9068 section 2.1
	maxToken        = 16 << 10 // bytes
)

// claims are what an access token says (RFC 9068 section 2.2): in a JWT signed,
// of an opaque token kept in the store.
type claims struct {
	jwt.RegisteredClaims
	ClientID     string        `json:"client_id"`
	Scope        string        `json:"scope,omitempty"`
	AuthTime     int64         `json:"auth_time,omitempty"`
	ACR          string        `json:"acr,omitempty"`
	Confirmation *confirmation `json:"cnf,omitempty"`

	// RFC 8693 sections 4.1 and 4.4. The server writes no may_act, it heeds one.
	Actor  *actor          `json:"act,omitempty"`
	MayAct json.RawMessage `json:"may_act,omitempty"`
}

// grant returns the ID of the grant that the token belongs to, the nearest one
// if it came of an exchange. It is the part of the jti before the last dot, or
// all of it where the token has a grant of its own.
func (c *claims) grant() string {
	if dot := strings.LastIndexByte(c.ID, '.'); dot >= 0 {
		return c.ID[:dot]
	}
	return c.ID
}

// grants returns the IDs of all grants that the token lives and dies by: an
// exchange adds one to those of the token that was exchanged.
func (c *claims) grants() []string {
	var ids []string
	for i := range len(c.ID) {
		if c.ID[i] == '.' {
			ids = append(ids, c.ID[:i])
		}
	}
	if ids == nil {
		return []string{c.ID}
	}
	return ids
}

// A tokenResponse is the successful answer of RFC 6749 section 5.1.
type tokenResponse struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"` // seconds
	Scope       string `json:"scope,omitempty"`

	RefreshToken    string `json:"refresh_token,omitempty"`
	IDToken         string `json:"id_token,omitempty"`          // OpenID Connect Core section 3.1.3.3
	IssuedTokenType string `json:"issued_token_type,omitempty"` // RFC 8693 section 2.2.1
}

// issue makes an access token and tells of it.
func (s *Server) issue(ctx context.Context, r *request, a *authorization) (*tokenResponse, error) {
	answer, issued, err := s.mint(ctx, r, a)
	if err != nil {
		return nil, err
	}
	s.emit(ctx, issued)
	return answer, nil
}

// mint makes an access token for what was authorized, bound to the key that the
// request shows, if it shows one, and what there is to tell once it is handed out.
// With openid there is an ID token, too. A JWT costs no write.
func (s *Server) mint(ctx context.Context, r *request, a *authorization) (*tokenResponse, Event, error) {
	if err := r.holds(a.Confirmation); err != nil {
		return nil, Event{}, err
	}
	now := s.now()
	expiry := now.Add(s.lifetime)
	if !a.until.IsZero() && a.until.Before(expiry) {
		expiry = a.until
	}
	id := rand.Text() // which has no dot
	if a.grant != "" {
		id = a.grant + "." + id
	}
	c := &claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    s.issuer,
			Subject:   a.Subject,
			Audience:  a.Audience,
			IssuedAt:  jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(expiry),
			ID:        id,
		},
		ClientID:     a.ClientID,
		Scope:        a.Scope,
		AuthTime:     a.AuthTime,
		ACR:          a.ACR,
		Confirmation: r.confirmation,
		Actor:        a.Actor,
	}
	write := s.sign
	if r.client.AccessTokenStrategy == strategyOpaque {
		write = s.keep
	}
	token, err := write(ctx, c)
	if err != nil {
		return nil, Event{}, err
	}
	answer := &tokenResponse{
		AccessToken: token,
		TokenType:   c.Confirmation.tokenType(),
		ExpiresIn:   int64(expiry.Sub(now) / time.Second),
		Scope:       c.Scope,
	}
	if hasOpenID(c.Scope) {
		if answer.IDToken, err = s.idToken(ctx, a, c, token); err != nil {
			return nil, Event{}, err
		}
	}
	return answer, Event{
		Type: EventTokenIssued, ClientID: c.ClientID, Subject: c.Subject, GrantType: r.form.Get("grant_type"),
		Grant: c.grant(), TokenID: c.ID, Scope: c.Scope, Audience: a.Audience,
	}, nil
}

// sign makes a JWT of c.
func (s *Server) sign(ctx context.Context, c *claims) (string, error) {
	key, err := s.signer(ctx)
	if err != nil {
		return "", err
	}
	return key.sign(accessTokenType, c)
}

// signer returns the key that signs now.
func (s *Server) signer(ctx context.Context) (*ringKey, error) {
	if err := s.syncKeys(ctx); err != nil {
		return nil, err
	}
	s.rotateWhenDue(ctx)
	return s.keys.signer(s.now()), nil
}

// sign makes a JWT of a type.
func (k *ringKey) sign(typ string, c jwt.Claims) (string, error) {
	t := jwt.Token{
		Method: k.method,
		Header: map[string]any{"typ": typ, "alg": k.Algorithm, "kid": k.ID},
		Claims: c,
	}
	token, err := t.SignedString(k.Signer)
	if err != nil {
		return "", fmt.Errorf("signing with key %q: %w", k.ID, err)
	}
	if len(token) > maxToken { // nobody would read it, this server included
		return "", refuse(invalidScope, "the token would be too long: narrow it by scope and resource")
	}
	return token, nil
}

// keep makes an opaque token that stands for c.
func (s *Server) keep(ctx context.Context, c *claims) (string, error) {
	token := newSecret()
	data, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("claims: %w", err)
	}
	err = s.write(ctx, func() error {
		return s.store.Put(ctx, AccessToken, s.keyOf(token), Record{Grant: c.grant(), Data: data, Expiry: c.ExpiresAt.Time})
	})
	return token, err
}

// read returns the claims of a token that this server issued, to a client that is
// still there, and that is neither expired nor revoked; for any other, ErrNotFound.
func (s *Server) read(ctx context.Context, token string) (*claims, error) {
	find := s.stored
	if strings.Contains(token, ".") {
		find = s.verified
	}
	c, err := find(ctx, token)
	if err != nil {
		return nil, err
	}
	if !s.now().Before(c.ExpiresAt.Time) {
		return nil, ErrNotFound
	}
	for _, id := range c.grants() {
		g, err := s.store.Grant(ctx, id)
		switch {
		case errors.Is(err, ErrNotFound): // never written down, so never revoked
		case err != nil:
			return nil, storeFailed(err)
		case !g.Revoked.IsZero():
			return nil, ErrNotFound
		}
	}
	if _, err := s.registered(ctx, c.ClientID); err != nil && (!errors.Is(err, ErrNotFound) || !s.documents.covers(c.ClientID)) {
		return nil, err // who deletes a client ends its tokens
	}
	return c, nil
}

// stored finds the claims that an opaque token stands for.
func (s *Server) stored(ctx context.Context, token string) (*claims, error) {
	r, err := s.lookUp(ctx, AccessToken, s.keyOf(token))
	if err != nil {
		return nil, err
	}
	c := &claims{}
	if err := strictjson.Unmarshal(r.Data, c); err != nil {
		return nil, fmt.Errorf("record of an access token: %w", err)
	}
	if c.ExpiresAt == nil || c.ID == "" {
		return nil, errors.New("record of an access token: it has no exp or jti")
	}
	return c, nil
}

// verified reads a JWT that one of the published keys signed as an access token.
func (s *Server) verified(ctx context.Context, token string) (*claims, error) {
	payload, err := s.signedHere(ctx, token, accessTokenType)
	if err != nil {
		return nil, err
	}
	c := &claims{}
	if !readPart(payload, c) || c.Issuer != s.issuer || c.ExpiresAt == nil || c.ID == "" {
		return nil, ErrNotFound
	}
	return c, nil
}

// signedHere returns the payload part of a JWT of a type that one of the published
// keys signed, or ErrNotFound. The type keeps out what the same keys sign for
// another purpose (RFC 8725 section 3.11).
func (s *Server) signedHere(ctx context.Context, token, typ string) (string, error) {
	var h struct {
		Typ string `json:"typ"`
		Alg string `json:"alg"`
		Kid string `json:"kid"`
	}
	header, payload, signature, ok := jose.Split(token)
	if !ok || len(token) > maxToken || !readPart(header, &h) || h.Typ != typ {
		return "", ErrNotFound
	}
	key, err := s.verifier(ctx, h.Kid)
	if err != nil {
		return "", err
	}
	if key == nil || key.Algorithm != h.Alg {
		return "", ErrNotFound
	}
	sig, err := jose.Decode(nil, signature)
	if err != nil || key.method.Verify(token[:len(header)+1+len(payload)], sig, key.public) != nil {
		return "", ErrNotFound
	}
	return payload, nil
}

func readPart(part string, v any) bool {
	data, err := jose.Decode(nil, part)
	return err == nil && strictjson.Unmarshal(data, v) == nil
}
