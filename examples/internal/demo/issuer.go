// Package demo runs what the examples need beside the code that they show: an
// issuer and an HTTP server on loopback, and a client of both.
package demo

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/countermark/countermark/authserver"
)

// Secret is every client's. It is for a demonstration on loopback only.
const Secret = "a-secret-for-this-demonstration"

// Client returns a client for [StartIssuer] that may get tokens with the given
// scopes for the given resource.
func Client(id, scope, audience string) authserver.Client {
	return authserver.Client{
		ClientID:   id,
		SecretHash: authserver.HashOf(Secret),
		GrantTypes: []string{"client_credentials"},
		Scope:      scope,
		Audience:   []string{audience},
	}
}

// An Issuer is a running authorization server with a clock that can be turned.
type Issuer struct {
	URL string

	auth   *authserver.Server
	server *http.Server
	offset atomic.Int64 // of its clock
	asked  atomic.Int64 // how often for its key set
}

// StartIssuer starts an issuer with the given clients on a free loopback port. It
// wants a nonce of its own in DPoP proofs.
func StartIssuer(ctx context.Context, clients ...authserver.Client) (*Issuer, error) {
	listener, err := listen(ctx)
	if err != nil {
		return nil, err
	}
	return newIssuer(listener, "http://", clients)
}

// StartIssuerTLS is [StartIssuer] over TLS, as cfg says.
func StartIssuerTLS(ctx context.Context, cfg *tls.Config, clients ...authserver.Client) (*Issuer, error) {
	listener, err := listen(ctx)
	if err != nil {
		return nil, err
	}
	return newIssuer(tls.NewListener(listener, cfg), "https://", clients)
}

func newIssuer(listener net.Listener, scheme string, clients []authserver.Client) (*Issuer, error) {
	nonceKey := make([]byte, 32)
	_, _ = rand.Read(nonceKey) // never fails
	iss := &Issuer{URL: scheme + listener.Addr().String()}
	var err error
	iss.auth, err = authserver.New(authserver.Config{
		Issuer:       iss.URL,
		Clients:      clients,
		DPoPNonceKey: nonceKey,
		Now:          func() time.Time { return time.Now().Add(time.Duration(iss.offset.Load())) },
		Logger:       slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	iss.server = serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/jwks" {
			iss.asked.Add(1)
		}
		iss.auth.ServeHTTP(w, r)
	}))
	return iss, nil
}

// Stop ends the issuer; whoever asks it then is refused the connection.
func (iss *Issuer) Stop() { _ = iss.server.Close() }

// KeyFetches returns how often the key set was asked for.
func (iss *Issuer) KeyFetches() int64 { return iss.asked.Load() }

// TurnClock turns the issuer's clock by d and returns what turns it back.
func (iss *Issuer) TurnClock(d time.Duration) (back func()) {
	iss.offset.Store(int64(d))
	return func() { iss.offset.Store(0) }
}

// RotateKey has the issuer sign with a new key from now on.
func (iss *Issuer) RotateKey(ctx context.Context) error {
	key, err := authserver.GenerateKey("ES256")
	if err != nil {
		return err
	}
	return iss.auth.RotateKeys(ctx, key, authserver.RotateNow)
}

// Token gets an access token by the client credentials grant (RFC 6749 section
// 4.4), as any client would.
func (iss *Issuer) Token(ctx context.Context, clientID string) (string, error) {
	return iss.BoundToken(ctx, client, clientID, "Bearer")
}

// BoundToken is [Issuer.Token] by an HTTP client that shows a key, to which the
// token is to be bound. The token is then one of the type that tokenType names.
func (iss *Issuer) BoundToken(ctx context.Context, by *http.Client, clientID, tokenType string) (string, error) {
	var answer struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
	}
	err := iss.post(ctx, by, "/token", clientID, url.Values{"grant_type": {"client_credentials"}}, &answer)
	if err == nil && !strings.EqualFold(answer.TokenType, tokenType) { // RFC 9449 section 5: not bound, then
		err = fmt.Errorf("the issuer gave a token of the type %q, not %s", answer.TokenType, tokenType)
	}
	return answer.AccessToken, err
}

// Revoke revokes a token of the client's (RFC 7009).
func (iss *Issuer) Revoke(ctx context.Context, clientID, token string) error {
	return iss.post(ctx, client, "/revoke", clientID, url.Values{"token": {token}}, nil)
}

func (iss *Issuer) post(ctx context.Context, by *http.Client, path, clientID string, form url.Values, answer any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, iss.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(clientID), url.QueryEscape(Secret)) // RFC 6749 section 2.3.1
	resp, err := by.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the issuer answered %s", resp.Status)
	}
	if answer == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(answer)
}

var client = &http.Client{Timeout: 5 * time.Second}

func listen(ctx context.Context) (net.Listener, error) {
	return new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
}

func serve(listener net.Listener, handler http.Handler) *http.Server {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, MaxHeaderBytes: 32 << 10}
	go func() { _ = server.Serve(listener) }()
	return server
}
