package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/storage"
	"github.com/ory/fosite/token/jwt"
)

// fositeEndpoint is a token endpoint as fosite's documentation writes one: for
// client_credentials alone, with access tokens that are JWTs.
func fositeEndpoint(k *key) http.Handler {
	secret := sha256.Sum256([]byte(clientSecret))
	store := forgetful{storage.NewMemoryStore()}
	store.Clients[clientID] = &fosite.DefaultClient{
		ID: clientID, Secret: secret[:], GrantTypes: []string{"client_credentials"},
		Scopes: []string{"orders:read", "orders:write"}, Audience: []string{audience},
	}
	global := make([]byte, 32)
	_, _ = rand.Read(global) // never fails
	config := &fosite.Config{
		AccessTokenLifespan: 10 * time.Minute, GlobalSecret: global, AccessTokenIssuer: issuerName,
		ClientSecretsHasher: sha256Hasher{}, ScopeStrategy: fosite.ExactScopeStrategy, JWTScopeClaimKey: jwt.JWTScopeFieldString,
	}
	private := func(context.Context) (any, error) { return k.signer, nil }
	provider := compose.Compose(config, store,
		compose.NewOAuth2JWTStrategy(private, compose.NewOAuth2HMACStrategy(config), config),
		compose.OAuth2ClientCredentialsGrantFactory)

	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		ctx := req.Context()
		session := &oauth2.JWTSession{
			JWTClaims: &jwt.JWTClaims{Issuer: issuerName, Subject: clientID, Audience: []string{audience}, IssuedAt: time.Now()},
			JWTHeader: &jwt.Headers{Extra: map[string]any{"kid": k.id, "typ": "at+jwt"}},
		}
		request, err := provider.NewAccessRequest(ctx, req, session)
		if err != nil {
			provider.WriteAccessError(ctx, w, request, err)
			return
		}
		for _, scope := range request.GetRequestedScopes() {
			request.GrantScope(scope)
		}
		response, err := provider.NewAccessResponse(ctx, request)
		if err != nil {
			provider.WriteAccessError(ctx, w, request, err)
			return
		}
		provider.WriteAccessResponse(ctx, w, request, response)
	})
}

// forgetful is fosite's store in memory without the sessions of access tokens,
// which nothing reads here and which would fill the heap.
type forgetful struct{ *storage.MemoryStore }

func (forgetful) CreateAccessTokenSession(context.Context, string, fosite.Requester) error {
	return nil
}

// sha256Hasher compares client secrets by their SHA-256.
type sha256Hasher struct{}

func (sha256Hasher) Hash(_ context.Context, data []byte) ([]byte, error) {
	sum := sha256.Sum256(data)
	return sum[:], nil
}

func (h sha256Hasher) Compare(ctx context.Context, hash, data []byte) error {
	sum, err := h.Hash(ctx, data)
	if err == nil && subtle.ConstantTimeCompare(hash, sum) != 1 {
		err = errors.New("not the secret")
	}
	return err
}
