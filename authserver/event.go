package authserver

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
)

// An Event is something that whoever answers for the security of a system wants
// to find again: who signed in, which tokens were issued, what was refused. It
// holds no secret, no token and nothing that a client sent and that is not
// registered with the server.
//
// Of the fields those have a value that the Type names, as far as they are known.
type Event struct {
	Type EventType `json:"type"`
	Time time.Time `json:"time"`

	// Path is that of the endpoint, /token say, and Status the HTTP status that it
	// answered with; of an error that a browser takes to the client, the one that
	// goes with it elsewhere.
	Path   string `json:"path,omitempty"`
	Status int    `json:"status,omitempty"`
	// ClientID is a client that exists, and that has authenticated if the endpoint
	// asks for it: what anybody might have written is not here. With the Error
	// invalid_client it is the one whose secret somebody did not know.
	ClientID string `json:"client_id,omitempty"`
	// Subject is the sub of the resource owner: a person, or the client itself.
	Subject string `json:"sub,omitempty"`

	GrantType string   `json:"grant_type,omitempty"`
	Grant     string   `json:"grant,omitempty"` // its ID; every token of the grant has it
	TokenID   string   `json:"jti,omitempty"`
	Scope     string   `json:"scope,omitempty"`
	Audience  []string `json:"aud,omitempty"`

	KeyID     string `json:"kid,omitempty"`
	Algorithm string `json:"alg,omitempty"`

	// Error is the error code that the client was told; access_denied where the
	// person alone was told; empty if all went well.
	Error string `json:"error,omitempty"`
	// Reason says why, in a text without parts that vary.
	Reason string `json:"reason,omitempty"`
	// Cause is what lay beneath, as the Store or a crypto.Signer told it, or what is
	// wrong with a DPoP proof, an assertion or a certificate. It is for people to read.
	Cause error `json:"-"`
}

// An EventType says what happened. It is the message of the log record, too.
type EventType string

const (
	// EventSignIn is that a person signed in, or failed to, which Error tells:
	// ClientID, Subject if they did, Error, Reason.
	EventSignIn EventType = "sign-in"
	// EventSignOut is that a person signed out, at the end-session endpoint:
	// ClientID, Subject. What they let clients do goes on.
	EventSignOut EventType = "sign-out"
	// EventConsent is that a person let a client have what it asked for, or did
	// not, which Error tells: ClientID, Subject, Scope, Audience, Error. It is
	// not told of a person who was not asked.
	EventConsent EventType = "consent"
	// EventTokenIssued is that an access token was issued: ClientID, Subject,
	// GrantType, Grant, TokenID, Scope, Audience.
	EventTokenIssued EventType = "token issued"
	// EventRefused is that a request was refused, for a token or at another
	// endpoint: Path, Status, ClientID, Error, Reason, Cause. A Status of 500 and
	// more is the server's own failure.
	EventRefused EventType = "request refused"
	// EventRefreshReuse is that a refresh token came a second time, so that
	// somebody else may have it, and that its grant was revoked (RFC 9700 section
	// 4.14.2): ClientID, Subject, Grant, Error, Cause. It is for an alert. With the
	// Error temporarily_unavailable the store failed: it may come again, or the
	// person not be told.
	EventRefreshReuse EventType = "refresh token reused"
	// EventRevocation is that a grant was revoked, and with it its tokens:
	// ClientID, Subject, Grant, TokenID, Error, Reason. With an Error it is for an
	// alert: an authorization code or a device code came a second time, so that
	// somebody else may have it (RFC 6749 section 10.5).
	EventRevocation EventType = "grant revoked"
	// EventRegistration is that a client registered itself, or changed or deleted
	// its registration, which Reason tells: ClientID, Scope, Audience, Reason.
	EventRegistration EventType = "client registration"
	// EventKeyRotation is that a signing key was published, and when it signs,
	// which Reason tells: KeyID, Algorithm, Reason.
	EventKeyRotation EventType = "signing key rotated"
)

// LogValue returns the fields that have a value, by their JSON names, but for
// Time, which a log record has by itself.
func (e Event) LogValue() slog.Value {
	return slog.GroupValue(append([]slog.Attr{slog.String("type", string(e.Type))}, e.attrs()...)...)
}

// emit tells of an event: the log, and Config.Audit. It is the one way in which
// either learns of one. It is called when all is done, and never inside an
// operation of the store or under a lock.
func (s *Server) emit(ctx context.Context, e Event) {
	e.Time = s.now()
	if level := e.level(ctx); s.log.Enabled(ctx, level) {
		s.log.LogAttrs(ctx, level, string(e.Type), e.attrs()...) //nolint:sloglint // a constant, of a type
	}
	if s.audit != nil {
		e.Audience = slices.Clone(e.Audience)  // which may be that of the registration
		s.audit(context.WithoutCancel(ctx), e) // a client that hangs up erases no traces
	}
}

// level is that of the log record. Who asks too much is no fault of the server's,
// nor is who went away.
func (e *Event) level(ctx context.Context) slog.Level {
	switch {
	case e.Type == EventTokenIssued, e.Error == authorizationPending: // which says that all goes well
		return slog.LevelDebug
	case e.Type == EventRefreshReuse, e.Type == EventRevocation && e.Error != "":
		return slog.LevelWarn
	case e.Status >= http.StatusInternalServerError && ctx.Err() == nil:
		return slog.LevelError
	default:
		return slog.LevelInfo
	}
}

func (e *Event) attrs() []slog.Attr {
	attrs := make([]slog.Attr, 0, 8)
	text := func(name, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(name, value))
		}
	}
	text("path", e.Path)
	if e.Status != 0 {
		attrs = append(attrs, slog.Int("status", e.Status))
	}
	text("client_id", e.ClientID)
	text("sub", e.Subject)
	text("grant_type", e.GrantType)
	text("grant", e.Grant)
	text("jti", e.TokenID)
	text("scope", e.Scope)
	text("aud", strings.Join(e.Audience, " "))
	text("kid", e.KeyID)
	text("alg", e.Algorithm)
	text("error", e.Error)
	text("reason", e.Reason)
	if e.Cause != nil {
		attrs = append(attrs, slog.Any("cause", e.Cause))
	}
	return attrs
}
