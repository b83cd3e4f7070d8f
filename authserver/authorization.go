package authserver

import (
	"strings"
	"time"
)

// An authorization is what a token stands for: who lets which client do what,
// where. A grant keeps it; every token that comes of the grant repeats it.
type authorization struct {
	Subject  string   `json:"sub"`
	ClientID string   `json:"client_id"`
	Scope    string   `json:"scope,omitempty"`
	Audience []string `json:"aud"`
	// AuthTime and ACR are when and how the person signed in (RFC 9068 section
	// 2.2.1); zero without a person.
	AuthTime int64  `json:"auth_time,omitempty"`
	ACR      string `json:"acr,omitempty"`
	// Confirmation is the key that whoever asks for tokens must show; nil if any
	// will do.
	Confirmation *confirmation `json:"cnf,omitempty"`

	// Nonce is that of the authorization request, for the ID token of its code.
	Nonce string `json:"nonce,omitempty"`

	// Actor is who acts for the subject, if it is not the subject (RFC 8693
	// section 4.1).
	Actor *actor `json:"act,omitempty"`

	// until is when the tokens expire at the latest; zero leaves it to the server.
	until time.Time
	// grant is the ID of the grant that is written down already; empty for a
	// token whose grant is its own, and written down only if it is revoked.
	grant string
}

// allowedBy is what the person with session n allows if they say yes to ar.
func (ar *authorizationRequest) allowedBy(n *session) authorization {
	return authorization{
		Subject:  n.Subject,
		ClientID: ar.client.ClientID,
		Scope:    ar.scope,
		Audience: ar.audience,
		AuthTime: n.AuthTime,
		ACR:      n.ACR,
		Nonce:    ar.nonce,

		Confirmation: ar.confirmation,
	}
}

// within returns what of an authorization its client is still registered for. The
// userinfo endpoint goes with openid.
func (a authorization) within(c *client, userinfo string) (authorization, error) {
	held, _ := parseScope(a.Scope)
	a.Scope = strings.Join(common(held, c.scopes), " ")
	targets := c.Audience
	if hasOpenID(a.Scope) {
		targets = with(targets, userinfo)
	}
	if a.Audience = common(a.Audience, targets); len(a.Audience) == 0 {
		return a, refuse(invalidTarget, "the client is not registered for what was granted, or asks for nothing of it")
	}
	return a, nil
}

// An actor acts on behalf of somebody else. Its own Actor acted before it.
type actor struct {
	Subject string `json:"sub"`
	Actor   *actor `json:"act,omitempty"`
}

// A confirmation says whose key holds a token (RFC 7800): one of its members.
type confirmation struct {
	JKT  string `json:"jkt,omitempty"`      // RFC 9449 section 6.1
	X5TS string `json:"x5t#S256,omitempty"` // RFC 8705 section 3.1
}
